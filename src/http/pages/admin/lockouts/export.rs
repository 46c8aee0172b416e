//! `/admin/lockouts/export`: the filtered list as CSV or JSON, with the fields of `nightlatch
//! lockout list --json` and those that the page adds.
use super::query::LockoutListQuery;
use crate::{
    domain::lockout::{LockDuration, LockoutFilter},
    flows::{
        Ctx,
        audit::{self, ExportedList},
        lockouts::{self, LockoutView},
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
    "kind",
    "account",
    "ip",
    "user_agent",
    "failures",
    "limit",
    "locked",
    "locked_until",
    "blocked",
    "block_reason",
    "last_attempt_at",
    "last_ip",
    "names_tried",
    "refused",
];

/// By POST, because the export is an event of the audit log; if that cannot be written, nothing is
/// exported.
pub async fn download(
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, _): ConfirmedVisitor<Admin, Download>,
    query: Query<LockoutListQuery>,
    export: Query<ExportQuery>,
) -> Result<HttpResponse, PageError> {
    query.0.check()?;
    let (initiator, format) = (&admin.0.initiator, export.0.format);
    let filter = narrowed(&query.0.fields());
    audit::record_export(&ctx, initiator, ExportedList::Lockouts, filter, format.as_str()).await?;
    let filter = LockoutFilter {
        after: None,
        before: None,
        limit: PAGE,
        ..query.0.filter(&ctx.in_force().everyone().lockout)
    };
    let fetch = move |filter: LockoutFilter| {
        let ctx = ctx.clone();
        async move {
            let list = lockouts::list(&ctx, filter.clone()).await?;
            Ok(ExportChunk::from_query(&list.items, list.older, record, |last| {
                LockoutFilter {
                    after: Some((last.lockout.last_attempt_at, last.lockout.id)),
                    ..filter
                }
            }))
        }
    };
    Ok(stream("lockouts", format, COLUMNS, filter, fetch).await?)
}

fn record(view: &LockoutView) -> serde_json::Value {
    let lockout = &view.lockout;
    let until = match view.locked {
        Some(LockDuration::Until(until)) => Some(until.to_rfc3339()),
        Some(LockDuration::UntilUnlocked) | None => None,
    };
    serde_json::json!({
        "id": lockout.id,
        "kind": lockout.key.kind.as_str(),
        "account": lockout.key.account,
        "ip": lockout.key.ip,
        "user_agent": lockout.key.user_agent,
        "failures": view.failures,
        "limit": view.limit,
        "locked": view.locked.is_some(),
        "locked_until": until,
        "blocked": view.blocked.is_some(),
        "block_reason": view.blocked,
        "last_attempt_at": lockout.last_attempt_at.to_rfc3339(),
        "last_ip": lockout.last_ip,
        "names_tried": lockout.names_tried.join(", "),
        "refused": lockout.refused,
    })
}
