//! The parts of the judgement that `cases/*.toml` do not say: warnings, surplus, codes, edges of
//! the arithmetic.

use nightlatch_domain::{
    account::Role,
    activity::RequestKind,
    factor::{EnrolledFactors, Proofs},
    policy::{Scope, effective::EffectivePolicy},
    session::*,
    time::{Span, Timestamp},
};
use uuid::Uuid;

use super::{FIREFOX, MICRO, at, document, effective, policy, set};

fn warning(settings: &[(&str, &str)]) -> Option<i64> {
    warn_before(&effective(settings))
        .map(Span::as_micros)
        .map(|micros| micros / 1_000_000)
}

#[test]
fn the_automatic_warning_is_a_fifth_between_twenty_seconds_and_two_minutes() {
    for (idle, expected) in [
        ("1h", 120),
        ("15m", 120),
        ("10m", 120),
        ("5m", 60),
        ("100", 20),
        ("60", 20),
        ("40", 20),
        ("39", 19),
        ("10", 5),
        ("1", 0),
    ] {
        assert_eq!(
            warning(&[("auth.idle_session_timeout", idle)]),
            Some(expected),
            "{idle}"
        );
    }
    let half_a_second = warn_before(&effective(&[("auth.idle_session_timeout", "1")]));
    assert_eq!(half_a_second, Some(Span::from_micros(500_000)));
}

#[test]
fn a_chosen_warning_is_never_below_twenty_seconds_nor_longer_than_the_timeout() {
    for (chosen, idle, expected) in [
        ("200", "5m", 200),
        ("5", "5m", 20),
        ("0", "5m", 20),
        ("1h", "5m", 300),
        ("60", "30", 15),
        ("automatic", "5m", 60),
    ] {
        let settings = [("session.idle_warning", chosen), ("auth.idle_session_timeout", idle)];
        assert_eq!(warning(&settings), Some(expected), "{chosen} of {idle}");
    }
}

#[test]
fn there_is_no_warning_of_an_idle_end_that_does_not_come() {
    assert_eq!(warning(&[]), None);
    assert_eq!(warning(&[("auth.idle_session_timeout", "0")]), None);
}

#[test]
fn an_unavoidable_end_is_announced_two_minutes_ahead_and_a_closed_window_not_at_all() {
    let life = LifeFacts {
        signed_in_at: at(0),
        ..LifeFacts::default()
    };
    for (settings, expected) in [
        (&[("session.ttl", "1h")][..], Some(120)),
        (&[("session.ttl", "4m")], Some(120)),
        (&[("session.ttl", "60")], Some(30)),
        (&[("auth.idle_session_timeout", "5m")], Some(60)),
        (
            &[("auth.idle_session_timeout", "1h"), ("session.renewal_period", "0")],
            Some(120),
        ),
        (&[("auth.idle_session_timeout", "0")], None),
    ] {
        let policy = effective(settings);
        let end = ends_at(&life, &policy).unwrap();
        let told = nightlatch_domain::session::warning(&end, &life, &policy);
        assert_eq!(told, expected.map(Span::from_secs), "{settings:?}");
    }
}

#[test]
fn an_open_window_says_so_twice_within_a_short_grace() {
    for (settings, expected) in [
        (&[][..], None),
        (&[("auth.idle_session_timeout", "5m")], None),
        (&[("auth.idle_session_timeout", "0")], Some(20)),
        (
            &[("auth.idle_session_timeout", "0"), ("session.window_close_grace", "10")],
            Some(5),
        ),
    ] {
        assert_eq!(
            heartbeat(&effective(settings)),
            expected.map(Span::from_secs),
            "{settings:?}"
        );
    }
}

#[test]
fn the_warning_follows_the_strictest_application_entered() {
    let mut document = document(&[("auth.idle_session_timeout", "1h")]);
    set(
        &mut document,
        &Scope::Application("payroll".into()),
        &[("auth.idle_session_timeout", "5m")],
    );
    let policy = policy(document);
    let entered = policy.effective(Role::Member, &["payroll".into()], None);
    assert_eq!(warn_before(&entered), Some(Span::from_secs(60)));
    assert_eq!(
        warn_before(&policy.effective(Role::Member, &[], None)),
        Some(Span::from_secs(120))
    );
}

#[test]
fn a_new_session_ends_the_least_recently_active_ones_beyond_the_limit() {
    let id = |number| SessionId(Uuid::from_u128(number));
    let live = [(id(1), at(30)), (id(2), at(10)), (id(3), at(20))];
    assert_eq!(surplus(&live, 0), [], "no limit");
    assert_eq!(surplus(&live, 4), []);
    assert_eq!(surplus(&live, 3), [id(2)]);
    assert_eq!(surplus(&live, 2), [id(2), id(3)]);
    assert_eq!(surplus(&live, 1), [id(2), id(3), id(1)]);
    assert_eq!(surplus(&[], 1), []);
    assert_eq!(
        surplus(&[(id(2), at(0)), (id(1), at(0))], 2),
        [id(1)],
        "the order is settled even at one instant"
    );
}

#[test]
fn reasons_have_the_codes_of_the_contract() {
    let codes: Vec<_> = EndReason::ALL.iter().map(|reason| reason.as_str()).collect();
    let contract = [
        "signed_out",
        "revoked",
        "account_disabled",
        "directory",
        "account_expired",
        "ttl",
        "renewal",
        "idle",
        "window_closed",
        "user_agent",
        "network",
        "network_allowance",
        "rotated_reuse",
        "password_changed",
        "identity_provider",
        "session_limit",
    ];
    assert_eq!(codes, contract);
    for reason in EndReason::ALL {
        assert_eq!(EndReason::parse(reason.as_str()), Some(*reason));
        assert!(reason.sentence().ends_with('.'));
    }
    assert_eq!(EndReason::parse("bored"), None);
}

#[test]
fn a_sign_in_is_activity_and_activity_is_a_sign_of_life() {
    let facts = |active, seen| LifeFacts {
        signed_in_at: at(0),
        last_active_at: active,
        last_seen_at: seen,
    };
    let idle = effective(&[("auth.idle_session_timeout", "15m")]);
    assert_eq!(ends_at(&facts(at(-5_000), at(-5_000)), &idle).unwrap().at, at(900));
    let window = effective(&[("auth.idle_session_timeout", "0")]);
    assert_eq!(ends_at(&facts(at(100), at(50)), &window).unwrap().at, at(280));
}

#[test]
fn the_arithmetic_saturates_instead_of_wrapping() {
    let now = Timestamp::from_micros(i64::MAX - 5);
    let facts = LifeFacts {
        signed_in_at: now,
        last_active_at: now,
        last_seen_at: now,
    };
    for settings in [
        vec![("session.ttl", "3650d")],
        vec![("auth.idle_session_timeout", "1"), ("session.renewal_period", "3650d")],
        vec![
            ("auth.idle_session_timeout", "3650d"),
            ("session.renewal_period", "3650d"),
        ],
    ] {
        let end = ends_at(&facts, &effective(&settings)).unwrap();
        assert!(end.at >= now, "{settings:?}");
    }
}

#[test]
fn a_policy_without_rules_never_ends_a_session() {
    let policy = EffectivePolicy {
        lifetimes: Vec::new(),
        ..effective(&[])
    };
    assert_eq!(
        ends_at(
            &LifeFacts {
                signed_in_at: at(0),
                last_active_at: at(0),
                last_seen_at: at(0)
            },
            &policy
        ),
        None
    );
}

#[test]
fn the_binding_of_a_sign_in_keeps_the_whole_address_and_a_bounded_agent() {
    let binding = Binding::at_sign_in("::ffff:198.51.100.7".parse().unwrap(), Some(&"x".repeat(2_000)));
    assert_eq!(binding.accepted_v4, Some("198.51.100.7".parse().unwrap()));
    assert_eq!(binding.accepted_v6, None);
    assert_eq!(binding.user_agent.map(|agent| agent.len()), Some(512));
    assert_eq!((binding.changes, binding.first_change_at), (0, None));
}

#[test]
fn an_agent_longer_than_what_is_kept_still_matches_itself() {
    let agent = format!("{FIREFOX} {}", "x".repeat(2_000));
    let binding = Binding::at_sign_in("198.51.100.7".parse().unwrap(), Some(&agent));
    let session = SessionFacts {
        ended: None,
        account: AccountState::Enabled,
        must_change_password: false,
        proofs: Proofs::NONE,
        factors: EnrolledFactors::NONE,
        grace_from: None,
        life: LifeFacts {
            signed_in_at: at(0),
            last_active_at: at(0),
            last_seen_at: at(0),
        },
        binding: &binding,
        token: TokenFacts::Current,
        device: DeviceEvidence::Unbound {
            registrable_until: at(0),
        },
    };
    let request = RequestFacts {
        ip: "198.51.100.7".parse().unwrap(),
        user_agent: Some(&agent),
        kind: RequestKind::default(),
    };
    let exact = effective(&[("session.session_validation_mode", "strict")]);
    let expected = LiveEffect {
        touch: true,
        seen: true,
        ..LiveEffect::default()
    };
    assert_eq!(
        judge(&session, &request, &exact, at(1).saturating_add(MICRO)),
        SessionVerdict::Live(expected)
    );
}
