//! `/admin`: how the installation stands. What of its health is told, and how, stands in `health`.
use super::session_line::SessionLine;
use crate::domain::policy::Key;
use crate::domain::time::Timestamp;
use crate::flows::{Ctx, overview};
use crate::http::error::PageError;
use crate::http::pages::{Shell, page};
use crate::http::visitor::Admin;
use crate::http::{Route, Who, paths};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use view::{Check, Hour, OverviewPage, Trend};

mod health;
pub mod view;

/// The chart's view box: 24 hours of this width, this high.
const HOUR_WIDTH: i64 = 20;
const HEIGHT: i64 = 120;
/// The small one's: 23 steps of this width, and this high with half a line's width of room.
const STEP: i64 = 5;
const TREND_HEIGHT: i64 = 26;

pub fn routes() -> Vec<Route> {
    vec![Route::get(paths::ADMIN, Who::Administrator, show)]
}

async fn show(req: HttpRequest, ctx: web::Data<Ctx>, admin: Admin) -> Result<HttpResponse, PageError> {
    let seen = overview::overview(&ctx).await?;
    let health = health::lines(&seen.health);
    let sum = |hours: &[(Timestamp, i64)]| hours.iter().map(|(_, count)| count).sum();
    let view = OverviewPage {
        shell: Shell::admin(&req, &ctx, &admin, "Overview", "overview").await?,
        live_sessions: seen.live_sessions,
        trend: trend(&seen.live_24h),
        accounts: seen.accounts,
        locked: seen.locked,
        accepted: sum(&seen.accepted_24h),
        refused: sum(&seen.refused_24h),
        hours: hours(&seen.live_24h, &seen.accepted_24h, &seen.refused_24h),
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
        warnings: health.iter().map(|line| i64::from(!line.ok)).sum(),
        health,
    };
    page(StatusCode::OK, &view)
}

fn trend(live: &[(Timestamp, i64)]) -> Trend {
    let counts = || live.iter().map(|(_, count)| *count);
    let (low, high) = (counts().min().unwrap_or(0), counts().max().unwrap_or(0));
    let point = |(step, count): (i64, i64)| {
        let top = 1 + TREND_HEIGHT - count * TREND_HEIGHT / high.max(1);
        format!("{},{top}", step * STEP)
    };
    Trend {
        line: (0..).zip(counts()).map(point).collect::<Vec<_>>().join(" "),
        low,
        high,
    }
}

/// Both rows of sign-ins share one scale; an hour with anything at all shows.
fn hours(live: &[(Timestamp, i64)], accepted: &[(Timestamp, i64)], refused: &[(Timestamp, i64)]) -> Vec<Hour> {
    let most = accepted
        .iter()
        .chain(refused)
        .map(|(_, count)| *count)
        .max()
        .unwrap_or(0)
        .max(1);
    let height = |count: i64| if count == 0 { 0 } else { (count * HEIGHT / most).max(2) };
    (0..)
        .zip(live.iter().zip(accepted).zip(refused))
        .map(|(hour, (((at, live), (_, accepted)), (_, refused)))| Hour {
            at: *at,
            live: *live,
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
