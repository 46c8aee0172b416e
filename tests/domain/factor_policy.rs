//! The policy's settings for second factors: scopes, kinds, faults, and that the catalogue drives
//! every format.

use nightlatch_domain::{
    account::Role,
    factor::{EnrolledFactors, FactorRequirement, Proof, Proofs},
    policy::{
        Key, Pins, PolicyDocument, Scope, Source, Value,
        catalogue::{Group, Setting},
        diff::diff,
        effective::{EnrolmentBarrier, EnrolmentMode, FactorPolicy, Policy},
        interchange::{self, PolicyFormat},
        merge::merge,
    },
    time::Span,
};

use super::{document, effective, policy, set};

fn wiki() -> Scope {
    Scope::Application("wiki".into())
}

/// Returns a document with every setting different from its default, in every scope that allows it.
fn everything() -> PolicyDocument {
    let mut everything = document(&[
        ("factor.required", "any"),
        ("factor.enrolment", "by_link"),
        ("factor.enrolment_grace", "1 week"),
        ("factor.authenticator_app", "off"),
        ("factor.passkeys", "on"),
        ("factor.passwordless", "off"),
        ("factor.trusted_browser", "30 days"),
        ("factor.failure_limit", "3"),
    ]);
    set(
        &mut everything,
        &Scope::Administrators,
        &[
            ("factor.required", "passkey"),
            ("factor.enrolment", "at_sign_in"),
            ("factor.enrolment_grace", "none"),
            ("factor.trusted_browser", "off"),
        ],
    );
    set(&mut everything, &wiki(), &[("factor.required", "passkey")]);
    everything
}

#[test]
fn defaults_ask_for_nothing_and_allow_every_kind() {
    assert_eq!(
        effective(&[]).factors,
        FactorPolicy {
            required: FactorRequirement::Off,
            strictest: FactorRequirement::Off,
            enrolment: EnrolmentMode::AtSignIn,
            enrolment_grace: Span::ZERO,
            authenticator_app: true,
            passkeys: true,
            passwordless: true,
            trusted_browser: None,
            failure_limit: 5,
        }
    );
}

#[test]
fn values_are_typed_for_members_and_for_administrators() {
    let policy = policy(everything());
    let of = |role| policy.effective(role, &[], None).factors;
    assert_eq!(
        of(Role::Member),
        FactorPolicy {
            required: FactorRequirement::Any,
            strictest: FactorRequirement::Any,
            enrolment: EnrolmentMode::ByLink,
            enrolment_grace: Span::from_secs(604_800),
            authenticator_app: false,
            passkeys: true,
            passwordless: false,
            trusted_browser: Some(Span::from_secs(2_592_000)),
            failure_limit: 3,
        }
    );
    let administrator = of(Role::Administrator);
    assert_eq!(administrator.required, FactorRequirement::Passkey);
    assert_eq!(administrator.enrolment, EnrolmentMode::AtSignIn);
    assert_eq!(administrator.enrolment_grace, Span::ZERO);
    assert_eq!(administrator.trusted_browser, None);
}

#[test]
fn an_application_requires_at_itself_and_never_less_than_the_role() {
    use FactorRequirement::{Any, Off, Passkey};
    for (everyone, application, at_home, at_wiki, strictest) in [
        ("off", "any", Off, Any, Any),
        ("any", "off", Any, Any, Any),
        ("any", "passkey", Any, Passkey, Passkey),
        ("passkey", "any", Passkey, Passkey, Passkey),
    ] {
        let mut document = document(&[("factor.required", everyone)]);
        set(&mut document, &wiki(), &[("factor.required", application)]);
        let policy = policy(document);
        let entered = ["wiki".to_owned()];
        let of = |entered: &[String], application| policy.effective(Role::Member, entered, application).factors;
        let place = format!("{everyone}, wiki {application}");
        assert_eq!(of(&[], None).required, at_home, "{place}");
        assert_eq!(of(&[], Some("wiki")).required, at_wiki, "{place}");
        assert_eq!(of(&entered, None).required, at_home, "{place}: entered, and elsewhere");
        assert_eq!(
            of(&entered, Some("shop")).required,
            at_home,
            "{place}: at another application"
        );
        assert_eq!(of(&entered, None).strictest, strictest, "{place}");
        assert_eq!(of(&[], Some("wiki")).strictest, strictest, "{place}");
    }
}

#[test]
fn administrators_are_never_required_less_than_everyone() {
    use FactorRequirement::{Any, Off, Passkey};
    for (everyone, administrators, expected, source) in [
        ("passkey", "off", Passkey, Scope::Everyone),
        ("passkey", "any", Passkey, Scope::Everyone),
        ("any", "off", Any, Scope::Everyone),
        ("any", "any", Any, Scope::Administrators),
        ("off", "passkey", Passkey, Scope::Administrators),
        ("off", "off", Off, Scope::Administrators),
    ] {
        let mut document = document(&[("factor.required", everyone)]);
        set(
            &mut document,
            &Scope::Administrators,
            &[("factor.required", administrators)],
        );
        let policy = policy(document);
        let place = format!("{everyone}, administrators {administrators}");
        let factors = policy.effective(Role::Administrator, &[], None).factors;
        assert_eq!((factors.required, factors.strictest), (expected, expected), "{place}");
        let (value, from) = policy.value(Key::FactorRequired, Role::Administrator, None);
        assert_eq!(value, Value::Text(expected.as_str().to_owned()), "{place}");
        assert_eq!(from, Source::SetIn(source), "{place}");
        let member = policy.effective(Role::Member, &[], None).factors;
        assert_eq!(member.required.as_str(), everyone, "{place}");
    }
}

#[test]
fn proving_a_factor_comes_before_enrolling_one() {
    let app = |recovery_codes| EnrolledFactors {
        authenticator_app: true,
        recovery_codes,
        ..EnrolledFactors::NONE
    };
    let by_link = |more: &[(&str, &str)]| {
        let mut settings = vec![("factor.enrolment", "by_link")];
        settings.extend_from_slice(more);
        effective(&settings).factors
    };
    let (on, off) = (by_link(&[]), by_link(&[("factor.authenticator_app", "off")]));
    let (password, proved) = (Proofs::PASSWORD, Proofs::PASSWORD.with(Proof::RecoveryCode));
    let barrier = |policy: &FactorPolicy, enrolled, proofs, link| policy.enrolment_barrier(enrolled, proofs, link);
    let (unproved, link) = (EnrolmentBarrier::UnprovedFactor, EnrolmentBarrier::MissingLink);
    assert_eq!(barrier(&on, EnrolledFactors::NONE, password, false), Some(link));
    assert_eq!(barrier(&on, EnrolledFactors::NONE, password, true), None);
    assert_eq!(barrier(&on, app(0), password, true), Some(unproved));
    assert_eq!(barrier(&on, app(0), proved, false), None);
    // A provider's factor is not the account's own: it does not permit a first enrolment without a
    // link.
    let vouched = Proofs::from(Proof::ProviderSignIn).with(Proof::IdentityProvider);
    assert_eq!(barrier(&on, EnrolledFactors::NONE, vouched, false), Some(link));
    assert_eq!(barrier(&on, EnrolledFactors::NONE, vouched, true), None);
    assert_eq!(barrier(&on, app(0), vouched, false), None);
    assert_eq!(barrier(&off, app(0), vouched, false), None);
    // A factor that is switched off keeps its account from enrolling with a password and a link.
    for codes in [0, 3] {
        assert!(off.can_prove(app(codes)) && off.may_enrol(app(codes), false));
        assert_eq!(barrier(&off, app(codes), password, true), Some(unproved));
        assert_eq!(barrier(&off, app(codes), proved, false), None);
    }
    let orphans = EnrolledFactors {
        recovery_codes: 4,
        ..EnrolledFactors::NONE
    };
    assert_eq!(on.usable(orphans).recovery_codes, 0, "codes stand in for a factor");
    assert!(!on.needs_second_step(orphans, password) && on.needs_second_step(app(0), password));
}

#[test]
fn passwordless_needs_passkeys() {
    assert!(!effective(&[("factor.passkeys", "off")]).factors.passwordless);
    assert!(!effective(&[("factor.passwordless", "off")]).factors.passwordless);
}

#[test]
fn a_document_that_nobody_checked_asks_for_nothing_looser() {
    let mut unchecked = PolicyDocument::default();
    unchecked.set(&wiki(), Key::FactorPasskeys, Value::Flag(false));
    unchecked.set(&Scope::Everyone, Key::FactorFailureLimit, Value::Number(0));
    let factors = policy(unchecked).effective(Role::Member, &[], Some("wiki")).factors;
    assert!(factors.passkeys, "not a value of that scope");
    assert_eq!(factors.failure_limit, 5, "the default");
}

#[test]
fn a_kind_that_is_switched_off_is_not_usable() {
    let enrolled = EnrolledFactors {
        authenticator_app: true,
        passkeys: 2,
        recovery_codes: 10,
    };
    let usable = |settings: &[(&str, &str)]| effective(settings).factors.usable(enrolled);
    assert_eq!(usable(&[]), enrolled);
    assert!(!usable(&[("factor.authenticator_app", "off")]).authenticator_app);
    assert_eq!(usable(&[("factor.passkeys", "off")]).passkeys, 0);
    assert_eq!(usable(&[("factor.passkeys", "off")]).recovery_codes, 10);
}

/// Every combination of kinds that are on, and of factors that an account has.
fn kinds_and_factors() -> impl Iterator<Item = (FactorPolicy, EnrolledFactors)> {
    (0..64_u32).map(|bits| {
        let has = |bit: u32| bits & (1 << bit) != 0;
        let policy = FactorPolicy {
            authenticator_app: has(0),
            passkeys: has(1),
            passwordless: has(1),
            ..effective(&[]).factors
        };
        let enrolled = EnrolledFactors {
            authenticator_app: has(2),
            passkeys: if has(3) { 1 + u32::from(has(5)) } else { 0 },
            recovery_codes: if has(4) { 1 } else { 0 },
        };
        (policy, enrolled)
    })
}

#[test]
fn switching_a_kind_off_never_makes_a_password_enough() {
    for (policy, enrolled) in kinds_and_factors() {
        let (has, case) = (enrolled.has_any(), format!("{policy:?} {enrolled:?}"));
        assert_eq!(policy.needs_second_step(enrolled, Proofs::PASSWORD), has, "{case}");
        let barrier = policy.enrolment_barrier(enrolled, Proofs::PASSWORD, true);
        assert_eq!(barrier, has.then_some(EnrolmentBarrier::UnprovedFactor), "{case}");
        // Something can be proved, and a factor of a kind that is off only if nothing else can.
        let usable = policy.usable(enrolled);
        assert_eq!(usable.has_any() || usable.recovery_codes > 0, has, "{case}");
        let is_off =
            (usable.authenticator_app && !policy.authenticator_app) || (usable.passkeys > 0 && !policy.passkeys);
        let is_last = policy.has_only_switched_off(enrolled) && enrolled.recovery_codes == 0;
        assert_eq!(is_off, is_last, "{case}");
        assert_eq!(policy.can_meet(enrolled, FactorRequirement::Any), has, "{case}");
    }
}

#[test]
fn passkeys_can_be_enrolled_only_where_people_come_by_a_name() {
    use FactorRequirement::{Any, Off, Passkey};
    let offers = |settings: &[(&str, &str)], required, exist| effective(settings).factors.offers(required, exist);
    for (required, exist, offered) in [
        (Off, false, true),
        (Any, false, true),
        (Passkey, false, false),
        (Any, true, true),
        (Passkey, true, true),
    ] {
        assert_eq!(offers(&[], required, exist), offered, "{required} {exist}");
    }
    assert!(!offers(&[("factor.authenticator_app", "off")], Any, false));
    assert!(!offers(&[("factor.passkeys", "off")], Passkey, true));
}

#[test]
fn a_requirement_that_nobody_could_meet_is_a_fault() {
    let faults = |settings: &[(&str, &str)]| document(settings).faults(&Pins::new()).len();
    let (no_apps, no_passkeys) = (("factor.authenticator_app", "off"), ("factor.passkeys", "off"));
    assert_eq!(faults(&[("factor.required", "passkey"), no_passkeys]), 1);
    assert_eq!(faults(&[("factor.required", "passkey"), no_apps]), 0);
    assert_eq!(faults(&[("factor.required", "any"), no_passkeys]), 0);
    assert_eq!(faults(&[("factor.required", "any"), no_apps, no_passkeys]), 1);
    assert_eq!(faults(&[no_apps, no_passkeys]), 0, "nothing is required");
    let mut at_wiki = document(&[no_passkeys]);
    set(&mut at_wiki, &wiki(), &[("factor.required", "passkey")]);
    let faults = at_wiki.faults(&Pins::new());
    assert_eq!(faults.len(), 1);
    assert_eq!(
        faults[0].to_string(),
        "app:wiki: factor.required = passkey: no account could meet it; accepted with factor.passkeys on"
    );
    let pins: Pins = document(&[no_passkeys]).everyone;
    assert_eq!(
        document(&[("factor.required", "passkey")]).faults(&pins).len(),
        1,
        "pinned"
    );
    assert_eq!(document(&[]).faults(&pins), []);
}

#[test]
fn advice_speaks_of_second_factors() {
    let warned = |document: &PolicyDocument| -> Vec<(Scope, Key)> {
        let warnings = document.warnings(&Pins::new());
        warnings
            .into_iter()
            .map(|warning| (warning.scope, warning.key))
            .collect()
    };
    let mut looser = document(&[("factor.required", "passkey")]);
    set(&mut looser, &Scope::Administrators, &[("factor.required", "any")]);
    assert_eq!(warned(&looser), [(Scope::Administrators, Key::FactorRequired)]);
    let trusting = document(&[("factor.required", "passkey"), ("factor.trusted_browser", "1 day")]);
    assert_eq!(warned(&trusting), [(Scope::Everyone, Key::FactorTrustedBrowser)]);
    let moot = document(&[("factor.passkeys", "off"), ("factor.passwordless", "on")]);
    assert_eq!(warned(&moot), [(Scope::Everyone, Key::FactorPasswordless)]);
    assert_eq!(warned(&document(&[("factor.required", "any")])), []);
}

#[test]
fn the_group_stands_in_the_editor_after_sign_in_protection() {
    let names: Vec<&str> = Group::SecondFactors
        .settings()
        .map(|setting: &Setting| setting.name)
        .collect();
    assert_eq!(names.len(), 8);
    assert!(names.iter().all(|name| name.starts_with("factor.")));
    assert_eq!(Group::SecondFactors.title(), "Second factors");
    let place = |group| Group::ALL.iter().position(|other| *other == group);
    assert_eq!(place(Group::SecondFactors), place(Group::SignIn).map(|place| place + 1));
}

#[test]
fn exports_carry_every_key_in_every_scope_and_are_read_again() {
    let document = everything();
    assert_eq!(document.faults(&Pins::new()), []);
    for format in [PolicyFormat::Toml, PolicyFormat::Json] {
        let text = interchange::export(format, &document).unwrap().text;
        for setting in Group::SecondFactors.settings() {
            assert!(
                text.contains(setting.name.trim_start_matches("factor.")),
                "{format:?}: {setting:?}"
            );
        }
        let imported = interchange::import(format, &text, &PolicyDocument::default()).unwrap();
        assert_eq!(imported.document, document, "{format:?}");
    }
    let hue = interchange::export(PolicyFormat::Hue, &document).unwrap().text;
    assert!(
        hue.contains("factor.required"),
        "named as what a hue.ini cannot say:\n{hue}"
    );
}

#[test]
fn faults_of_an_import_name_the_key_and_what_is_accepted() {
    let text =
        r#"{"everyone":{"factor.required":"always","factor.failure_limit":21},"app:wiki":{"factor.passkeys":true}}"#;
    let faults = interchange::import(PolicyFormat::Json, text, &PolicyDocument::default()).unwrap_err();
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    for expected in [
        "factor.required = always: not one of the choices; accepted: off, any or passkey",
        "factor.failure_limit = 21: out of range; accepted: a whole number from 1 to 20",
        "app:wiki: factor.passkeys = true: cannot be set in this scope; accepted in: everyone",
    ] {
        assert!(
            faults.iter().any(|fault| fault.contains(expected)),
            "{expected}\n{faults:?}"
        );
    }
}

#[test]
fn a_diff_and_a_merge_know_the_keys() {
    let base = document(&[]);
    let changes = diff(&base, &everything());
    assert_eq!(changes.len(), 13);
    let sentences: Vec<String> = changes.iter().map(|change| change.sentence()).collect();
    assert!(
        sentences.iter().any(|sentence| sentence.contains("passkey")),
        "{sentences:?}"
    );
    let theirs = document(&[("factor.required", "passkey"), ("session.ttl", "1h")]);
    let merged = merge(&theirs, &changes);
    let conflicts: Vec<_> = merged.conflicts.iter().map(|conflict| conflict.key).collect();
    assert_eq!(
        conflicts,
        [Key::FactorRequired],
        "everyone's; the other scopes overlap with nothing"
    );
    assert_eq!(
        merged.document.get(&Scope::Everyone, Key::FactorFailureLimit),
        Some(&Value::Number(3))
    );
}

#[test]
fn a_pin_holds_in_every_scope() {
    let pins: Pins = document(&[("factor.required", "any")]).everyone;
    assert_eq!(Key::FactorRequired.env_name(), "NIGHTLATCH_POLICY__FACTOR__REQUIRED");
    let policy = Policy::new(1, everything(), pins, false);
    for role in Role::ALL {
        let factors = policy.effective(*role, &["wiki".into()], Some("wiki")).factors;
        assert_eq!(
            (factors.required, factors.strictest),
            (FactorRequirement::Any, FactorRequirement::Any)
        );
    }
}
