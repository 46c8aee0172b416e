//! `/admin/sessions/export`: the filtered list as CSV or JSON, in the fields of `nightlatch session list --json`.
use super::asked::Asked;
use crate::flows::Ctx;
use crate::flows::audit::{self, Exported};
use crate::flows::rows::SessionFilter;
use crate::flows::sessions::{self, SessionView};
use crate::http::error::PageError;
use crate::http::forms::Query;
use crate::http::pages::admin::export::{Chunk, PAGE, Wanted, narrowed, stream};
use crate::http::pages::admin::list::readable;
use crate::http::step_up::{Confirmed, Download};
use crate::http::visitor::Admin;
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
    "network_changes",
    "user_agent_mismatches",
];

/// By POST, because the export is an event of the audit; if that cannot be written, nothing is exported.
pub async fn download(
    ctx: web::Data<Ctx>,
    Confirmed(admin, _): Confirmed<Admin, Download>,
    asked: Query<Asked>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, PageError> {
    readable(asked.0.faults())?;
    let (acting, format) = (&admin.0.acting, wanted.0.format);
    audit::exported(
        &ctx,
        acting,
        Exported::Sessions,
        narrowed(&asked.0.pairs()),
        format.as_str(),
    )
    .await?;
    let filter = SessionFilter {
        after: None,
        before: None,
        limit: PAGE,
        ..asked.0.filter(ctx.now())
    };
    let fetch = move |filter: SessionFilter| {
        let ctx = ctx.clone();
        async move {
            let list = sessions::list(&ctx, filter.clone()).await?;
            Ok(Chunk::of(&list.items, list.older, record, |last| SessionFilter {
                after: Some(last.row.cursor(filter.state)),
                ..filter
            }))
        }
    };
    Ok(stream("sessions", format, COLUMNS, filter, fetch).await?)
}

fn record(view: &SessionView) -> serde_json::Value {
    let session = &view.row.session;
    serde_json::json!({
        "id": session.id.0,
        "account": view.row.account_name,
        "role": view.row.role.as_str(),
        "ip": session.ip,
        "user_agent": session.binding.user_agent,
        "application": session.applications.join(", "),
        "signed_in_at": session.signed_in_at.to_rfc3339(),
        "last_active_at": view.last_active_at.to_rfc3339(),
        "ends_at": view.ends.map(|end| end.at.to_rfc3339()),
        "ends_by": view.ends.map(|end| end.reason.as_str()),
        "ended_at": session.ended_at.map(|at| at.to_rfc3339()),
        "end_reason": session.end_reason.map(|reason| reason.as_str()),
        "ended_by": session.ended_by,
        "network_changes": session.binding.changes,
        "user_agent_mismatches": session.user_agent_mismatches,
    })
}
