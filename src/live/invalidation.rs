//! Takes in what others changed: reads the rows that were missed and drops only what they name,
//! or everything when it cannot tell.

use super::{
    Live, applications,
    policy::{InForce, Provisional},
};
use crate::{
    domain::{
        account::AccountId,
        policy::{Pins, PolicyDocument, effective::Policy},
        session::SessionId,
        time::Timestamp,
    },
    store::{
        Conn, Store, StoreError,
        changes::{self, ChangeKind, ChangeRow, Missed},
        notify::ListenEvent,
        policies::{self, Revision},
    },
};
use std::sync::{Arc, Weak, atomic::Ordering};
use uuid::Uuid;

/// Handles one event of the listener. Runs on the listener's thread; stops mattering when the server is gone.
pub fn on_event(live: &Weak<Live>, store: &Store, event: ListenEvent) {
    let Some(live) = live.upgrade() else { return };
    match event {
        ListenEvent::Lost => live.freshness.lost(),
        // While changes are known to be missing the line is not believed, however lively it is.
        ListenEvent::Alive if !live.is_behind() => live.freshness.alive(),
        ListenEvent::Alive | ListenEvent::Connected | ListenEvent::Change { .. } => match take_in(&live, store) {
            Ok(()) => live.set_behind(false),
            Err(error) => {
                let told = live.is_behind();
                live.set_behind(true);
                live.freshness.lost();
                if told {
                    return;
                }
                tracing::warn!(%error, "changes made elsewhere could not be read; the database is asked until they are");
            }
        },
    }
}

/// Reads the changes since the last look and forgets what they name.
pub fn take_in(live: &Live, store: &Store) -> Result<(), StoreError> {
    let seen = live.seq.load(Ordering::SeqCst);
    let (missed, latest) =
        store.read_now(move |c| Ok::<_, StoreError>((changes::since(c, seen)?, changes::latest_seq(c)?)))?;
    match missed {
        Missed::Rows(rows) => {
            // Our own too: the request that wrote them may have been dropped before it could forget anything.
            for row in &rows {
                apply(live, store, row)?;
            }
            if let Some(last) = rows.last() {
                live.seq.fetch_max(last.seq, Ordering::SeqCst);
            }
        }
        Missed::TooOld => {
            forget_everything(live, store)?;
            live.seq.fetch_max(latest, Ordering::SeqCst);
        }
    }
    Ok(())
}

fn apply(live: &Live, store: &Store, row: &ChangeRow) -> Result<(), StoreError> {
    let id = || Uuid::parse_str(&row.key).map_err(|_| StoreError::Corrupt(format!("changes: key {:?}", row.key)));
    match row.kind {
        ChangeKind::Session => live.sessions.forget(SessionId(id()?)),
        ChangeKind::Account => live.accounts.forget(AccountId(id()?)),
        ChangeKind::Policy => reload_policy(live, store)?,
        ChangeKind::Application => reload_applications(live, store)?,
        // Read from the database at each use: nothing is remembered.
        ChangeKind::Lockout => {}
        ChangeKind::All => forget_everything(live, store)?,
    }
    Ok(())
}

fn forget_everything(live: &Live, store: &Store) -> Result<(), StoreError> {
    live.sessions.forget_all();
    live.accounts.forget_all();
    reload_applications(live, store)?;
    reload_policy(live, store)
}

fn reload_applications(live: &Live, store: &Store) -> Result<(), StoreError> {
    live.set_applications(store.read_now(applications::read)?);
    Ok(())
}

fn reload_policy(live: &Live, store: &Store) -> Result<(), StoreError> {
    let (pins, dev) = live.environment();
    live.set_policy(store.read_now(move |c| read_policy(c, pins, dev))?);
    Ok(())
}

/// The newest revision with this process's pins, and the one before it while it is provisional; before the first save,
/// the catalogue's defaults.
pub fn read_policy(c: &mut Conn, pins: Pins, dev: bool) -> Result<InForce, StoreError> {
    let Some(revision) = policies::latest(c)? else {
        let defaults = Policy::new(0, PolicyDocument::default(), pins, dev);
        return Ok(InForce::new(defaults, Timestamp::from_micros(0)));
    };
    let made_of = |revision: &Revision| {
        let policy = Policy::new(revision.revision, revision.document.clone(), pins.clone(), dev);
        InForce::new(policy, revision.at)
    };
    Ok(match revision.provisional_until() {
        None => made_of(&revision),
        Some(confirm_by) => made_of(&revision).provisionally(Provisional {
            confirm_by,
            author: revision.author.clone(),
            before: Arc::new(made_of(&policies::before(c, &revision)?)),
        }),
    })
}
