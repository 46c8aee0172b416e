//! A counter of invalidations, so that a row that was read before one is never remembered after it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The number of invalidations so far. Clones share the counter.
#[derive(Debug, Clone, Default)]
pub struct Epoch(Arc<AtomicU64>);

impl Epoch {
    /// Returns the current number.
    pub fn current(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    pub(super) fn advance(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
