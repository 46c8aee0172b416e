//! Applies changes made elsewhere: reads the rows that were missed and forgets only what they name,
//! or everything when that is no longer known.

use super::{
    LiveState,
    applications::ApplicationSnapshot,
    policy::{PolicyInForce, ProvisionalPeriod},
    sources::SourceSnapshot,
};
use crate::{
    clock::Clock,
    domain::{
        account::AccountId,
        policy::{
            PolicyDocument, Revision,
            effective::{Policy, PolicyEnvironment},
        },
        session::SessionId,
        time::Timestamp,
    },
    store::{
        Conn, Store, StoreError,
        changes::{self, ChangeKind, ChangeRow, MissedChanges},
        notify::ListenEvent,
        policies, sessions,
    },
};
use std::{
    collections::HashSet,
    sync::{Arc, Weak},
};
use uuid::Uuid;

/// Sessions that are looked up in one statement.
const READ_TOGETHER: usize = 500;

/// Handles one event of the listener, on the listener's thread. Does nothing once the server is
/// gone.
pub fn on_event(live: &Weak<LiveState>, store: &Store, clock: &dyn Clock, event: ListenEvent) {
    let Some(live) = live.upgrade() else { return };
    match event {
        ListenEvent::DatabaseTime { told, took } => clock.learn_database_time(told, took),
        ListenEvent::Lost => live.freshness.mark_lost(),
        // While changes are known to be missing, memory is not trusted, even if the connection is
        // alive.
        ListenEvent::Alive if !live.is_behind() => live.freshness.mark_alive(),
        ListenEvent::Alive | ListenEvent::Connected | ListenEvent::Change { .. } => match apply_changes(&live, store) {
            Ok(()) => live.set_behind(false),
            Err(error) => {
                let was_behind = live.is_behind();
                live.set_behind(true);
                live.freshness.mark_lost();
                if was_behind {
                    return;
                }
                tracing::warn!(%error, "cannot read the changes made elsewhere; every decision asks the database until \
                     they are read");
            }
        },
    }
}

/// Reads the changes since the last call and forgets what they name.
pub fn apply_changes(live: &LiveState, store: &Store) -> Result<(), StoreError> {
    let seen = live.applied_seq();
    let (missed, latest) =
        store.read_now(move |c| Ok::<_, StoreError>((changes::list_since(c, seen)?, changes::latest_seq(c)?)))?;
    match missed {
        MissedChanges::Rows(rows) => {
            apply_rows(live, store, &rows)?;
            if let Some(last) = rows.last() {
                live.mark_applied(last.seq);
            }
        }
        MissedChanges::TooOld => {
            forget_everything(live, store)?;
            live.mark_applied(latest);
        }
    }
    Ok(())
}

/// Forgets what the rows name. Our own changes too: the request that wrote them may have been
/// dropped before it forgot anything.
fn apply_rows(live: &LiveState, store: &Store, rows: &[ChangeRow]) -> Result<(), StoreError> {
    let (mut sessions, mut accounts) = (Vec::new(), HashSet::new());
    for row in rows {
        let id = || Uuid::parse_str(&row.key).map_err(|_| StoreError::Corrupt(format!("changes: key {:?}", row.key)));
        match row.kind {
            ChangeKind::Session => sessions.push(SessionId(id()?)),
            ChangeKind::Account => {
                accounts.insert(AccountId(id()?));
            }
            ChangeKind::Policy => reload_policy(live, store)?,
            ChangeKind::Application => reload_applications(live, store)?,
            ChangeKind::Source => reload_sources(live, store)?,
            // Lockouts are not remembered: each use reads the database.
            ChangeKind::Lockout => {}
            ChangeKind::All => forget_everything(live, store)?,
        }
    }
    live.sessions.forget_quietly(&sessions);
    // First of all, so that the streams of sessions that are over ask nothing.
    notify_streams(live, store, live.streams.watched(Some(&sessions)))?;
    if !accounts.is_empty() {
        live.accounts.forget_many(&accounts);
        live.accounts_changed.notify_one();
    }
    Ok(())
}

fn forget_everything(live: &LiveState, store: &Store) -> Result<(), StoreError> {
    live.sessions.forget_all_quietly();
    live.accounts.forget_all();
    live.accounts_changed.notify_one();
    notify_streams(live, store, live.streams.watched(None))?;
    reload_applications(live, store)?;
    reload_sources(live, store)?;
    reload_policy(live, store)
}

/// Notifies the streams of sessions whose rows changed: those of ended sessions that it is over,
/// and the others that they must read their session. The ends are read for many sessions together.
fn notify_streams(live: &LiveState, store: &Store, mut changed: Vec<SessionId>) -> Result<(), StoreError> {
    changed.sort();
    changed.dedup();
    for ids in changed.chunks(READ_TOGETHER) {
        let still_live: HashSet<SessionId> = store.read_now(|c| sessions::filter_live(c, ids))?.into_iter().collect();
        for id in ids {
            if still_live.contains(id) {
                live.streams.wake_session(*id);
            } else {
                live.streams.end_session(*id);
            }
        }
    }
    Ok(())
}

fn reload_applications(live: &LiveState, store: &Store) -> Result<(), StoreError> {
    live.set_applications(store.read_now(ApplicationSnapshot::read)?);
    Ok(())
}

fn reload_sources(live: &LiveState, store: &Store) -> Result<(), StoreError> {
    live.set_sources(store.read_now(SourceSnapshot::read)?);
    Ok(())
}

fn reload_policy(live: &LiveState, store: &Store) -> Result<(), StoreError> {
    let environment = live.environment();
    live.set_policy(store.read_now(move |c| read_policy(c, environment))?);
    Ok(())
}

/// Reads the newest revision with this process's pins, and the one before it while it is
/// provisional. Before the first save these are the defaults of the catalogue.
pub fn read_policy(c: &mut Conn, environment: PolicyEnvironment) -> Result<PolicyInForce, StoreError> {
    let Some(revision) = policies::find_latest(c)? else {
        let defaults = Policy::in_environment(0, PolicyDocument::default(), environment);
        return Ok(PolicyInForce::new(defaults, Timestamp::from_micros(0)));
    };
    let to_policy = |revision: &Revision| {
        let policy = Policy::in_environment(revision.revision, revision.document.clone(), environment.clone());
        PolicyInForce::new(policy, revision.at)
    };
    Ok(match revision.provisional_until() {
        None => to_policy(&revision),
        Some(confirm_by) => to_policy(&revision).with_provisional(ProvisionalPeriod {
            confirm_by,
            author: revision.author.clone(),
            before: Arc::new(to_policy(&policies::find_before(c, &revision)?)),
        }),
    })
}
