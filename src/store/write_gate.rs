//! One writer at a time on SQLite: writers take turns in the order in which they arrive.
//!
//! parking_lot's [`FairMutex`] hands the turn to the longest waiter. A mutex with a condition
//! variable of the standard library wakes any of them, so that one could wait in vain.

use super::StoreError;
use parking_lot::{FairMutex, FairMutexGuard};
use std::time::Duration;

/// The queue of writers.
#[derive(Default)]
pub(super) struct WriteGate(FairMutex<()>);

/// The turn to write; given back when dropped.
pub(super) struct WriteTurn<'a>(#[expect(dead_code, reason = "held, not read")] FairMutexGuard<'a, ()>);

impl WriteGate {
    /// Waits for the turn for at most `wait`.
    pub(super) fn wait_for_turn(&self, wait: Duration) -> Result<WriteTurn<'_>, StoreError> {
        let turn = self.0.try_lock_for(wait).map(WriteTurn);
        turn.ok_or_else(|| StoreError::Unavailable("other writes take too long".into()))
    }
}
