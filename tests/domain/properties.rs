//! Properties of any policy within bounds, any facts, and any order of clocks.

use nightlatch_domain::{
    account::{self, Role},
    activity::RequestKind,
    agent, duration,
    expiry::{self, ExpiryFacts},
    factor::{EnrolledFactors, FactorRequirement, Proof, Proofs},
    lockout::{Counter, CounterKind, LockDuration, ReserveVerdict, limit},
    network,
    origin::ReturnTo,
    password::{NewPasswordFacts, PasswordFault, Reuse, decide},
    policy::{
        Key, Pins, PolicyDocument, Scope, Value,
        catalogue::Kind,
        diff::{Change, diff},
        effective::{DeviceBinding, EffectivePolicy, Glob, LockoutPolicy, Pattern, Policy},
        interchange::{self, PolicyFormat},
        toml,
    },
    session::{
        AccountState, Binding, DeviceEvidence, DeviceFault, Duty, EndReason, LifeFacts, LiveEffect, RequestFacts,
        SessionFacts, SessionVerdict, TokenFacts, ends_at, judge, warn_before,
    },
    time::{Span, Timestamp},
};
use std::net::IpAddr;

use proptest::{collection::vec, option, prelude::*, sample::select};
use url::Url;
use uuid::Uuid;

use super::{CHROME, FIREFOX, FIREFOX_UPDATED, MICRO, at};

pub(super) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Any value that a setting accepts, the edges of its bounds often.
fn value(key: Key) -> BoxedStrategy<Value> {
    let numbers = |min: i64, max: i64| {
        prop_oneof![
            Just(min),
            Just(max),
            min..=max,
            min..=max.min(min.saturating_add(4_000))
        ]
        .prop_map(Value::Number)
    };
    let texts = |words: &[&str]| {
        select(
            words
                .iter()
                .map(|word| Value::Text((*word).to_owned()))
                .collect::<Vec<_>>(),
        )
    };
    match key.setting().kind {
        Kind::Duration { min, never: false } => numbers(min, duration::MAX_SECS).boxed(),
        Kind::Duration { min, never: true } => {
            prop_oneof![Just(Value::Number(-1)), numbers(min, duration::MAX_SECS)].boxed()
        }
        Kind::Flag => any::<bool>().prop_map(Value::Flag).boxed(),
        Kind::FlagOrDuration => {
            prop_oneof![any::<bool>().prop_map(Value::Flag), numbers(0, duration::MAX_SECS)].boxed()
        }
        Kind::Number { min, max } => numbers(min, max).boxed(),
        Kind::Count { max } => numbers(-1, max).boxed(),
        Kind::Choice(words) => texts(words).boxed(),
        Kind::NumberChoice(choices) => select(choices).prop_map(Value::Number).boxed(),
        Kind::Text { regex: true } => texts(&["", "^(?=.*[A-Z]).{8,}$", r#"\d"q""#, "'", "a|b"]).boxed(),
        Kind::Text { regex: false } => r#"[ -~äß“”\u{1F98A}]{0,30}"#.prop_map(Value::Text).boxed(),
        Kind::Globs => vec(r"[/*][a-z*?/.#'()+-]{0,12}", 0..4).prop_map(Value::List).boxed(),
        Kind::Cidrs => vec(select(vec!["10.0.0.0/8", "2001:db8::/32", "203.0.113.9"]), 0..4)
            .prop_map(|items| Value::List(items.into_iter().map(str::to_owned).collect()))
            .boxed(),
        Kind::NetworkGroups => {
            let lines = ["10.0.0.0/8, 203.0.113.9", "192.0.2.0/24", "2001:db8::/32,198.51.100.7"];
            prop::sample::subsequence(lines.to_vec(), 0..=3)
                .prop_map(|lines| Value::List(lines.into_iter().map(str::to_owned).collect()))
                .boxed()
        }
    }
}

fn setting() -> impl Strategy<Value = (Key, Value)> {
    select(Key::ALL).prop_flat_map(|key| (Just(key), value(key)))
}

/// Any document without faults of its own settings; scopes that a key does not allow are left out.
pub(super) fn documents() -> impl Strategy<Value = PolicyDocument> {
    let scope = select(vec![
        Scope::Everyone,
        Scope::Everyone,
        Scope::Administrators,
        Scope::Application("wiki".into()),
        Scope::Application("größe.x".into()),
    ]);
    vec((scope, setting()), 0..30).prop_map(|settings| {
        let mut document = PolicyDocument::default();
        for (scope, (key, value)) in settings {
            if key.setting().allowed_in(&scope) {
                document.set(&scope, key, value);
            }
        }
        document
    })
}

/// Text of what the files of other products are made of.
fn foreign() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    let pieces = [
        "[", "]", "[[", "]]", "[desktop]", "[[session]]", "[useradmin]", "[[password_policy]]", "ttl", "pwd_regex",
        "is_enabled", "=", ":", ": ", "-", "- ", "?", "? ", "{", "}", ",", "\"", "'", "\"\"\"", "'''", "#", " #", "\n",
        "\n  ", "\n    ", "\r\n", "\t", " ", "|", "|-", ">", ">2", "&a", "*a", "!!int", "!", "%", "%YAML 1.2", "---",
        "...", "<<", "~", "null", "\\", "\\u0041", "0", "1", "-1", "0.1", "9e9", "99999999999999999999", "true",
        "None", "data:", "items:", "TOKEN_EXPIRY_TIME", "/", "/root", "/cms", "hippo:frontend",
        "max.inactive.interval.minutes", "value", "é", "\u{2028}", "\u{feff}", "\u{0}", "%(a)s", "everyone", "app.",
    ];
    vec(select(pieces.to_vec()), 0..40).prop_map(|pieces| pieces.concat())
}

pub(super) fn policies() -> impl Strategy<Value = EffectivePolicy> {
    let entered = prop::sample::subsequence(vec!["wiki".to_owned(), "größe.x".to_owned(), "other".to_owned()], 0..=3);
    (
        documents(),
        select(Role::ALL),
        entered,
        any::<bool>(),
        option::of(setting()),
    )
        .prop_map(|(document, role, entered, dev, pin)| {
            let pins: Pins = pin.into_iter().collect();
            Policy::new(1, document, pins, dev).effective(role, &entered, entered.first().map(String::as_str))
        })
}

/// Near each other, years apart, or at the ends of time.
pub(super) fn instants() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (-100_000_000_i64..100_000_000).prop_map(|micros| at(0).saturating_add(Span::from_micros(micros))),
        4 => (-700_000_000_i64..700_000_000).prop_map(at),
        1 => Just(Timestamp::from_micros(i64::MIN)),
        1 => Just(Timestamp::from_micros(i64::MAX)),
        1 => any::<i64>().prop_map(Timestamp::from_micros),
    ]
}

pub(super) fn lives() -> impl Strategy<Value = LifeFacts> {
    (instants(), instants(), instants()).prop_map(|(signed_in_at, last_active_at, last_seen_at)| LifeFacts {
        signed_in_at,
        last_active_at,
        last_seen_at,
    })
}

pub(super) fn addresses() -> impl Strategy<Value = IpAddr> {
    let near = [
        "198.51.100.7",
        "198.51.100.8",
        "198.51.7.8",
        "203.0.113.9",
        "::ffff:198.51.100.9",
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8:1::1",
    ];
    prop_oneof![3 => select(near.map(|ip| ip.parse::<IpAddr>().unwrap()).to_vec()), 1 => any::<IpAddr>()]
}

pub(super) fn agents() -> impl Strategy<Value = Option<String>> {
    let known = select(vec![FIREFOX, FIREFOX_UPDATED, CHROME, "acme 1", "", "-"]).prop_map(str::to_owned);
    option::weighted(0.9, prop_oneof![3 => known, 1 => any::<String>()])
}

pub(super) fn bindings() -> impl Strategy<Value = Binding> {
    (
        addresses(),
        option::of(addresses()),
        agents(),
        0_u32..4,
        option::of(instants()),
    )
        .prop_map(|(ip, other, agent, changes, first)| {
            let mut binding = Binding::at_sign_in(ip, agent.as_deref());
            match other.map(network::canonical) {
                Some(IpAddr::V4(ip)) => binding.accepted_v4 = Some(ip),
                Some(IpAddr::V6(ip)) => binding.accepted_v6 = Some(ip),
                None => {}
            }
            Binding {
                changes,
                first_change_at: first,
                ..binding
            }
        })
}

fn tokens() -> impl Strategy<Value = TokenFacts> {
    prop_oneof![
        Just(TokenFacts::Current),
        (instants(), addresses(), addresses()).prop_map(|(at, from, to)| TokenFacts::Rotated { at, from, to })
    ]
}

/// Kinds of request without its path.
fn kinds() -> impl Strategy<Value = RequestKind<'static>> {
    any::<[bool; 5]>().prop_map(|[navigation, background, interaction, heartbeat, check]| RequestKind {
        path: "/a/b",
        navigation,
        background,
        interaction,
        heartbeat,
        check,
    })
}

fn proofs() -> impl Strategy<Value = Proofs> {
    vec(select(Proof::ALL), 0..4).prop_map(|proofs| proofs.into_iter().collect())
}

fn enrolled() -> impl Strategy<Value = EnrolledFactors> {
    (any::<bool>(), 0..3_u32, 0..11_u32).prop_map(|(authenticator_app, passkeys, recovery_codes)| EnrolledFactors {
        authenticator_app,
        passkeys,
        recovery_codes,
    })
}

/// Returns the facts of an opened session that has not ended and has all proofs, used by its own
/// browser from its own network.
fn facts(life: LifeFacts, binding: &Binding, token: TokenFacts) -> SessionFacts<'_> {
    SessionFacts {
        ended: None,
        account: AccountState::Enabled,
        must_change_password: false,
        proofs: Proofs::NONE.with(Proof::PasskeyVerified),
        factors: EnrolledFactors::NONE,
        grace_from: None,
        life,
        binding,
        token,
        device: DeviceEvidence::Unbound {
            registrable_until: Timestamp::from_micros(i64::MAX),
        },
    }
}

fn own_request(binding: &Binding) -> RequestFacts<'_> {
    let ip = binding
        .accepted_v4
        .map(IpAddr::V4)
        .or(binding.accepted_v6.map(IpAddr::V6))
        .expect("bound to an address");
    RequestFacts {
        ip,
        user_agent: binding.user_agent.as_deref(),
        kind: RequestKind::default(),
    }
}

fn live(verdict: &SessionVerdict) -> Option<&LiveEffect> {
    match verdict {
        SessionVerdict::Live(live) | SessionVerdict::Duty { live, .. } => Some(live),
        SessionVerdict::Ended { .. } => None,
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn the_judgement_never_panics(
        policy in policies(), life in lives(), binding in bindings(), token in tokens(), ip in addresses(), agent in agents(),
        kind in kinds(), now in instants(), must_change in any::<bool>(),
    ) {
        let session = SessionFacts { must_change_password: must_change, ..facts(life, &binding, token) };
        let verdict = judge(&session, &RequestFacts { ip, user_agent: agent.as_deref(), kind }, &policy, now);
        prop_assert_eq!(matches!(verdict, SessionVerdict::Duty { .. }), must_change && live(&verdict).is_some());
        if let Some(live) = live(&verdict) {
            prop_assert!(live.rebind.is_some() || !live.rotate, "only a change rotates");
            prop_assert!(!live.touch || live.seen, "activity is a sign of life");
        }
        let _ = warn_before(&policy);
    }

    #[test]
    fn without_a_proof_a_bound_session_is_neither_used_nor_ended(
        policy in policies(), life in lives(), binding in bindings(), token in tokens(), ip in addresses(),
        agent in agents(), kind in kinds(), now in instants(), late in 1..1_000_000_i64,
    ) {
        prop_assume!(now.as_micros() > i64::MIN + late);
        let expired = DeviceEvidence::Bound { proved_until: Some(now.saturating_sub(Span::from_micros(late))) };
        let request = RequestFacts { ip, user_agent: agent.as_deref(), kind };
        let over = ends_at(&life, &policy).filter(|end| now > end.at);
        for device in [DeviceEvidence::Bound { proved_until: None }, expired] {
            let session = SessionFacts { device, ..facts(life, &binding, token) };
            let verdict = judge(&session, &request, &policy, now);
            let (what, live) = (Duty::DeviceProof(DeviceFault::Unproved), LiveEffect::default());
            match over {
                Some(end) => prop_assert_eq!(verdict, SessionVerdict::Ended { reason: end.reason }),
                None if policy.device.binding == DeviceBinding::Off => {}
                None => prop_assert_eq!(verdict, SessionVerdict::Duty { what, live }),
            }
        }
    }

    #[test]
    fn with_a_proof_only_time_and_a_replaced_id_end_a_session(
        policy in policies(), life in lives(), binding in bindings(), ip in addresses(), agent in agents(),
        kind in kinds(), now in instants(),
    ) {
        let device = DeviceEvidence::Bound { proved_until: Some(now) };
        let session = SessionFacts { device, ..facts(life, &binding, TokenFacts::Current) };
        let request = RequestFacts { ip, user_agent: agent.as_deref(), kind };
        let verdict = judge(&session, &request, &policy, now);
        let over = ends_at(&life, &policy).filter(|end| now > end.at);
        match (over, &verdict) {
            (Some(end), _) => prop_assert_eq!(verdict, SessionVerdict::Ended { reason: end.reason }),
            (None, SessionVerdict::Live(live)) if policy.device.binding != DeviceBinding::Off => {
                let moved = live.rebind.as_ref().unwrap_or(&binding);
                prop_assert_eq!((moved.changes, moved.first_change_at), (binding.changes, binding.first_change_at));
            }
            (None, SessionVerdict::Live(_)) => {}
            (None, _) => prop_assert_eq!(policy.device.binding, DeviceBinding::Off),
        }
    }

    #[test]
    fn an_end_by_a_lifetime_stays_one_without_activity(
        policy in policies(), life in lives(), binding in bindings(), now in instants(), later in instants(),
    ) {
        let session = facts(life, &binding, TokenFacts::Current);
        let request = own_request(&binding);
        let (now, later) = (now.min(later), now.max(later));
        if let SessionVerdict::Ended { reason } = judge(&session, &request, &policy, now) {
            prop_assert_eq!(judge(&session, &request, &policy, later), SessionVerdict::Ended { reason });
        }
    }

    #[test]
    fn ends_at_agrees_with_the_judgement(policy in policies(), life in lives(), binding in bindings()) {
        let session = facts(life, &binding, TokenFacts::Current);
        let request = own_request(&binding);
        let end = ends_at(&life, &policy).expect("every policy has an absolute lifetime");
        prop_assert!(policy.lifetimes.get(end.rule).is_some());
        prop_assert!(matches!(judge(&session, &request, &policy, end.at), SessionVerdict::Live(_)));
        let after = end.at.saturating_add(MICRO);
        if after > end.at {
            prop_assert_eq!(judge(&session, &request, &policy, after), SessionVerdict::Ended { reason: end.reason });
        }
    }

    #[test]
    fn one_more_rule_never_lengthens_a_session(mut policy in policies(), life in lives()) {
        // A smaller lease can fit the renewal period once more; the contract wants the smallest all
        // the same.
        policy.lifetimes[0].renewal = None;
        let whole = ends_at(&life, &policy).map(|end| end.at);
        let mut fewer = policy.clone();
        fewer.lifetimes.truncate(1);
        prop_assert!(whole <= ends_at(&life, &fewer).map(|end| end.at));
    }

    #[test]
    fn activity_never_shortens_a_session(policy in policies(), life in lives(), later in instants()) {
        let active = LifeFacts { last_active_at: life.last_active_at.max(later), last_seen_at: life.last_seen_at.max(later), ..life };
        prop_assert!(ends_at(&life, &policy).map(|end| end.at) <= ends_at(&active, &policy).map(|end| end.at));
    }

    #[test]
    fn nothing_that_an_attacker_adds_makes_a_decision_more_permissive(
        policy in policies(), life in lives(), binding in bindings(), now in instants(), ip in addresses(), agent in agents(), kind in kinds(),
    ) {
        let session = facts(life, &binding, TokenFacts::Current);
        let own = RequestFacts { kind, ..own_request(&binding) };
        let honest = judge(&session, &own, &policy, now);
        for forged in [
            RequestFacts { kind: RequestKind { background: true, ..kind }, ..own },
            RequestFacts { user_agent: agent.as_deref(), ..own },
            RequestFacts { ip, ..own },
            RequestFacts { ip, user_agent: agent.as_deref(), kind: RequestKind { background: true, ..kind } },
        ] {
            let verdict = judge(&session, &forged, &policy, now);
            if let Some(forged) = live(&verdict) {
                let honest = live(&honest).expect("a forged request lives where the honest one does not");
                prop_assert!(honest.touch || !forged.touch);
            }
        }
    }

    #[test]
    fn a_replaced_id_is_worth_no_more_than_the_one_that_replaced_it(
        policy in policies(), life in lives(), binding in bindings(), token in tokens(), now in instants(),
    ) {
        let request = own_request(&binding);
        let current = judge(&facts(life, &binding, TokenFacts::Current), &request, &policy, now);
        let replaced = judge(&facts(life, &binding, token), &request, &policy, now);
        prop_assert!(live(&replaced).is_none() || live(&current).is_some());
        if let TokenFacts::Rotated { at, .. } = token && now > at.saturating_add(Span::from_secs(10)) {
            prop_assert!(live(&replaced).is_none());
        }
    }

    #[test]
    fn changes_of_network_are_counted_and_bounded(
        policy in policies(), binding in bindings(), path in vec((addresses(), 0_i64..400_000_000), 0..12),
    ) {
        let mut binding = Binding { changes: 0, first_change_at: None, ..binding };
        let mut now = at(0);
        let life = LifeFacts { signed_in_at: now, last_active_at: now, last_seen_at: now };
        for (ip, later) in path {
            now = now.saturating_add(Span::from_micros(later));
            let request = RequestFacts { ip, ..own_request(&binding) };
            let verdict = judge(&facts(life, &binding, TokenFacts::Current), &request, &policy, now);
            let Some(rebind) = live(&verdict).and_then(|live| live.rebind.clone()) else { continue };
            prop_assert_eq!(rebind.changes, binding.changes + 1);
            prop_assert!(policy.validation.allow_ip_changes.is_none_or(|allowed| rebind.changes <= allowed));
            let first = rebind.first_change_at.expect("a change opens the window");
            prop_assert!(policy.validation.allow_ip_changes.is_none() || now <= first.saturating_add(policy.validation.grace));
            prop_assert_eq!(&rebind.user_agent, &binding.user_agent);
            binding = rebind;
            let again = judge(&facts(life, &binding, TokenFacts::Current), &RequestFacts { ip, ..own_request(&binding) }, &policy, now);
            prop_assert!(live(&again).is_some_and(|live| live.rebind.is_none()), "the new network is the accepted one");
        }
    }

    #[test]
    fn an_ended_session_is_ended_whatever_was_proved_in_it(
        policy in policies(), life in lives(), binding in bindings(), now in instants(), reason in select(EndReason::ALL), proofs in proofs(),
    ) {
        let session = SessionFacts { ended: Some(reason), proofs, ..facts(life, &binding, TokenFacts::Current) };
        prop_assert_eq!(judge(&session, &own_request(&binding), &policy, now), SessionVerdict::Ended { reason });
    }

    #[test]
    fn no_proof_makes_a_session_live_longer(
        policy in policies(), life in lives(), binding in bindings(), now in instants(), proofs in proofs(), factors in enrolled(),
    ) {
        let request = own_request(&binding);
        let session = facts(life, &binding, TokenFacts::Current);
        let other = SessionFacts { proofs, factors, ..session };
        let (one, other) = (judge(&session, &request, &policy, now), judge(&other, &request, &policy, now));
        prop_assert_eq!(live(&one).is_some(), live(&other).is_some());
    }

    #[test]
    fn a_stricter_requirement_never_admits_more(
        mut document in documents(), role in select(Role::ALL), scope in select(vec![
            Scope::Everyone, Scope::Administrators, Scope::Application("wiki".into()),
        ]),
        levels in (select(FactorRequirement::ALL), select(FactorRequirement::ALL)), at_wiki in any::<bool>(),
        proofs in proofs(), factors in enrolled(), grace_from in option::of(instants()), now in instants(), binding in bindings(),
    ) {
        let life = LifeFacts { signed_in_at: now, last_active_at: now, last_seen_at: now };
        let session = SessionFacts { proofs, factors, grace_from, ..facts(life, &binding, TokenFacts::Current) };
        let mut admits = |level: FactorRequirement| {
            document.set(&scope, Key::FactorRequired, Value::Text(level.as_str().to_owned()));
            let policy = Policy::new(1, document.clone(), Pins::new(), false);
            let policy = policy.effective(role, &[], at_wiki.then_some("wiki"));
            matches!(judge(&session, &own_request(&binding), &policy, now), SessionVerdict::Live(_))
        };
        let (looser, stricter) = (levels.0.min(levels.1), levels.0.max(levels.1));
        prop_assert!(!admits(stricter) || admits(looser));
    }

    #[test]
    fn one_more_proof_never_brings_a_duty(
        policy in policies(), now in instants(), binding in bindings(), proofs in proofs(), more in select(Proof::ALL),
        factors in enrolled(), grace_from in option::of(instants()),
    ) {
        let life = LifeFacts { signed_in_at: now, last_active_at: now, last_seen_at: now };
        let session = SessionFacts { proofs, factors, grace_from, ..facts(life, &binding, TokenFacts::Current) };
        let proved = SessionFacts { proofs: proofs.with(more), ..session };
        let admits = |session: &SessionFacts| matches!(judge(session, &own_request(&binding), &policy, now), SessionVerdict::Live(_));
        prop_assert!(!admits(&session) || admits(&proved));
    }

    #[test]
    fn every_value_goes_through_text_and_json_and_passes_its_check((key, value) in setting()) {
        let setting = key.setting();
        prop_assert_eq!(setting.check(&value), Ok(()));
        prop_assert_eq!(setting.parse(&setting.input(&value)), Ok(value.clone()));
        prop_assert_eq!(setting.read(&value.to_json()), Ok(value.clone()));
        prop_assert!(!setting.display(&value).is_empty());
    }

    #[test]
    fn whatever_is_typed_gives_an_accepted_value_or_words(key in select(Key::ALL), text in any::<String>()) {
        match key.setting().parse(&text) {
            Ok(value) => prop_assert_eq!(key.setting().check(&value), Ok(())),
            Err(fault) => prop_assert!(fault.contains("accepted"), "{}", fault),
        }
    }

    #[test]
    fn documents_go_through_json_and_toml_and_diffs(old in documents(), new in documents()) {
        prop_assert_eq!(PolicyDocument::from_json(&old.to_json()), Ok(old.clone()));
        prop_assert_eq!(toml::import(&toml::export(&old)), Ok(old.clone()));
        for format in [PolicyFormat::Toml, PolicyFormat::Json] {
            let text = interchange::export(format, &old).expect("it is written").text;
            let back = interchange::import(format, &text, &new).map(|imported| imported.document);
            prop_assert_eq!(back, Ok(old.clone()));
        }
        let mut patched = old.clone();
        for change in diff(&old, &new) {
            prop_assert_eq!(Change::from_json(&change.to_json()), Some(change.clone()));
            prop_assert!(!change.sentence().is_empty());
            match change.new {
                Some(value) => patched.set(&change.scope, change.key, value),
                None => patched.unset(&change.scope, change.key),
            }
        }
        prop_assert_eq!(patched, new);
        let _ = old.warnings(&Pins::new());
        // Single values are within bounds: what is left to refuse are combinations.
        let combinations = ["session.same_site", "factor.required"];
        prop_assert!(old.faults(&Pins::new()).iter().all(|fault| combinations.contains(&fault.key.as_ref())));
    }

    #[test]
    fn no_text_makes_an_import_panic(text in any::<String>(), policyish in r#"(\[(everyone|app\.x|app)\]\n)?([a-z._]{0,12} = ("?[a-z0-9]{0,6}"?|\[\])\n){0,4}"#) {
        let _ = toml::import(&text);
        let _ = toml::import(&policyish);
        let _ = Pattern::parse(&text);
        for format in PolicyFormat::ALL {
            let _ = interchange::import(format, &text, &PolicyDocument::default());
            let _ = interchange::import(format, &policyish, &PolicyDocument::default());
        }
        let _ = PolicyFormat::guess("", &text);
    }

    #[test]
    fn no_text_of_their_emails_makes_a_foreign_import_panic(text in foreign(), base in documents()) {
        for format in PolicyFormat::ALL {
            if let Err(faults) = interchange::import(format, &text, &base) {
                prop_assert!(!faults.is_empty());
                prop_assert!(faults.iter().all(|fault| fault.message.contains("(line ")), "{:?}", faults);
            }
        }
    }

    #[test]
    fn settings_that_hue_knows_survive_a_round_trip_through_hue_ini(document in documents()) {
        let exported = interchange::export(PolicyFormat::Hue, &document).expect("it is written");
        let back = interchange::import(PolicyFormat::Hue, &exported.text, &PolicyDocument::default());
        let mut back = back.map_err(|faults| TestCaseError::fail(format!("{faults:?}\n{}", exported.text)))?.document;
        let mut said = document.clone();
        said.administrators.clear();
        said.applications.clear();
        for lossy in exported.lossy {
            let key = Key::parse(&lossy.key).expect("a setting");
            let everyone = !lossy.sentence.contains("settings for");
            // A number of administrators' expiry comes back, though Hue's own code would not take
            // it.
            let kept = lossy.sentence.contains("its code");
            if everyone && !kept {
                said.unset(&Scope::Everyone, key);
                back.unset(&Scope::Everyone, key);
            }
        }
        prop_assert_eq!(back, said);
    }

    #[test]
    fn durations_in_words_parse_back(secs in prop_oneof![-1..=duration::MAX_SECS, -1..=100_000_i64]) {
        prop_assert_eq!(duration::parse(&duration::humanize(secs)), Ok(secs));
        prop_assert_eq!(duration::parse(&secs.to_string()), Ok(secs));
    }

    #[test]
    fn whatever_is_typed_as_a_duration_is_within_bounds_or_refused(text in prop_oneof![any::<String>(), r"-?[0-9]{0,22}(\.[0-9]{0,10})? ?[a-z]{0,8}"]) {
        if let Ok(secs) = duration::parse(&text) {
            prop_assert!((-1..=duration::MAX_SECS).contains(&secs), "{}", secs);
        }
    }

    #[test]
    fn instants_go_through_text(micros in -377_705_116_800_000_000_i64..=253_402_207_200_999_999) {
        let instant = Timestamp::from_micros(micros);
        prop_assert_eq!(Timestamp::parse_rfc3339(&instant.to_rfc3339()), Some(instant));
    }

    #[test]
    fn comparing_networks_agrees_with_naming_them(a in addresses(), b in addresses(), bits in select(vec![8_u8, 16, 24, 32])) {
        let named = network::session_network(a, bits) == network::session_network(b, bits);
        prop_assert_eq!(network::same_session_network(a, b, bits), named);
        let (first, last) = network::sort_range(network::session_network(a, bits));
        prop_assert_eq!((first..=last).contains(&network::sort_key(b)), named);
        prop_assert!(network::lock_network(a).contains(network::canonical(a)) && network::known_network(a).contains(network::canonical(a)));
    }

    #[test]
    fn the_key_of_a_name_is_its_own_key(text in any::<String>()) {
        let key = account::name_key(&text);
        prop_assert_eq!(account::name_key(&key), key.clone());
        prop_assert_eq!(account::name_key(&format!(" {text}\t")), account::name_key(&text));
        if let Ok(name) = account::AccountName::parse(&text) {
            prop_assert_eq!(name.key(), &key);
            prop_assert_eq!(account::AccountName::parse(name.shown()), Ok(name.clone()));
        }
    }

    #[test]
    fn a_return_never_leaves_our_origin_or_a_registered_one(
        text in prop_oneof![any::<String>(), r"(/|//|https?:|https://|http://|%2f|%5c|\.|\.\.|@|wiki\.example|evil\.example|:443|\?|#|\\|\t|a){1,8}"],
    ) {
        let wiki = Url::parse("https://wiki.example/").unwrap().origin();
        if let Some(place) = ReturnTo::parse(&text, std::slice::from_ref(&wiki)) {
            for base in ["https://login.example/login", "http://127.0.0.1:8080/a/b/c?d"] {
                let base = Url::parse(base).unwrap();
                let target = base.join(place.as_str()).unwrap();
                prop_assert!(target.origin() == base.origin() || target.origin() == wiki, "{} → {}", text, target);
                prop_assert!(target.username().is_empty() && target.password().is_none());
                prop_assert!(!target.path().starts_with("//") || target.origin() == wiki);
            }
            prop_assert!(place.as_str().bytes().all(|b| b.is_ascii_graphic()));
        }
    }

    #[test]
    fn agents_are_alike_both_ways_and_exact_is_stricter_than_family(a in agents(), b in agents()) {
        let (a, b) = (a.as_deref(), b.as_deref());
        prop_assert_eq!(agent::is_same(a, b, true), agent::is_same(b, a, true));
        prop_assert!(agent::is_same(a, a, false));
        prop_assert!(!agent::is_same(a, b, false) || agent::is_same(a, b, true));
        prop_assert!(!agent::describe(a).is_empty());
    }

    #[test]
    fn a_path_pattern_agrees_with_the_regular_expression_it_stands_for(pattern in "[a/*?]{0,10}", path in "[ab/]{0,12}") {
        let regex = pattern.replace('*', ".*").replace('?', ".");
        let expected = regex::Regex::new(&format!("^{regex}$")).unwrap().is_match(&path);
        prop_assert_eq!(Glob::new(&pattern).matches(&path), expected, "{} {}", pattern, path);
    }

    #[test]
    fn an_expired_account_stays_expired_as_time_goes_on(
        policy in policies(), role in select(Role::ALL), days in any::<[Option<u16>; 4]>(), live in any::<bool>(), last in any::<bool>(),
        now in instants(), later in instants(),
    ) {
        let day = |day: u16| at(i64::from(day) * 86_400);
        let facts = ExpiryFacts {
            role,
            created_at: at(0),
            activated_at: day(days[0].unwrap_or(0)),
            has_live_session: live,
            last_sign_in_at: days[1].map(day),
            last_session_ended_at: days[2].map(day),
            expires_at: days[3].map(day),
            is_last_administrator: last,
        };
        let (now, later) = (now.min(later), now.max(later));
        let rule = expiry::expired_at(&facts, &policy.accounts, now);
        prop_assert!(rule.is_none() || expiry::expired_at(&facts, &policy.accounts, later) == rule);
        prop_assert!(!last || rule.is_none());
        if let Some((end, rule)) = expiry::expires_at(&facts, &policy.accounts) {
            prop_assert_eq!(expiry::expired_at(&facts, &policy.accounts, end), None);
            prop_assert!(end == Timestamp::from_micros(i64::MAX) || expiry::expired_at(&facts, &policy.accounts, end.saturating_add(MICRO)) == Some(rule));
        }
    }
}

/// Something that happens to a counter, some microseconds after the thing before.
#[derive(Debug, Clone)]
enum Happening {
    Reserve,
    /// The oldest attempt in flight fails.
    Fail,
    Succeed,
    GiveBack,
    /// The process crashes: attempts in flight never get a result.
    Crash,
    Settle,
}

fn happenings() -> impl Strategy<Value = Vec<(Happening, i64)>> {
    let happening = prop_oneof![
        6 => Just(Happening::Reserve),
        5 => Just(Happening::Fail),
        1 => Just(Happening::Succeed),
        1 => Just(Happening::GiveBack),
        1 => Just(Happening::Crash),
        1 => Just(Happening::Settle),
    ];
    vec(
        (
            happening,
            prop_oneof![5 => 0_i64..5_000_000, 1 => 0_i64..2_000_000_000, 1 => -5_000_000_i64..0],
        ),
        0..60,
    )
}

fn lockouts() -> impl Strategy<Value = LockoutPolicy> {
    (
        policies(),
        1_u32..8,
        option::weighted(0.7, 1_i64..2_000),
        any::<bool>(),
        0_u32..8,
        0_u32..8,
    )
        .prop_map(
            |(policy, failure_limit, cooloff, lock_out, ip_ceiling, account_ceiling)| LockoutPolicy {
                failure_limit,
                lock_out,
                ip_ceiling,
                account_ceiling,
                cooloff: cooloff.map(Span::from_secs),
                ..policy.lockout
            },
        )
}

/// Applies events to a counter; passes each state, with its time, to `look`.
fn play(
    kind: CounterKind,
    policy: &LockoutPolicy,
    happenings: &[(Happening, i64)],
    mut look: impl FnMut(&Counter, &Counter, Timestamp, &Happening) -> Result<(), TestCaseError>,
) -> Result<(Counter, Timestamp), TestCaseError> {
    let (mut counter, mut now, mut next, mut flying) = (Counter::default(), at(0), 0_u128, Vec::new());
    for (happening, later) in happenings {
        now = now.saturating_add(Span::from_micros(*later));
        let before = counter.clone();
        match happening {
            Happening::Reserve => {
                next += 1;
                if counter.reserve(kind, Uuid::from_u128(next), policy, now) == ReserveVerdict::Proceed {
                    flying.push(Uuid::from_u128(next));
                }
            }
            Happening::Fail if !flying.is_empty() => {
                let _ = counter.fail(kind, flying.remove(0), policy, now);
            }
            Happening::Succeed if !flying.is_empty() => counter.succeed(flying.remove(0), false),
            Happening::GiveBack if !flying.is_empty() => counter.give_back(flying.remove(0)),
            Happening::Crash => flying.clear(),
            Happening::Fail | Happening::Succeed | Happening::GiveBack | Happening::Settle => {
                counter.settle(kind, policy, now);
            }
        }
        look(&before, &counter, now, happening)?;
    }
    Ok((counter, now))
}

/// A longer lock is greater; none is least.
fn length(locked: Option<LockDuration>) -> Timestamp {
    match locked {
        None => Timestamp::from_micros(i64::MIN),
        Some(LockDuration::Until(until)) => until,
        Some(LockDuration::UntilUnlocked) => Timestamp::from_micros(i64::MAX),
    }
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn a_counter_stays_in_order_and_bounded(
        kind in select(CounterKind::ALL), policy in lockouts(), happenings in happenings(),
    ) {
        play(kind, &policy, &happenings, |_, counter, _, _| {
            prop_assert!(counter.failures.is_sorted());
            prop_assert!(counter.failures.len() <= 1_000 && counter.reservations.len() <= 1_000);
            Ok(())
        })?;
    }

    #[test]
    fn no_order_of_parallel_attempts_gets_more_than_the_limit_past_a_counter(
        kind in select(CounterKind::ALL), policy in lockouts(), happenings in happenings(),
    ) {
        // Never forgotten: until an administrator unlocks, only the limit's number of attempts is
        // possible.
        let policy = LockoutPolicy { cooloff: None, ..policy };
        let (mut admitted, mut returned) = (0_u32, 0_u32);
        play(kind, &policy, &happenings, |before, after, _, happening| {
            match happening {
                Happening::Reserve if after.reservations.len() > before.reservations.len() => admitted += 1,
                Happening::Succeed | Happening::GiveBack if after.reservations.len() < before.reservations.len() && after.failures.len() == before.failures.len() => returned += 1,
                _ => {}
            }
            if let Some(limit) = limit(kind, &policy) {
                prop_assert!(admitted - returned <= limit, "{} admitted of {}", admitted - returned, limit);
            }
            Ok(())
        })?;
    }

    #[test]
    fn time_only_unlocks_once_no_attempt_is_in_flight(
        kind in select(CounterKind::ALL), policy in lockouts(), happenings in happenings(), later in 0_i64..4_000_000_000,
    ) {
        let (mut counter, now) = play(kind, &policy, &happenings, |_, _, _, _| Ok(()))?;
        counter.reservations.clear();
        // An attempt settles first: instants from a clock that ran ahead are moved back to now.
        counter.settle(kind, &policy, now);
        let later = now.saturating_add(Span::from_micros(later));
        let (first, second) = (counter.locked_at(kind, &policy, now), counter.locked_at(kind, &policy, later));
        prop_assert!(length(second) <= length(first));
        if let (Some(LockDuration::Until(until)), None) = (first, second) {
            prop_assert!(later > until);
        }
        if let Some(LockDuration::Until(until)) = first {
            prop_assert_eq!(counter.locked_at(kind, &policy, until), first, "held to its last instant");
            prop_assert_eq!(counter.locked_at(kind, &policy, until.saturating_add(MICRO)), None);
            prop_assert!(counter.settle(kind, &policy, until.saturating_add(MICRO)) && counter.failures.is_empty());
        }
    }

    #[test]
    fn one_more_failure_never_unlocks_nor_shortens(
        kind in select(CounterKind::ALL), policy in lockouts(), happenings in happenings(),
    ) {
        let (mut counter, now) = play(kind, &policy, &happenings, |_, _, _, _| Ok(()))?;
        let before = counter.locked_at(kind, &policy, now);
        let began = counter.fail(kind, Uuid::from_u128(u128::MAX), &policy, now);
        let after = counter.locked_at(kind, &policy, now);
        prop_assert!(length(after) >= length(before));
        prop_assert!(began.is_none() || began == after);
    }

    #[test]
    fn refused_attempts_leave_no_trace(
        kind in select(CounterKind::ALL), policy in lockouts(), happenings in happenings(),
    ) {
        let (mut counter, now) = play(kind, &policy, &happenings, |_, _, _, _| Ok(()))?;
        counter.settle(kind, &policy, now);
        let before = counter.clone();
        if counter.reserve(kind, Uuid::from_u128(u128::MAX), &policy, now) != ReserveVerdict::Proceed {
            prop_assert_eq!(counter, before);
        }
    }

    #[test]
    fn counters_never_panic_at_the_ends_of_time(
        kind in select(CounterKind::ALL), policy in lockouts(), clocks in vec(instants(), 1..20),
    ) {
        let mut counter = Counter::default();
        for (number, now) in clocks.into_iter().enumerate() {
            let id = Uuid::from_u128(number as u128);
            counter.reserve(kind, id, &policy, now);
            if let Some(locked) = counter.fail(kind, id, &policy, now) {
                prop_assert!(locked.retry_after(now).is_none_or(|secs| secs >= 1));
            }
            counter.settle(kind, &policy, now);
        }
    }
}

proptest! {
    // zxcvbn is slow without optimization.
    #![proptest_config(config(50))]

    #[test]
    fn no_password_makes_the_rules_panic_and_the_rules_hold(
        policy in policies(), new in prop_oneof![any::<String>(), r"[ \t\u{200b}]{0,20}", r"(ada|2026|!|password|x){1,12}"],
    ) {
        let facts = NewPasswordFacts { new: &new, again: None, account_words: &["ada", "nightlatch"], reused: Reuse::No };
        let faults = decide(&facts, &policy.password);
        prop_assert!(faults.iter().all(|fault| !fault.message().is_empty()));
        if faults.is_empty() {
            prop_assert!(!new.trim().is_empty() && !new.chars().any(char::is_control));
            prop_assert!((policy.password.min_length..=128).contains(&new.chars().count()));
        }
        let again = NewPasswordFacts { again: Some("something else"), reused: Reuse::Current, ..facts };
        let more = decide(&again, &policy.password);
        prop_assert!(new.trim().is_empty() || more == [PasswordFault::Blank] || more.contains(&PasswordFault::Mismatch));
        prop_assert!(!more.is_empty());
    }
}
