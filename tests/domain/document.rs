//! Documents: edits, faults, warnings, JSON, baselines, diffs.

use nightlatch_domain::policy::{
    Key, Pins, PolicyDocument, PolicyFault, Scope, Value,
    diff::{Change, diff},
    document::parse_edits,
    posture::baselines,
};
use serde_json::json;

use super::{document, set};

fn wiki() -> Scope {
    Scope::Application("wiki".into())
}

fn pins(settings: &[(&str, &str)]) -> Pins {
    document(settings).everyone
}

fn messages(faults: &[PolicyFault]) -> Vec<String> {
    faults.iter().map(PolicyFault::to_string).collect()
}

#[test]
fn values_are_set_and_unset_per_scope() {
    let mut document = PolicyDocument::default();
    for scope in [Scope::Everyone, Scope::Administrators, wiki()] {
        assert_eq!(document.get(&scope, Key::SessionTtl), None);
        document.set(&scope, Key::SessionTtl, Value::Number(60));
        assert_eq!(document.get(&scope, Key::SessionTtl), Some(&Value::Number(60)));
    }
    document.unset(&wiki(), Key::SessionTtl);
    assert_eq!(
        document.scope(&wiki()),
        None,
        "an application that sets nothing leaves the document"
    );
    document.unset(&wiki(), Key::SessionTtl);
    document.unset(&Scope::Everyone, Key::SessionTtl);
    document.unset(&Scope::Administrators, Key::SessionTtl);
    assert_eq!(document, PolicyDocument::default());
}

#[test]
fn all_faults_come_at_once_and_name_scope_key_value_and_range() {
    let mut faulty = PolicyDocument::default();
    faulty.set(&Scope::Everyone, Key::SessionTtl, Value::Number(0));
    faulty.set(&Scope::Everyone, Key::SessionSameSite, Value::Text("None".into()));
    faulty.set(&Scope::Administrators, Key::SessionSecure, Value::Flag(true));
    faulty.set(&wiki(), Key::AuthIdleSessionTimeout, Value::Text("soon".into()));
    let faults = messages(&faulty.faults(&Pins::new()));
    assert_eq!(faults.len(), 4, "{faults:#?}");
    assert!(
        faults[0].starts_with("session.ttl = 0: out of range; accepted: 1 second to 10 years"),
        "{}",
        faults[0]
    );
    assert!(
        faults[1]
            .starts_with("administrators: session.secure = true: cannot be set in this scope; accepted in: everyone")
    );
    assert!(faults[2].starts_with("app:wiki: auth.idle_session_timeout = soon: not a value of this kind"));
    assert!(faults[3].starts_with("session.same_site = None: "));
}

#[test]
fn same_site_none_needs_secure_wherever_either_comes_from() {
    let none = ("session.same_site", "None");
    let secure = ("session.secure", "on");
    assert_eq!(document(&[none]).faults(&Pins::new()).len(), 1);
    assert_eq!(document(&[none, secure]).faults(&Pins::new()), []);
    assert_eq!(document(&[none]).faults(&pins(&[secure])), []);
    assert_eq!(document(&[]).faults(&pins(&[none])).len(), 1);
    assert!(
        !document(&[none, secure])
            .faults(&pins(&[("session.secure", "off")]))
            .is_empty()
    );
}

#[test]
fn a_pinned_key_set_to_another_value_is_a_fault() {
    let pinned = pins(&[("auth.idle_session_timeout", "15m")]);
    assert_eq!(document(&[("auth.idle_session_timeout", "15m")]).faults(&pinned), []);
    let faults = messages(&document(&[("auth.idle_session_timeout", "20m")]).faults(&pinned));
    assert_eq!(
        faults,
        [
            "auth.idle_session_timeout = 1200: pinned to 15 minutes by NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT \
             in the environment"
        ]
    );
    let mut overridden = PolicyDocument::default();
    overridden.set(&wiki(), Key::AuthIdleSessionTimeout, Value::Number(60));
    assert_eq!(overridden.faults(&pinned).len(), 1, "in every scope");
}

#[test]
fn a_pin_that_came_later_does_not_block_other_edits() {
    let pinned = pins(&[("session.ttl", "1h")]);
    let base = document(&[("session.ttl", "2h")]);
    let mut draft = base.clone();
    draft.set(&Scope::Everyone, Key::SessionSecure, Value::Flag(true));
    assert_eq!(draft.faults_since(&base, &pinned), []);
    draft.set(&Scope::Everyone, Key::SessionTtl, Value::Number(60));
    assert_eq!(draft.faults_since(&base, &pinned).len(), 1);
}

#[test]
fn an_import_keeps_pinned_keys_as_they_are_and_lists_them() {
    let pinned = pins(&[("session.ttl", "1h"), ("session.secure", "on")]);
    let current = document(&[("session.ttl", "1h"), ("session.http_only", "off")]);
    let mut imported = document(&[
        ("session.ttl", "5h"),
        ("session.secure", "off"),
        ("session.http_only", "on"),
    ]);
    let kept = imported.keep_pinned(&current, &pinned);
    assert_eq!(
        kept,
        [
            (Scope::Everyone, Key::SessionTtl),
            (Scope::Everyone, Key::SessionSecure)
        ]
    );
    assert_eq!(
        imported,
        document(&[("session.ttl", "1h"), ("session.http_only", "on")])
    );
}

#[test]
fn edits_are_parsed_with_all_faults_at_once() {
    let edits = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect::<Vec<_>>()
    };
    let parsed = parse_edits(
        &Scope::Everyone,
        &edits(&[("auth.idle_session_timeout", "15m"), ("session.secure", "yes")]),
    );
    assert_eq!(
        parsed.unwrap(),
        [
            (Key::AuthIdleSessionTimeout, Value::Number(900)),
            (Key::SessionSecure, Value::Flag(true))
        ]
    );
    let faults = parse_edits(
        &wiki(),
        &edits(&[("auth.idle", "1"), ("session.secure", "on"), ("session.ttl", "x")]),
    )
    .unwrap_err();
    let faults = messages(&faults);
    assert_eq!(faults[0], "app:wiki: auth.idle = 1: unknown setting");
    assert!(faults[1].contains("cannot be set in this scope"), "{}", faults[1]);
    assert!(faults[2].contains("accepted"), "{}", faults[2]);
}

#[test]
fn the_json_form_is_scopes_of_keys() {
    let mut document = document(&[("auth.idle_session_timeout", "15m"), ("activity.ignored_paths", "/a")]);
    set(&mut document, &wiki(), &[("session.ttl", "1h")]);
    let json = document.to_json();
    assert_eq!(
        json,
        json!({
            "everyone": {"auth.idle_session_timeout": 900, "activity.ignored_paths": ["/a"]},
            "administrators": {},
            "app:wiki": {"session.ttl": 3600},
        })
    );
    assert_eq!(PolicyDocument::from_json(&json).unwrap(), document);
    assert_eq!(
        PolicyDocument::from_json(&json!({})).unwrap(),
        PolicyDocument::default()
    );
}

#[test]
fn json_faults_come_all_at_once() {
    let faults = PolicyDocument::from_json(&json!({
        "everyone": {"session.ttl": 0, "session.tll": 5, "session.secure": null},
        "administrators": {"session.secure": true},
        "guests": {},
        "app:": {},
        "app:wiki": 7,
    }))
    .unwrap_err();
    assert_eq!(faults.len(), 7, "{:#?}", messages(&faults));
    for json in [json!([]), json!(null), json!("x")] {
        assert_eq!(PolicyDocument::from_json(&json).unwrap_err().len(), 1);
    }
}

#[test]
fn scopes_are_written_as_the_cli_takes_them() {
    for (scope, text, label) in [
        (Scope::Everyone, "everyone", "Everyone"),
        (Scope::Administrators, "administrators", "Administrators"),
        (wiki(), "app:wiki", "Application wiki"),
    ] {
        assert_eq!((scope.to_string().as_str(), scope.label().as_str()), (text, label));
        assert_eq!(text.parse(), Ok(scope));
    }
    for text in [
        "",
        "Everyone",
        "wiki",
        "app:",
        "app:a b",
        "app:\u{200b}",
        &format!("app:{}", "x".repeat(65)),
    ] {
        assert!(text.parse::<Scope>().is_err(), "{text:?}");
    }
}

fn warned(document: &PolicyDocument) -> Vec<(Scope, Key)> {
    document
        .warnings(&Pins::new())
        .into_iter()
        .map(|warning| (warning.scope, warning.key))
        .collect()
}

#[test]
fn defaults_and_baselines_warn_of_nothing() {
    for baseline in baselines() {
        let document = baseline.document();
        assert_eq!(document.faults(&Pins::new()), [], "{}", baseline.id);
        assert_eq!(warned(&document), [], "{}", baseline.id);
    }
}

#[test]
fn cross_field_rules_warn() {
    let everyone = |key| vec![(Scope::Everyone, key)];
    for (settings, expected) in [
        (
            vec![("auth.idle_session_timeout", "2h"), ("session.ttl", "1h")],
            everyone(Key::AuthIdleSessionTimeout),
        ),
        (
            vec![("auth.idle_session_timeout", "99")],
            everyone(Key::AuthIdleSessionTimeout),
        ),
        (vec![("auth.idle_session_timeout", "100")], vec![]),
        (vec![("auth.idle_session_timeout", "0")], vec![]),
        (vec![("activity.counts", "interaction")], vec![]),
        (vec![("activity.counts", "navigation")], vec![]),
        (
            vec![("auth.idle_session_timeout", "5m"), ("session.idle_warning", "5m")],
            everyone(Key::SessionIdleWarning),
        ),
        (
            vec![("session.renewal_period", "2h")],
            everyone(Key::SessionRenewalPeriod),
        ),
        (vec![("session.same_site", "Strict")], everyone(Key::SessionSameSite)),
        (vec![("session.http_only", "off")], everyone(Key::SessionHttpOnly)),
        (
            vec![
                ("auth.login_lock_out_at_failure", "on"),
                ("auth.login_failure_limit", "100"),
            ],
            everyone(Key::AuthLoginFailureLimit),
        ),
        (
            vec![
                ("auth.login_lock_out_at_failure", "on"),
                ("auth.login_cooloff_time", "never"),
            ],
            everyone(Key::AuthLoginCooloffTime),
        ),
        (
            vec![("auth.login_account_ceiling", "0")],
            everyone(Key::AuthLoginAccountCeiling),
        ),
        (
            vec![("auth.login_account_ceiling", "101")],
            everyone(Key::AuthLoginAccountCeiling),
        ),
        (vec![("auth.login_ip_ceiling", "0")], everyone(Key::AuthLoginIpCeiling)),
        (
            vec![("auth.login_allow_list", "0.0.0.0/0")],
            everyone(Key::AuthLoginAllowList),
        ),
        (
            vec![
                ("session.session_validation_mode", "strict"),
                ("session.session_allow_ip_changes", "-1"),
            ],
            everyone(Key::SessionSessionAllowIpChanges),
        ),
        (
            vec![
                ("session.session_validation_mode", "permissive"),
                ("session.session_ip_validation", "on"),
            ],
            everyone(Key::SessionSessionIpValidation),
        ),
        (
            vec![("session.session_validation_mode", "off")],
            everyone(Key::SessionSessionValidationMode),
        ),
        (vec![("session.session_validation_mode", "strict")], vec![]),
    ] {
        assert_eq!(warned(&document(&settings)), expected, "{settings:?}");
    }
}

#[test]
fn administrators_looser_than_everyone_are_warned_of() {
    for (everyone, administrators, key) in [
        (
            ("auth.idle_session_timeout", "15m"),
            ("auth.idle_session_timeout", "1h"),
            Key::AuthIdleSessionTimeout,
        ),
        (
            ("auth.idle_session_timeout", "15m"),
            ("auth.idle_session_timeout", "never"),
            Key::AuthIdleSessionTimeout,
        ),
        (("session.ttl", "1h"), ("session.ttl", "2h"), Key::SessionTtl),
        (
            ("session.concurrent_user_session_limit", "2"),
            ("session.concurrent_user_session_limit", "0"),
            Key::SessionConcurrentUserSessionLimit,
        ),
    ] {
        let mut document = document(&[everyone]);
        set(&mut document, &Scope::Administrators, &[administrators]);
        assert_eq!(warned(&document), [(Scope::Administrators, key)], "{administrators:?}");
        let mut stricter = super::document(&[administrators]);
        set(&mut stricter, &Scope::Administrators, &[everyone]);
        assert_eq!(warned(&stricter), [], "{everyone:?}");
    }
}

#[test]
fn an_application_is_warned_of_for_what_it_sets_itself() {
    let mut document = document(&[("auth.idle_session_timeout", "99")]);
    set(&mut document, &wiki(), &[("activity.counts", "navigation")]);
    assert_eq!(warned(&document), [(Scope::Everyone, Key::AuthIdleSessionTimeout)]);
    set(&mut document, &wiki(), &[("auth.idle_session_timeout", "50")]);
    assert_eq!(warned(&document).len(), 2);
}

#[test]
fn an_application_that_lives_on_signs_of_life_needs_the_page_guard() {
    for (setting, key) in [
        (("auth.idle_session_timeout", "0"), Key::AuthIdleSessionTimeout),
        (("activity.counts", "interaction"), Key::ActivityCounts),
    ] {
        let mut document = document(&[]);
        set(&mut document, &wiki(), &[setting]);
        let warnings = document.warnings(&Pins::new());
        assert_eq!(warned(&document), [(wiki(), key)], "{setting:?}");
        assert!(warnings[0].message.contains("/nightlatch/guard.js"), "{setting:?}");
        set(
            &mut document,
            &Scope::Administrators,
            &[("auth.idle_session_timeout", "0")],
        );
        assert_eq!(warned(&document), [(wiki(), key)], "our own pages carry it");
    }
}

#[test]
fn warnings_speak_of_values_as_pins_leave_them() {
    let document = document(&[("session.same_site", "Strict")]);
    assert_eq!(document.warnings(&pins(&[("session.same_site", "Lax")])), []);
    assert_eq!(
        super::document(&[])
            .warnings(&pins(&[("session.same_site", "Strict")]))
            .len(),
        1
    );
}

#[test]
fn baselines_are_named_and_say_what_they_ask_for() {
    assert_eq!(
        baselines().iter().map(|baseline| baseline.id).collect::<Vec<_>>(),
        ["hue", "asvs-l2", "nist-aal2", "pci-dss-4"]
    );
    let value = |id: &str, key: Key| {
        let baseline = baselines().iter().find(|baseline| baseline.id == id).unwrap();
        baseline.document().everyone.get(&key).cloned()
    };
    assert_eq!(value("hue", Key::SessionTtl), None, "the defaults");
    assert_eq!(
        value("asvs-l2", Key::AuthIdleSessionTimeout),
        Some(Value::Number(1_800))
    );
    assert_eq!(value("asvs-l2", Key::SessionTtl), Some(Value::Number(43_200)));
    assert_eq!(value("asvs-l2", Key::PasswordMinLength), Some(Value::Number(15)));
    assert_eq!(
        value("asvs-l2", Key::AuthLoginLockOutAtFailure),
        Some(Value::Flag(true))
    );
    assert_eq!(
        value("pci-dss-4", Key::AuthIdleSessionTimeout),
        Some(Value::Number(900))
    );
    assert_eq!(value("pci-dss-4", Key::AuthLoginFailureLimit), Some(Value::Number(10)));
    assert_eq!(
        value("pci-dss-4", Key::AuthLoginCooloffTime),
        Some(Value::Number(1_800))
    );
    assert_eq!(value("pci-dss-4", Key::PasswordHistory), Some(Value::Number(4)));
    assert_eq!(value("nist-aal2", Key::SessionTtl), Some(Value::Number(86_400)));
}

#[test]
fn a_diff_lists_what_is_set_changed_and_unset_in_every_scope() {
    let old = document(&[("session.ttl", "1h"), ("session.secure", "on")]);
    let mut new = document(&[("session.ttl", "2h")]);
    set(&mut new, &wiki(), &[("auth.idle_session_timeout", "10m")]);
    let changes = diff(&old, &new);
    let change = |scope, key, old: Option<Value>, new: Option<Value>| Change { scope, key, old, new };
    assert_eq!(
        changes,
        [
            change(
                Scope::Everyone,
                Key::SessionTtl,
                Some(Value::Number(3_600)),
                Some(Value::Number(7_200))
            ),
            change(Scope::Everyone, Key::SessionSecure, Some(Value::Flag(true)), None),
            change(wiki(), Key::AuthIdleSessionTimeout, None, Some(Value::Number(600))),
        ]
    );
    assert_eq!(diff(&old, &old), []);
    let sentences: Vec<_> = changes.iter().map(Change::sentence).collect();
    assert_eq!(
        sentences,
        [
            "Absolute lifetime: 1 hour → 2 hours (Everyone)",
            "Secure: on → default (on if the public URL is https, otherwise off) (Everyone)",
            "Idle timeout: inherited → 10 minutes (Application wiki)",
        ]
    );
    for change in changes {
        assert_eq!(Change::from_json(&change.to_json()), Some(change));
    }
    assert_eq!(
        Change::from_json(&json!({"scope": "everyone", "key": "session.ttl", "old": null})),
        None
    );
    assert_eq!(
        Change::from_json(&json!({"scope": "everyone", "key": "gone", "old": null, "new": 1})),
        None
    );
}

#[test]
fn undoing_a_diff_gives_the_old_document() {
    let old = document(&[("session.ttl", "1h"), ("session.secure", "on")]);
    let mut new = document(&[("session.ttl", "2h"), ("password.history", "4")]);
    for change in diff(&old, &new) {
        match change.old {
            Some(value) => new.set(&change.scope, change.key, value),
            None => new.unset(&change.scope, change.key),
        }
    }
    assert_eq!(new, old);
}
