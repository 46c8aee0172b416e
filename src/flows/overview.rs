//! How the installation stands: counts, the last day, what ends soon, and what set-up still lacks. What it runs on is `health`.

mod health;

pub use health::{Health, readiness};

use super::{Ctx, FlowError, sessions::SessionView};
use crate::{
    domain::{
        audit::Event,
        mail::LetterState,
        policy::{Key, Scope, Value, effective::Policy, posture::Finding},
        session::SessionId,
        time::{Span, Timestamp},
    },
    store::{
        Conn, StoreError, accounts, audit, lockouts,
        lockouts::{LockoutFilter, LockoutListState},
        outbox,
        policies::{self, Revision},
        sessions::{self, Cursor, SessionFilter},
    },
};
use std::collections::HashSet;
use uuid::Uuid;

pub struct Overview {
    pub live_sessions: i64,
    /// How many were live when each hour of the last day ended, oldest first; of the present hour: now.
    pub live_24h: Vec<(Timestamp, i64)>,
    pub accounts: i64,
    pub locked: i64,
    /// By hour, the last day, oldest first; hours without any are there with 0.
    pub accepted_24h: Vec<(Timestamp, i64)>,
    pub refused_24h: Vec<(Timestamp, i64)>,
    pub ending_soon: Vec<SessionView>,
    pub revision: Revision,
    pub checklist: Vec<CheckItem>,
    /// Letters that wait, and that were given up.
    pub mail: (i64, i64),
    pub health: Health,
}

/// One line of the set-up checklist.
pub struct CheckItem {
    pub ok: bool,
    pub title: &'static str,
    pub why: String,
    /// The setting that mends it, when one does.
    pub key: Option<Key>,
}

/// Sessions looked through for those that end soon: so many of the least active, and of the most active.
const LOOKED_AT: i64 = 100;
const SHOWN: usize = 5;

pub async fn overview(ctx: &Ctx) -> Result<Overview, FlowError> {
    let in_force = ctx.current_policy().await?;
    let now = ctx.now();
    let hour = 3600 * 1_000_000;
    let since = Timestamp::from_micros((now.as_micros() / hour - 23) * hour);
    let health = ctx.health().await?;
    let (flow, policy) = (ctx.clone(), in_force.policy.clone());
    let facts = ctx
        .store
        .read(move |c| {
            let most_active = SessionFilter {
                limit: LOOKED_AT,
                ..SessionFilter::default()
            };
            let least_active = SessionFilter {
                before: Some(Cursor {
                    at: Timestamp::from_micros(0),
                    id: SessionId(Uuid::nil()),
                }),
                ..most_active.clone()
            };
            let mut looked_at = sessions::list(c, &least_active)?.items;
            let known: HashSet<SessionId> = looked_at.iter().map(|row| row.session.id).collect();
            let others = sessions::list(c, &most_active)?.items;
            looked_at.extend(others.into_iter().filter(|row| !known.contains(&row.session.id)));
            Ok::<_, StoreError>((
                live_every_hour(c, since)?,
                accounts::count_all(c)?,
                lockouts::count(
                    c,
                    &LockoutFilter {
                        state: LockoutListState::Locked,
                        ..LockoutFilter::default()
                    },
                )?,
                audit::hourly(c, Event::SignInAccepted, since)?,
                audit::hourly(c, Event::SignInRefused, since)?,
                looked_at,
                policies::standing(c, now)?
                    .ok_or(StoreError::NotFound("policy revision"))?
                    .in_force,
                checklist(&policy, flow.installation(c, &policy)?),
                (
                    outbox::count(c, Some(LetterState::Queued))?,
                    outbox::count(c, Some(LetterState::GivenUp))?,
                ),
            ))
        })
        .await?;
    let (live_24h, accounts, locked, accepted, refused, looked_at, revision, checklist, mail) = facts;
    let mut ending_soon: Vec<SessionView> = looked_at
        .into_iter()
        .map(|row| ctx.view(&in_force, row))
        .filter(|view| view.live && view.ends.is_some_and(|end| end.at.since(now) <= Span::from_secs(3600)))
        .collect();
    ending_soon.sort_by_key(|view| view.ends.map(|end| end.at));
    ending_soon.truncate(SHOWN);
    Ok(Overview {
        live_sessions: live_24h.last().map_or(0, |(_, live)| *live),
        live_24h,
        accounts,
        locked,
        accepted_24h: every_hour(since, &accepted),
        refused_24h: every_hour(since, &refused),
        ending_soon,
        revision,
        checklist,
        mail,
        health,
    })
}

/// Where each hour from `since` on begins, and where the last one ends.
fn hours(since: Timestamp) -> Vec<Timestamp> {
    (0..=24)
        .map(|hour| since.saturating_add(Span::from_secs(hour * 3600)))
        .collect()
}

/// From those of now back, hour by hour: who came is taken off, who went is put on.
fn live_every_hour(c: &mut Conn, since: Timestamp) -> Result<Vec<(Timestamp, i64)>, StoreError> {
    let hours = hours(since);
    let turnover = sessions::turnover(c, &hours)?;
    let mut live = sessions::count_live(c)?;
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

/// What is around the policy, and the two of its settings without which it does little.
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
            why: "A session left open on a shared machine stays open as long as its lifetime.".to_owned(),
            key: Some(Key::AuthIdleSessionTimeout),
        },
        CheckItem {
            ok: guessing_locks,
            title: if guessing_locks {
                "Guessing passwords locks"
            } else {
                "Guessing passwords does not lock"
            },
            why: "Failures are counted either way, but nothing is refused below the ceilings.".to_owned(),
            key: Some(Key::AuthLoginLockOutAtFailure),
        },
    ];
    around.chain(settings).collect()
}

/// Sessions that the navigation counts at most.
const NAV_CAP: i64 = 9_999;

/// What the console's navigation counts.
pub struct NavCounts {
    /// And whether there are no more: every page of the console shows it, so that it must cost nothing.
    pub live_sessions: (i64, bool),
    pub locked: i64,
}

pub async fn nav_counts(ctx: &Ctx) -> Result<NavCounts, FlowError> {
    Ok(ctx
        .store
        .read(move |c| {
            Ok::<_, StoreError>(NavCounts {
                live_sessions: sessions::count_up_to(c, &SessionFilter::default(), NAV_CAP)?,
                locked: lockouts::count(
                    c,
                    &LockoutFilter {
                        state: LockoutListState::Locked,
                        ..LockoutFilter::default()
                    },
                )?,
            })
        })
        .await?)
}
