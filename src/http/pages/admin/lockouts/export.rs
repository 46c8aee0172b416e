//! `/admin/lockouts/export`: the filtered list as CSV or JSON, in the fields of `nightlatch lockout list --json` and what the page shows
//! beside them.
use super::Asked;
use crate::domain::lockout::Locked;
use crate::flows::Ctx;
use crate::flows::audit::{self, Exported};
use crate::flows::lockouts::{self, LockoutView};
use crate::flows::rows::LockoutFilter;
use crate::http::error::PageError;
use crate::http::forms::Query;
use crate::http::pages::admin::export::{Chunk, PAGE, Wanted, narrowed, stream};
use crate::http::pages::admin::list::readable;
use crate::http::step_up::{Confirmed, Download};
use crate::http::visitor::Admin;
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

/// By POST, because the export is an event of the audit; if that cannot be written, nothing is exported.
pub async fn download(
    ctx: web::Data<Ctx>,
    Confirmed(admin, _): Confirmed<Admin, Download>,
    asked: Query<Asked>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, PageError> {
    readable(asked.0.faults())?;
    let (acting, format) = (&admin.0.acting, wanted.0.format);
    let filter = narrowed(&asked.0.pairs());
    audit::exported(&ctx, acting, Exported::Lockouts, filter, format.as_str()).await?;
    let filter = LockoutFilter {
        after: None,
        before: None,
        limit: PAGE,
        ..asked.0.filter(&ctx.in_force().everyone().lockout)
    };
    let fetch = move |filter: LockoutFilter| {
        let ctx = ctx.clone();
        async move {
            let list = lockouts::list(&ctx, filter.clone()).await?;
            Ok(Chunk::of(&list.items, list.older, record, |last| LockoutFilter {
                after: Some((last.lockout.last_attempt_at, last.lockout.id)),
                ..filter
            }))
        }
    };
    Ok(stream("lockouts", format, COLUMNS, filter, fetch).await?)
}

fn record(view: &LockoutView) -> serde_json::Value {
    let lockout = &view.lockout;
    let until = match view.locked {
        Some(Locked::Until(until)) => Some(until.to_rfc3339()),
        Some(Locked::UntilUnlocked) | None => None,
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
