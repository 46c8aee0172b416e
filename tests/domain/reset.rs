//! How long a link works, and how often one may be requested.

use super::MICRO;
use nightlatch_domain::{
    reset::{LinkFacts, LinkKind, RecentRequests, WINDOW, is_valid},
    time::{Span, Timestamp},
};

const NOW: Timestamp = Timestamp::from_micros(1_795_281_600_000_000);

fn facts() -> LinkFacts<'static> {
    LinkFacts {
        expires_at: NOW,
        sent_to: "ada@example.org",
        email: Some("ada@example.org"),
        made_for: Timestamp::from_micros(1),
        password_changed_at: Timestamp::from_micros(1),
        disabled: false,
        expired: false,
    }
}

#[test]
fn a_link_works_to_its_last_instant() {
    assert!(is_valid(&facts(), NOW.saturating_sub(MICRO)));
    assert!(is_valid(&facts(), NOW));
    assert!(!is_valid(&facts(), NOW.saturating_add(MICRO)));
    assert_eq!(LinkKind::Reset.lifetime(), Span::from_secs(1800));
    assert_eq!(LinkKind::Invitation.lifetime(), Span::from_secs(72 * 3600));
}

#[test]
fn a_link_is_bound_to_the_account_as_it_was() {
    for other in [
        LinkFacts { email: None, ..facts() },
        LinkFacts {
            email: Some("eve@example.org"),
            ..facts()
        },
        LinkFacts {
            password_changed_at: Timestamp::from_micros(2),
            ..facts()
        },
        LinkFacts {
            disabled: true,
            ..facts()
        },
        LinkFacts {
            expired: true,
            ..facts()
        },
    ] {
        assert!(!is_valid(&other, NOW), "{other:?}");
    }
}

#[test]
fn requests_count_for_an_hour() {
    let mut recent = RecentRequests::default();
    assert!(!recent.allows(0, NOW));
    assert!(recent.allows(1, NOW));
    recent.note(NOW);
    let later = NOW.saturating_add(WINDOW);
    assert!(!recent.allows(1, later));
    assert!(recent.allows(2, later));
    assert!(recent.allows(1, later.saturating_add(MICRO)));
    assert_eq!(recent, RecentRequests::default(), "forgotten");
}

#[test]
fn kinds_read_back() {
    for kind in [LinkKind::Reset, LinkKind::Invitation] {
        assert_eq!(LinkKind::parse(kind.as_str()), Some(kind));
    }
    assert_eq!(LinkKind::parse("gift"), None);
}
