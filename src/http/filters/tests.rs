//! Tests of [`super`].

use super::*;
use crate::domain::time::Span;

fn timestamp(secs: i64) -> Timestamp {
    Timestamp::from_micros(1_795_281_600_000_000).saturating_add(Span::from_secs(secs))
}

#[test]
fn instants_read_as_people_say_them() {
    for (secs, words) in [
        (0, "now"),
        (-9, "now"),
        (-10, "10 s ago"),
        (-59, "59 s ago"),
        (-180, "3 min ago"),
        (-7_200, "2 h ago"),
        (-86_400, "1 day ago"),
        (-259_200, "3 days ago"),
        (5, "in a moment"),
        (600, "in 10 min"),
        (1_799, "in 30 min"),
        (1_769, "in 29 min"),
        (3_569, "in 59 min"),
        (3_570, "in 1 h"),
        (84_599, "in 23 h"),
        (86_399, "in 1 day"),
        (259_199, "in 3 days"),
        (-1_799, "29 min ago"),
        (-86_399, "23 h ago"),
        (-2_592_000, "2026-10-22"),
    ] {
        assert_eq!(format_relative(timestamp(secs), timestamp(0)), words, "{secs}");
    }
}

#[test]
fn counts_agree_with_their_noun() {
    assert_eq!(format_count(1, "session"), "1\u{a0}session");
    assert_eq!(format_count(0, "session"), "0\u{a0}sessions");
    assert_eq!(format_count(12_804, "session"), "12\u{202f}804\u{a0}sessions");
}

#[test]
fn exact_times_carry_their_zone() {
    assert_eq!(
        format_utc(Timestamp::from_micros(1_795_281_600_250_000)),
        "2026-11-21 17:20:00 UTC"
    );
}
