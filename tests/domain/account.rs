//! Names, e-mail addresses, and when accounts expire.

use nightlatch_domain::{
    account::*,
    expiry::*,
    policy::effective::AccountPolicy,
    time::{Span, Timestamp},
};

use super::{MICRO, at};

#[test]
fn names_are_compared_trimmed_composed_and_case_folded() {
    let bob = AccountName::parse("  Bob ").unwrap();
    assert_eq!((bob.shown(), bob.key()), ("Bob", "bob"));
    for typed in ["bob", "BOB", " bob\t", "Ｂｏｂ", "ｂｏｂ"] {
        assert_eq!(name_key(typed), "bob", "{typed}");
    }
    assert_eq!(name_key("Straße"), name_key("STRASSE"));
    assert_eq!(name_key("e\u{301}lise"), name_key("ÉLISE"));
    assert_eq!(name_key("ﬁona"), "fiona");
}

#[test]
fn a_key_is_bounded_whatever_is_typed() {
    assert_eq!(name_key(&"x".repeat(1_000_000)).chars().count(), 256);
    assert!(
        name_key(&"\u{FDFA}".repeat(500)).chars().count() <= 256,
        "one character becomes eighteen"
    );
    assert_eq!(name_key(""), "");
    assert_eq!(name_key(" \t\u{3000} "), "");
}

#[test]
fn names_that_break_headers_lists_or_eyes_are_refused() {
    for text in ["", "   ", "\u{3000}"] {
        assert_eq!(AccountName::parse(text), Err(NameError::Empty), "{text:?}");
    }
    assert!(AccountName::parse(&"é".repeat(128)).is_ok());
    assert_eq!(AccountName::parse(&"x".repeat(129)), Err(NameError::TooLong));
    for c in [
        '\0', '\r', '\n', '\u{1b}', '\u{7f}', '\u{85}', '\u{ad}', '\u{200b}', '\u{200d}', '\u{202e}', '\u{2028}',
        '\u{2066}', '\u{feff}', ',',
    ] {
        assert_eq!(
            AccountName::parse(&format!("a{c}b")),
            Err(NameError::Forbidden(c)),
            "U+{:04X}",
            u32::from(c)
        );
    }
    assert!(
        matches!(AccountName::parse("a，b"), Err(NameError::Forbidden(_))),
        "a full-width comma becomes a comma"
    );
    assert_eq!(
        AccountName::parse("a\u{202e}b").unwrap_err().to_string(),
        "a username cannot contain the character U+202E"
    );
    for name in [
        "ada",
        "ada.lovelace",
        "Ada Lovelace",
        "ada@example.org",
        "Ada O'Neil",
        "阿达",
        "عادة",
        "=1+1",
        "<b>",
    ] {
        assert!(AccountName::parse(name).is_ok(), "{name}");
    }
}

#[test]
fn email_addresses_are_checked_for_form_and_control_characters() {
    assert_eq!(check_email(" ada@example.org "), Ok("ada@example.org".into()));
    for address in ["a@b", "ada+tag@sub.example.org", "root@localhost", "jürgen@exämple.org"] {
        assert!(check_email(address).is_ok(), "{address}");
    }
    let long = format!("{}@example.org", "a".repeat(64));
    assert!(check_email(&long).is_ok());
    for address in [
        "",
        "ada",
        "@example.org",
        "ada@",
        "a@b@c",
        "ada@example..org",
        ".ada@example.org",
        "ada.@example.org",
        "ada@.org",
        "ada@example.org\r\nBcc: eve@example.org",
        "ada @example.org",
        "Ada <ada@example.org>",
        "a,b@example.org",
        "ada@exam\0ple.org",
        &format!("{}@example.org", "a".repeat(65)),
        &format!("a@{}.org", "x".repeat(250)),
    ] {
        assert!(check_email(address).is_err(), "{address:?}");
    }
}

#[test]
fn roles_have_their_words() {
    for role in Role::ALL {
        assert_eq!(Role::parse(role.as_str()), Some(*role));
    }
    assert_eq!(Role::parse("admin"), None);
    assert_eq!(Role::Administrator.as_str(), "administrator");
}

const DAY: i64 = 86_400;

fn member() -> ExpiryFacts {
    ExpiryFacts {
        role: Role::Member,
        created_at: at(0),
        activated_at: at(0),
        has_live_session: false,
        last_sign_in_at: Some(at(DAY)),
        last_session_ended_at: Some(at(2 * DAY)),
        expires_at: None,
        is_last_administrator: false,
    }
}

fn administrator() -> ExpiryFacts {
    ExpiryFacts {
        role: Role::Administrator,
        ..member()
    }
}

fn unused(facts: ExpiryFacts) -> ExpiryFacts {
    ExpiryFacts {
        last_sign_in_at: None,
        last_session_ended_at: None,
        ..facts
    }
}

fn policy(settings: &[(&str, &str)]) -> AccountPolicy {
    super::effective(settings).accounts
}

/// `expires_at`, and the three instants around it.
fn assert_expiry(facts: &ExpiryFacts, policy: &AccountPolicy, expected: Option<(Timestamp, ExpiryRule)>) {
    assert_eq!(expires_at(facts, policy), expected);
    match expected {
        Some((at, rule)) => {
            assert_eq!(expired_at(facts, policy, at.saturating_sub(MICRO)), None);
            assert_eq!(expired_at(facts, policy, at), None);
            assert_eq!(expired_at(facts, policy, at.saturating_add(MICRO)), Some(rule));
        }
        None => assert_eq!(expired_at(facts, policy, Timestamp::from_micros(i64::MAX)), None),
    }
}

#[test]
fn by_default_no_account_expires() {
    for facts in [member(), administrator(), unused(member()), unused(administrator())] {
        assert_expiry(&facts, &policy(&[]), None);
    }
}

#[test]
fn an_account_expires_after_its_last_session_ended() {
    let policy = policy(&[("auth.expires_after", "30d")]);
    assert_expiry(&member(), &policy, Some((at(32 * DAY), ExpiryRule::ExpiresAfter)));
    assert_expiry(
        &ExpiryFacts {
            has_live_session: true,
            ..member()
        },
        &policy,
        None,
    );
    assert_expiry(&unused(member()), &policy, None);
}

#[test]
fn zero_expires_as_soon_as_the_session_ends() {
    assert_expiry(
        &member(),
        &policy(&[("auth.expires_after", "0")]),
        Some((at(2 * DAY), ExpiryRule::ExpiresAfter)),
    );
}

#[test]
fn a_never_used_account_has_a_clock_of_its_own() {
    let policy = policy(&[("auth.expire_unused_after", "7d")]);
    assert_expiry(
        &unused(member()),
        &policy,
        Some((at(7 * DAY), ExpiryRule::ExpireUnusedAfter)),
    );
    assert_expiry(&member(), &policy, None);
}

#[test]
fn reactivation_starts_both_clocks_anew() {
    let policy = policy(&[("auth.expires_after", "30d"), ("auth.expire_unused_after", "7d")]);
    let again = |facts| ExpiryFacts {
        activated_at: at(100 * DAY),
        ..facts
    };
    assert_expiry(
        &again(member()),
        &policy,
        Some((at(130 * DAY), ExpiryRule::ExpiresAfter)),
    );
    assert_expiry(
        &again(unused(member())),
        &policy,
        Some((at(107 * DAY), ExpiryRule::ExpireUnusedAfter)),
    );
}

#[test]
fn administrators_expire_like_everyone_never_or_after_their_own_time() {
    let years = [("auth.expires_after", "30d"), ("auth.expire_unused_after", "7d")];
    let with = |superusers| policy(&[years[0], years[1], ("auth.expire_superusers", superusers)]);
    assert_expiry(
        &administrator(),
        &with("true"),
        Some((at(32 * DAY), ExpiryRule::ExpiresAfter)),
    );
    assert_expiry(&administrator(), &with("false"), None);
    assert_expiry(&unused(administrator()), &with("false"), None);
    assert_expiry(
        &administrator(),
        &with("90d"),
        Some((at(92 * DAY), ExpiryRule::ExpireSuperusers)),
    );
    assert_expiry(
        &unused(administrator()),
        &with("90d"),
        Some((at(7 * DAY), ExpiryRule::ExpireUnusedAfter)),
    );
    assert_expiry(
        &member(),
        &with("false"),
        Some((at(32 * DAY), ExpiryRule::ExpiresAfter)),
    );
    let alone = policy(&[("auth.expire_superusers", "90d")]);
    assert_expiry(
        &administrator(),
        &alone,
        Some((at(92 * DAY), ExpiryRule::ExpireSuperusers)),
    );
    assert_expiry(&member(), &alone, None);
}

#[test]
fn an_explicit_date_expires_even_a_live_account_and_the_earlier_rule_wins() {
    let date = |days, facts| ExpiryFacts {
        expires_at: Some(at(days * DAY)),
        ..facts
    };
    let policy = policy(&[("auth.expires_after", "30d"), ("auth.expire_superusers", "false")]);
    assert_expiry(&date(5, member()), &policy, Some((at(5 * DAY), ExpiryRule::ExpiresAt)));
    assert_expiry(
        &date(50, member()),
        &policy,
        Some((at(32 * DAY), ExpiryRule::ExpiresAfter)),
    );
    assert_expiry(
        &date(50, administrator()),
        &policy,
        Some((at(50 * DAY), ExpiryRule::ExpiresAt)),
    );
    let live = ExpiryFacts {
        has_live_session: true,
        ..date(5, member())
    };
    assert_expiry(&live, &policy, Some((at(5 * DAY), ExpiryRule::ExpiresAt)));
}

#[test]
fn the_last_administrator_never_expires() {
    let last = ExpiryFacts {
        is_last_administrator: true,
        expires_at: Some(at(1)),
        ..administrator()
    };
    let strict = policy(&[
        ("auth.expires_after", "0"),
        ("auth.expire_unused_after", "0"),
        ("auth.expire_superusers", "1s"),
    ]);
    assert_expiry(&last, &strict, None);
    assert_expiry(&unused(last), &strict, None);
}

#[test]
fn expiry_far_in_the_future_saturates() {
    let facts = ExpiryFacts {
        last_session_ended_at: Some(Timestamp::from_micros(i64::MAX - 1)),
        ..member()
    };
    let (instant, _) = expires_at(&facts, &policy(&[("auth.expires_after", "3650d")])).unwrap();
    assert_eq!(instant, Timestamp::from_micros(i64::MAX));
    assert_eq!(instant.since(instant), Span::ZERO);
}

#[test]
fn rules_have_stable_codes() {
    let rules = [
        ExpiryRule::ExpiresAt,
        ExpiryRule::ExpiresAfter,
        ExpiryRule::ExpireUnusedAfter,
        ExpiryRule::ExpireSuperusers,
    ];
    let codes = [
        "expires_at",
        "auth.expires_after",
        "auth.expire_unused_after",
        "auth.expire_superusers",
    ];
    assert_eq!(rules.map(ExpiryRule::code), codes);
}

#[test]
fn a_password_typed_as_a_username_is_distinguished_from_a_name() {
    use nightlatch_domain::account::looks_like_password;
    for password in [
        "unlocked harbour violin",
        "Tr0ub4dor&3",
        "c0rrect-Horse!",
        "Passw0rd",
        "hunter2!!",
        "P@ssw0rd",
        "correcthorsebatterystaple",
        "correct-horse-battery-staple",
        "qwertz123",
        "sommer2024",
        "password",
        "asdfghjkl",
        "20241224",
        "hunter!!",
        "ada Geheim7x!",
    ] {
        assert!(looks_like_password(password), "{password}");
    }
    for name in [
        "ada",
        "bob.smith",
        "Bob.Smith",
        "admin2024",
        "administrator",
        "Frank.Zimmermann",
        "svc-backup-01",
        "Sean O'Brien",
        "McAllister",
        "eve@example.org",
        "Eve.Smith2@example.org",
        "CORP\\bob",
        "Ada Lovelace",
        "user-17",
        "sh0rt!",
        "name\u{202e}with direction marks",
    ] {
        assert!(!looks_like_password(name), "{name}");
    }
}
