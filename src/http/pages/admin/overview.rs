//! `/admin`: how the installation stands.
use super::session_line::SessionLine;
use crate::domain::policy::Key;
use crate::domain::time::Timestamp;
use crate::flows::{Ctx, overview};
use crate::http::error::PageError;
use crate::http::pages::{Shell, page};
use crate::http::visitor::Admin;
use crate::http::{Route, Who, paths};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use view::{Check, Hour, OverviewPage};

pub mod view;

/// The chart's view box: 24 hours of this width, this high.
const HOUR_WIDTH: i64 = 20;
const HEIGHT: i64 = 120;

pub fn routes() -> Vec<Route> {
    vec![Route::get(paths::ADMIN, Who::Administrator, show)]
}

async fn show(req: HttpRequest, ctx: web::Data<Ctx>, admin: Admin) -> Result<HttpResponse, PageError> {
    let seen = overview::overview(&ctx).await?;
    let sum = |hours: &[(Timestamp, i64)]| hours.iter().map(|(_, count)| count).sum();
    let view = OverviewPage {
        shell: Shell::admin(&req, &ctx, &admin, "Overview", "overview").await?,
        live_sessions: seen.live_sessions,
        accounts: seen.accounts,
        locked: seen.locked,
        accepted: sum(&seen.accepted_24h),
        refused: sum(&seen.refused_24h),
        hours: hours(&seen.accepted_24h, &seen.refused_24h),
        ending_soon: seen
            .ending_soon
            .iter()
            .map(|view| SessionLine::new(view, admin.0.session))
            .collect(),
        revision: seen.revision.revision,
        revision_at: seen.revision.at,
        revision_by: seen.revision.author,
        revision_reason: seen.revision.reason,
        open_checks: seen.checklist.iter().filter(|item| !item.ok).count(),
        checklist: seen
            .checklist
            .into_iter()
            .map(|item| Check {
                ok: item.ok,
                title: item.title,
                why: item.why,
                key: item.key.map(Key::name),
            })
            .collect(),
        mail_queued: seen.mail.0,
        mail_given_up: seen.mail.1,
        backend: seen.backend,
    };
    page(StatusCode::OK, &view)
}

/// Both rows share one scale; an hour with anything at all shows.
fn hours(accepted: &[(Timestamp, i64)], refused: &[(Timestamp, i64)]) -> Vec<Hour> {
    let most = accepted
        .iter()
        .chain(refused)
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    let height = |count: i64| if count == 0 { 0 } else { (count * HEIGHT / most).max(2) };
    (0..)
        .zip(accepted.iter().zip(refused))
        .map(|(hour, ((at, accepted), (_, refused)))| Hour {
            at: *at,
            x: hour * HOUR_WIDTH,
            accepted: *accepted,
            accepted_top: HEIGHT - height(*accepted),
            accepted_height: height(*accepted),
            refused: *refused,
            refused_top: HEIGHT - height(*refused),
            refused_height: height(*refused),
        })
        .collect()
}
