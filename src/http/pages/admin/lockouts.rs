//! `/admin/lockouts`: locks, counters, and unlocking. Manual blocks are in `block`.
use super::{
    list::{ListQuery, PageEnds, href, return_address, sizes, write_place},
    part::Badge,
};
use crate::{
    domain::{
        duration::humanize,
        lockout::{AttackPattern, CounterKind, LockDuration, LockoutFilter, LockoutListState},
        policy::effective::LockoutPolicy,
        text::escape_invisible,
    },
    flows::{
        Ctx,
        bind_limits::{UsedUpBinds, list_used_up},
        lockouts::{self, LockoutList, LockoutView},
    },
    http::{
        error::PageError,
        flash::{Flash, redirect},
        forms::{Form, Query},
        paths,
        respond::render_page,
        route::{Audience, Route},
        shell::Shell,
        step_up::{ConfirmedVisitor, CriticalForm},
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use query::{LockoutListQuery, STATES};
use serde::Deserialize;
use subject::subject_labels;
use uuid::Uuid;
use view::{CountingSection, LockoutLine, LockoutTab, LockoutsPage, UnlockTime};

mod block;
mod export;
mod query;
mod subject;
mod view;

/// Returns the routes of the lockouts.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_LOCKOUTS, Audience::Administrator, list),
        Route::post(paths::ADMIN_LOCKOUTS_UNLOCK, Audience::Administrator, unlock).step_up(),
        Route::get(paths::ADMIN_LOCKOUTS_BLOCK, Audience::Administrator, block::form),
        Route::post(paths::ADMIN_LOCKOUTS_BLOCK, Audience::Administrator, block::submit).step_up(),
        Route::post(paths::ADMIN_LOCKOUTS_EXPORT, Audience::Administrator, export::download).step_up(),
    ]
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    Query(query): Query<LockoutListQuery>,
) -> Result<HttpResponse, PageError> {
    let policy = ctx.in_force();
    let policy = &policy.everyone().lockout;
    let is_overview = query.is_overview();
    let filter = query.filter(policy);
    let in_state = |state| LockoutFilter {
        state,
        ..filter.clone()
    };
    let (list, counting) = match is_overview {
        true => {
            let locked = lockouts::list(&ctx, in_state(LockoutListState::Locked)).await?;
            let counting = lockouts::list(&ctx, in_state(LockoutListState::Counting)).await?;
            (locked, counting.items)
        }
        false => (lockouts::list(&ctx, filter).await?, Vec::new()),
    };
    let patterns = lockouts::list_patterns(&ctx).await?;
    let binds = match query.person() {
        Some(text) => list_used_up(&ctx, text).await?,
        None => Vec::new(),
    };
    let number = i64::try_from(binds.len()).unwrap_or(i64::MAX);
    let locked = list.locked.saturating_add(number);
    let first: Vec<LockoutLine> = match query.begins_with_binds() {
        true => binds.iter().map(binds_line).collect(),
        false => Vec::new(),
    };
    let ends = PageEnds::from_items(&list.items, list.newer, list.older, |view| {
        write_place(view.lockout.last_attempt_at, view.lockout.id)
    });
    let view = LockoutsPage {
        shell: Shell::admin(&req, &ctx, &admin, "Lockouts", "lockouts").await?,
        faults: query.faults(),
        tabs: tabs(&query, locked, list.counting),
        q: query.q.clone(),
        state: query.state.clone(),
        sizes: sizes(&query.limit),
        filtered: query.is_filtered(),
        total: match (is_overview, query.state()) {
            (true, _) => locked + list.counting,
            (false, LockoutListState::Counting) => list.total,
            (false, LockoutListState::All | LockoutListState::Locked) => list.total + number,
        },
        patterns: patterns.iter().map(AttackPattern::sentence).collect(),
        counting: (!counting.is_empty()).then(|| CountingSection {
            rows: counting.iter().map(lockout_line).collect(),
            total: list.counting,
            href: href(paths::ADMIN_LOCKOUTS, [("state", "counting"), ("limit", &query.limit)]),
        }),
        pager: query.pager(ends, ("Newer", "Older")),
        back: query.back_query(),
        rule: rule(policy),
        counting_only: !policy.lock_out,
        one_address: shared_address(&list),
        export: query.export_links(paths::ADMIN_LOCKOUTS_EXPORT),
        rows: first.into_iter().chain(list.items.iter().map(lockout_line)).collect(),
    };
    render_page(StatusCode::OK, &view)
}

/// Returns the address from which every attempt of the list came, if there is one.
fn shared_address(list: &LockoutList) -> Option<String> {
    let ip = list.items.iter().find_map(|view| view.lockout.last_ip)?;
    list.one_address.then(|| ip.to_string())
}

fn tabs(query: &LockoutListQuery, number_locked: i64, number_counting: i64) -> Vec<LockoutTab> {
    let tab = |(state, label): (&str, &'static str), count, this| LockoutTab {
        href: href(
            paths::ADMIN_LOCKOUTS,
            [("q", query.q.trim()), ("state", state), ("limit", &query.limit)],
        ),
        label,
        count,
        current: query.state() == this,
    };
    let [all, locked, counting] = STATES;
    vec![
        tab(all, number_locked + number_counting, LockoutListState::All),
        tab(locked, number_locked, LockoutListState::Locked),
        tab(counting, number_counting, LockoutListState::Counting),
    ]
}

/// Describes the key lock in a sentence.
fn rule(policy: &LockoutPolicy) -> String {
    let failures = match policy.failure_limit {
        1 => "One failure".to_owned(),
        limit => format!("{limit} failures"),
    };
    let what = match (policy.by_user_and_ip, policy.by_user_agent) {
        (false, false) => "an IP address",
        (false, true) => "an IP address and browser",
        (true, false) => "a user at one IP address",
        (true, true) => "a user at one IP address with one browser",
    };
    match (policy.lock_out, policy.cooloff) {
        (true, Some(span)) => format!("{failures} lock {what} for {}.", humanize(span.as_secs())),
        (true, None) => format!("{failures} lock {what} until an administrator unlocks it."),
        (false, _) => format!("{failures} would lock {what}, but lockout is off."),
    }
}

fn lockout_line(view: &LockoutView) -> LockoutLine {
    let lockout = &view.lockout;
    LockoutLine {
        id: lockout.id.to_string(),
        chips: subject_labels(view),
        kind: match lockout.key.kind {
            CounterKind::Key => "counts towards lockout",
            CounterKind::IpCeiling => "IP address ceiling",
            CounterKind::AccountCeiling => "account ceiling",
            CounterKind::KnownCeiling => "account ceiling for known networks",
            CounterKind::Factor => "wrong codes at the second step",
        },
        blocked: view.blocked.clone(),
        state: match view.locked {
            _ if view.blocked.is_some() => Badge::danger("Blocked").with_icon("lock"),
            Some(LockDuration::Until(_)) => Badge::danger("Locked").with_icon("lock"),
            Some(LockDuration::UntilUnlocked) => Badge::danger("Until unlocked").with_icon("lock"),
            None => Badge::warn("Counting").with_icon("clock"),
        },
        failures: view.failures,
        limit: view.limit,
        unlocks: match view.locked {
            Some(LockDuration::Until(at)) => UnlockTime::At(at),
            Some(LockDuration::UntilUnlocked) => UnlockTime::ByHand,
            None => UnlockTime::NotLocked,
        },
        last_attempt: lockout.last_attempt_at,
        last_ip: match lockout.key.ip {
            Some(_) => None,
            None => lockout.last_ip.map(|ip| ip.to_string()),
        },
        names: match lockout.key.account {
            Some(_) => Vec::new(),
            None => lockout.names_tried.iter().map(|name| escape_invisible(name)).collect(),
        },
        refused: lockout.refused,
        can_be_blocked: true,
    }
}

/// A person about whom a directory is not asked.
fn binds_line(binds: &UsedUpBinds) -> LockoutLine {
    LockoutLine {
        id: binds.id.to_string(),
        chips: vec![
            ("user", binds.person().to_owned()),
            ("source", binds.source.as_str().to_owned()),
        ],
        kind: "wrong passwords at the directory, which is not asked for now",
        state: Badge::danger("Locked").with_icon("lock"),
        blocked: None,
        failures: binds.count.refused,
        limit: Some(binds.count.limit),
        unlocks: UnlockTime::At(binds.count.until),
        last_attempt: binds.last_at,
        last_ip: None,
        names: Vec::new(),
        refused: 0,
        can_be_blocked: false,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UnlockForm {
    /// The selected IDs.
    id: Vec<String>,
    /// The button of one row.
    only: String,
    back: String,
}

/// Someone at an unattended console must not clear the counters that limit attempts at its
/// password.
impl CriticalForm for UnlockForm {}

async fn unlock(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, form): ConfirmedVisitor<Admin, Form<UnlockForm>>,
) -> Result<HttpResponse, PageError> {
    let form_ids = if form.0.only.is_empty() {
        form.0.id.as_slice()
    } else {
        std::slice::from_ref(&form.0.only)
    };
    let ids = form_ids.iter().map(|id| Uuid::parse_str(id));
    let ids: Vec<Uuid> = ids.collect::<Result<_, _>>().map_err(|_| PageError::NotFound)?;
    let flash = match (ids.len(), lockouts::unlock(&ctx, &admin.0.initiator, ids).await?) {
        (0, _) => Flash::info("Nothing was selected."),
        (_, 0) => Flash::info("Nothing to unlock: it had already ended."),
        (_, 1) => Flash::ok("Unlocked. The lock and its counter were cleared."),
        (_, number) => Flash::ok(format!("Unlocked. {number} locks and counters were cleared.")),
    };
    Ok(redirect(
        &req,
        &return_address(paths::ADMIN_LOCKOUTS, &form.0.back),
        &flash,
    ))
}
