//! A replay reports as certain only what could not have been otherwise, and misses nothing that its
//! records show.

use nightlatch_domain::{
    account::{AccountId, Role, name_key},
    activity::RequestKind,
    factor::{EnrolledFactors, Proofs},
    policy::{Scope, effective::EffectivePolicy},
    session::*,
    simulate::replay::{
        AttemptReplay, Certainty, CounterRelease, MeasureComparison, RecordedAttempt, RecordedCheck, Replay,
        ReplayData, ReplayReport, ReplayRuleCount, ReplayedEnd, RequestTrace, SessionRecord,
    },
    time::{Span, Timestamp},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use std::net::IpAddr;
use uuid::Uuid;

use super::{CHROME, FIREFOX, FIREFOX_UPDATED, at, document, effective, policy, properties::config, set};

const IDLE: &str = "auth.idle_session_timeout";
const TTL: &str = "session.ttl";
const MODE: &str = "session.session_validation_mode";
const NOW: i64 = 100_000;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A session of ada's: signed in at 0, last active at `active`, ended at `ended` (live when later
/// than now).
fn record(id: u128, active: i64, ended: Option<(i64, EndReason)>) -> SessionRecord {
    SessionRecord {
        id: SessionId(Uuid::from_u128(id)),
        account: AccountId(Uuid::from_u128(1)),
        name: "ada".into(),
        signed_in_ip: ip("198.51.100.7"),
        ip: ip("198.51.100.7"),
        user_agent: Some(FIREFOX.into()),
        is_device_bound: false,
        life: LifeFacts {
            signed_in_at: at(0),
            last_active_at: at(active),
            last_seen_at: at(active),
        },
        slack: Span::ZERO,
        ended: ended.map(|(secs, reason)| (at(secs), reason)),
    }
}

fn trace(secs: i64, from: &str) -> RequestTrace {
    RequestTrace {
        at: at(secs),
        ip: Some(ip(from)),
        user_agent: None,
        acted: false,
    }
}

fn data() -> ReplayData {
    ReplayData {
        since: at(0),
        until: at(NOW),
        events: 0,
        events_cut_at: None,
        sessions_cut_at: None,
        sessions_kept_since: None,
    }
}

fn guesses(settings: &[(&str, &str)]) -> AttemptReplay {
    AttemptReplay::new(effective(settings).lockout, at(0))
}

fn report(
    sessions: &[(SessionRecord, Vec<RequestTrace>)],
    then: &EffectivePolicy,
    draft: &EffectivePolicy,
) -> ReplayReport {
    let mut replay = Replay::new(at(NOW));
    for (record, traces) in sessions {
        replay.session(record.clone(), traces, draft, MeasureComparison::compare(then, draft));
    }
    replay.finish(data(), guesses(&[]))
}

/// Returns the result of a draft for one session that was used under `then`.
fn would(
    record: SessionRecord,
    traces: &[RequestTrace],
    then: &[(&str, &str)],
    draft: &[(&str, &str)],
) -> Option<ReplayedEnd> {
    let report = report(&[(record, traces.to_vec())], &effective(then), &effective(draft));
    report.shortened.first().map(|one| one.draft.clone())
}

fn ended(secs: i64, reason: EndReason, certainty: Certainty) -> Option<ReplayedEnd> {
    Some(ReplayedEnd {
        at: at(secs),
        reason,
        scope: Scope::Everyone,
        certainty,
    })
}

#[test]
fn absolute_lives_and_renewals_end_for_certain_whatever_happened_between() {
    let out = |secs| Some((secs, EndReason::SignedOut));
    for (left, expected) in [
        (3599, None),
        (3600, None),
        (3601, ended(3600, EndReason::Ttl, Certainty::Certain)),
    ] {
        assert_eq!(
            would(record(1, 3500, out(left)), &[], &[], &[(TTL, "1h")]),
            expected,
            "{left}"
        );
    }
    let renewal = [(IDLE, "30m"), ("session.renewal_period", "2h")];
    let expected = ended(9000, EndReason::Renewal, Certainty::Certain);
    let told = would(record(1, 9900, out(9901)), &[], &[], &renewal);
    assert_eq!(told, expected);
    assert_eq!(
        would(record(1, 3500, None), &[], &[], &[(TTL, "1d")]),
        ended(86_400, EndReason::Ttl, Certainty::Certain)
    );
}

#[test]
fn idle_time_after_the_last_activity_is_certain_and_between_recorded_requests_possible() {
    let out = Some((5000, EndReason::SignedOut));
    let idle = [(IDLE, "15m")];
    assert_eq!(
        would(record(1, 4000, out), &[], &[], &idle),
        ended(4900, EndReason::Idle, Certainty::Certain)
    );
    assert_eq!(
        would(record(1, 4500, out), &[], &[], &idle),
        ended(900, EndReason::Idle, Certainty::Possible)
    );
    assert_eq!(
        would(record(1, 900, Some((1000, EndReason::SignedOut))), &[], &[], &idle),
        None
    );
    // A recorded action is known activity; another request may have come from the background.
    let acts = |acted| -> Vec<RequestTrace> {
        (1..6)
            .map(|n| RequestTrace {
                acted,
                ..trace(n * 800, "198.51.100.7")
            })
            .collect()
    };
    assert_eq!(would(record(1, 4500, out), &acts(true), &[], &idle), None);
    assert_eq!(
        would(record(1, 4500, out), &acts(false), &[], &idle).unwrap().certainty,
        Certainty::Possible
    );
}

#[test]
fn activity_that_may_not_have_been_written_is_allowed_for() {
    let idle = [(IDLE, "15m")];
    let told = |left| {
        let mut one = record(1, 1000, Some((left, EndReason::SignedOut)));
        one.slack = Span::from_secs(5);
        would(one, &[], &[], &idle).unwrap()
    };
    assert_eq!(told(1905).certainty, Certainty::Possible);
    assert_eq!(told(1906), ended(1905, EndReason::Idle, Certainty::Certain).unwrap());
}

#[test]
fn the_definition_of_activity_decides_what_is_certain() {
    let mut one = record(1, 1000, Some((5000, EndReason::SignedOut)));
    one.life.last_seen_at = at(4900);
    let idle = (IDLE, "15m");
    let counts = |word| ("activity.counts", word);
    let told = |then: &[(&str, &str)], draft: &[(&str, &str)]| would(one.clone(), &[], then, draft).unwrap();
    // Activity counted at most as strictly then, so nothing later can have been activity.
    let certain = ended(1900, EndReason::Idle, Certainty::Certain).unwrap();
    assert_eq!(told(&[], &[idle]), certain);
    assert_eq!(told(&[], &[idle, counts("interaction")]), certain);
    assert_eq!(told(&[], &[idle, ("activity.ignored_paths", "/ping*")]), certain);
    // More strictly then: what was seen later may have counted.
    for then in [
        counts("interaction"),
        counts("navigation"),
        ("activity.ignored_paths", "/ping*"),
    ] {
        assert_eq!(told(&[then], &[idle]).certainty, Certainty::Possible, "{then:?}");
    }
}

#[test]
fn an_open_window_is_known_only_where_windows_were_listened_to() {
    let one = record(1, 1000, Some((5000, EndReason::SignedOut)));
    let window = [(IDLE, "0")];
    assert_eq!(
        would(one.clone(), &[], &window, &window),
        ended(1180, EndReason::WindowClosed, Certainty::Certain)
    );
    assert_eq!(would(one, &[], &[], &window).unwrap().certainty, Certainty::Possible);
}

#[test]
fn recorded_moves_are_judged_as_requests_are() {
    let out = Some((5000, EndReason::SignedOut));
    let moves = [
        trace(100, "203.0.113.9"),
        trace(200, "198.51.100.7"),
        trace(300, "203.0.113.9"),
    ];
    let told = |moves: &[RequestTrace], draft: &[(&str, &str)]| would(record(1, 4500, out), moves, &[], draft);
    let certain = |secs, reason| ended(secs, reason, Certainty::Certain);
    assert_eq!(told(&moves, &[(MODE, "strict")]), certain(100, EndReason::Network));
    assert_eq!(
        told(&moves, &[(MODE, "moderate")]),
        certain(200, EndReason::NetworkAllowance)
    );
    assert_eq!(
        told(&moves, &[("session.session_allow_ip_changes", "2")]),
        certain(300, EndReason::NetworkAllowance)
    );
    assert_eq!(told(&moves, &[(MODE, "permissive")]), None);
    assert_eq!(told(&[trace(100, "198.51.100.99")], &[]), None, "the same network");
    // The address at the latest sign of life is known too, though when the session moved there is
    // not.
    let mut moved = record(1, 4500, out);
    moved.ip = ip("198.51.100.8");
    assert_eq!(
        would(moved, &[], &[], &[(MODE, "strict")]),
        certain(4500, EndReason::Network)
    );
    let other = RequestTrace {
        user_agent: Some(CHROME.into()),
        ..trace(70, "198.51.100.7")
    };
    assert_eq!(told(&[other], &[]), certain(70, EndReason::UserAgent));
    let updated = RequestTrace {
        user_agent: Some(FIREFOX_UPDATED.into()),
        ..trace(70, "198.51.100.7")
    };
    assert_eq!(told(&[updated], &[]), None, "the same family");
}

#[test]
fn a_move_after_the_grace_period_is_certain_only_where_every_move_was_recorded() {
    let moves = [trace(100, "203.0.113.9"), trace(1000, "192.0.2.1")];
    let draft = [("session.session_allow_ip_changes", "5")];
    let told = |then: &[(&str, &str)]| would(record(1, 4500, None), &moves, then, &draft).unwrap();
    let one = ended(1000, EndReason::NetworkAllowance, Certainty::Certain).unwrap();
    assert_eq!(told(&[]), one);
    for then in [
        (MODE, "off"),
        (MODE, "permissive"),
        ("session.session_security_audit_log", "false"),
        (MODE, "moderate_vpn"),
    ] {
        assert_eq!(told(&[then]).certainty, Certainty::Possible, "{then:?}");
    }
}

#[test]
fn moves_inside_a_group_of_the_draft_are_no_changes_and_unrecorded_ones_are_possible() {
    let office = ("session.network_groups", "198.51.100.0/24, 203.0.113.9");
    let moves = [
        trace(100, "203.0.113.9"),
        trace(200, "198.51.100.7"),
        trace(900, "192.0.2.1"),
    ];
    let out = Some((5000, EndReason::SignedOut));
    let told = |then: &[(&str, &str)], draft: &[(&str, &str)]| would(record(1, 4500, out), &moves, then, draft);
    assert_eq!(
        told(&[], &[]),
        ended(200, EndReason::NetworkAllowance, Certainty::Certain)
    );
    // Out of the office, and back into it by the last activity.
    assert_eq!(
        told(&[], &[office]),
        ended(4500, EndReason::NetworkAllowance, Certainty::Certain)
    );
    // Under groups, moves inside them were not recorded: a draft without them may have counted more.
    let compare = |then: &[(&str, &str)], draft: &[(&str, &str)]| {
        MeasureComparison::compare(&effective(then), &effective(draft)).moves
    };
    assert!(compare(&[], &[office]) && compare(&[office], &[office]) && !compare(&[office], &[]));
}

#[test]
fn a_session_that_a_rule_ended_and_the_draft_would_not_is_spared() {
    let spared = |record: SessionRecord, traces: &[RequestTrace], draft: &[(&str, &str)]| {
        report(&[(record, traces.to_vec())], &effective(&[]), &effective(draft)).spared
    };
    let idle = |secs| Some((secs, EndReason::Idle));
    assert_eq!(spared(record(1, 1000, idle(1900)), &[], &[(IDLE, "1h")]), 1);
    assert_eq!(
        spared(record(1, 1000, idle(1900)), &[], &[(IDLE, "15m")]),
        0,
        "the same end"
    );
    assert_eq!(spared(record(1, 1000, Some((1900, EndReason::Revoked))), &[], &[]), 0);
    let refused = [trace(1900, "203.0.113.9")];
    let network = Some((1900, EndReason::Network));
    assert_eq!(spared(record(1, 1000, network), &refused, &[(MODE, "moderate")]), 1);
    assert_eq!(spared(record(1, 1000, network), &refused, &[(MODE, "strict")]), 0);
    let office = [("session.network_groups", "198.51.100.0/24, 203.0.113.9")];
    assert_eq!(spared(record(1, 1000, network), &refused, &office), 1);
    let other = [
        (MODE, "strict"),
        ("session.network_groups", "198.51.100.0/24, 192.0.2.1"),
    ];
    assert_eq!(spared(record(1, 1000, network), &refused, &other), 0);
    let limited = Some((1900, EndReason::SessionLimit));
    assert_eq!(spared(record(1, 1000, limited), &[], &[]), 1);
}

#[test]
fn a_limit_of_sessions_takes_the_least_recently_active() {
    let began = |id: u128, secs: i64, active: i64, ended: Option<(i64, EndReason)>| {
        let mut one = record(id, active, ended);
        one.life.signed_in_at = at(secs);
        (one, Vec::new())
    };
    let limit = |sessions: &[(SessionRecord, Vec<RequestTrace>)], limit: &str| {
        let draft = effective(&[("session.concurrent_user_session_limit", limit)]);
        let mut told: Vec<_> = report(sessions, &effective(&[]), &draft)
            .shortened
            .into_iter()
            .map(|one| {
                (
                    one.record.id.0.as_u128(),
                    one.draft.at.since(at(0)).as_secs(),
                    one.draft.certainty,
                )
            })
            .collect();
        told.sort();
        told
    };
    let two = [
        began(1, 0, 500, None),
        began(2, 100, 150, None),
        began(3, 200, 250, None),
    ];
    assert_eq!(limit(&two, "3"), []);
    // At 200, one was last active at 150, the other at some time unknown: after it or before.
    assert_eq!(limit(&two, "2"), [(2, 200, Certainty::Possible)]);
    assert_eq!(
        limit(&two, "1"),
        [(1, 100, Certainty::Certain), (2, 200, Certainty::Certain)]
    );
    let known = [
        began(1, 0, 50, None),
        began(2, 100, 150, None),
        began(3, 200, 250, None),
    ];
    assert_eq!(limit(&known, "2"), [(1, 200, Certainty::Certain)]);
    let gone = [
        began(1, 0, 50, Some((200, EndReason::SessionLimit))),
        began(3, 200, 250, None),
    ];
    assert_eq!(
        limit(&gone, "1"),
        [],
        "what ended at that very sign-in ended no earlier"
    );
}

#[test]
fn rules_are_counted_by_scope_and_certain_ones_shown_first() {
    let mut draft = document(&[(IDLE, "1h")]);
    set(&mut draft, &Scope::Application("wiki".into()), &[(IDLE, "15m")]);
    let draft = policy(draft).effective(Role::Member, &["wiki".into()], None);
    let out = Some((5000, EndReason::SignedOut));
    let sessions = [
        (record(1, 4500, out), vec![]),
        (record(2, 3000, out), vec![]),
        (record(3, 3500, out), vec![]),
    ];
    let report = report(&sessions, &effective(&[]), &draft);
    assert_eq!((report.sessions, report.certain, report.possible), (3, 2, 1));
    let rule = (EndReason::Idle, Scope::Application("wiki".into()));
    assert_eq!(
        report.by_rule.get(&rule),
        Some(&ReplayRuleCount {
            certain: 2,
            possible: 1
        })
    );
    let order: Vec<u128> = report.shortened.iter().map(|one| one.record.id.0.as_u128()).collect();
    assert_eq!(order, [3, 2, 1], "certain ones first, the newest of them before");
    assert_eq!(
        report.sentences()[0],
        "Of 3 sessions, 2 would certainly have ended earlier, 1 possibly."
    );
    let json = report.to_json();
    assert_eq!(
        (&json["certain"], &json["shortened"][0]["would_end_by"]),
        (&2.into(), &"idle".into())
    );
}

fn attempt(secs: i64, name: &str, from: &str, checked: RecordedCheck) -> RecordedAttempt {
    RecordedAttempt {
        at: at(secs),
        name: name.into(),
        name_key: name_key(name),
        ip: ip(from),
        user_agent: Some(FIREFOX.into()),
        checked,
        sign_in: true,
        times: 1,
    }
}

const LOCK: &[(&str, &str)] = &[
    ("auth.login_lock_out_at_failure", "true"),
    ("auth.login_failure_limit", "3"),
];

#[test]
fn sign_ins_are_locked_out_as_the_counters_lock() {
    let tries = [
        (0, RecordedCheck::Wrong),
        (10, RecordedCheck::Wrong),
        (20, RecordedCheck::Wrong),
        (30, RecordedCheck::Wrong),
        (40, RecordedCheck::Accepted),
        (920, RecordedCheck::Accepted),
        (921, RecordedCheck::Accepted),
    ];
    let mut replayed = guesses(LOCK);
    for (secs, checked) in tries {
        replayed.attempt(&attempt(secs, "Ada", "198.51.100.7", checked));
    }
    assert_eq!(
        (
            replayed.sign_ins,
            replayed.locks,
            replayed.refused_earlier,
            replayed.locked_out
        ),
        (7, 1, 1, 2)
    );
    let newest: Vec<i64> = replayed
        .newest()
        .map(|one| one.attempt.at.since(at(0)).as_secs())
        .collect();
    assert_eq!(newest, [920, 40], "a limit is inclusive; newest first");
    let mut off = guesses(&[]);
    for (secs, checked) in tries {
        off.attempt(&attempt(secs, "Ada", "198.51.100.7", checked));
    }
    assert_eq!(
        (off.locks, off.locked_out),
        (0, 0),
        "the master switch is off by default"
    );
}

#[test]
fn attempts_refused_by_a_lock_do_not_count() {
    let mut replayed = guesses(LOCK);
    for secs in 0..10 {
        replayed.attempt(&attempt(secs, "ada", "198.51.100.7", RecordedCheck::Never));
    }
    replayed.attempt(&attempt(20, "ada", "198.51.100.7", RecordedCheck::Correct));
    replayed.attempt(&attempt(30, "ada", "198.51.100.7", RecordedCheck::Accepted));
    assert_eq!((replayed.let_through, replayed.locks, replayed.locked_out), (10, 0, 0));
    // One record may stand for several attempts.
    let many = RecordedAttempt {
        times: 21,
        ..attempt(40, "ada", "198.51.100.7", RecordedCheck::Never)
    };
    replayed.attempt(&many);
    assert_eq!((replayed.let_through, replayed.sign_ins), (31, 33));
}

#[test]
fn a_guess_at_the_present_password_counts_without_being_a_sign_in() {
    let mut replayed = guesses(LOCK);
    for secs in 0..3 {
        let guess = RecordedAttempt {
            sign_in: false,
            ..attempt(secs, "ada", "198.51.100.7", RecordedCheck::Wrong)
        };
        replayed.attempt(&guess);
    }
    replayed.attempt(&attempt(5, "grace", "198.51.100.7", RecordedCheck::Accepted));
    assert_eq!((replayed.sign_ins, replayed.locks, replayed.locked_out), (1, 1, 1));
}

#[test]
fn a_released_counter_starts_at_zero() {
    let mut replayed = guesses(LOCK);
    for secs in 0..3 {
        replayed.attempt(&attempt(secs, "ada", "198.51.100.7", RecordedCheck::Wrong));
    }
    let other = CounterRelease {
        at: at(4),
        ip: Some("203.0.113.9".into()),
        account: None,
    };
    replayed.release(&other);
    replayed.attempt(&attempt(5, "ada", "198.51.100.7", RecordedCheck::Accepted));
    assert_eq!(replayed.locked_out, 1);
    replayed.release(&CounterRelease {
        ip: Some("198.51.100.7".into()),
        ..other
    });
    replayed.attempt(&attempt(6, "ada", "198.51.100.7", RecordedCheck::Accepted));
    assert_eq!(replayed.locked_out, 1);
}

#[test]
fn the_account_ceiling_spares_networks_known_from_the_records_and_is_unsure_without() {
    let ceiling = [("auth.login_account_ceiling", "2"), ("auth.login_ip_ceiling", "0")];
    let mut replayed = guesses(&ceiling);
    replayed.attempt(&attempt(0, "ada", "198.51.100.7", RecordedCheck::Accepted));
    for secs in 1..3 {
        replayed.attempt(&attempt(secs, "ada", "203.0.113.9", RecordedCheck::Wrong));
    }
    replayed.attempt(&attempt(5, "ada", "198.51.100.8", RecordedCheck::Accepted));
    assert_eq!(replayed.locked_out, 0, "from a network where ada signed in before");
    for secs in 6..8 {
        replayed.attempt(&attempt(secs, "ada", "203.0.113.9", RecordedCheck::Wrong));
    }
    let mut grouped = guesses(&[
        ceiling[0],
        ceiling[1],
        ("session.network_groups", "198.51.100.0/24, 192.0.2.1"),
    ]);
    grouped.attempt(&attempt(0, "ada", "198.51.100.7", RecordedCheck::Accepted));
    for secs in 1..3 {
        grouped.attempt(&attempt(secs, "ada", "203.0.113.9", RecordedCheck::Wrong));
    }
    grouped.attempt(&attempt(9, "ada", "192.0.2.1", RecordedCheck::Accepted));
    assert_eq!(grouped.locked_out, 0, "from the group of a known network");
    replayed.attempt(&attempt(9, "ada", "192.0.2.1", RecordedCheck::Accepted));
    let told: Vec<Certainty> = replayed.newest().map(|one| one.certainty).collect();
    assert_eq!(told, [Certainty::Possible]);
}

/// One request of a made-up life.
#[derive(Debug, Clone)]
struct Asked {
    at: Timestamp,
    ip: IpAddr,
    kind: RequestKind<'static>,
    /// The audit has a record of it.
    recorded: bool,
}

/// How a life went under a policy: the record of it, its traces, and its end.
struct Lived {
    record: SessionRecord,
    traces: Vec<RequestTrace>,
    end: Option<(Timestamp, EndReason)>,
}

/// Simulates the requests up to `until`.
fn live_through(asked: &[Asked], policy: &EffectivePolicy, until: Timestamp) -> Lived {
    let mut record = record(1, 0, None);
    let mut binding = Binding::at_sign_in(record.ip, Some(FIREFOX));
    let mut traces = Vec::new();
    let mut end = None;
    for request in asked.iter().filter(|request| request.at <= until) {
        let facts = SessionFacts {
            ended: None,
            account: AccountState::Enabled,
            must_change_password: false,
            proofs: Proofs::NONE,
            factors: EnrolledFactors::NONE,
            grace_from: None,
            life: record.life,
            binding: &binding,
            token: TokenFacts::Current,
            device: DeviceEvidence::Unbound {
                registrable_until: request.at,
            },
        };
        let asks = RequestFacts {
            ip: request.ip,
            user_agent: Some(FIREFOX),
            kind: request.kind,
        };
        let by_rule = ends_at(&record.life, policy).filter(|end| request.at > end.at);
        let trace = RequestTrace {
            at: request.at,
            ip: Some(request.ip),
            user_agent: Some(FIREFOX.into()),
            acted: request.recorded,
        };
        match judge(&facts, &asks, policy, request.at) {
            SessionVerdict::Live(live) | SessionVerdict::Duty { live, .. } => {
                let changed = live.record == Some(nightlatch_domain::session::NetworkEvent::NetworkChanged);
                if request.recorded || (changed && policy.validation.security_audit_log) {
                    traces.push(trace);
                }
                binding = live.rebind.unwrap_or(binding);
                if live.touch {
                    record.life.last_active_at = request.at;
                }
                if live.seen {
                    record.life.last_seen_at = request.at;
                    record.ip = request.ip;
                }
            }
            SessionVerdict::Ended { reason } => {
                if by_rule.is_none() {
                    traces.push(RequestTrace { acted: false, ..trace });
                }
                end = Some((by_rule.map_or(request.at, |end| end.at), reason));
                break;
            }
        }
    }
    let over = ends_at(&record.life, policy).filter(|end| end.at < until);
    let end = end.or(over.map(|end| (end.at, end.reason)));
    record.ended = end;
    Lived { record, traces, end }
}

fn settings() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let one = |key: &'static str, values: &'static [&'static str]| {
        option::weighted(0.6, select(values)).prop_map(move |value| value.map(|value| (key, value)))
    };
    (
        one(IDLE, &["never", "0", "30", "2m", "10m", "1h"]),
        one(TTL, &["5m", "1h", "2h", "1d"]),
        one("session.renewal_period", &["0", "5m", "1h"]),
        one("activity.counts", &["every_request", "navigation", "interaction"]),
        one(MODE, &["strict", "moderate", "moderate_vpn", "permissive", "off"]),
        one("session.session_allow_ip_changes", &["-1", "0", "1", "3"]),
        one("session.session_ip_change_grace_period", &["0", "60", "10m"]),
        one("session.session_security_audit_log", &["true", "false"]),
        one("activity.ignored_paths", &["/ping*", "/p*"]),
    )
        .prop_map(|(a, b, c, d, e, f, g, h, i)| [a, b, c, d, e, f, g, h, i].into_iter().flatten().collect())
}

fn requests() -> impl Strategy<Value = Vec<Asked>> {
    let addresses = [
        "198.51.100.7",
        "198.51.100.7",
        "198.51.100.8",
        "198.51.7.7",
        "203.0.113.9",
        "2001:db8::1",
    ];
    let gap = prop_oneof![1_i64..40, 20_i64..700, 500_i64..4_000];
    let one = (
        gap,
        select(addresses.map(ip).to_vec()),
        any::<[bool; 6]>(),
        select(vec!["/ping", "/p", "/"]),
    );
    vec(one, 0..30).prop_map(|steps| {
        let mut secs = 0;
        let asked = steps.into_iter().map(
            |(gap, ip, [navigation, background, interaction, heartbeat, check, recorded], path)| {
                secs += gap;
                // An action is never a heartbeat, a status check or a background request.
                let kind = RequestKind {
                    path,
                    navigation,
                    background: background && !recorded,
                    interaction,
                    heartbeat: heartbeat && !recorded,
                    check: check && !recorded,
                };
                Asked {
                    at: at(secs),
                    ip,
                    kind,
                    recorded,
                }
            },
        );
        asked.collect()
    })
}

/// Returns the replay of a session under `then`, and its real end under the draft.
fn both(
    asked: &[Asked],
    then: &EffectivePolicy,
    draft: &EffectivePolicy,
) -> (ReplayReport, Lived, Option<(Timestamp, EndReason)>) {
    let lived = live_through(asked, then, at(NOW));
    let until = lived.end.map_or(at(NOW), |(at, _)| at);
    let truth = live_through(asked, draft, until).end.filter(|(at, _)| *at < until);
    let report = report(&[(lived.record.clone(), lived.traces.clone())], then, draft);
    (report, lived, truth)
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn certain_ends_happened_at_the_latest_then(asked in requests(), then in settings(), draft in settings()) {
        let (report, lived, truth) = both(&asked, &effective(&then), &effective(&draft));
        if let Some(one) = report.shortened.first().filter(|one| one.draft.certainty == Certainty::Certain) {
            let (ended_at, _) = truth.expect("a certain end is one");
            prop_assert!(ended_at <= one.draft.at, "{:?} {:?}", truth, one.draft);
            prop_assert!(one.draft.at >= lived.record.life.signed_in_at);
            prop_assert!(lived.end.is_none_or(|(end, _)| one.draft.at < end));
        }
    }

    #[test]
    fn no_end_by_a_lifetime_is_missed(asked in requests(), then in settings(), draft in settings()) {
        let (report, _, truth) = both(&asked, &effective(&then), &effective(&draft));
        if let Some((_, EndReason::Ttl | EndReason::Renewal | EndReason::Idle | EndReason::WindowClosed)) = truth {
            prop_assert_eq!(report.certain + report.possible, 1, "{:?}", truth);
        }
    }

    #[test]
    fn the_policy_that_was_in_force_ends_nothing_for_certain_and_spares_nothing(asked in requests(), then in settings()) {
        let then = effective(&then);
        let (report, _, truth) = both(&asked, &then, &then);
        prop_assert_eq!(truth, None);
        prop_assert_eq!((report.certain, report.spared), (0, 0), "{:?}", report.shortened);
    }

    #[test]
    fn spared_sessions_really_lived_on(asked in requests(), then in settings(), draft in settings()) {
        let (then, draft) = (effective(&then), effective(&draft));
        let (report, _, truth) = both(&asked, &then, &draft);
        if report.spared > 0 && report.possible == 0 {
            prop_assert!(!matches!(truth, Some((_, EndReason::Ttl | EndReason::Renewal | EndReason::Idle | EndReason::WindowClosed))), "{:?}", truth);
        }
    }

    #[test]
    fn the_lock_that_was_in_force_refuses_the_same_again(
        tries in vec((1_i64..300, select(vec!["ada", "grace"]), select(vec!["198.51.100.7", "203.0.113.9"]), any::<bool>()), 0..40),
        limit in select(vec!["1", "3", "5"]), by_user in any::<bool>(), ceiling in select(vec!["0", "4"]),
    ) {
        let by_user = by_user.to_string();
        let policy = [
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_failure_limit", limit),
            ("auth.login_lock_out_by_combination_user_and_ip", by_user.as_str()),
            ("auth.login_ip_ceiling", ceiling),
        ];
        // The first replay is the record: what it refuses was never checked.
        let (mut lived, mut again, mut secs) = (guesses(&policy), guesses(&policy), 0);
        for (gap, name, from, right) in tries {
            secs += gap;
            let checked = if right { RecordedCheck::Accepted } else { RecordedCheck::Wrong };
            let one = attempt(secs, name, from, checked);
            let refused = |guesses: &AttemptReplay| guesses.locked_out + guesses.refused_earlier;
            let before = refused(&lived);
            lived.attempt(&one);
            let checked = if refused(&lived) > before { RecordedCheck::Never } else { checked };
            again.attempt(&RecordedAttempt { checked, ..one });
        }
        prop_assert_eq!((again.locked_out, again.refused_earlier, again.let_through), (0, 0, 0));
        prop_assert_eq!(again.locks, lived.locks);
    }
}
