//! How far two clocks are apart, and how far they may be: lifetimes are compared with the database's time, and every server has a
//! clock of its own.

use super::time::{Span, Timestamp};

/// A server's clock may differ from the database's by so much; beyond it the server is not ready.
pub const MOST: Span = Span::from_secs(1);

/// How far the clock that said `told` is ahead of ours (negative: behind), when it said so somewhere between two looks at ours. What
/// the asking itself took is no difference.
pub const fn ahead(before: Timestamp, told: Timestamp, after: Timestamp) -> Span {
    let (ahead, behind) = (told.since(after).as_micros(), before.since(told).as_micros());
    if ahead > 0 {
        Span::from_micros(ahead)
    } else if behind > 0 {
        Span::from_micros(-behind)
    } else {
        Span::ZERO
    }
}

/// Whether clocks so far apart would end sessions at the wrong time.
pub const fn is_too_much(ahead: Span) -> bool {
    ahead.as_micros().saturating_abs() > MOST.as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn what_the_asking_took_is_no_difference() {
        for (told, apart) in [(99, -1), (100, 0), (150, 0), (200, 0), (201, 1)] {
            assert_eq!(ahead(at(100), at(told), at(200)), Span::from_micros(apart), "{told}");
        }
    }

    #[test]
    fn a_second_apart_is_the_most_either_way() {
        for (micros, too_much) in [
            (1_000_000, false),
            (-1_000_000, false),
            (1_000_001, true),
            (-1_000_001, true),
            (i64::MIN, true),
        ] {
            assert_eq!(is_too_much(Span::from_micros(micros)), too_much, "{micros}");
        }
    }
}
