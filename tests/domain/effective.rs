//! Effective values: which scope wins, the source of each value, and what the modes derive.

use nightlatch_domain::{
    account::Role,
    policy::{
        Key, Pins, PolicyDocument, Scope, Source, Value,
        effective::{ExpireSuperusers, IdleTimeout, Policy, PolicyEnvironment, SameSite, ValidationMode},
    },
    time::Span,
};

use super::{document, effective, policy, set};

fn wiki() -> Scope {
    Scope::Application("wiki".into())
}

fn layered() -> PolicyDocument {
    let mut document = document(&[("auth.idle_session_timeout", "1h")]);
    set(
        &mut document,
        &Scope::Administrators,
        &[("auth.idle_session_timeout", "15m")],
    );
    set(&mut document, &wiki(), &[("auth.idle_session_timeout", "5m")]);
    document
}

#[test]
fn an_application_wins_over_administrators_and_they_over_everyone() {
    let policy = policy(layered());
    let value = |role, application| policy.value(Key::AuthIdleSessionTimeout, role, application);
    let set_in = |secs, scope| (Value::Number(secs), Source::SetIn(scope));
    assert_eq!(value(Role::Member, None), set_in(3_600, Scope::Everyone));
    assert_eq!(value(Role::Administrator, None), set_in(900, Scope::Administrators));
    assert_eq!(value(Role::Member, Some("wiki")), set_in(300, wiki()));
    assert_eq!(value(Role::Administrator, Some("wiki")), set_in(300, wiki()));
    assert_eq!(
        value(Role::Administrator, Some("other")),
        set_in(900, Scope::Administrators)
    );
    assert_eq!(
        policy.value(Key::SessionTtl, Role::Member, Some("wiki")),
        (Value::Number(1_209_600), Source::Default)
    );
}

#[test]
fn a_scope_shows_its_own_value_or_the_one_of_everyone() {
    let policy = policy(layered());
    let shown = |scope| policy.value_in(&scope, Key::AuthIdleSessionTimeout);
    assert_eq!(
        shown(Scope::Application("other".into())).1,
        Source::SetIn(Scope::Everyone)
    );
    assert_eq!(shown(wiki()).1, Source::SetIn(wiki()));
    assert_eq!(policy.value_in(&wiki(), Key::SessionTtl).1, Source::Default);
}

#[test]
fn a_pin_wins_in_every_scope() {
    let pins: Pins = document(&[("auth.idle_session_timeout", "20m")]).everyone;
    let policy = Policy::new(3, layered(), pins, false);
    for role in Role::ALL {
        for application in [None, Some("wiki")] {
            let value = policy.value(Key::AuthIdleSessionTimeout, *role, application);
            assert_eq!(value, (Value::Number(1_200), Source::Pinned));
        }
    }
    assert_eq!(policy.value_in(&wiki(), Key::AuthIdleSessionTimeout).1, Source::Pinned);
    let lifetimes = policy.effective(Role::Administrator, &["wiki".into()], None).lifetimes;
    assert!(
        lifetimes
            .iter()
            .all(|rule| rule.idle == IdleTimeout::After(Span::from_secs(1_200))),
        "{lifetimes:?}"
    );
    assert_eq!(policy.revision(), 3);
}

#[test]
fn there_is_one_lifetime_rule_for_the_role_and_one_for_each_application() {
    let policy = policy(layered());
    let entered = ["other".to_owned(), "wiki".to_owned(), "wiki".to_owned()];
    let rules = policy.effective(Role::Administrator, &entered, None).lifetimes;
    let idle = |secs| IdleTimeout::After(Span::from_secs(secs));
    let summary: Vec<_> = rules.iter().map(|rule| (rule.scope.to_string(), rule.idle)).collect();
    assert_eq!(
        summary,
        [
            ("administrators".into(), idle(900)),
            ("app:other".into(), idle(900)),
            ("app:wiki".into(), idle(300))
        ]
    );
    assert_eq!(
        policy.effective(Role::Member, &[], None).lifetimes[0].scope,
        Scope::Everyone
    );
}

#[test]
fn a_value_in_a_scope_that_its_key_does_not_allow_never_takes_effect() {
    let mut document = PolicyDocument::default();
    document.set(&wiki(), Key::SessionSecure, Value::Flag(true));
    document.set(&Scope::Administrators, Key::AuthLoginFailureLimit, Value::Number(99));
    let policy = policy(document);
    let administrator = policy.effective(Role::Administrator, &[], Some("wiki"));
    assert!(!administrator.cookie.secure);
    assert_eq!(administrator.lockout.failure_limit, 3);
}

#[test]
fn a_document_that_nobody_checked_reads_as_defaults() {
    let mut document = PolicyDocument::default();
    for key in Key::ALL {
        document.set(&Scope::Everyone, *key, Value::List(vec!["?".into()]));
    }
    let broken = policy(document).effective(Role::Member, &[], None);
    assert_eq!(broken.lifetimes, effective(&[]).lifetimes);
    assert_eq!(broken.lockout, effective(&[]).lockout);
    assert_eq!(broken.validation, effective(&[]).validation);
}

#[test]
fn defaults_are_typed() {
    let policy = effective(&[]);
    assert_eq!(policy.lifetimes[0].ttl, Span::from_secs(1_209_600));
    assert_eq!(
        (policy.lifetimes[0].idle, policy.lifetimes[0].renewal),
        (IdleTimeout::Never, None)
    );
    assert_eq!(policy.window_close_grace, Span::from_secs(180));
    assert_eq!((policy.concurrent_limit, policy.idle_warning), (0, None));
    assert_eq!(policy.accounts.expire_superusers, ExpireSuperusers::LikeEveryone);
    assert_eq!(policy.accounts.expiry_notice, Some(Span::from_secs(604_800)));
    assert_eq!(
        (
            policy.password.min_length,
            policy.password.min_strength,
            policy.password.history
        ),
        (12, 3, 0)
    );
    assert!(policy.password.regex.is_none() && policy.password.max_age.is_none());
    assert_eq!(
        (
            policy.lockout.lock_out,
            policy.lockout.failure_limit,
            policy.lockout.reset_limit
        ),
        (false, 3, 5)
    );
    assert_eq!(policy.lockout.cooloff, Some(Span::from_secs(900)));
    assert_eq!(
        (policy.cookie.secure, policy.cookie.http_only, policy.cookie.same_site),
        (false, true, SameSite::Lax)
    );
}

#[test]
fn modes_derive_the_knobs_that_nobody_set() {
    for (mode, ip, bits, agent, family, changes, grace) in [
        ("strict", true, 32, true, false, Some(0), 0),
        ("moderate", true, 24, true, true, Some(1), 300),
        ("moderate_vpn", true, 16, true, true, Some(1), 300),
        ("permissive", false, 24, true, true, Some(1), 300),
        ("off", false, 24, false, true, Some(1), 300),
    ] {
        let validation = effective(&[("session.session_validation_mode", mode)]).validation;
        assert_eq!(validation.mode, ValidationMode::parse(mode).unwrap());
        assert_eq!(validation.mode.as_str(), mode);
        assert_eq!((validation.ip, validation.subnet_bits), (ip, bits), "{mode}");
        assert_eq!((validation.user_agent, validation.family), (agent, family), "{mode}");
        assert_eq!(
            (validation.allow_ip_changes, validation.grace),
            (changes, Span::from_secs(grace)),
            "{mode}"
        );
        assert!(
            validation.rotate_on_ip_change && validation.security_audit_log,
            "{mode}"
        );
    }
    assert_eq!(
        effective(&[]).validation,
        effective(&[("session.session_validation_mode", "moderate")]).validation
    );
}

#[test]
fn derived_knobs_name_the_mode_and_set_ones_their_scope() {
    let value = |settings: &[(&str, &str)], key| policy(document(settings)).value_in(&Scope::Everyone, key);
    let strict = [
        ("session.session_validation_mode", "strict"),
        ("session.session_ip_subnet_bits", "24"),
    ];
    assert_eq!(
        value(&strict, Key::SessionSessionAllowIpChanges),
        (Value::Number(0), Source::Mode("strict".into()))
    );
    assert_eq!(
        value(&strict, Key::SessionSessionIpSubnetBits),
        (Value::Number(24), Source::SetIn(Scope::Everyone))
    );
    assert_eq!(
        value(&strict, Key::SessionSessionRotationOnIpChange),
        (Value::Flag(true), Source::Default)
    );
    assert_eq!(
        value(&[], Key::SessionSessionAllowIpChanges),
        (Value::Number(1), Source::Default)
    );
}

#[test]
fn mode_off_wins_over_every_setting() {
    let settings = [
        ("session.session_validation_mode", "off"),
        ("session.session_ip_validation", "on"),
        ("session.session_user_agent_validation", "on"),
    ];
    let validation = effective(&settings).validation;
    assert!(!validation.ip && !validation.user_agent);
    let value = policy(document(&settings)).value_in(&Scope::Everyone, Key::SessionSessionIpValidation);
    assert_eq!(value, (Value::Flag(false), Source::Mode("off".into())));
    let pins: Pins = document(&settings[1..]).everyone;
    let pinned = Policy::new(1, document(&settings[..1]), pins, false).effective(Role::Member, &[], None);
    assert!(!pinned.validation.ip && !pinned.validation.user_agent);
}

#[test]
fn permissive_keeps_its_record() {
    let settings = [
        ("session.session_validation_mode", "permissive"),
        ("session.session_security_audit_log", "off"),
    ];
    assert!(effective(&settings).validation.security_audit_log);
    assert!(!effective(&settings[1..]).validation.security_audit_log);
}

#[test]
fn minus_one_lifts_the_count_of_changes() {
    assert_eq!(
        effective(&[("session.session_allow_ip_changes", "-1")])
            .validation
            .allow_ip_changes,
        None
    );
}

#[test]
fn development_mode_switches_idle_endings_off_in_every_scope() {
    let policy = Policy::new(1, layered(), Pins::new(), true);
    assert!(policy.dev());
    let rules = policy.effective(Role::Administrator, &["wiki".into()], None).lifetimes;
    assert!(rules.iter().all(|rule| rule.idle == IdleTimeout::Never));
}

#[test]
fn administrators_expire_by_a_flag_or_a_number() {
    for (text, expected) in [
        ("true", ExpireSuperusers::LikeEveryone),
        ("false", ExpireSuperusers::Never),
        ("90d", ExpireSuperusers::After(Span::from_secs(7_776_000))),
    ] {
        assert_eq!(
            effective(&[("auth.expire_superusers", text)])
                .accounts
                .expire_superusers,
            expected
        );
    }
}

#[test]
fn the_application_of_the_request_says_what_counts_and_when_to_warn() {
    let mut document = document(&[]);
    set(
        &mut document,
        &wiki(),
        &[("session.idle_warning", "30s"), ("activity.ignored_paths", "/a, /b*")],
    );
    let policy = policy(document);
    let wiki = policy.effective(Role::Member, &[], Some("wiki"));
    assert_eq!(
        (wiki.idle_warning, wiki.activity.ignored.len()),
        (Some(Span::from_secs(30)), 2)
    );
    let elsewhere = policy.effective(Role::Member, &["wiki".into()], None);
    assert_eq!((elsewhere.idle_warning, elsewhere.activity.ignored.len()), (None, 0));
}

#[test]
fn sources_have_words() {
    for (source, words) in [
        (Source::Default, "default"),
        (Source::SetIn(wiki()), "app:wiki"),
        (Source::Mode("strict".into()), "mode:strict"),
        (Source::Pinned, "environment"),
    ] {
        assert_eq!(source.to_string(), words);
    }
}

#[test]
fn behind_https_the_cookie_is_secure_unless_the_policy_says_otherwise() {
    let secure = |https: bool, set: &[(&str, &str)]| {
        let environment = PolicyEnvironment {
            https,
            ..PolicyEnvironment::default()
        };
        let policy = Policy::in_environment(1, document(set), environment);
        let typed = policy.effective(Role::Member, &[], None).cookie.secure;
        (typed, policy.value_in(&Scope::Everyone, Key::SessionSecure))
    };
    let (on, off) = (Value::Flag(true), Value::Flag(false));
    for (https, set, expected) in [
        (false, &[][..], (off.clone(), Source::Default)),
        (true, &[], (on.clone(), Source::Default)),
        (
            true,
            &[("session.secure", "off")],
            (off, Source::SetIn(Scope::Everyone)),
        ),
        (false, &[("session.secure", "on")], (on, Source::SetIn(Scope::Everyone))),
    ] {
        let (typed, found) = secure(https, set);
        assert_eq!(found, expected, "{https} {set:?}");
        assert_eq!(Value::Flag(typed), expected.0);
    }
}
