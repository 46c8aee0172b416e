//! The difference between two clocks and its limit. Lifetimes are compared with the database's
//! time, but every server has its own clock.

use super::time::{Span, Timestamp};

/// Maximum difference between a server's clock and the database's. Beyond it the server is not
/// ready.
pub const MAX_SKEW: Span = Span::from_secs(1);

/// Returns how far the other clock is ahead of ours (negative: behind). It showed `told` at an
/// instant between `before` and `after` by ours, so that the time the query took does not count as
/// a difference.
pub const fn measure(before: Timestamp, told: Timestamp, after: Timestamp) -> Span {
    let (ahead, behind) = (told.since(after).as_micros(), before.since(told).as_micros());
    if ahead > 0 {
        Span::from_micros(ahead)
    } else if behind > 0 {
        Span::from_micros(-behind)
    } else {
        Span::ZERO
    }
}

/// Returns whether clocks with this difference would end sessions at the wrong time.
pub const fn is_too_much(ahead: Span) -> bool {
    ahead.as_micros().saturating_abs() > MAX_SKEW.as_micros()
}

#[cfg(test)]
mod tests;
