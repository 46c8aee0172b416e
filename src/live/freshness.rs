//! May the remembered state be believed? Only while the line on which changes are announced answered within the last second.
//! Measured on the monotonic clock: a jump of the wall clock must not make a dead line look alive.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// A silence longer than this sends every decision to the database.
pub const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// When the line last answered.
#[derive(Debug)]
pub struct Freshness {
    started: Instant,
    /// Microseconds after `started`, plus one; 0 = never.
    answered: AtomicU64,
}

impl Freshness {
    #[expect(clippy::new_without_default, reason = "starts a clock: not a value without meaning")]
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            answered: AtomicU64::new(0),
        }
    }

    /// The line answered now.
    pub fn alive(&self) {
        self.answered.store(self.elapsed_micros() + 1, Ordering::Release);
    }

    /// The line is known to be broken.
    pub fn lost(&self) {
        self.answered.store(0, Ordering::Release);
    }

    pub fn is_fresh(&self) -> bool {
        let answered = self.answered.load(Ordering::Acquire);
        answered != 0 && self.elapsed_micros().saturating_sub(answered - 1) <= BELIEVED_FOR.as_micros() as u64
    }

    fn elapsed_micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_believed_before_the_line_answers_or_after_it_is_lost() {
        let line = Freshness::new();
        assert!(!line.is_fresh());
        line.alive();
        assert!(line.is_fresh());
        line.lost();
        assert!(!line.is_fresh());
    }
}
