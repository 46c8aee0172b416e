//! Sign-in protection: counters, locks, ceilings (policy.md "Sign-in protection").

use std::net::IpAddr;

use nightlatch_domain::{
    lockout::*,
    policy::effective::LockoutPolicy,
    time::{Span, Timestamp},
};
use uuid::Uuid;

use super::{FIREFOX, MICRO, at};

const KEY: CounterKind = CounterKind::Key;
const COOLOFF: i64 = 900;

fn policy(settings: &[(&str, &str)]) -> LockoutPolicy {
    super::effective(settings).lockout
}

fn locking() -> LockoutPolicy {
    policy(&[("auth.login_lock_out_at_failure", "on")])
}

/// How many failures count at `now`.
fn failures_at(counter: &Counter, kind: CounterKind, policy: &LockoutPolicy, now: Timestamp) -> usize {
    let mut settled = counter.clone();
    settled.settle(kind, policy, now);
    settled.failures.len()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Reserves and fails one attempt.
fn fail(counter: &mut Counter, policy: &LockoutPolicy, now: Timestamp) -> Option<LockDuration> {
    let id = id(now.as_micros() as u128);
    assert_eq!(counter.reserve(KEY, id, policy, now), ReserveVerdict::Proceed);
    counter.fail(KEY, id, policy, now)
}

/// A counter that three failures locked at `at(2)`.
fn locked(policy: &LockoutPolicy) -> Counter {
    let mut counter = Counter::default();
    assert_eq!(fail(&mut counter, policy, at(0)), None);
    assert_eq!(fail(&mut counter, policy, at(1)), None);
    assert!(fail(&mut counter, policy, at(2)).is_some());
    counter
}

#[test]
fn the_failure_that_reaches_the_limit_locks_and_is_answered_as_locked() {
    let (policy, mut counter) = (locking(), Counter::default());
    assert_eq!(fail(&mut counter, &policy, at(0)), None);
    assert_eq!(fail(&mut counter, &policy, at(1)), None);
    assert_eq!(
        fail(&mut counter, &policy, at(2)),
        Some(LockDuration::Until(at(2 + COOLOFF)))
    );
}

#[test]
fn a_limit_of_one_locks_at_the_first_failure() {
    let policy = policy(&[
        ("auth.login_lock_out_at_failure", "on"),
        ("auth.login_failure_limit", "1"),
    ]);
    assert_eq!(
        fail(&mut Counter::default(), &policy, at(0)),
        Some(LockDuration::Until(at(COOLOFF)))
    );
}

#[test]
fn a_lock_holds_up_to_and_including_its_last_instant() {
    let policy = locking();
    let end = at(2 + COOLOFF);
    for now in [at(2), end.saturating_sub(MICRO), end] {
        let mut counter = locked(&policy);
        assert_eq!(counter.locked_at(KEY, &policy, now), Some(LockDuration::Until(end)));
        assert!(!counter.settle(KEY, &policy, now));
        assert_eq!(
            counter.reserve(KEY, id(9), &policy, now),
            ReserveVerdict::Locked(LockDuration::Until(end))
        );
    }
    let after = end.saturating_add(MICRO);
    let mut counter = locked(&policy);
    assert_eq!(counter.locked_at(KEY, &policy, after), None);
    assert!(
        counter.settle(KEY, &policy, after),
        "a lock that ran out is reported once"
    );
    assert!(!counter.settle(KEY, &policy, after));
    assert_eq!(counter.reserve(KEY, id(9), &policy, after), ReserveVerdict::Proceed);
}

#[test]
fn a_refused_attempt_counts_nothing_and_extends_nothing() {
    let policy = locking();
    let mut counter = locked(&policy);
    let before = counter.clone();
    for second in 3..800 {
        assert!(matches!(
            counter.reserve(KEY, id(second as u128), &policy, at(second)),
            ReserveVerdict::Locked(_)
        ));
    }
    assert_eq!(counter, before);
    assert_eq!(
        counter.locked_at(KEY, &policy, at(800)),
        Some(LockDuration::Until(at(2 + COOLOFF)))
    );
}

#[test]
fn when_a_lock_ends_its_counter_starts_at_zero() {
    let policy = locking();
    let mut counter = locked(&policy);
    let later = at(3 + COOLOFF);
    assert_eq!(fail(&mut counter, &policy, later), None);
    assert_eq!(failures_at(&counter, KEY, &policy, later), 1);
    assert_eq!(fail(&mut counter, &policy, at(4 + COOLOFF)), None);
    assert!(fail(&mut counter, &policy, at(5 + COOLOFF)).is_some());
}

#[test]
fn each_failure_is_forgotten_a_cool_off_after_it_happened() {
    let (policy, mut counter) = (locking(), Counter::default());
    fail(&mut counter, &policy, at(0));
    fail(&mut counter, &policy, at(600));
    let limit = at(COOLOFF);
    assert_eq!(
        failures_at(&counter, KEY, &policy, limit),
        2,
        "at exactly the cool-off it still counts"
    );
    assert_eq!(failures_at(&counter, KEY, &policy, limit.saturating_add(MICRO)), 1);
    assert_eq!(
        fail(&mut counter, &policy, at(1_000)),
        None,
        "only two within the cool-off"
    );
    assert_eq!(
        fail(&mut counter, &policy, at(1_001)),
        Some(LockDuration::Until(at(1_001 + COOLOFF)))
    );
}

#[test]
fn a_cool_off_of_never_locks_until_an_administrator_unlocks() {
    let policy = policy(&[
        ("auth.login_lock_out_at_failure", "on"),
        ("auth.login_cooloff_time", "never"),
    ]);
    let mut counter = locked(&policy);
    let end_of_time = Timestamp::from_micros(i64::MAX);
    assert_eq!(
        counter.locked_at(KEY, &policy, end_of_time),
        Some(LockDuration::UntilUnlocked)
    );
    assert!(!counter.settle(KEY, &policy, end_of_time));
    counter.release();
    assert_eq!(counter.locked_at(KEY, &policy, end_of_time), None);
    assert_eq!(counter, Counter::default());
}

#[test]
fn a_lock_lasts_for_the_current_cool_off() {
    let counter = locked(&locking());
    let longer = policy(&[
        ("auth.login_lock_out_at_failure", "on"),
        ("auth.login_cooloff_time", "1h"),
    ]);
    let shorter = policy(&[
        ("auth.login_lock_out_at_failure", "on"),
        ("auth.login_cooloff_time", "10s"),
    ]);
    let never = policy(&[
        ("auth.login_lock_out_at_failure", "on"),
        ("auth.login_cooloff_time", "never"),
    ]);
    assert_eq!(
        counter.locked_at(KEY, &longer, at(3_000)),
        Some(LockDuration::Until(at(2 + 3_600)))
    );
    assert_eq!(
        counter.locked_at(KEY, &shorter, at(12)),
        Some(LockDuration::Until(at(12)))
    );
    assert_eq!(counter.locked_at(KEY, &shorter, at(13)), None);
    assert_eq!(
        counter.locked_at(KEY, &never, at(1_000_000)),
        Some(LockDuration::UntilUnlocked)
    );
}

#[test]
fn attempts_in_flight_take_up_the_limit() {
    let (policy, mut counter) = (locking(), Counter::default());
    fail(&mut counter, &policy, at(0));
    assert_eq!(counter.reserve(KEY, id(1), &policy, at(1)), ReserveVerdict::Proceed);
    assert_eq!(counter.reserve(KEY, id(2), &policy, at(1)), ReserveVerdict::Proceed);
    let before = counter.clone();
    assert_eq!(counter.reserve(KEY, id(3), &policy, at(1)), ReserveVerdict::Busy);
    assert_eq!(counter, before, "busy counts nothing");
    assert_eq!(counter.locked_at(KEY, &policy, at(1)), None, "and locks nobody");
    counter.succeed(id(1), false);
    assert_eq!(
        counter.reserve(KEY, id(3), &policy, at(1)),
        ReserveVerdict::Proceed,
        "a success gives its place back"
    );
    counter.give_back(id(2));
    assert_eq!(counter.reserve(KEY, id(4), &policy, at(1)), ReserveVerdict::Proceed);
}

#[test]
fn two_hundred_parallel_attempts_reach_the_password_three_times() {
    let (policy, mut counter) = (locking(), Counter::default());
    let admitted: Vec<_> = (0..200)
        .filter(|n| counter.reserve(KEY, id(*n), &policy, at(0)) == ReserveVerdict::Proceed)
        .collect();
    assert_eq!(admitted, [0, 1, 2]);
    let locks = admitted
        .iter()
        .filter(|n| counter.fail(KEY, id(**n), &policy, at(1)).is_some())
        .count();
    assert_eq!(locks, 1, "one of them began the lock");
    assert!(matches!(
        counter.reserve(KEY, id(1_000), &policy, at(2)),
        ReserveVerdict::Locked(_)
    ));
}

#[test]
fn an_attempt_that_a_crash_left_in_flight_counts_as_a_failure() {
    let (policy, mut counter) = (locking(), Counter::default());
    assert_eq!(counter.reserve(KEY, id(1), &policy, at(0)), ReserveVerdict::Proceed);
    let limit = at(RESERVATION_LIFE_SECS);
    assert_eq!(failures_at(&counter, KEY, &policy, limit), 0);
    assert_eq!(failures_at(&counter, KEY, &policy, limit.saturating_add(MICRO)), 1);
    for n in 2..4 {
        assert_eq!(counter.reserve(KEY, id(n), &policy, at(10)), ReserveVerdict::Proceed);
    }
    let crashed = at(10 + RESERVATION_LIFE_SECS).saturating_add(MICRO);
    assert_eq!(
        counter.locked_at(KEY, &policy, crashed),
        Some(LockDuration::Until(at(10 + COOLOFF))),
        "three crashes lock"
    );
}

#[test]
fn a_slow_attempt_that_fails_after_all_counts_once() {
    let (policy, mut counter) = (locking(), Counter::default());
    counter.reserve(KEY, id(1), &policy, at(0));
    counter.fail(KEY, id(1), &policy, at(100));
    assert_eq!(failures_at(&counter, KEY, &policy, at(100)), 1);
}

#[test]
fn a_success_forgets_failures_only_where_it_clears() {
    let policy = locking();
    for (clears, left) in [(true, 0), (false, 2)] {
        let mut counter = Counter::default();
        fail(&mut counter, &policy, at(0));
        fail(&mut counter, &policy, at(1));
        counter.reserve(KEY, id(9), &policy, at(2));
        counter.succeed(id(9), clears);
        assert_eq!(failures_at(&counter, KEY, &policy, at(2)), left);
        assert_eq!(counter.reservations, []);
    }
}

#[test]
fn a_success_in_flight_does_not_open_a_lock_that_others_began() {
    let (policy, mut counter) = (locking(), Counter::default());
    fail(&mut counter, &policy, at(0));
    counter.reserve(KEY, id(1), &policy, at(1));
    counter.reserve(KEY, id(2), &policy, at(1));
    counter.fail(KEY, id(1), &policy, at(2));
    counter.fail(KEY, id(9), &policy, at(2));
    counter.succeed(id(2), true);
    assert!(counter.locked_at(KEY, &policy, at(3)).is_some());
}

#[test]
fn with_the_master_switch_off_failures_are_counted_and_nobody_is_locked() {
    let (policy, mut counter) = (policy(&[]), Counter::default());
    for second in 0..50 {
        assert_eq!(fail(&mut counter, &policy, at(second)), None);
    }
    assert_eq!(failures_at(&counter, KEY, &policy, at(50)), 50);
    assert_eq!(counter.locked_at(KEY, &policy, at(50)), None);
}

#[test]
fn switching_it_off_stops_enforcing_locks_that_it_began() {
    let counter = locked(&locking());
    assert_eq!(counter.locked_at(KEY, &policy(&[]), at(3)), None);
    assert!(
        counter.locked_at(KEY, &locking(), at(3)).is_some(),
        "and on again enforces what is left of them"
    );
}

#[test]
fn failures_that_reach_a_lowered_limit_lock_at_once() {
    let mut counter = Counter::default();
    for second in 0..5 {
        fail(&mut counter, &policy(&[]), at(second));
    }
    assert_eq!(
        counter.locked_at(KEY, &locking(), at(10)),
        Some(LockDuration::Until(at(4 + COOLOFF)))
    );
}

#[test]
fn the_ceilings_work_whatever_the_master_switch_says() {
    let policy = policy(&[("auth.login_ip_ceiling", "5"), ("auth.login_account_ceiling", "2")]);
    for (kind, ceiling) in [(CounterKind::IpCeiling, 5), (CounterKind::AccountCeiling, 2)] {
        let mut counter = Counter::default();
        for n in 1..=ceiling {
            assert_eq!(counter.reserve(kind, id(n), &policy, at(0)), ReserveVerdict::Proceed);
            assert_eq!(
                counter.fail(kind, id(n), &policy, at(0)).is_some(),
                n == ceiling,
                "{kind:?} {n}"
            );
        }
    }
}

#[test]
fn no_road_to_an_account_takes_more_than_a_hundred_failures_in_a_row() {
    let policy = policy(&[("auth.login_account_ceiling", "5000")]);
    for kind in [CounterKind::AccountCeiling, CounterKind::KnownCeiling] {
        let mut counter = Counter::default();
        for n in 1..=100 {
            assert_eq!(
                counter.reserve(kind, id(n), &policy, at(0)),
                ReserveVerdict::Proceed,
                "{kind:?} {n}"
            );
            let locks = counter.fail(kind, id(n), &policy, at(0)).is_some();
            assert_eq!(locks, n == 100, "{kind:?} {n}");
        }
        let more = counter.reserve(kind, id(101), &policy, at(1));
        assert!(matches!(more, ReserveVerdict::Locked(_)), "{kind:?}: {more:?}");
    }
}

#[test]
fn a_ceiling_of_zero_is_off() {
    let policy = policy(&[("auth.login_ip_ceiling", "0"), ("auth.login_account_ceiling", "off")]);
    for kind in [CounterKind::IpCeiling, CounterKind::AccountCeiling] {
        assert_eq!(limit(kind, &policy), None);
        let counter = Counter {
            locked_at: Some(at(0).as_micros()),
            ..Counter::default()
        };
        assert_eq!(counter.locked_at(kind, &policy, at(1)), None);
    }
    assert_eq!(counters_of("ada", ip("198.51.100.7"), None, &policy).len(), 1);
}

#[test]
fn addresses_on_the_allow_list_are_counted_and_never_locked() {
    let policy = policy(&[
        ("auth.login_lock_out_at_failure", "on"),
        ("auth.login_ip_ceiling", "3"),
        ("auth.login_allow_list", "198.51.100.0/24, 2001:db8::/32"),
    ]);
    for (address, listed) in [
        ("198.51.100.7", true),
        ("::ffff:198.51.100.7", true),
        ("2001:db8::1", true),
        ("198.51.101.7", false),
    ] {
        assert_eq!(allow_listed(ip(address), &policy), listed, "{address}");
        let policy = policy_for(ip(address), &policy);
        for kind in CounterKind::ALL.iter().copied() {
            let mut counter = Counter::default();
            let locks = (0..200).any(|n| {
                counter.reserve(kind, id(n), &policy, at(0));
                counter.fail(kind, id(n), &policy, at(0)).is_some()
            });
            // The allow list does not exempt codes, because six digits can be guessed quickly.
            assert_eq!(locks, !listed || kind == CounterKind::Factor, "{address} {kind:?}");
            assert!(failures_at(&counter, kind, &policy, at(0)) >= 3);
        }
    }
}

#[test]
fn the_lock_key_follows_the_policy() {
    let key = |settings: &[(&str, &str)]| {
        counters_of("ada", ip("198.51.100.7"), Some(FIREFOX), &policy(settings)).swap_remove(0)
    };
    let (user, agent) = (
        ("auth.login_lock_out_by_combination_user_and_ip", "on"),
        ("auth.login_lock_out_use_user_agent", "on"),
    );
    let plain = CounterKey {
        kind: KEY,
        ip: Some("198.51.100.7".into()),
        account: None,
        user_agent: None,
    };
    let by_user = CounterKey {
        account: Some("ada".into()),
        ..plain.clone()
    };
    let by_agent = CounterKey {
        user_agent: Some(FIREFOX.into()),
        ..plain.clone()
    };
    let by_both = CounterKey {
        user_agent: Some(FIREFOX.into()),
        ..by_user.clone()
    };
    assert_eq!(
        [key(&[]), key(&[user]), key(&[agent]), key(&[user, agent])],
        [plain, by_user, by_agent, by_both]
    );
}

#[test]
fn an_attempt_belongs_to_its_lock_key_and_both_ceilings() {
    let keys = counters_of("ada", ip("2001:db8::7"), None, &policy(&[]));
    assert_eq!(
        keys.iter().map(|key| key.kind).collect::<Vec<_>>(),
        [KEY, CounterKind::IpCeiling, CounterKind::AccountCeiling]
    );
    assert_eq!(
        keys[1].ip.as_deref(),
        Some("2001:db8::/64"),
        "an IPv6 address counts as its /64"
    );
    assert_eq!(keys[2].account.as_deref(), Some("ada"));
    assert_eq!(
        counters_of("ada", ip("::ffff:198.51.100.7"), None, &policy(&[]))[1]
            .ip
            .as_deref(),
        Some("198.51.100.7")
    );
    let nameless = counters_of("", ip("198.51.100.7"), None, &policy(&[]));
    assert!(
        nameless.iter().all(|key| key.kind != CounterKind::AccountCeiling),
        "no name is not everybody's account"
    );
}

#[test]
fn an_absent_user_agent_is_a_lock_key_of_its_own() {
    let policy = policy(&[("auth.login_lock_out_use_user_agent", "on")]);
    let key = |agent| counters_of("ada", ip("198.51.100.7"), agent, &policy).swap_remove(0);
    assert_eq!(key(None).user_agent.as_deref(), Some(""));
    assert_eq!(
        key(Some(&"x".repeat(2_000))).user_agent.map(|agent| agent.len()),
        Some(512)
    );
}

#[test]
fn a_success_clears_only_counters_that_contain_the_user() {
    let policy = policy(&[("auth.login_lock_out_by_combination_user_and_ip", "on")]);
    let cleared = |keys: Vec<CounterKey>| keys.iter().map(CounterKey::cleared_by_success).collect::<Vec<_>>();
    assert_eq!(
        cleared(counters_of("ada", ip("198.51.100.7"), None, &policy)),
        [true, false, true]
    );
    assert_eq!(
        cleared(counters_of(
            "ada",
            ip("198.51.100.7"),
            None,
            &super::effective(&[]).lockout
        )),
        [false, false, true]
    );
}

#[test]
fn digests_tell_fields_apart() {
    let key = |kind, ip: Option<&str>, account: Option<&str>, agent: Option<&str>| CounterKey {
        kind,
        ip: ip.map(str::to_owned),
        account: account.map(str::to_owned),
        user_agent: agent.map(str::to_owned),
    };
    let keys = [
        key(KEY, None, None, None),
        key(KEY, Some(""), None, None),
        key(KEY, None, Some(""), None),
        key(KEY, Some("a"), Some("b"), None),
        key(KEY, Some("ab"), None, None),
        key(KEY, Some("a"), None, Some("b")),
        key(KEY, Some("ab"), Some(""), None),
        key(CounterKind::IpCeiling, Some("ab"), None, None),
        key(CounterKind::AccountCeiling, None, Some("ab"), None),
        key(KEY, None, Some("ab"), None),
    ];
    let digests: std::collections::HashSet<_> = keys.iter().map(CounterKey::digest).collect();
    assert_eq!(digests.len(), keys.len());
    assert!(digests.iter().all(|digest| digest.len() == 64));
    assert_eq!(keys[3].digest(), keys[3].clone().digest());
}

#[test]
fn a_block_holds_whatever_the_switches_say_and_ends_like_a_lock() {
    let open = policy(&[("auth.login_ip_ceiling", "0")]);
    let until = at(100);
    let mut counter = Counter {
        blocked_until: Some(until.as_micros()),
        failures: vec![at(0).as_micros()],
        ..Counter::default()
    };
    assert_eq!(counter.locked_at(KEY, &open, until), Some(LockDuration::Until(until)));
    assert_eq!(
        counter.reserve(KEY, id(1), &open, until),
        ReserveVerdict::Locked(LockDuration::Until(until))
    );
    assert!(counter.settle(KEY, &open, until.saturating_add(MICRO)));
    assert_eq!(counter, Counter::default());
    let for_ever = Counter {
        blocked_until: Some(Counter::FOR_EVER),
        ..Counter::default()
    };
    assert_eq!(
        for_ever.locked_at(KEY, &open, Timestamp::from_micros(i64::MAX)),
        Some(LockDuration::UntilUnlocked)
    );
}

#[test]
fn the_longer_of_lock_and_block_counts() {
    let policy = locking();
    for (blocked, until) in [(100, 2 + COOLOFF), (5_000, 5_000)] {
        let mut counter = locked(&policy);
        counter.blocked_until = Some(at(blocked).as_micros());
        assert_eq!(
            counter.locked_at(KEY, &policy, at(50)),
            Some(LockDuration::Until(at(until)))
        );
        assert!(
            !counter.settle(KEY, &policy, at(until)),
            "still locked at its last instant"
        );
        assert!(counter.settle(KEY, &policy, at(until).saturating_add(MICRO)));
    }
}

#[test]
fn memory_is_bounded_by_a_thousand_or_the_limit() {
    let forever = policy(&[("auth.login_cooloff_time", "never"), ("auth.login_ip_ceiling", "5000")]);
    let (mut key, mut ceiling) = (Counter::default(), Counter::default());
    for n in 0..6_000 {
        key.fail(KEY, id(n), &forever, at(n as i64));
        ceiling.fail(CounterKind::IpCeiling, id(n), &forever, at(n as i64));
    }
    assert_eq!(key.failures.len(), 1_000);
    assert_eq!(key.failures.last(), Some(&at(5_999).as_micros()), "the newest are kept");
    assert_eq!(ceiling.failures.len(), 5_000);
    assert_eq!(ceiling.locked_at, Some(at(4_999).as_micros()));
    for n in 0..3_000 {
        key.reserve(KEY, id(n), &forever, at(7_000));
    }
    assert!(key.reservations.len() <= 1_000);
}

#[test]
fn the_clock_going_backwards_opens_no_lock() {
    let policy = locking();
    let mut counter = locked(&policy);
    for now in [at(-10_000), Timestamp::from_micros(i64::MIN)] {
        assert!(counter.locked_at(KEY, &policy, now).is_some());
        assert_eq!(counter.fail(KEY, id(77), &policy, now), None, "locked already");
    }
    assert!(counter.failures.is_sorted());
}

#[test]
fn failures_stay_in_order_when_the_clock_falls_back() {
    let (policy, mut counter) = (policy(&[]), Counter::default());
    let within_tolerance = at(10).saturating_add(Span::from_micros(500_000));
    counter.fail(KEY, id(1), &policy, within_tolerance);
    counter.fail(KEY, id(2), &policy, at(600));
    counter.settle(KEY, &policy, at(10));
    assert_eq!(counter.failures, [at(10).as_micros(), within_tolerance.as_micros()]);
}

#[test]
fn a_counter_with_nothing_left_can_go() {
    let (policy, mut counter) = (locking(), Counter::default());
    assert!(counter.is_empty_at(KEY, &policy, at(0)));
    fail(&mut counter, &policy, at(0));
    assert!(!counter.is_empty_at(KEY, &policy, at(COOLOFF)));
    assert!(counter.is_empty_at(KEY, &policy, at(COOLOFF + 1)));
    let locked = locked(&policy);
    assert!(!locked.is_empty_at(KEY, &policy, at(2 + COOLOFF)));
    assert!(locked.is_empty_at(KEY, &policy, at(3 + COOLOFF)));
}

#[test]
fn waiting_times_are_whole_seconds_and_never_zero() {
    let lock = LockDuration::Until(at(10));
    assert_eq!(lock.retry_after(at(0)), Some(10));
    assert_eq!(lock.retry_after(at(9).saturating_add(MICRO)), Some(1));
    assert_eq!(lock.retry_after(at(10)), Some(1));
    assert_eq!(lock.retry_after(at(0).saturating_add(Span::from_micros(1))), Some(10));
    assert_eq!(LockDuration::UntilUnlocked.retry_after(at(0)), None);
}

#[test]
fn counters_survive_the_store() {
    let counter = Counter {
        reservations: vec![(id(1), 5)],
        blocked_until: Some(9),
        ..locked(&locking())
    };
    let stored = serde_json::to_string(&counter).unwrap();
    assert_eq!(serde_json::from_str::<Counter>(&stored).unwrap(), counter);
    for kind in CounterKind::ALL {
        assert_eq!(CounterKind::parse(kind.as_str()), Some(*kind));
    }
}
