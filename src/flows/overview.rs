//! The state of the installation: counts, the last day, sessions that end soon, and open setup
//! items. `health` checks the infrastructure.

mod health;

pub use health::{Health, readiness};

use super::{Ctx, FlowError, Read, sessions::SessionView};
use crate::{
    domain::{
        audit::Event,
        lockout::{LockoutFilter, LockoutListState},
        mail::{EmailFilter, EmailState},
        policy::{Key, Revision, Scope, Value, effective::Policy, posture::Finding},
        session::{LifetimeEnd, SessionCursor, SessionFilter, SessionId},
        time::{Span, Timestamp},
    },
    live::policy::PolicyInForce,
    store::{Conn, StoreError, accounts, audit, lockouts, outbox, policies, sessions},
};
use std::collections::HashSet;
use uuid::Uuid;

/// The content of the console's first page.
pub struct Overview {
    /// The number of live sessions.
    pub live_sessions: i64,
    /// The number of live sessions at the end of each hour of the last day, oldest first; for the
    /// current hour: now.
    pub live_24h: Vec<(Timestamp, i64)>,
    /// The number of accounts.
    pub accounts: i64,
    /// The number of accounts and addresses that are locked.
    pub locked: i64,
    /// By hour of the last day, oldest first; hours without any count as 0.
    pub accepted_24h: Vec<(Timestamp, i64)>,
    /// Refused sign-ins of each hour of the last day.
    pub refused_24h: Vec<(Timestamp, i64)>,
    /// The live sessions that end next.
    pub ending_soon: Vec<SessionView>,
    /// The policy in force.
    pub revision: Revision,
    /// The setup checklist, with the steps that are done and those that are open.
    pub checklist: Vec<CheckItem>,
    /// The number of waiting and of failed emails.
    pub mail: (i64, i64),
    /// The mail server's response to one of the latest emails that still wait.
    pub mail_fault: Option<String>,
    /// The state of the installation.
    pub health: Health,
}

/// One item of the setup checklist.
pub struct CheckItem {
    /// Whether it is done.
    pub ok: bool,
    /// The condition that is checked.
    pub title: &'static str,
    /// Why it matters, or what is missing.
    pub why: String,
    /// The setting that solves it, if there is one.
    pub key: Option<Key>,
}

/// Maximum number of sessions that are searched for those that end soon: of the least active, and
/// of the most active.
const LOOKED_AT: i64 = 100;
const SHOWN: usize = 5;

/// Returns the current state of the installation.
pub async fn overview(ctx: &Ctx) -> Result<Overview, FlowError> {
    let in_force = ctx.current_policy().await?;
    let health = ctx.health().await?;
    ctx.read(move |r| {
        let hour = 3600 * 1_000_000;
        let since = Timestamp::from_micros((r.now.as_micros() / hour - 23) * hour);
        let live_24h = live_every_hour(r.connection, since)?;
        let installation = r.installation(&in_force.policy)?;
        Ok(Overview {
            live_sessions: live_24h.last().map_or(0, |(_, live)| *live),
            live_24h,
            accounts: accounts::count_all(r.connection)?,
            locked: lockouts::count(r.connection, &locked())?,
            accepted_24h: every_hour(
                since,
                &audit::count_by_hour(r.connection, Event::SignInAccepted, since)?,
            ),
            refused_24h: every_hour(since, &audit::count_by_hour(r.connection, Event::SignInRefused, since)?),
            ending_soon: r.ending_soon(&in_force)?,
            revision: policies::find_state(r.connection, r.now)?
                .ok_or(FlowError::NotFound)?
                .in_force,
            checklist: checklist(&in_force.policy, installation),
            mail: (
                outbox::count(r.connection, Some(EmailState::Queued))?,
                outbox::count(r.connection, Some(EmailState::GivenUp))?,
            ),
            mail_fault: mail_fault(r.connection)?,
            health,
        })
    })
    .await
}

/// Number of waiting emails that are searched for one that the mail server refused.
const MAIL_LOOKED_AT: i64 = 20;

fn mail_fault(connection: &mut Conn) -> Result<Option<String>, StoreError> {
    let waiting = EmailFilter {
        state: Some(EmailState::Queued),
        limit: MAIL_LOOKED_AT,
        ..EmailFilter::default()
    };
    let waiting = outbox::list(connection, &waiting)?.items.into_iter();
    Ok(waiting.map(|email| email.words).find(|words| !words.is_empty()))
}

fn locked() -> LockoutFilter {
    LockoutFilter {
        state: LockoutListState::Locked,
        ..LockoutFilter::default()
    }
}

impl Read<'_> {
    /// Returns live sessions that end within an hour, the next one first, from the least and the
    /// most active ones.
    fn ending_soon(&mut self, in_force: &PolicyInForce) -> Result<Vec<SessionView>, StoreError> {
        let most_active = SessionFilter {
            limit: LOOKED_AT,
            ..SessionFilter::default()
        };
        let least_active = SessionFilter {
            before: Some(SessionCursor {
                at: Timestamp::from_micros(0),
                id: SessionId(Uuid::nil()),
            }),
            ..most_active.clone()
        };
        let mut candidates = sessions::list(self.connection, &least_active)?.items;
        let known: HashSet<SessionId> = candidates.iter().map(|row| row.session.id).collect();
        let others = sessions::list(self.connection, &most_active)?.items;
        candidates.extend(others.into_iter().filter(|row| !known.contains(&row.session.id)));
        let soon = |end: LifetimeEnd| end.at.since(self.now) <= Span::from_secs(3600);
        let mut ending: Vec<SessionView> = candidates
            .into_iter()
            .map(|row| self.session_view(in_force, row))
            .filter(|view| view.live && view.ends.is_some_and(soon))
            .collect();
        ending.sort_by_key(|view| view.ends.map(|end| end.at));
        ending.truncate(SHOWN);
        Ok(ending)
    }
}

/// Returns the beginning of each hour from `since` on, and the end of the last one.
fn hours(since: Timestamp) -> Vec<Timestamp> {
    (0..=24)
        .map(|hour| since.saturating_add(Span::from_secs(hour * 3600)))
        .collect()
}

/// Counts back from the current number, hour by hour: subtracts sessions that began and adds
/// sessions that ended.
fn live_every_hour(connection: &mut Conn, since: Timestamp) -> Result<Vec<(Timestamp, i64)>, StoreError> {
    let hours = hours(since);
    let turnover = sessions::count_turnover(connection, &hours)?;
    let mut live = sessions::count_live(connection)?;
    let mut counted: Vec<(Timestamp, i64)> = Vec::with_capacity(turnover.len());
    for (start, (began, ended)) in hours.iter().zip(turnover).rev() {
        counted.push((*start, live));
        live = (live - began + ended).max(0);
    }
    counted.reverse();
    Ok(counted)
}

fn every_hour(since: Timestamp, counted: &[(Timestamp, i64)]) -> Vec<(Timestamp, i64)> {
    hours(since)
        .into_iter()
        .take(24)
        .map(|start| {
            let count = counted
                .iter()
                .find(|(at, _)| *at == start)
                .map_or(0, |(_, count)| *count);
            (start, count)
        })
        .collect()
}

/// Returns the checks around the policy, and its two settings without which it has little effect.
fn checklist(policy: &Policy, installation: Vec<Finding>) -> Vec<CheckItem> {
    let value = |key: Key| policy.value_in(&Scope::Everyone, key).0;
    let around = installation.into_iter().map(|finding| CheckItem {
        ok: finding.ok,
        title: finding.title,
        why: finding.why,
        key: finding.key,
    });
    let idle_ends = value(Key::AuthIdleSessionTimeout) != Value::Number(-1);
    let guessing_locks = value(Key::AuthLoginLockOutAtFailure) == Value::Flag(true);
    let settings = [
        CheckItem {
            ok: idle_ends,
            title: if idle_ends {
                "Idle sessions end"
            } else {
                "Idle sessions never end"
            },
            why: "A session left open on a shared machine stays open for its whole lifetime.".to_owned(),
            key: Some(Key::AuthIdleSessionTimeout),
        },
        CheckItem {
            ok: guessing_locks,
            title: if guessing_locks {
                "Lockout is on"
            } else {
                "Lockout is off"
            },
            why: "Failures are counted either way, but nothing is refused below the ceilings.".to_owned(),
            key: Some(Key::AuthLoginLockOutAtFailure),
        },
    ];
    around.chain(settings).collect()
}

/// Maximum number of sessions that the navigation counts.
const NAV_CAP: i64 = 9_999;

/// The counts in the console's navigation.
pub struct NavCounts {
    /// The number, and whether it is exact: every page of the console shows it, so it must be
    /// cheap.
    pub live_sessions: (i64, bool),
    pub locked: i64,
}

/// Rows of the database that metrics count.
pub struct RowCounts {
    /// Sessions that have not ended.
    pub live_sessions: i64,
    /// Emails that wait.
    pub queued_emails: i64,
    /// Emails that were refused permanently or not accepted in time.
    pub given_up_emails: i64,
}

/// Counts rows for metrics.
pub async fn count_rows(ctx: &Ctx) -> Result<RowCounts, FlowError> {
    ctx.read(move |r| {
        Ok(RowCounts {
            live_sessions: sessions::count_live(r.connection)?,
            queued_emails: outbox::count(r.connection, Some(EmailState::Queued))?,
            given_up_emails: outbox::count(r.connection, Some(EmailState::GivenUp))?,
        })
    })
    .await
}

/// Counts for the console's navigation.
pub async fn nav_counts(ctx: &Ctx) -> Result<NavCounts, FlowError> {
    ctx.read(move |r| {
        Ok(NavCounts {
            live_sessions: sessions::count_up_to(r.connection, &SessionFilter::default(), NAV_CAP)?,
            locked: lockouts::count(r.connection, &locked())?,
        })
    })
    .await
}
