//! `/admin/lockouts`: what is locked, what is being counted, and letting people in again. Blocking by hand stands in `block`.
use super::list::{Faults, back, faults, filled, href, limit, none_of, pager, place, query, read_place, sizes};
use super::part::Badge;
use crate::domain::duration::humanize;
use crate::domain::lockout::{CounterKind, Locked};
use crate::domain::network;
use crate::domain::policy::effective::LockoutPolicy;
use crate::flows::Ctx;
use crate::flows::lockouts::{self, LockoutList, LockoutView};
use crate::flows::rows::{LockoutFilter, LockoutListState};
use crate::http::error::PageError;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::{Form, Query};
use crate::http::pages::{Shell, page};
use crate::http::step_up::{Confirmed, Critical};
use crate::http::visitor::Admin;
use crate::http::{Route, Who, paths};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use uuid::Uuid;
use view::{LockoutLine, LockoutsPage, Tab, Unlocks};

mod block;
mod export;
pub mod view;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_LOCKOUTS, Who::Administrator, list),
        Route::post(paths::ADMIN_LOCKOUTS_UNLOCK, Who::Administrator, unlock).step_up(),
        Route::get(paths::ADMIN_LOCKOUTS_BLOCK, Who::Administrator, block::form),
        Route::post(paths::ADMIN_LOCKOUTS_BLOCK, Who::Administrator, block::submit).step_up(),
        Route::post(paths::ADMIN_LOCKOUTS_EXPORT, Who::Administrator, export::download).step_up(),
    ]
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    state: String,
    after: String,
    before: String,
    limit: String,
}

const STATES: [(&str, &str); 3] = [("", "All"), ("locked", "Locked"), ("counting", "Counting")];

impl Asked {
    fn faults(&self) -> Faults {
        faults([("q", none_of(&STATES, &self.state, "state"))])
    }

    fn state(&self) -> LockoutListState {
        match self.state.as_str() {
            "locked" => LockoutListState::Locked,
            "counting" => LockoutListState::Counting,
            _ => LockoutListState::All,
        }
    }

    fn filter(&self, policy: &LockoutPolicy) -> LockoutFilter {
        let ip = network::parse_filter(&self.q);
        LockoutFilter {
            // Whoever looks for something sees all there is of it.
            ceilings_from: filled(&self.q).is_none().then(|| near_ceilings(policy)),
            state: self.state(),
            text: if ip.is_some() { None } else { filled(&self.q) },
            ip,
            account_key: None,
            after: read_place(&self.after),
            before: read_place(&self.before),
            limit: limit(&self.limit),
        }
    }

    fn pairs(&self) -> Vec<(&'static str, &str)> {
        vec![("q", self.q.trim()), ("state", &self.state), ("limit", &self.limit)]
    }
}

async fn list(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let asked = asked.0;
    let policy = ctx.in_force();
    let policy = &policy.everyone().lockout;
    let list = lockouts::list(&ctx, asked.filter(policy)).await?;
    let at = |view: &LockoutView| place(view.lockout.last_attempt_at, view.lockout.id);
    let pairs = asked.pairs();
    let export = |format| {
        let filter = pairs.iter().copied().filter(|(name, _)| *name != "limit");
        href(paths::ADMIN_LOCKOUTS_EXPORT, filter.chain([("format", format)]))
    };
    let view = LockoutsPage {
        shell: Shell::admin(&req, &ctx, &admin, "Lockouts", "lockouts").await?,
        faults: asked.faults(),
        tabs: tabs(&asked, &list),
        q: asked.q.clone(),
        state: asked.state.clone(),
        sizes: sizes(&asked.limit),
        filtered: filled(&asked.q).is_some() || asked.state() != LockoutListState::All,
        total: list.total,
        pager: pager(
            paths::ADMIN_LOCKOUTS,
            &pairs,
            list.items.first().filter(|_| list.newer).map(at),
            list.items.last().filter(|_| list.older).map(at),
            ("Newer", "Older"),
        ),
        back: query(
            pairs
                .iter()
                .copied()
                .chain([("after", asked.after.as_str()), ("before", asked.before.as_str())]),
        ),
        rule: rule(policy),
        counting_only: !policy.lock_out,
        one_address: list
            .items
            .iter()
            .find_map(|view| view.lockout.last_ip)
            .filter(|_| list.one_address)
            .map(|ip| ip.to_string()),
        csv: export("csv"),
        json: export("json"),
        rows: list.items.iter().map(line).collect(),
    };
    page(StatusCode::OK, &view)
}

fn tabs(asked: &Asked, list: &LockoutList) -> Vec<Tab> {
    let tab = |(state, label): (&str, &'static str), count, this| Tab {
        href: href(
            paths::ADMIN_LOCKOUTS,
            [("q", asked.q.trim()), ("state", state), ("limit", &asked.limit)],
        ),
        label,
        count,
        current: asked.state() == this,
    };
    let [all, locked, counting] = STATES;
    vec![
        tab(all, list.locked + list.counting, LockoutListState::All),
        tab(locked, list.locked, LockoutListState::Locked),
        tab(counting, list.counting, LockoutListState::Counting),
    ]
}

/// Half of what a ceiling takes: from there on it is worth a row.
fn near_ceilings(policy: &LockoutPolicy) -> (i32, i32) {
    let half = |ceiling: u32| i32::try_from(ceiling.div_ceil(2)).unwrap_or(i32::MAX);
    (half(policy.ip_ceiling), half(policy.account_ceiling))
}

/// The key lock in a sentence.
fn rule(policy: &LockoutPolicy) -> String {
    let failures = match policy.failure_limit {
        1 => "One failure".to_owned(),
        limit => format!("{limit} failures"),
    };
    let what = match (policy.by_user_and_ip, policy.by_user_agent) {
        (false, false) => "an address",
        (false, true) => "an address and browser",
        (true, false) => "a user at an address",
        (true, true) => "a user at an address with one browser",
    };
    match (policy.lock_out, policy.cooloff) {
        (true, Some(span)) => format!("{failures} lock {what} for {}.", humanize(span.as_secs())),
        (true, None) => format!("{failures} lock {what} until an administrator unlocks."),
        (false, _) => format!("{failures} would lock {what}, but locking is off."),
    }
}

fn line(view: &LockoutView) -> LockoutLine {
    let lockout = &view.lockout;
    LockoutLine {
        id: lockout.id.to_string(),
        chips: chips(view),
        kind: match lockout.key.kind {
            CounterKind::Key => "failures that lock",
            CounterKind::IpCeiling => "ceiling of an address",
            CounterKind::AccountCeiling => "ceiling of an account",
        },
        blocked: view.blocked.clone(),
        state: match view.locked {
            _ if view.blocked.is_some() => Badge::danger("Blocked").with_icon("lock"),
            Some(Locked::Until(_)) => Badge::danger("Locked").with_icon("lock"),
            Some(Locked::UntilUnlocked) => Badge::danger("Until unlocked").with_icon("lock"),
            None => Badge::warn("Counting").with_icon("clock"),
        },
        failures: view.failures,
        limit: view.limit,
        unlocks: match view.locked {
            Some(Locked::Until(at)) => Unlocks::At(at),
            Some(Locked::UntilUnlocked) => Unlocks::ByHand,
            None => Unlocks::NotLocked,
        },
        last_attempt: lockout.last_attempt_at,
        last_ip: lockout.last_ip.map(|ip| ip.to_string()),
        names: lockout.names_tried.clone(),
        refused: lockout.refused,
        hint: hint(view),
    }
}

/// What is counted: label and value.
fn chips(view: &LockoutView) -> Vec<(&'static str, String)> {
    let key = &view.lockout.key;
    let fields = [("user", &key.account), ("IP", &key.ip), ("agent", &key.user_agent)];
    let known = fields.into_iter();
    known
        .filter_map(|(label, value)| Some((label, value.clone()?)))
        .collect()
}

/// What the pattern looks like, when there is one.
fn hint(view: &LockoutView) -> Option<String> {
    const MANY_NAMES: usize = 5;
    let names = view.lockout.names_tried.len();
    match (&view.lockout.key.ip, &view.lockout.key.account) {
        (Some(_), None) if names >= MANY_NAMES => Some(format!("1 address, {names} names: spraying")),
        (None, Some(_)) if view.failures >= MANY_NAMES => Some("many failures on one name: targeted".to_owned()),
        (_, _) => None,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Unlock {
    /// The selected ones.
    id: Vec<String>,
    /// The button of one row.
    only: String,
    back: String,
}

/// Whoever sits at somebody else's console shall not clear the counters that stop them from guessing the password.
impl Critical for Unlock {}

async fn unlock(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(admin, form): Confirmed<Admin, Form<Unlock>>,
) -> Result<HttpResponse, PageError> {
    let form_ids = if form.0.only.is_empty() {
        form.0.id.as_slice()
    } else {
        std::slice::from_ref(&form.0.only)
    };
    let ids = form_ids.iter().map(|id| Uuid::parse_str(id));
    let ids: Vec<Uuid> = ids.collect::<Result<_, _>>().map_err(|_| PageError::NotFound)?;
    let said = match (ids.len(), lockouts::unlock(&ctx, &admin.0.acting, ids).await?) {
        (0, _) => Flash::info("Nothing was selected."),
        (_, 0) => Flash::info("Nothing to unlock: it had ended already."),
        (_, 1) => Flash::ok("Unlocked: the lock and its counter are cleared."),
        (_, number) => Flash::ok(format!("Unlocked: {number} locks and counters are cleared.")),
    };
    Ok(redirect(&req, &back(paths::ADMIN_LOCKOUTS, &form.0.back), &said))
}
