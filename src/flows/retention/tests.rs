//! Tests of [`super`].

use super::*;

#[test]
fn a_day_begins_at_midnight_before_the_epoch_too() {
    let day = |text: &str| Timestamp::parse_rfc3339(text).map(day_of);
    assert_eq!(
        day("2026-11-22T00:00:00Z"),
        Timestamp::parse_rfc3339("2026-11-22T00:00:00Z")
    );
    assert_eq!(
        day("2026-11-22T23:59:59.999999Z"),
        Timestamp::parse_rfc3339("2026-11-22T00:00:00Z")
    );
    assert_eq!(
        day("1969-12-31T01:00:00Z"),
        Timestamp::parse_rfc3339("1969-12-31T00:00:00Z")
    );
}
