//! A preview agrees with the judgement, counts each session once, and states the impact in one
//! sentence.

use nightlatch_domain::{
    account::{AccountId, Role},
    factor::{EnrolledFactors, Proof, Proofs},
    password::ChangeFacts,
    policy::{Scope, effective::EffectivePolicy},
    session::*,
    simulate::preview::{
        Listing, MAX_LISTED, OpenSession, Preview, PreviewRuleCount, SoonerEndCounts, Viewer, unforeseen,
    },
    time::{Span, Timestamp},
};
use proptest::{collection::vec, prelude::*};
use std::net::IpAddr;
use uuid::Uuid;

use super::{
    FIREFOX, at, document, effective, policy,
    properties::{addresses, bindings, config, instants, lives, policies},
    set,
};

const NOW: i64 = 10_000;

/// A session last active `idle` seconds ago, seen at 198.51.100.7.
struct Facts {
    id: u128,
    name: &'static str,
    life: LifeFacts,
    binding: Binding,
    ip: IpAddr,
    set_by_other: bool,
    proofs: Proofs,
    factors: EnrolledFactors,
    ended: Option<EndReason>,
    state: AccountState,
    is_device_bound: bool,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn session(id: u128, name: &'static str, idle: i64) -> Facts {
    let active = at(NOW - idle);
    let life = LifeFacts {
        signed_in_at: at(0),
        last_active_at: active,
        last_seen_at: active,
    };
    Facts {
        id,
        name,
        life,
        binding: Binding::at_sign_in(ip("198.51.100.7"), Some(FIREFOX)),
        ip: ip("198.51.100.7"),
        set_by_other: false,
        proofs: Proofs::PASSWORD,
        factors: EnrolledFactors::NONE,
        ended: None,
        state: AccountState::Enabled,
        is_device_bound: false,
    }
}

impl Facts {
    fn standing(&self) -> OpenSession<'_> {
        OpenSession {
            id: SessionId(Uuid::from_u128(self.id)),
            account: AccountId(Uuid::from_u128(self.name.len() as u128)),
            name: self.name,
            role: Role::Member,
            state: self.state,
            password: ChangeFacts {
                changed_at: at(0),
                set_by_other: self.set_by_other,
                must_change: false,
            },
            proofs: self.proofs,
            factors: self.factors,
            grace_from: None,
            ip: self.ip,
            ended: self.ended,
            life: self.life,
            binding: &self.binding,
            is_device_bound: self.is_device_bound,
        }
    }
}

fn preview(
    sessions: &[Facts],
    today: &EffectivePolicy,
    draft: &EffectivePolicy,
    viewer: u128,
    listing: Listing,
) -> Preview {
    let asking = sessions.iter().find(|session| session.id == viewer);
    let viewer = Viewer {
        account: asking.map(|session| session.standing().account),
        session: asking.map(|session| session.standing().id),
    };
    let mut preview = Preview::new(at(NOW), viewer, listing);
    for session in sessions {
        preview.add(&session.standing(), today, draft);
    }
    preview
}

fn of(sessions: &[Facts], today: &[(&str, &str)], draft: &[(&str, &str)]) -> Preview {
    preview(sessions, &effective(today), &effective(draft), 0, Listing::default())
}

const IDLE: &str = "auth.idle_session_timeout";

#[test]
fn a_shorter_idle_time_ends_some_at_once_and_others_sooner() {
    let idle = [901, 900, 841, 840, 100, 0].into_iter();
    let sessions: Vec<Facts> = idle.zip(1..).map(|(idle, id)| session(id, "ada", idle)).collect();
    let preview = of(&sessions, &[(IDLE, "1h")], &[(IDLE, "15m")]);
    assert_eq!((preview.live, preview.ends_now, preview.at_next_request), (6, 1, 0));
    let sooner = SoonerEndCounts {
        minute: 3,
        hour: 2,
        day: 0,
        beyond: 0,
    };
    assert_eq!(
        (preview.sooner, preview.sooner.total(), preview.affected_total()),
        (sooner, 5, 6)
    );
    let rules: Vec<_> = preview.by_rule.iter().collect();
    assert_eq!(
        rules,
        [(
            &(EndReason::Idle, Scope::Everyone),
            &PreviewRuleCount { now: 1, sooner: 5 }
        )]
    );
    let due: Vec<_> = preview
        .affected()
        .map(|one| (one.now, one.draft.at.unwrap().since(at(NOW)).as_secs()))
        .collect();
    assert_eq!(
        due,
        [
            (true, -1),
            (false, 0),
            (false, 59),
            (false, 60),
            (false, 800),
            (false, 900)
        ]
    );
    assert_eq!(
        preview.affected().next().unwrap().today.as_ref().unwrap().at,
        Some(at(NOW - 901 + 3600))
    );
    assert_eq!(
        [preview.sentence()]
            .into_iter()
            .chain(preview.other_sentences())
            .collect::<Vec<_>>(),
        [
            "Ends 1 of 6 sessions now.",
            "5 other sessions will end earlier than under the current policy without further activity: 3 within a minute, 2 within an hour.",
        ]
    );
}

#[test]
fn each_limit_is_tried_a_microsecond_before_at_and_after() {
    for (micros, now) in [(-1, 0), (0, 0), (1, 1)] {
        let mut one = session(1, "ada", 900);
        one.life.last_active_at = one.life.last_active_at.saturating_sub(Span::from_micros(micros));
        one.life.last_seen_at = one.life.last_active_at;
        assert_eq!(of(&[one], &[], &[(IDLE, "15m")]).ends_now, now, "{micros}");
    }
}

#[test]
fn the_sentence_tells_the_one_who_asks_what_becomes_of_them() {
    let sessions = || [session(1, "ada", 0), session(2, "ada", 5000), session(3, "grace", 0)];
    for (viewer, today, draft, expected) in [
        (0, "never", "1h", "Ends 1 of 3 sessions now."),
        (2, "never", "1h", "Ends 1 of 3 sessions now, including yours."),
        (
            1,
            "never",
            "4m",
            "Ends 1 of 3 sessions now, and yours in 4 minutes without activity.",
        ),
        (
            1,
            "never",
            "89",
            "Ends 1 of 3 sessions now, and yours in 1 minute without activity.",
        ),
        (
            1,
            "never",
            "119",
            "Ends 1 of 3 sessions now, and yours in 2 minutes without activity.",
        ),
        (
            1,
            "never",
            "3599",
            "Ends 1 of 3 sessions now, and yours in 1 hour without activity.",
        ),
        (
            1,
            "never",
            "2d",
            "Ends 0 of 3 sessions now, and yours in 2 days without activity.",
        ),
        (1, "1h", "1h", "Ends 0 of 2 sessions now."),
        (1, "1h", "2h", "Ends 0 of 2 sessions now."),
    ] {
        let (today, draft) = (effective(&[(IDLE, today)]), effective(&[(IDLE, draft)]));
        let said = preview(&sessions(), &today, &draft, viewer, Listing::default()).sentence();
        assert_eq!(said, expected, "{viewer}");
    }
    assert_eq!(of(&[], &[], &[]).sentence(), "No session is live now.");
    let lone = [session(1, "ada", 5000)];
    assert_eq!(of(&lone, &[], &[(IDLE, "1h")]).sentence(), "Ends 1 of 1 session now.");
    let ttl = preview(
        &sessions(),
        &effective(&[]),
        &effective(&[("session.ttl", "10001")]),
        1,
        Listing::default(),
    );
    assert_eq!(ttl.sentence(), "Ends 0 of 3 sessions now, and yours in 1 second.");
    let window = preview(
        &sessions(),
        &effective(&[]),
        &effective(&[(IDLE, "0")]),
        1,
        Listing::default(),
    );
    assert_eq!(
        window.sentence(),
        "Ends 1 of 3 sessions now, and yours in 3 minutes without an open window."
    );
}

#[test]
fn other_sessions_of_the_viewer_are_distinguished() {
    let sessions = [
        session(1, "ada", 0),
        session(2, "ada", 5000),
        session(3, "ada", 5000),
        session(4, "grace", 5000),
    ];
    let preview = preview(
        &sessions,
        &effective(&[]),
        &effective(&[(IDLE, "1h")]),
        1,
        Listing::default(),
    );
    assert_eq!((preview.ends_now, preview.own_others_now), (3, 2));
    assert!(
        preview
            .other_sentences()
            .contains(&"2 other sessions of yours end now.".to_owned())
    );
}

#[test]
fn a_looser_policy_ends_nothing_and_frees_some() {
    let sessions = [session(1, "ada", 100), session(2, "grace", 200)];
    let later = of(&sessions, &[(IDLE, "1h")], &[(IDLE, "2h")]);
    assert_eq!((later.affected_total(), later.later, later.freed), (0, 2, 0));
    assert_eq!(
        later.other_sentences(),
        ["2 sessions will end later than under the current policy."]
    );
    let other = of(&sessions, &[(IDLE, "1h")], &[]);
    assert_eq!(
        (other.later, other.affected().len()),
        (2, 0),
        "the absolute life is left"
    );
}

#[test]
fn sessions_that_have_ended_are_not_counted_as_live() {
    let over = session(1, "ada", 3601);
    let mut held = session(2, "ada", 0);
    held.ended = Some(EndReason::Revoked);
    let mut disabled = session(3, "ada", 0);
    disabled.state = AccountState::Disabled;
    let mut expired = session(4, "ada", 0);
    expired.state = AccountState::Expired;
    let preview = of(
        &[over, held, disabled, expired, session(5, "ada", 100)],
        &[(IDLE, "1h")],
        &[(IDLE, "50")],
    );
    assert_eq!((preview.live, preview.ends_now), (1, 1));
}

#[test]
fn a_stricter_network_ends_a_session_at_its_next_request_from_where_it_was_last_seen() {
    let mut moved = session(1, "ada", 10);
    moved.ip = ip("198.51.100.8");
    let sessions = [moved, session(2, "grace", 10)];
    let strict = [("session.session_validation_mode", "strict")];
    let preview = of(&sessions, &[], &strict);
    assert_eq!((preview.live, preview.ends_now, preview.at_next_request), (2, 1, 1));
    let affected = preview.affected().next().unwrap();
    assert_eq!(
        (affected.draft.reason, affected.draft.at, affected.now),
        (EndReason::Network, None, true)
    );
    assert_eq!(
        preview.other_sentences()[0],
        "It ends at its next request from where it was last seen."
    );
    // Refused now and accepted by the draft: it loses its end. Refused by both: nothing changes.
    let freed = of(&sessions, &strict, &[]);
    assert_eq!((freed.live, freed.affected_total(), freed.freed), (2, 0, 1));
    assert_eq!(
        freed.other_sentences(),
        ["1 session no longer ends as under the current policy."]
    );
    let same = of(&sessions, &strict, &strict);
    assert_eq!((same.live, same.affected_total(), same.freed), (2, 0, 0));
    assert_eq!(unforeseen(&effective(&[]), &effective(&strict)).len(), 2);
    assert!(unforeseen(&effective(&strict), &effective(&[])).is_empty());
    let office = [("session.network_groups", "10.0.0.0/8, 192.0.2.1")];
    assert_eq!(
        unforeseen(&effective(&office), &effective(&[])).len(),
        1,
        "a group less"
    );
    assert!(unforeseen(&effective(&[]), &effective(&office)).is_empty());
    let limit = effective(&[("session.concurrent_user_session_limit", "1")]);
    assert_eq!(unforeseen(&effective(&[]), &limit).len(), 1);
}

#[test]
fn a_new_duty_to_change_the_password_is_counted_and_ends_nothing() {
    let mut theirs = session(1, "ada", 10);
    theirs.set_by_other = true;
    let preview = of(
        &[theirs, session(2, "grace", 10)],
        &[],
        &[("auth.change_default_password", "true")],
    );
    assert_eq!((preview.affected_total(), preview.duties), (0, 1));
    assert_eq!(
        preview.other_sentences(),
        ["The account of 1 session must change the password before anything else."]
    );
}

#[test]
fn new_duties_about_second_factors_are_counted_and_end_nothing() {
    let with_app = EnrolledFactors {
        authenticator_app: true,
        ..EnrolledFactors::NONE
    };
    let sessions = [
        session(1, "ada", 10),
        Facts {
            factors: with_app,
            ..session(2, "grace", 10)
        },
        Facts {
            factors: with_app,
            proofs: Proofs::PASSWORD.with(Proof::Totp),
            ..session(3, "linus", 10)
        },
    ];
    let any = [("factor.required", "any")];
    let preview = of(&sessions, &[], &any);
    assert_eq!(
        (preview.affected_total(), preview.must_enrol, preview.must_prove),
        (0, 1, 1)
    );
    assert_eq!(
        preview.other_sentences(),
        [
            "1 session must prove a second factor before anything else.",
            "The account of 1 session must enrol a second factor before anything else."
        ]
    );
    let unchanged = of(&sessions, &any, &any);
    assert_eq!((unchanged.must_enrol, unchanged.must_prove), (0, 0));
    let stricter = of(&sessions, &any, &[("factor.required", "passkey")]);
    assert_eq!(
        (stricter.must_enrol, stricter.must_prove),
        (1, 0),
        "linus alone has more to do"
    );
    let with_grace = [("factor.required", "any"), ("factor.enrolment_grace", "1 day")];
    assert_eq!(of(&sessions, &[], &with_grace).must_enrol, 0);
}

#[test]
fn requirements_of_an_application_count_for_sessions_that_entered_it() {
    let mut draft = document(&[]);
    set(
        &mut draft,
        &Scope::Application("wiki".into()),
        &[("factor.required", "any")],
    );
    let draft = policy(draft);
    let entered = draft.effective(Role::Member, &["wiki".into()], None);
    let elsewhere = draft.effective(Role::Member, &["shop".into()], None);
    let sessions = [session(1, "ada", 10)];
    for (draft, enrol) in [(entered, 1), (elsewhere, 0)] {
        let preview = preview(&sessions, &effective(&[]), &draft, 0, Listing::default());
        assert_eq!(preview.must_enrol, enrol);
    }
}

#[test]
fn rules_are_counted_by_the_scope_that_sets_them() {
    let mut draft = document(&[(IDLE, "1h")]);
    set(&mut draft, &Scope::Administrators, &[(IDLE, "15m")]);
    set(&mut draft, &Scope::Application("wiki".into()), &[("session.ttl", "1h")]);
    let draft = policy(draft);
    let today = effective(&[]);
    let mut preview = Preview::new(at(NOW), Viewer::default(), Listing::default());
    let one = session(1, "ada", 1000);
    let admin = OpenSession {
        role: Role::Administrator,
        ..one.standing()
    };
    preview.add(&admin, &today, &draft.effective(Role::Administrator, &[], None));
    preview.add(
        &session(2, "grace", 5000).standing(),
        &today,
        &draft.effective(Role::Member, &[], None),
    );
    preview.add(
        &session(3, "alan", 10).standing(),
        &today,
        &draft.effective(Role::Member, &["wiki".into()], None),
    );
    let now = PreviewRuleCount { now: 1, sooner: 0 };
    assert_eq!(
        preview.by_rule.into_iter().collect::<Vec<_>>(),
        [
            ((EndReason::Ttl, Scope::Application("wiki".into())), now),
            ((EndReason::Idle, Scope::Everyone), now),
            ((EndReason::Idle, Scope::Administrators), now),
        ]
    );
}

#[test]
fn the_list_keeps_the_first_fifty_and_can_be_narrowed() {
    let sessions: Vec<Facts> = (0..120)
        .map(|n| session(200 - n, if n % 2 == 0 { "Ada" } else { "grace" }, 4000 + n as i64 % 60))
        .collect();
    let asked = |text: Option<&str>, rule| {
        let listing = Listing {
            text: text.map(str::to_owned),
            rule,
        };
        preview(&sessions, &effective(&[]), &effective(&[(IDLE, "1h")]), 0, listing)
    };
    let all = asked(None, None);
    assert_eq!(
        (all.ends_now, all.matching, all.affected().len()),
        (120, 120, MAX_LISTED)
    );
    let shown: Vec<_> = all.affected().map(|one| (one.draft.at, one.id)).collect();
    assert!(shown.is_sorted(), "soonest first, then by id");
    let worst = all.affected().last().unwrap().draft.at.unwrap();
    assert_eq!(
        worst,
        at(NOW - 4035 + 3600),
        "two each of the 25 that were idle longest"
    );
    for (text, rule, matching) in [
        (Some("AD"), None, 60),
        (Some("  "), None, 120),
        (Some("198.51.0.0/16"), None, 120),
        (Some("198.51.100.7"), None, 120),
        (Some("203.0.113.0/24"), None, 0),
        (Some("nobody"), None, 0),
        (None, Some(EndReason::Idle), 120),
        (Some("grace"), Some(EndReason::Ttl), 0),
    ] {
        let narrowed = asked(text, rule);
        assert_eq!(
            (narrowed.ends_now, narrowed.matching),
            (120, matching),
            "{text:?} {rule:?}"
        );
        assert_eq!(narrowed.affected().len(), MAX_LISTED.min(matching as usize));
    }
    assert_eq!(all.rules(), [EndReason::Idle]);
}

#[test]
fn the_json_says_what_the_preview_counts() {
    let sessions = [session(1, "ada", 4000), session(2, "grace", 100)];
    let json = of(&sessions, &[], &[(IDLE, "1h")]).to_json();
    assert_eq!(json["sentence"], "Ends 1 of 2 sessions now.");
    assert_eq!(
        (&json["live"], &json["ends_now"], &json["sooner"]["within_an_hour"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!(
        json["rules"],
        serde_json::json!([{ "rule": "idle", "scope": "everyone", "now": 1, "sooner": 1 }])
    );
    let first = &json["affected"][0];
    assert_eq!(first["account"], "ada");
    assert_eq!(first["ends"], at(NOW - 400).to_rfc3339());
    assert_eq!(
        (&first["ends_by"], &first["ends_today_by"], &first["now"]),
        (&"idle".into(), &"ttl".into(), &true.into())
    );
}

fn standings() -> impl Strategy<Value = Vec<(LifeFacts, Binding, IpAddr, bool)>> {
    vec((lives(), bindings(), addresses(), any::<bool>()), 0..12)
}

fn facts(life: &LifeFacts, binding: &Binding, ip: IpAddr, set_by_other: bool, id: usize) -> Facts {
    Facts {
        life: *life,
        binding: binding.clone(),
        ip,
        set_by_other,
        ..session(id as u128 + 1, "ada", 0)
    }
}

/// Whether a request from where the session was last seen is let in.
fn lets_in(session: &Facts, policy: &EffectivePolicy, now: Timestamp) -> bool {
    let facts = SessionFacts {
        ended: None,
        account: AccountState::Enabled,
        must_change_password: false,
        proofs: session.proofs,
        factors: session.factors,
        grace_from: None,
        life: session.life,
        binding: &session.binding,
        token: TokenFacts::Current,
        device: DeviceEvidence::Unbound {
            registrable_until: now.saturating_sub(Span::from_micros(1)),
        },
    };
    let request = RequestFacts {
        ip: session.ip,
        user_agent: session.binding.user_agent.as_deref(),
        kind: Default::default(),
    };
    !matches!(judge(&facts, &request, policy, now), SessionVerdict::Ended { .. })
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn exactly_those_end_that_the_judgement_ends(today in policies(), draft in policies(), standings in standings(), now in instants()) {
        let mut preview = Preview::new(now, Viewer::default(), Listing::default()).keeping(usize::MAX);
        let (mut live, mut ended) = (0, Vec::new());
        for (place, (life, binding, ip, other)) in standings.iter().enumerate() {
            let session = facts(life, binding, *ip, *other, place);
            preview.add(&session.standing(), &today, &draft);
            let over = |policy| ends_at(life, policy).is_some_and(|end| now > end.at);
            if over(&today) {
                continue;
            }
            live += 1;
            if !lets_in(&session, &draft, now) && (lets_in(&session, &today, now) || over(&draft)) {
                ended.push(session.standing().id);
            }
        }
        prop_assert_eq!(preview.live, live);
        let mut told: Vec<SessionId> = preview.affected().filter(|one| one.now).map(|one| one.id).collect();
        told.sort();
        prop_assert_eq!(told, ended);
        prop_assert_eq!(preview.ends_now, preview.by_rule.values().map(|count| count.now).sum::<u64>());
        prop_assert_eq!(preview.sooner.total(), preview.by_rule.values().map(|count| count.sooner).sum::<u64>());
        prop_assert!(preview.affected_total() + preview.later + preview.freed <= preview.live);
        prop_assert_eq!(preview.affected().len() as u64, preview.affected_total());
        for one in preview.affected() {
            let draft = one.draft.at.unwrap_or(now);
            prop_assert!(one.today.as_ref().and_then(|today| today.at).is_none_or(|today| draft < today || one.draft.at.is_none()));
        }
    }

    #[test]
    fn the_policy_in_force_changes_nothing(today in policies(), standings in standings(), now in instants()) {
        let mut preview = Preview::new(now, Viewer::default(), Listing::default());
        for (place, (life, binding, ip, other)) in standings.iter().enumerate() {
            preview.add(&facts(life, binding, *ip, *other, place).standing(), &today, &today);
        }
        prop_assert_eq!((preview.affected_total(), preview.later, preview.freed, preview.duties), (0, 0, 0, 0));
    }
}
