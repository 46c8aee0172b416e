//! `/admin`: the state of the installation at a glance. Its health lines are in `health`.
use super::session_line::SessionLine;
use crate::{
    domain::{lockout::AttackPattern, policy::Key, time::Timestamp},
    flows::{Ctx, audit::shipping, lockouts, overview},
    http::{
        error::PageError,
        paths,
        respond::render_page,
        route::{Audience, Route},
        shell::Shell,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use view::{ChartHour, Check, OverviewPage, Trend};

mod health;
mod view;

/// The chart's view box: 24 hours of this width, this high.
const HOUR_WIDTH: i64 = 20;
const HEIGHT: i64 = 120;
/// The view box of the small chart: 23 steps of this width and this height, with room for half a
/// line's width.
const STEP: i64 = 5;
const TREND_HEIGHT: i64 = 26;

/// Returns the routes of the overview.
pub fn routes() -> Vec<Route> {
    vec![Route::get(paths::ADMIN, Audience::Administrator, show)]
}

async fn show(req: HttpRequest, ctx: web::Data<Ctx>, admin: Admin) -> Result<HttpResponse, PageError> {
    let seen = overview::overview(&ctx).await?;
    let patterns = lockouts::list_patterns(&ctx).await?;
    let mut health = health::lines(&seen.health);
    health.extend(health::mail(seen.mail.1, seen.mail_fault.as_deref()));
    health.extend(health::audit_targets(&shipping::list_targets(&ctx).await?));
    let sum = |hours: &[(Timestamp, i64)]| hours.iter().map(|(_, count)| count).sum();
    let view = OverviewPage {
        shell: Shell::admin(&req, &ctx, &admin, "Overview", "overview").await?,
        live_sessions: seen.live_sessions,
        trend: trend(&seen.live_24h),
        accounts: seen.accounts,
        locked: seen.locked,
        accepted: sum(&seen.accepted_24h),
        refused: sum(&seen.refused_24h),
        most: largest_count(&seen.accepted_24h, &seen.refused_24h),
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
        patterns: patterns.iter().map(AttackPattern::sentence).collect(),
        mail_queued: seen.mail.0,
        mail_given_up: seen.mail.1,
        warnings: health.iter().map(|line| i64::from(!line.ok)).sum(),
        health,
    };
    render_page(StatusCode::OK, &view)
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

/// Returns the largest count of both rows, at least 1.
fn largest_count(accepted: &[(Timestamp, i64)], refused: &[(Timestamp, i64)]) -> i64 {
    let counts = accepted.iter().chain(refused).map(|(_, count)| *count);
    counts.max().unwrap_or(0).max(1)
}

/// Both series of sign-ins share one scale; an hour with any count is visible.
fn hours(live: &[(Timestamp, i64)], accepted: &[(Timestamp, i64)], refused: &[(Timestamp, i64)]) -> Vec<ChartHour> {
    let most = largest_count(accepted, refused);
    let height = |count: i64| if count == 0 { 0 } else { (count * HEIGHT / most).max(2) };
    (0..)
        .zip(live.iter().zip(accepted).zip(refused))
        .map(|(hour, (((at, live), (_, accepted)), (_, refused)))| ChartHour {
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
