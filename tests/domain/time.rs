//! Instants and spans: text form, rounding, and saturation.

use nightlatch_domain::time::{Span, Timestamp};

#[test]
fn an_instant_is_written_in_utc_with_a_fraction_only_when_there_is_one() {
    assert_eq!(Timestamp::from_micros(0).to_rfc3339(), "1970-01-01T00:00:00Z");
    assert_eq!(
        Timestamp::from_micros(1_700_000_000_000_000).to_rfc3339(),
        "2023-11-14T22:13:20Z"
    );
    assert_eq!(
        Timestamp::from_micros(1_700_000_000_000_001).to_rfc3339(),
        "2023-11-14T22:13:20.000001Z"
    );
    assert_eq!(Timestamp::from_micros(-1).to_rfc3339(), "1969-12-31T23:59:59.999999Z");
}

#[test]
fn any_offset_is_read_and_finer_than_a_microsecond_is_cut() {
    let noon = Timestamp::parse_rfc3339("2026-01-01T12:00:00Z");
    assert!(noon.is_some());
    assert_eq!(Timestamp::parse_rfc3339("2026-01-01T13:00:00+01:00"), noon);
    assert_eq!(Timestamp::parse_rfc3339(" 2026-01-01T12:00:00.000000999Z "), noon);
    for text in [
        "",
        "2026-01-01",
        "2026-01-01T12:00:00",
        "yesterday",
        "2026-13-01T00:00:00Z",
        "NaN",
    ] {
        assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
    }
}

#[test]
fn arithmetic_saturates_at_both_ends_of_time() {
    let (first, last) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
    assert_eq!(last.saturating_add(Span::from_secs(1)), last);
    assert_eq!(first.saturating_sub(Span::from_secs(i64::MAX)), first);
    assert_eq!(last.since(first).as_micros(), i64::MAX);
    assert_eq!(first.since(last).as_micros(), i64::MIN);
    assert_eq!(Span::from_secs(i64::MAX).as_micros(), i64::MAX);
    assert!(first.to_rfc3339().starts_with('-'), "{}", first.to_rfc3339());
    assert!(last.to_rfc3339().starts_with("9999"), "{}", last.to_rfc3339());
}

#[test]
fn seconds_are_rounded_up_for_waits_and_down_otherwise() {
    for (micros, up, down) in [
        (0, 0, 0),
        (1, 1, 0),
        (999_999, 1, 0),
        (1_000_000, 1, 1),
        (1_000_001, 2, 1),
        (-1, 0, -1),
    ] {
        let span = Span::from_micros(micros);
        assert_eq!((span.as_secs_ceil(), span.as_secs()), (up, down), "{micros}");
    }
    assert_eq!(Span::from_micros(i64::MAX).as_secs_ceil(), i64::MAX / 1_000_000 + 1);
    assert_eq!(Span::from_micros(i64::MIN).as_secs_ceil(), 0);
}

#[test]
fn a_difference_is_negative_when_the_other_instant_is_later() {
    let (early, late) = (Timestamp::from_micros(1), Timestamp::from_micros(3));
    assert_eq!(late.since(early), Span::from_micros(2));
    assert_eq!(early.since(late), Span::from_micros(-2));
}

#[test]
fn times_are_read_as_fields_and_people_write_them() {
    let at = Timestamp::parse_rfc3339("2026-11-21T17:20:00Z");
    for text in [
        "2026-11-21T17:20",
        "2026-11-21 17:20",
        "2026-11-21 17:20:00",
        "2026-11-21T17:20:00Z",
        "2026-11-21T18:20:00+01:00",
    ] {
        assert_eq!(Timestamp::parse_written(text), at, "{text}");
    }
    assert_eq!(Timestamp::parse_written("yesterday"), None);
}
