//! One write in one transaction, for a caller who waits only until a deadline.

use super::{Conn, StoreError, WAIT, changes, conn};
use std::time::{Duration, Instant};

/// Returns how long to wait for a place, a connection or a turn. Nothing is started for a caller
/// that has stopped waiting.
pub(super) fn wait_until(deadline: Instant) -> Result<Duration, StoreError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(too_late());
    }
    Ok(left.min(WAIT))
}

pub(super) fn too_late() -> StoreError {
    StoreError::Unavailable("it does not answer in time".into())
}

/// Runs `f` and writes its announcements, all or nothing.
pub(super) fn run<T, E: From<StoreError>>(
    conn: &mut Conn,
    deadline: Instant,
    f: impl FnOnce(&mut Conn) -> Result<T, E>,
) -> Result<T, E> {
    conn::begin(conn.db())?;
    match perform(conn, deadline, f) {
        Ok(value) => {
            conn::commit(conn.db())?;
            Ok(value)
        }
        Err(refused) => {
            roll_back(conn);
            Err(refused)
        }
    }
}

/// Runs `f` in the open transaction and writes its announcements.
pub(super) fn perform<T, E: From<StoreError>>(
    conn: &mut Conn,
    deadline: Instant,
    f: impl FnOnce(&mut Conn) -> Result<T, E>,
) -> Result<T, E> {
    // The database may have let it wait until now.
    wait_until(deadline)?;
    let value = f(conn)?;
    changes::flush(conn)?;
    Ok(value)
}

pub(super) fn roll_back(conn: &mut Conn) {
    if let Err(fault) = conn::rollback(conn.db()) {
        // The pool drops the connection, which rolls back as well.
        tracing::warn!(%fault, "rolling back failed");
    }
}
