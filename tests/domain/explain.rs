//! Timelines: the worked examples of the sources, and agreement with judging request by request.

use nightlatch_domain::{
    account::Role,
    activity::RequestKind,
    factor::{EnrolledFactors, Proofs},
    policy::{Key, Pins, PolicyDocument, Scope, Source, Value, effective::Policy},
    session::{
        AccountState, Binding, DeviceEvidence, EndCause, EndReason, HEARTBEAT, LifeFacts, RequestFacts, SessionFacts,
        SessionVerdict, TokenFacts, ends_at, judge,
    },
    simulate::explain::{
        Activity, ActivityKind, ClientChange, Mark, MarkKind, PastSession, Scenario, ScenarioClient, ScenarioInput,
        Timeline, TimelineEnd, explain, explain_past, provenance, read_entries, read_lines,
    },
    time::{Span, Timestamp},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{CHROME, FIREFOX_UPDATED, document, policy, set};

/// The day on which everything here happens.
fn day() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-21T00:00:00Z").unwrap()
}

fn clock(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(&format!("2026-11-21T{text}:00Z")).unwrap()
}

/// Sign-in at 08:00, the rest as typed.
fn scenario(role: Role, edit: impl FnOnce(&mut ScenarioInput)) -> Scenario {
    let mut typed = ScenarioInput {
        signed_in: "08:00".into(),
        ..ScenarioInput::default()
    };
    edit(&mut typed);
    let (at, pattern) = typed.sign_in(day()).unwrap();
    Scenario::signed_in(role, at, pattern)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn member(document: PolicyDocument, edit: impl FnOnce(&mut ScenarioInput)) -> Timeline {
    explain(&policy(document), &scenario(Role::Member, edit))
}

fn end(timeline: &Timeline) -> &TimelineEnd {
    timeline.end.as_ref().expect("an end")
}

#[track_caller]
fn ends(timeline: &Timeline, at: &str, reason: EndReason, scope: Scope) {
    let end = end(timeline);
    assert_eq!(
        (end.at, end.reason, &end.scope),
        (clock(at), reason, &scope),
        "{timeline:#?}"
    );
    assert_eq!(end.key, reason.setting());
}

fn of_kind(timeline: &Timeline, kind: MarkKind) -> Vec<&Mark> {
    timeline.marks.iter().filter(|mark| mark.kind == kind).collect()
}

fn times(timeline: &Timeline, kind: MarkKind) -> Vec<Timestamp> {
    of_kind(timeline, kind).iter().map(|mark| mark.at).collect()
}

/// IBM's example: idle 0.5 h, renewal 2 h; administrators 0.25 h and 0.1 h.
fn ibm() -> PolicyDocument {
    let mut document = document(&[("auth.idle_session_timeout", "0.5h"), ("session.renewal_period", "2h")]);
    set(
        &mut document,
        &Scope::Administrators,
        &[
            ("auth.idle_session_timeout", "0.25h"),
            ("session.renewal_period", "0.1h"),
        ],
    );
    document
}

#[test]
fn ibm_sample_without_activity_ends_at_half_past_eight() {
    let timeline = member(ibm(), |_| {});
    ends(&timeline, "08:30", EndReason::Idle, Scope::Everyone);
    assert_eq!(end(&timeline).sentence, "No activity for 30 minutes.");
    assert_eq!(times(&timeline, MarkKind::Warned), [clock("08:28")]);
    assert_eq!(timeline.segments.len(), 1);
}

#[test]
fn ibm_sample_last_active_at_ten_past_is_refused_at_eight_forty_one() {
    let timeline = member(ibm(), |typed| typed.active = texts(&["08:00-08:10", "08:41"]));
    ends(&timeline, "08:40", EndReason::Idle, Scope::Everyone);
    assert_eq!(times(&timeline, MarkKind::Refused), [clock("08:41")]);
}

#[test]
fn ibm_sample_active_throughout_ends_at_half_past_ten() {
    let timeline = member(ibm(), |typed| typed.active = texts(&["08:00-17:00"]));
    ends(&timeline, "10:30", EndReason::Renewal, Scope::Everyone);
    let leases = ["08:30", "09:00", "09:30", "10:00"].map(clock);
    assert_eq!(times(&timeline, MarkKind::LeaseRenewed), leases);
    assert!(of_kind(&timeline, MarkKind::Warned).is_empty(), "{timeline:#?}");
}

#[test]
fn ibm_sample_an_administrator_ends_at_a_quarter_past_though_active() {
    let scenario = scenario(Role::Administrator, |typed| typed.active = texts(&["08:00-17:00"]));
    let timeline = explain(&policy(ibm()), &scenario);
    ends(&timeline, "08:15", EndReason::Renewal, Scope::Administrators);
    assert!(of_kind(&timeline, MarkKind::LeaseRenewed).is_empty());
}

#[test]
fn ibm_sample_the_administrators_rule_leaves_a_member_at_half_past_ten() {
    let timeline = member(ibm(), |typed| typed.active = texts(&["08:00-17:00"]));
    ends(&timeline, "10:30", EndReason::Renewal, Scope::Everyone);
    assert_eq!(timeline.latest, timeline.end);
}

#[test]
fn bloomreach_zero_lives_while_a_window_is_open_and_three_minutes_more() {
    let document = || document(&[("auth.idle_session_timeout", "0")]);
    let open = member(document(), |typed| typed.window = "10:00".into());
    ends(&open, "10:03", EndReason::WindowClosed, Scope::Everyone);
    assert_eq!(times(&open, MarkKind::WindowClosed), [clock("10:00")]);
    assert!(
        of_kind(&open, MarkKind::Warned).is_empty(),
        "a closed window is nobody to warn"
    );
    let never_open = member(document(), |_| {});
    ends(&never_open, "08:03", EndReason::WindowClosed, Scope::Everyone);
}

#[test]
fn an_open_window_is_no_activity() {
    let timeline = member(document(&[("auth.idle_session_timeout", "30m")]), |typed| {
        typed.window = "17:00".into()
    });
    ends(&timeline, "08:30", EndReason::Idle, Scope::Everyone);
}

#[test]
fn a_pause_longer_than_the_timeout_ends_the_session_in_it() {
    let idle = || document(&[("auth.idle_session_timeout", "30m")]);
    let long = member(idle(), |typed| {
        typed.active = texts(&["08:00-12:00"]);
        typed.pauses = texts(&["09:00-09:40"]);
    });
    ends(&long, "09:30", EndReason::Idle, Scope::Everyone);
    assert_eq!(times(&long, MarkKind::Refused), [clock("09:40")]);
    let short = member(idle(), |typed| {
        typed.active = texts(&["08:00-12:00"]);
        typed.pauses = texts(&["09:00-09:29"]);
    });
    ends(&short, "12:30", EndReason::Idle, Scope::Everyone);
    assert_eq!(times(&short, MarkKind::Warned), [clock("09:28"), clock("12:28")]);
    let active: Vec<bool> = short.segments.iter().map(|segment| segment.active).collect();
    assert_eq!(active, [true, false, true, false]);
}

#[test]
fn requests_that_do_not_count_are_named_and_do_not_keep_it_alive() {
    let busy = |settings: &[(&str, &str)], doing: &str, path: &str| {
        let mut all = vec![("auth.idle_session_timeout", "30m")];
        all.extend(settings);
        member(document(&all), |typed| {
            typed.active = texts(&["08:00-12:00"]);
            (typed.doing, typed.path) = (doing.into(), path.into());
        })
    };
    for (settings, doing, path) in [
        (&[("activity.counts", "navigation")][..], "requests", "/"),
        (&[("activity.counts", "interaction")], "pages", "/"),
        (&[("activity.ignored_paths", "/ping*")], "pages", "/ping/live"),
        (&[], "background", "/"),
    ] {
        let timeline = busy(settings, doing, path);
        ends(&timeline, "08:30", EndReason::Idle, Scope::Everyone);
        assert_eq!(times(&timeline, MarkKind::NotCounted), [clock("08:00")], "{settings:?}");
    }
    ends(
        &busy(&[("activity.counts", "navigation")], "pages", "/"),
        "12:30",
        EndReason::Idle,
        Scope::Everyone,
    );
    ends(
        &busy(&[("activity.counts", "interaction")], "input", "/"),
        "12:30",
        EndReason::Idle,
        Scope::Everyone,
    );
}

#[test]
fn a_second_change_of_network_ends_the_session_at_its_request() {
    let timeline = member(document(&[]), |typed| {
        typed.active = texts(&["08:00-12:00"]);
        typed.every = "10m".into();
        typed.moves = texts(&["08:55=203.0.113.7", "09:31=198.51.100.10"]);
    });
    ends(&timeline, "09:40", EndReason::NetworkAllowance, Scope::Everyone);
    assert_eq!(times(&timeline, MarkKind::NetworkAccepted), [clock("09:00")]);
    assert!(end(&timeline).sentence.contains("no network changes are left"));
    let strict = member(document(&[("session.session_validation_mode", "strict")]), |typed| {
        typed.active = texts(&["08:00-12:00"]);
        typed.moves = texts(&["09:00=198.51.100.11"]);
    });
    ends(&strict, "09:00", EndReason::Network, Scope::Everyone);
}

#[test]
fn a_change_after_the_grace_period_names_that_setting() {
    let timeline = member(document(&[("session.session_allow_ip_changes", "3")]), |typed| {
        typed.active = texts(&["08:00-12:00"]);
        typed.moves = texts(&["09:00=203.0.113.7", "09:05=192.0.2.1", "09:06=203.0.113.7"]);
    });
    let end = end(&timeline);
    assert_eq!((end.at, end.reason), (clock("09:06"), EndReason::NetworkAllowance));
    assert_eq!(end.key, Some(Key::SessionSessionIpChangeGracePeriod));
    assert_eq!(
        times(&timeline, MarkKind::NetworkAccepted),
        [clock("09:00"), clock("09:05")]
    );
}

#[test]
fn another_browser_ends_it_and_an_update_passes() {
    let timeline = member(document(&[]), |typed| {
        typed.active = texts(&["08:00-12:00"]);
        typed.moves = vec![format!("09:00={FIREFOX_UPDATED}.1"), format!("10:00={CHROME}")];
    });
    ends(&timeline, "10:00", EndReason::UserAgent, Scope::Everyone);
    assert_eq!(times(&timeline, MarkKind::Unnoticed), [clock("09:00")]);
}

#[test]
fn a_move_inside_a_network_group_is_shown_as_no_change() {
    let groups = ("session.network_groups", "192.0.2.0/24, 203.0.113.9");
    let moves = |typed: &mut ScenarioInput| {
        typed.active = texts(&["08:00-12:00"]);
        typed.ip = "192.0.2.1".into();
        typed.moves = texts(&["09:00=203.0.113.9", "10:00=192.0.2.7", "11:00=203.0.113.10"]);
    };
    let timeline = member(document(&[groups]), moves);
    let told: Vec<&str> = of_kind(&timeline, MarkKind::Unnoticed)
        .iter()
        .map(|mark| mark.sentence.as_str())
        .collect();
    assert_eq!(told.len(), 2, "{timeline:#?}");
    let no_change = "no change, because it is in one network group with the accepted network";
    assert!(
        told[0].starts_with("Used from 203.0.113.9") && told[0].contains(no_change),
        "{told:?}"
    );
    assert!(
        told[0].contains("(192.0.2.0/24, 203.0.113.9/32); the browser is the accepted one"),
        "{told:?}"
    );
    assert!(
        told[1].ends_with("within the accepted network and browser."),
        "{told:?}"
    );
    assert_eq!(times(&timeline, MarkKind::NetworkAccepted), [clock("11:00")]);
    let without = member(document(&[]), moves);
    assert_eq!(times(&without, MarkKind::NetworkAccepted), [clock("09:00")]);
    ends(&without, "10:00", EndReason::NetworkAllowance, Scope::Everyone);
}

#[test]
fn permissive_records_another_network_once() {
    let timeline = member(
        document(&[
            ("session.session_validation_mode", "permissive"),
            ("auth.idle_session_timeout", "1h"),
        ]),
        |typed| {
            typed.active = texts(&["08:00-10:00"]);
            typed.moves = texts(&["09:00=203.0.113.7"]);
        },
    );
    ends(&timeline, "11:00", EndReason::Idle, Scope::Everyone);
    assert_eq!(times(&timeline, MarkKind::NetworkRecorded), [clock("09:00")]);
}

#[test]
fn the_strictest_application_entered_ends_it_and_is_named() {
    let mut strict = document(&[("auth.idle_session_timeout", "1h")]);
    let wiki = Scope::Application("wiki".into());
    set(&mut strict, &wiki, &[("auth.idle_session_timeout", "10m")]);
    let timeline = member(strict.clone(), |typed| {
        typed.active = texts(&["08:00-09:00"]);
        typed.applications = texts(&["wiki@08:30"]);
    });
    ends(&timeline, "09:10", EndReason::Idle, wiki.clone());
    assert_eq!(times(&timeline, MarkKind::Entered), [clock("08:30")]);
    let other = timeline
        .others
        .iter()
        .find(|other| other.reason == EndReason::Idle)
        .unwrap();
    assert_eq!((other.at, &other.scope), (clock("10:00"), &Scope::Everyone));
    // Entered after a pause that its own rule does not allow: refused at the door.
    let late = member(strict, |typed| typed.applications = texts(&["wiki@08:20"]));
    ends(&late, "08:20", EndReason::Idle, wiki);
}

#[test]
fn entering_a_stricter_application_shortens_the_lease_from_then_on() {
    let mut strict = document(&[("auth.idle_session_timeout", "30m"), ("session.renewal_period", "2h")]);
    set(
        &mut strict,
        &Scope::Application("wiki".into()),
        &[("auth.idle_session_timeout", "20m")],
    );
    let timeline = member(strict, |typed| {
        typed.active = texts(&["08:00-12:00"]);
        typed.applications = texts(&["wiki@08:45"]);
    });
    ends(&timeline, "10:20", EndReason::Renewal, Scope::Everyone);
    let leases = ["08:30", "09:00", "09:20", "09:40", "10:00"].map(clock);
    assert_eq!(times(&timeline, MarkKind::LeaseRenewed), leases);
}

#[test]
fn an_account_that_expires_ends_its_session() {
    let mut scenario = scenario(Role::Member, |typed| typed.active = texts(&["08:00-12:00"]));
    scenario.expires_at = Some(clock("09:30"));
    let timeline = explain(&policy(document(&[])), &scenario);
    ends(&timeline, "09:30", EndReason::AccountExpired, Scope::Everyone);
    assert_eq!(timeline.latest, timeline.end);
}

#[test]
fn a_live_session_goes_on_from_its_own_facts() {
    let mut scenario = scenario(Role::Member, |_| {});
    scenario.begin = clock("09:00");
    scenario.life.last_active_at = clock("08:50");
    let timeline = explain(&policy(ibm()), &scenario);
    ends(&timeline, "09:20", EndReason::Idle, Scope::Everyone);
    let latest = timeline.latest.as_ref().unwrap();
    assert_eq!((latest.at, latest.reason), (clock("10:30"), EndReason::Renewal));
    assert_eq!(times(&timeline, MarkKind::Now), [clock("09:00")]);
    assert_eq!(times(&timeline, MarkKind::LeaseRenewed), [clock("09:00")]);
    assert_eq!(timeline.segments[0].from, clock("09:00"));
}

#[test]
fn ten_years_of_a_request_each_minute_take_no_time() {
    let ten_years = document(&[("auth.idle_session_timeout", "30m"), ("session.ttl", "520 weeks")]);
    let timeline = member(ten_years, |typed| {
        typed.active = texts(&["08:00-2036-12-31 00:00"]);
        typed.window = "2036-12-31 00:00".into();
    });
    let end = end(&timeline);
    assert_eq!(end.reason, EndReason::Ttl);
    assert_eq!(end.at.since(clock("08:00")), Span::from_secs(520 * 7 * 86_400));
}

#[test]
fn an_overlong_simulation_says_how_far_it_was_followed() {
    let busy = document(&[("auth.idle_session_timeout", "2s"), ("session.ttl", "520 weeks")]);
    let timeline = member(busy, |typed| {
        typed.active = texts(&["08:00-2036-12-31 00:00"]);
        typed.every = "1s".into();
    });
    assert_eq!(timeline.end, None);
    assert!(timeline.followed_until.unwrap() > clock("20:00"));
}

#[test]
fn every_value_says_where_it_comes_from() {
    let mut document = document(&[
        ("session.session_validation_mode", "strict"),
        ("auth.idle_session_timeout", "1h"),
        ("session.ttl", "1 day"),
    ]);
    set(&mut document, &Scope::Administrators, &[("session.ttl", "8h")]);
    set(
        &mut document,
        &Scope::Application("wiki".into()),
        &[("auth.idle_session_timeout", "10m"), ("session.ttl", "2 days")],
    );
    let pins = Pins::from([(Key::SessionSecure, Value::Flag(true))]);
    let policy = Policy::new(1, document, pins, false);
    let rows = provenance(&policy, Role::Administrator, &texts(&["wiki", "other"]));
    let of = |key: Key| rows.iter().filter(|row| row.key == key).collect::<Vec<_>>();
    assert!(Key::ALL.iter().all(|key| !of(*key).is_empty()));
    assert_eq!(of(Key::SessionHttpOnly)[0].source, Source::Default);
    assert_eq!(of(Key::SessionSecure)[0].source, Source::Pinned);
    assert_eq!(
        of(Key::SessionSessionIpSubnetBits)[0].source,
        Source::Mode("strict".into())
    );
    let wiki = Scope::Application("wiki".into());
    let [own, entered] = of(Key::SessionTtl)[..] else {
        panic!("{rows:#?}")
    };
    assert_eq!(
        (&own.source, own.set_here, own.binds),
        (&Source::SetIn(Scope::Administrators), true, true)
    );
    assert_eq!(
        (&entered.source, &entered.scope, entered.binds),
        (&Source::SetIn(wiki.clone()), &wiki, false)
    );
    let idle = of(Key::AuthIdleSessionTimeout);
    assert_eq!(
        (&idle[0].source, &idle[0].scope),
        (&Source::SetIn(Scope::Everyone), &Scope::Administrators)
    );
    assert_eq!((idle.len(), idle[0].binds, idle[1].binds), (2, false, true));
}

#[test]
fn a_pattern_is_read_as_people_write_it() {
    let (at, pattern) = ScenarioInput {
        signed_in: "8:00".into(),
        applications: read_entries("wiki, mail@09:15"),
        active: read_entries("08:00-10:30, 11:00–12:00\n23:30-01:00, 2026-11-23 08:00-2026-11-23 09:00"),
        every: "90s".into(),
        doing: "input".into(),
        pauses: read_entries("09:00-09:40"),
        window: "18:00".into(),
        ip: "2001:db8::1".into(),
        moves: read_lines(&format!("09:00=203.0.113.7\n09:20={CHROME}")),
        ..ScenarioInput::default()
    }
    .sign_in(clock("15:00"))
    .unwrap();
    assert_eq!(at, clock("08:00"));
    assert_eq!(
        pattern.entering.iter().map(|entering| entering.at).collect::<Vec<_>>(),
        [clock("08:00"), clock("09:15")]
    );
    assert_eq!(pattern.activity.len(), 4);
    assert_eq!(
        (pattern.activity[1].from, pattern.activity[1].until),
        (clock("11:00"), clock("12:00"))
    );
    assert_eq!(
        pattern.activity[2].until.since(pattern.activity[2].from),
        Span::from_secs(5_400)
    );
    assert_eq!(
        (pattern.activity[3].every, pattern.manner),
        (Span::from_secs(90), ActivityKind::Input)
    );
    assert_eq!(pattern.moves[1].to, ClientChange::UserAgent(CHROME.into()));
    assert_eq!(pattern.window_until, Some(clock("18:00")));
    // A time of day that is over is tomorrow's.
    let early = ScenarioInput {
        signed_in: "22:00".into(),
        window: "01:00".into(),
        ..ScenarioInput::default()
    };
    let window = early.sign_in(day()).unwrap().1.window_until.unwrap();
    assert_eq!(window.since(clock("22:00")), Span::from_secs(3 * 3_600));
    let dated = ScenarioInput {
        signed_in: "2020-01-01 08:00".into(),
        ..ScenarioInput::default()
    };
    assert_eq!(
        dated.sign_in(day()).unwrap().0,
        Timestamp::parse_rfc3339("2020-01-01T08:00:00Z").unwrap()
    );
}

#[test]
fn all_faults_of_a_pattern_are_listed_together() {
    let faults = ScenarioInput {
        signed_in: "soon".into(),
        applications: read_entries("a wiki"),
        active: read_entries("08:00-later"),
        every: "0".into(),
        doing: "dancing".into(),
        path: "ping".into(),
        pauses: read_entries("nine"),
        window: "25:00".into(),
        ip: "localhost".into(),
        moves: read_lines("09:00\n09:00="),
        ..ScenarioInput::default()
    }
    .sign_in(day())
    .unwrap_err();
    let fields: Vec<&str> = faults.iter().map(|(field, _)| *field).collect();
    assert_eq!(
        fields,
        [
            "signed_in",
            "ip",
            "every",
            "app",
            "active",
            "doing",
            "path",
            "pause",
            "window",
            "move",
            "move"
        ]
    );
    let before = ScenarioInput {
        signed_in: "08:00".into(),
        window: "2026-11-20 08:00".into(),
        ..ScenarioInput::default()
    };
    assert_eq!(before.sign_in(day()).unwrap_err()[0].0, "window");
}

/// Returns the end that judging every single request gives.
fn by_hand(policy: &Policy, scenario: &Scenario) -> Option<(Timestamp, EndReason)> {
    let pattern = &scenario.pattern;
    let mut life = scenario.life;
    let mut binding = scenario.binding.clone();
    let mut rules = policy.effective(scenario.role, &[], None);
    for (at, order, kind) in requests(scenario) {
        if let Some(end) = ends_at(&life, &rules).filter(|end| at > end.at) {
            return Some((end.at, end.reason));
        }
        // A scenario of here enters one application at most.
        if let (0, Some(entering)) = (order, pattern.entering.first()) {
            let entered = [entering.application.clone()];
            rules = policy.effective(scenario.role, &entered, Some(&entering.application));
        }
        let mut place = (pattern.client.ip, pattern.client.user_agent.as_deref());
        let mut moves: Vec<_> = pattern.moves.iter().filter(|to| to.at <= at).collect();
        moves.sort_by_key(|to| to.at);
        for to in moves {
            match &to.to {
                ClientChange::Ip(ip) => place.0 = *ip,
                ClientChange::UserAgent(agent) => place.1 = Some(agent),
            }
        }
        let session = SessionFacts {
            ended: None,
            account: AccountState::Enabled,
            must_change_password: false,
            proofs: Proofs::NONE,
            factors: EnrolledFactors::NONE,
            grace_from: None,
            life,
            binding: &binding,
            token: TokenFacts::Current,
            device: DeviceEvidence::Unbound { registrable_until: at },
        };
        let request = RequestFacts {
            ip: place.0,
            user_agent: place.1,
            kind,
        };
        match judge(&session, &request, &rules, at) {
            SessionVerdict::Live(live) | SessionVerdict::Duty { live, .. } => {
                if live.touch {
                    life.last_active_at = at;
                }
                if live.seen {
                    life.last_seen_at = at;
                }
                binding = live.rebind.unwrap_or(binding);
            }
            SessionVerdict::Ended { reason } => return Some((at, reason)),
        }
    }
    ends_at(&life, &rules).map(|end| (end.at, end.reason))
}

/// Returns every request of a scenario in order.
fn requests(scenario: &Scenario) -> Vec<(Timestamp, usize, RequestKind<'_>)> {
    let pattern = &scenario.pattern;
    let navigation = RequestKind {
        path: "/",
        navigation: true,
        ..RequestKind::default()
    };
    let mut all: Vec<_> = pattern
        .entering
        .iter()
        .map(|entering| (entering.at, 0, navigation))
        .collect();
    let active = RequestKind {
        path: &pattern.path,
        navigation: pattern.manner == ActivityKind::Pages,
        interaction: pattern.manner == ActivityKind::Input,
        background: pattern.manner == ActivityKind::Background,
        ..RequestKind::default()
    };
    let mut add = |from: Timestamp, until: Timestamp, every: Span, order, kind| {
        let mut at = from;
        while at <= until {
            all.push((at, order, kind));
            at = at.saturating_add(every);
        }
    };
    for Activity { from, until, every } in &pattern.activity {
        add(*from, *until, *every, 1, active);
    }
    if let Some(until) = pattern.window_until {
        let beat = RequestKind {
            path: "/",
            heartbeat: true,
            ..RequestKind::default()
        };
        add(scenario.begin, until, HEARTBEAT, 2, beat);
    }
    all.sort_by_key(|(at, order, _)| (*at, *order));
    all
}

fn lifetimes() -> impl Strategy<Value = PolicyDocument> {
    let seconds = || prop_oneof![Just(-1_i64), Just(0), 1..200_i64, 200..20_000_i64];
    let everyone = (
        seconds(),
        seconds(),
        1..20_000_i64,
        1..300_i64,
        -1..3_i64,
        0..900_i64,
        select(vec!["strict", "moderate", "permissive", "off"]),
        select(vec!["every_request", "navigation", "interaction"]),
    );
    (everyone, option::of(seconds()), option::of(1..9_000_i64)).prop_map(|(everyone, wiki_idle, wiki_ttl)| {
        let (idle, renewal, ttl, close, changes, grace, mode, counts) = everyone;
        let mut document = document(&[("session.session_validation_mode", mode), ("activity.counts", counts)]);
        let number = |key, number| (key, Value::Number(number));
        for (key, value) in [
            number(Key::AuthIdleSessionTimeout, idle),
            number(Key::SessionRenewalPeriod, renewal),
            number(Key::SessionTtl, ttl),
            number(Key::SessionWindowCloseGrace, close),
            number(Key::SessionSessionAllowIpChanges, changes),
            number(Key::SessionSessionIpChangeGracePeriod, grace),
        ] {
            document.set(&Scope::Everyone, key, value);
        }
        let wiki = Scope::Application("wiki".into());
        if let Some(idle) = wiki_idle {
            document.set(&wiki, Key::AuthIdleSessionTimeout, Value::Number(idle));
        }
        if let Some(ttl) = wiki_ttl {
            document.set(&wiki, Key::SessionTtl, Value::Number(ttl));
        }
        document
    })
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let offset = || 0..15_000_i64;
    let spans = vec((offset(), 0..4_000_i64, 1..900_i64), 0..4);
    let moves = vec(
        (
            offset(),
            select(vec!["198.51.100.99", "203.0.113.7", "2001:db8::7", CHROME]),
        ),
        0..4,
    );
    let manner = select(ActivityKind::ALL.iter().map(|(manner, ..)| *manner).collect::<Vec<_>>());
    (spans, moves, option::of(offset()), option::of(offset()), manner).prop_map(
        |(spans, moves, wiki, window, manner)| {
            let begin = clock("08:00");
            let after = |secs| begin.saturating_add(Span::from_secs(secs));
            let mut scenario = scenario(Role::Member, |typed| {
                typed.moves = moves
                    .iter()
                    .map(|(at, to)| format!("{}={to}", after(*at).to_rfc3339()))
                    .collect();
                typed.applications = wiki
                    .iter()
                    .map(|at| format!("wiki@{}", after(*at).to_rfc3339()))
                    .collect();
            });
            scenario.pattern.manner = manner;
            scenario.pattern.window_until = window.map(after);
            scenario.pattern.activity = spans
                .into_iter()
                .map(|(from, length, every)| Activity {
                    from: after(from),
                    until: after(from + length),
                    every: Span::from_secs(every),
                })
                .collect();
            scenario
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_timeline_says_what_judging_request_by_request_says(document in lifetimes(), scenario in scenarios()) {
        let policy = policy(document);
        let timeline = explain(&policy, &scenario);
        let end = timeline.end.as_ref().map(|end| (end.at, end.reason));
        prop_assert_eq!(end, by_hand(&policy, &scenario));
    }

    #[test]
    fn segments_leave_no_gap_and_marks_come_in_order(document in lifetimes(), scenario in scenarios()) {
        let timeline = explain(&policy(document), &scenario);
        let end = timeline.end.as_ref().unwrap().at;
        let mut from = timeline.begin;
        for segment in &timeline.segments {
            prop_assert!(segment.from == from && segment.until > from, "{:#?}", timeline);
            from = segment.until;
        }
        prop_assert_eq!(from, end.max(timeline.begin));
        prop_assert!(timeline.marks.is_sorted_by_key(|mark| mark.at));
        let late = timeline.marks.iter().filter(|mark| mark.kind != MarkKind::Refused).find(|mark| mark.at > end);
        prop_assert_eq!(late, None);
    }
}

#[test]
fn life_facts_of_a_sign_in_are_all_its_instant() {
    let scenario = scenario(Role::Member, |_| {});
    let at = clock("08:00");
    let life = LifeFacts {
        signed_in_at: at,
        last_active_at: at,
        last_seen_at: at,
    };
    assert_eq!(scenario.life, life);
    assert_eq!(
        scenario.binding,
        Binding::at_sign_in(
            "198.51.100.10".parse().unwrap(),
            scenario.pattern.client.user_agent.as_deref()
        )
    );
}

/// Returns a session that began at 08:00, was last active at 08:10 and ended for `reason`.
fn past(policy: &Policy, reason: EndReason, ended_at: Timestamp) -> PastSession {
    let life = LifeFacts {
        signed_in_at: clock("08:00"),
        last_active_at: clock("08:10"),
        last_seen_at: clock("08:10"),
    };
    let client = ScenarioClient {
        ip: [192, 0, 2, 1].into(),
        user_agent: None,
    };
    PastSession {
        role: Role::Member,
        life,
        binding: Binding::at_sign_in(client.ip, None),
        entered: Vec::new(),
        client,
        ended_at,
        reason,
        cause: EndCause::new(reason, &life, Role::Member, &[], policy),
        sentence: "It ended.".to_owned(),
    }
}

#[test]
fn a_session_that_ended_is_drawn_as_it_was() {
    let policy = policy(document(&[
        ("auth.idle_session_timeout", "30m"),
        ("session.ttl", "12h"),
    ]));
    let idle = explain_past(&policy, &past(&policy, EndReason::Idle, clock("08:40")));
    ends(&idle, "08:40", EndReason::Idle, Scope::Everyone);
    assert_eq!((idle.begin, idle.segments.len()), (clock("08:00"), 2));
    assert!(idle.segments[0].active && !idle.segments[1].active);
    assert_eq!(idle.segments[1].until, clock("08:40"));
    assert!(
        idle.marks
            .iter()
            .any(|mark| mark.kind == MarkKind::LastActive && mark.at == clock("08:10"))
    );
    // An administrator ended it first: the rule is among those that would have ended it.
    let revoked = explain_past(&policy, &past(&policy, EndReason::Revoked, clock("08:20")));
    ends(&revoked, "08:20", EndReason::Revoked, Scope::Everyone);
    assert_eq!((end(&revoked).key, revoked.others[0].reason), (None, EndReason::Idle));
    assert_eq!(revoked.others[0].at, clock("08:40"));
    assert!(revoked.marks.iter().all(|mark| mark.at <= clock("08:20")));
}
