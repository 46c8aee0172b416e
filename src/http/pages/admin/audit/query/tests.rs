//! Tests of [`super`].

use super::*;

#[test]
fn a_day_or_a_second_at_the_end_of_a_range_is_all_of_it() {
    for (written, meant) in [
        ("2026-11-21", "2026-11-21T23:59:59.999999Z"),
        ("2026-11-21 17:20", "2026-11-21T17:20:00Z"),
        ("2026-11-21 17:20:05", "2026-11-21T17:20:05.999999Z"),
        ("2026-11-21T17:20:05Z", "2026-11-21T17:20:05.999999Z"),
        ("2026-11-21T17:20:05.25Z", "2026-11-21T17:20:05.25Z"),
    ] {
        assert_eq!(read_until(written), Timestamp::parse_rfc3339(meant), "{written}");
    }
}

#[test]
fn a_noun_asks_for_all_its_events() {
    let query = AuditListQuery {
        event: "sign_in".into(),
        ..AuditListQuery::default()
    };
    assert_eq!(
        query.filter(Timestamp::default()).events,
        [Event::SignInAccepted, Event::SignInRefused, Event::SignInReported]
    );
    let unknown = AuditListQuery {
        event: "nonsense".into(),
        ..AuditListQuery::default()
    };
    assert!(unknown.filter(Timestamp::default()).events.is_empty());
}
