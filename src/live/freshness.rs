//! Whether the remembered state may be trusted: only while the connection that announces changes
//! answered within the last second. This is measured on the monotonic clock, because a jump of the
//! wall clock must not make a dead connection look alive.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Maximum silence after which memory is still trusted. Beyond it every decision queries the
/// database.
pub const MAX_SILENCE: Duration = Duration::from_secs(1);

/// The time at which the connection for notifications last answered.
#[derive(Debug)]
pub struct Freshness {
    started: Instant,
    /// Microseconds after `started`, plus one; 0 = never.
    answered: AtomicU64,
}

impl Freshness {
    #[expect(clippy::new_without_default, reason = "starts a clock: not a value without meaning")]
    /// Starts without an answer: nothing is trusted yet.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            answered: AtomicU64::new(0),
        }
    }

    /// Records that the connection answered now.
    pub fn mark_alive(&self) {
        self.answered.store(self.elapsed_micros() + 1, Ordering::Release);
    }

    /// Records that the connection is broken.
    pub fn mark_lost(&self) {
        self.answered.store(0, Ordering::Release);
    }

    /// Returns whether the connection answered within [`MAX_SILENCE`].
    pub fn is_fresh(&self) -> bool {
        let answered = self.answered.load(Ordering::Acquire);
        answered != 0 && self.elapsed_micros().saturating_sub(answered - 1) <= MAX_SILENCE.as_micros() as u64
    }

    /// Returns for how long the connection has been silent. `None`: it has not answered yet, or is
    /// broken.
    pub fn silence(&self) -> Option<Duration> {
        let answered = self.answered.load(Ordering::Acquire).checked_sub(1)?;
        Some(Duration::from_micros(self.elapsed_micros().saturating_sub(answered)))
    }

    fn elapsed_micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests;
