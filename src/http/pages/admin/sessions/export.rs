//! `/admin/sessions/export`: the filtered list as CSV or JSON, with the fields of `nightlatch
//! session list --json`.
use super::query::SessionListQuery;
use crate::{
    domain::{policy::Value, session::SessionFilter},
    flows::{
        Ctx,
        audit::{self, ExportedList},
        sessions::{self, SessionView},
    },
    http::{
        error::PageError,
        forms::Query,
        pages::admin::{
            export::{ExportChunk, ExportQuery, PAGE, narrowed, stream},
            list::ListQuery,
        },
        step_up::{ConfirmedVisitor, Download},
        visitor::Admin,
    },
};
use actix_web::{HttpResponse, web};

const COLUMNS: &[&str] = &[
    "id",
    "account",
    "role",
    "ip",
    "user_agent",
    "application",
    "signed_in_at",
    "last_active_at",
    "ends_at",
    "ends_by",
    "ended_at",
    "end_reason",
    "ended_by",
    "end_setting",
    "end_scope",
    "end_limit",
    "end_due_at",
    "end_policy_revision",
    "network_changes",
    "factors",
    "source",
];

/// Streams the list. It is a POST, because the export is recorded in the audit log; if that fails,
/// nothing is exported.
pub async fn download(
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, _): ConfirmedVisitor<Admin, Download>,
    query: Query<SessionListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, PageError> {
    query.0.check()?;
    let (initiator, format) = (&admin.0.initiator, export.0.format);
    audit::record_export(
        &ctx,
        initiator,
        ExportedList::Sessions,
        narrowed(&query.0.fields()),
        format.as_str(),
    )
    .await?;
    let filter = SessionFilter {
        after: None,
        before: None,
        limit: PAGE,
        ..query.0.filter(ctx.now())
    };
    let fetch = move |filter: SessionFilter| {
        let ctx = ctx.clone();
        async move {
            let list = sessions::list(&ctx, filter.clone()).await?;
            Ok(ExportChunk::from_query(&list.items, list.older, record, |last| {
                SessionFilter {
                    after: Some(last.row.cursor(filter.state)),
                    ..filter
                }
            }))
        }
    };
    Ok(stream("sessions", format, COLUMNS, filter, fetch).await?)
}

fn record(view: &SessionView) -> serde_json::Value {
    let session = &view.row.session;
    let ended = view.ended.as_ref();
    let cause = ended.and_then(|ended| ended.cause.as_ref());
    serde_json::json!({
        "id": session.id.0,
        "account": view.row.account_name,
        "role": view.row.role.as_str(),
        "ip": session.ip,
        "user_agent": session.binding.user_agent,
        "application": session.applications.join(", "),
        "signed_in_at": session.signed_in_at.to_rfc3339(),
        "last_active_at": view.last_active_at.to_rfc3339(),
        "ends_at": view.ends.filter(|_| view.live).map(|end| end.at.to_rfc3339()),
        "ends_by": view.ends.filter(|_| view.live).map(|end| end.reason.as_str()),
        "ended_at": ended.map(|ended| ended.at.to_rfc3339()),
        "end_reason": ended.and_then(|ended| ended.reason).map(|reason| reason.as_str()),
        "ended_by": ended.and_then(|ended| ended.by.as_ref()),
        "end_setting": cause.and_then(|cause| cause.setting).map(|setting| setting.name()),
        "end_scope": cause.and_then(|cause| cause.scope.as_ref()).map(ToString::to_string),
        "end_limit": cause.and_then(|cause| cause.limit.as_ref()).map(Value::to_json),
        "end_due_at": cause.and_then(|cause| cause.due_at).map(|at| at.to_rfc3339()),
        "end_policy_revision": cause.map(|cause| cause.policy_revision),
        "network_changes": session.binding.changes,
        "factors": session.proofs.to_string(),
        "device_bound": !session.devices.is_empty(),
        "source": view.source,
    })
}
