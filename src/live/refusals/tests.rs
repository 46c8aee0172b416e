//! Tests of [`super`].

use super::*;
use crate::domain::audit::{EventOutcome, RequestOrigin};
use std::net::IpAddr;

const MINUTE: i64 = 60;

fn timestamp(secs: i64) -> Timestamp {
    Timestamp::from_micros(secs * 1_000_000)
}

fn refused(name: &str, ip: IpAddr, reason: &str) -> AuditEntry {
    AuditEntry {
        event: Event::SignInRefused,
        actor: Actor::Anonymous,
        account: Some((None, name.to_owned())),
        session: None,
        origin: RequestOrigin {
            ip: Some(ip),
            user_agent: Some("curl".to_owned()),
            request_id: Some("1".to_owned()),
        },
        application: None,
        outcome: EventOutcome::Failure,
        reason: Some(reason.to_owned()),
        detail: serde_json::Value::Null,
    }
}

fn address(number: usize) -> IpAddr {
    [198, 51, (number / 256) as u8, (number % 256) as u8].into()
}

/// Returns name, IP address and number of each count.
fn summarize(counts: &[RefusalCount]) -> Vec<(Option<String>, Option<IpAddr>, u64)> {
    counts
        .iter()
        .map(|count| {
            let entry = count.to_entry();
            (entry.account.map(|(_, name)| name), entry.origin.ip, count.counted)
        })
        .collect()
}

fn total(counts: &[RefusalCount]) -> u64 {
    counts.iter().map(|count| count.counted).sum()
}

#[test]
fn alike_ones_of_a_minute_are_one_sum_and_the_first_are_singles() {
    let refusals = RefusalCounts::default();
    let eve = refused("eve", address(1), "locked");
    let singles = (0..41)
        .filter(|second| refusals.note(&eve, timestamp(*second), 20))
        .count();
    assert_eq!(singles, 20);
    // Another reason, another spelling of the name, another address, another minute.
    assert!(!refusals.note(&refused("eve", address(1), "busy"), timestamp(50), 0));
    assert!(!refusals.note(&refused("EVE", address(1), "locked"), timestamp(50), 0));
    assert!(!refusals.note(&refused("eve", address(2), "locked"), timestamp(51), 0));
    assert_eq!(refusals.take_past(timestamp(MINUTE - 1)).len(), 0, "not over yet");
    assert!(
        refusals.note(&eve, timestamp(MINUTE), 20),
        "a new minute has its own singles"
    );
    assert!(!refusals.note(&eve, timestamp(MINUTE + 1), 1));
    let over = refusals.take_past(timestamp(MINUTE + 1));
    let expected = [(1, 22), (1, 1), (2, 1)].map(|(ip, many)| (Some("eve".to_owned()), Some(address(ip)), many));
    assert_eq!(summarize(&over), expected);
    let entry = over[0].to_entry();
    let span = [entry.detail["from"].as_str(), entry.detail["until"].as_str()];
    assert_eq!(span, [Some("1970-01-01T00:00:20Z"), Some("1970-01-01T00:00:50Z")]);
    assert_eq!(entry.origin.request_id, None);
    assert_eq!(entry.origin.user_agent.as_deref(), Some("curl"));
    assert_eq!(total(&refusals.take_all()), 1);
    assert_eq!(refusals.take_all().len(), 0);
}

#[test]
fn a_window_with_only_single_refusals_is_not_written_again() {
    let refusals = RefusalCounts::default();
    assert!(refusals.note(&refused("eve", address(1), "locked"), timestamp(0), 20));
    assert_eq!(refusals.take_all().len(), 0);
}

#[test]
fn several_browsers_are_none() {
    let refusals = RefusalCounts::default();
    let mut eve = refused("eve", address(1), "locked");
    refusals.note(&eve, timestamp(0), 0);
    eve.origin.user_agent = Some("wget".to_owned());
    refusals.note(&eve, timestamp(0), 0);
    assert_eq!(refusals.take_all()[0].to_entry().origin.user_agent, None);
}

#[test]
fn one_network_has_so_many_names_and_the_rest_is_counted_without() {
    let refusals = RefusalCounts::default();
    for name in 0..500 {
        let network: IpAddr = format!("2001:db8::{name:x}").parse().unwrap();
        refusals.note(&refused(&format!("name{name}"), network, "locked"), timestamp(1), 0);
    }
    refusals.note(&refused("eve", address(1), "locked"), timestamp(2), 0);
    let counts = refusals.take_all();
    assert_eq!(counts.len(), MAX_NAMES + 2);
    let nameless: Vec<_> = summarize(&counts)
        .into_iter()
        .filter(|(name, ..)| name.is_none())
        .collect();
    assert!(matches!(nameless[..], [(None, Some(_), 480)]), "{nameless:?}");
    assert_eq!(summarize(&counts).last().unwrap().0.as_deref(), Some("eve"));
}

#[test]
fn beyond_the_bound_nothing_is_lost_but_name_and_address() {
    let refusals = RefusalCounts::default();
    for number in 0..3 * MAX_COUNTS {
        refusals.note(&refused("eve", address(number), "locked"), timestamp(1), 0);
    }
    refusals.note(&refused("eve", address(0), "locked"), timestamp(MINUTE), 0);
    refusals.note(&refused("eve", address(0), "busy"), timestamp(MINUTE), 0);
    let kept = refusals.counts().len();
    assert_eq!(kept, MAX_COUNTS + 2, "the rest is one count a reason");
    let counts = refusals.take_past(timestamp(MINUTE));
    assert!(
        summarize(&counts).contains(&(None, None, 2 * MAX_COUNTS as u64 + 1)),
        "whenever it was"
    );
    assert_eq!(total(&counts) + total(&refusals.take_all()), 3 * MAX_COUNTS as u64 + 2);
}

#[test]
fn failed_writes_are_kept_and_added_to() {
    let refusals = RefusalCounts::default();
    let eve = refused("eve", address(1), "locked");
    refusals.note(&eve, timestamp(1), 0);
    let kept = refusals.take_all();
    refusals.note(&eve, timestamp(5), 0);
    refusals.put_back(kept);
    let [count] = &refusals.take_past(timestamp(MINUTE))[..] else {
        panic!()
    };
    assert_eq!(
        (count.counted, count.from, count.until),
        (2, timestamp(1), timestamp(5))
    );
    for _ in 0..3 {
        for number in 0..MAX_COUNTS {
            refusals.note(&refused("eve", address(number), "locked"), timestamp(1), 0);
        }
        let taken = refusals.take_all();
        refusals.put_back(taken.clone());
        refusals.put_back(taken);
        assert!(refusals.counts().len() <= MAX_COUNTS + 1);
    }
    assert_eq!(total(&refusals.take_all()), 14 * MAX_COUNTS as u64);
}
