//! How the installation stands: counts, the last day, what ends soon, and what set-up still lacks.

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
        Backend, StoreError, accounts, audit, lockouts,
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
    pub backend: String,
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
                sessions::count_live(c)?,
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
    let (live_sessions, accounts, locked, accepted, refused, looked_at, revision, checklist, mail) = facts;
    let mut ending_soon: Vec<SessionView> = looked_at
        .into_iter()
        .map(|row| ctx.view(&in_force, row))
        .filter(|view| view.live && view.ends.is_some_and(|end| end.at.since(now) <= Span::from_secs(3600)))
        .collect();
    ending_soon.sort_by_key(|view| view.ends.map(|end| end.at));
    ending_soon.truncate(SHOWN);
    Ok(Overview {
        live_sessions,
        accounts,
        locked,
        accepted_24h: every_hour(since, &accepted),
        refused_24h: every_hour(since, &refused),
        ending_soon,
        revision,
        checklist,
        mail,
        backend: match ctx.store.backend() {
            Backend::Sqlite => "SQLite".to_owned(),
            Backend::Postgres => "PostgreSQL".to_owned(),
        },
    })
}

fn every_hour(since: Timestamp, counted: &[(Timestamp, i64)]) -> Vec<(Timestamp, i64)> {
    (0..24)
        .map(|hour| {
            let start = since.saturating_add(Span::from_secs(hour * 3600));
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

/// This machine's clock may differ from the database's by so much (architecture.md, Consistency).
const CLOCK_SKEW: Span = Span::from_secs(1);

/// Why this instance must not be sent traffic; empty = ready.
pub async fn readiness(ctx: &Ctx) -> Vec<String> {
    let mut faults = Vec::new();
    let asked = ctx
        .store
        .read(move |c| {
            Ok::<_, StoreError>((
                crate::store::meta::migrations_current(c)?,
                crate::store::meta::now(c)?,
                policies::latest(c)?.is_some(),
            ))
        })
        .await;
    match asked {
        Err(error) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            faults.push("the database does not answer".to_owned());
        }
        Ok((migrated, database_now, has_policy)) => {
            let skew = ctx.now().since(database_now).as_micros().abs();
            if skew > CLOCK_SKEW.as_micros() {
                faults.push(format!(
                    "this machine's clock differs from the database's by {} ms",
                    skew / 1000
                ));
            }
            if !migrated {
                faults.push("migrations are pending".to_owned());
            }
            if !has_policy {
                faults.push("there is no policy".to_owned());
            }
        }
    }
    if !ctx.live.freshness.is_fresh() {
        faults.push("changes made elsewhere are not heard of".to_owned());
    }
    faults
}
