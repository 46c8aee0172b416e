//! The catalogue: complete, consistent, and every value goes through text and back.

use nightlatch_domain::policy::{
    Key, Scope, Value,
    catalogue::{Group, Kind, markdown},
};

/// The tables of docs/settings.md: key, exported default, scopes besides everyone (a =
/// administrators, p = applications).
const CONTRACT: &[(&str, &str, &str)] = &[
    ("session.ttl", "1209600", "ap"),
    ("auth.idle_session_timeout", "-1", "ap"),
    ("session.window_close_grace", "180", ""),
    ("session.renewal_period", "-1", "a"),
    ("session.concurrent_user_session_limit", "0", "a"),
    ("session.idle_warning", "-1", "p"),
    ("activity.counts", "every_request", "p"),
    ("activity.ignored_paths", "", "p"),
    ("auth.change_default_password", "false", ""),
    ("auth.expires_after", "-1", ""),
    ("auth.expire_unused_after", "-1", ""),
    ("auth.expire_superusers", "true", ""),
    ("auth.expiry_notice", "604800", ""),
    ("password.min_length", "12", ""),
    ("password.min_strength", "3", ""),
    ("password.history", "0", ""),
    ("password.max_age", "-1", ""),
    ("password.regex", "", ""),
    ("password.regex_hint", "", ""),
    ("auth.login_lock_out_at_failure", "false", ""),
    ("auth.login_failure_limit", "3", ""),
    ("auth.login_cooloff_time", "900", ""),
    ("auth.login_lock_out_by_combination_user_and_ip", "false", ""),
    ("auth.login_lock_out_use_user_agent", "false", ""),
    ("auth.login_ip_ceiling", "100", ""),
    ("auth.login_account_ceiling", "100", ""),
    ("auth.reset_limit", "5", ""),
    ("auth.login_allow_list", "", ""),
    ("factor.required", "off", "ap"),
    ("factor.enrolment", "at_sign_in", "a"),
    ("factor.enrolment_grace", "0", "a"),
    ("factor.authenticator_app", "true", ""),
    ("factor.passkeys", "true", ""),
    ("factor.passwordless", "true", ""),
    ("factor.trusted_browser", "0", "a"),
    ("factor.failure_limit", "5", ""),
    ("session.secure", "false", ""),
    ("session.http_only", "true", ""),
    ("session.same_site", "Lax", ""),
    ("session.expire_at_browser_close", "false", ""),
    ("session.device_binding", "offer", "ap"),
    ("session.device_proof_age", "600", ""),
    ("session.session_validation_mode", "moderate", ""),
    ("session.session_ip_validation", "true", ""),
    ("session.session_ip_subnet_bits", "24", ""),
    ("session.network_groups", "", ""),
    ("session.session_user_agent_validation", "true", ""),
    ("session.session_user_agent_match", "family", ""),
    ("session.session_allow_ip_changes", "1", ""),
    ("session.session_ip_change_grace_period", "300", ""),
    ("session.session_rotation_on_ip_change", "true", ""),
    ("session.session_security_audit_log", "true", ""),
    ("retention.audit", "31536000", ""),
    ("retention.sessions", "7776000", ""),
    ("retention.known_networks", "7776000", ""),
    ("retention.tokens", "2592000", ""),
    ("retention.mail", "2592000", ""),
    ("retention.pins", "86400", ""),
    ("notices.sign_in", "true", ""),
    ("notices.password", "true", ""),
    ("notices.email", "true", ""),
    ("notices.lockout", "true", ""),
    ("notices.expiry", "true", ""),
    ("notices.digest", "true", ""),
];

fn key(name: &str) -> Key {
    Key::parse(name).unwrap_or_else(|| panic!("no setting {name}"))
}

#[test]
fn the_catalogue_is_the_table_of_the_contract() {
    let rows: Vec<_> = Key::ALL
        .iter()
        .map(|key| {
            let setting = key.setting();
            let scopes = match (setting.administrators, setting.applications) {
                (true, true) => "ap",
                (true, false) => "a",
                (false, true) => "p",
                (false, false) => "",
            };
            (setting.name, key.default_value().to_string(), scopes)
        })
        .collect();
    let contract: Vec<_> = CONTRACT
        .iter()
        .map(|(name, default, scopes)| (*name, (*default).to_owned(), *scopes))
        .collect();
    assert_eq!(rows, contract);
}

#[test]
fn every_key_finds_its_own_facts() {
    for key in Key::ALL {
        let setting = key.setting();
        assert_eq!((setting.key, Key::parse(setting.name)), (*key, Some(*key)));
        assert!(
            setting.effect.ends_with('.') && !setting.label.is_empty() && !setting.synonyms.is_empty(),
            "{key}"
        );
        assert!(
            setting
                .source
                .split(", ")
                .all(|source| ["Hue", "Bloomreach", "IBM", "Nightlatch"].contains(&source)),
            "{key}"
        );
    }
    assert_eq!(
        Key::AuthIdleSessionTimeout.env_name(),
        "NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT"
    );
    assert_eq!(Key::parse("auth.idle"), None);
}

#[test]
fn every_setting_stands_in_one_group() {
    let grouped: Vec<_> = Group::ALL
        .iter()
        .flat_map(|group| group.settings())
        .map(|setting| setting.key)
        .collect();
    assert_eq!(grouped, Key::ALL);
    assert!(
        Group::ALL
            .iter()
            .all(|group| !group.title().is_empty() && !group.anchor().contains(' '))
    );
}

#[test]
fn defaults_pass_their_own_check_and_go_through_text_and_json() {
    for key in Key::ALL {
        let (setting, default) = (key.setting(), key.default_value());
        assert_eq!(setting.check(&default), Ok(()), "{key}");
        assert_eq!(setting.parse(&setting.input(&default)), Ok(default.clone()), "{key}");
        assert_eq!(setting.parse(&default.to_string()), Ok(default.clone()), "{key}");
        assert_eq!(setting.read(&default.to_json()), Ok(default), "{key}");
    }
}

#[test]
fn values_are_read_as_people_type_them() {
    for (name, text, value) in [
        ("auth.idle_session_timeout", "15m", Value::Number(900)),
        ("auth.idle_session_timeout", "NEVER", Value::Number(-1)),
        ("auth.idle_session_timeout", "while a window is open", Value::Number(0)),
        ("session.idle_warning", "Automatic", Value::Number(-1)),
        ("session.concurrent_user_session_limit", "no limit", Value::Number(0)),
        ("session.renewal_period", "unlimited", Value::Number(-1)),
        ("auth.login_ip_ceiling", "off", Value::Number(0)),
        ("factor.required", "Passkey", Value::Text("passkey".into())),
        ("factor.trusted_browser", "off", Value::Number(0)),
        ("factor.trusted_browser", "30 days", Value::Number(2_592_000)),
        ("factor.enrolment_grace", "none", Value::Number(0)),
        ("factor.enrolment", "by_link", Value::Text("by_link".into())),
        ("session.session_allow_ip_changes", "unlimited", Value::Number(-1)),
        ("session.session_allow_ip_changes", "never", Value::Number(-1)),
        ("session.session_allow_ip_changes", " 3 ", Value::Number(3)),
        ("session.same_site", "lax", Value::Text("Lax".into())),
        ("session.same_site", "NONE", Value::Text("None".into())),
        (
            "session.session_validation_mode",
            "Moderate_VPN",
            Value::Text("moderate_vpn".into()),
        ),
        ("session.session_ip_subnet_bits", "16", Value::Number(16)),
        (
            "activity.ignored_paths",
            "/a, /b/*,\n/c",
            Value::List(vec!["/a".into(), "/b/*".into(), "/c".into()]),
        ),
        ("activity.ignored_paths", " ", Value::List(vec![])),
        (
            "auth.login_allow_list",
            "10.0.0.0/8",
            Value::List(vec!["10.0.0.0/8".into()]),
        ),
        ("password.regex", "", Value::Text(String::new())),
        ("password.regex_hint", "A, b", Value::Text("A, b".into())),
        ("auth.expire_superusers", "90d", Value::Number(7_776_000)),
        ("auth.expire_superusers", "never", Value::Flag(false)),
        ("auth.expire_superusers", "1", Value::Flag(true)),
        ("auth.expire_superusers", "0", Value::Flag(false)),
        ("auth.expire_superusers", "2", Value::Number(2)),
    ] {
        assert_eq!(key(name).setting().parse(text), Ok(value), "{name} = {text}");
    }
}

#[test]
fn the_words_of_a_flag() {
    let setting = key("session.secure").setting();
    for (words, on) in [
        (["true", "yes", "on", "1", "TRUE"], true),
        (["false", "no", "off", "0", "Off"], false),
    ] {
        for word in words {
            assert_eq!(setting.parse(word), Ok(Value::Flag(on)), "{word}");
        }
    }
    for word in ["", "y", "maybe", "2", "-1", "tru"] {
        assert!(setting.parse(word).unwrap_err().contains("on or off"), "{word}");
    }
}

#[test]
fn values_out_of_range_are_refused_with_the_accepted_range() {
    for (name, texts, accepted) in [
        (
            "session.ttl",
            vec![
                "0",
                "-1",
                "never",
                "315360001",
                "9223372036854775808",
                "NaN",
                "",
                "soon",
                "-5",
            ],
            "1 second to 10 years",
        ),
        (
            "auth.idle_session_timeout",
            vec!["-2", "11 years", "1e9", "3650.5d"],
            "0 seconds to 10 years, or never (-1)",
        ),
        (
            "factor.required",
            vec!["", "on", "totp", "always"],
            "off, any or passkey",
        ),
        ("factor.enrolment", vec!["", "never"], "at_sign_in or by_link"),
        ("factor.enrolment_grace", vec!["-1", "never"], "0 seconds to 10 years"),
        ("factor.failure_limit", vec!["0", "21"], "from 1 to 20"),
        (
            "auth.login_cooloff_time",
            vec!["0", "-2", "0s"],
            "1 second to 10 years, or never (-1)",
        ),
        ("session.idle_warning", vec!["-2", "x"], "or automatic (-1)"),
        (
            "auth.login_failure_limit",
            vec![
                "0",
                "101",
                "-1",
                "3.0",
                "2147483648",
                "99999999999999999999",
                "never",
                "",
            ],
            "from 1 to 100",
        ),
        ("password.min_length", vec!["7", "129"], "from 8 to 128"),
        ("password.min_strength", vec!["5", "-1"], "from 0 to 4"),
        ("password.history", vec!["25"], "from 0 to 24"),
        (
            "session.session_ip_subnet_bits",
            vec!["0", "20", "33", "-8", "24.0"],
            "8, 16, 24 or 32",
        ),
        (
            "session.session_allow_ip_changes",
            vec!["-2", "x", ""],
            "or unlimited (-1)",
        ),
        (
            "session.session_ip_change_grace_period",
            vec!["-1", "never"],
            "0 seconds to 10 years",
        ),
        ("session.same_site", vec!["", "Lax ish", "loose"], "Strict, Lax or None"),
        (
            "session.session_validation_mode",
            vec!["paranoid", "strict,moderate"],
            "strict, moderate, moderate_vpn, permissive or off",
        ),
        (
            "auth.expire_superusers",
            vec!["-2", "315360001", "", "x"],
            "on, off, or 0 seconds to 10 years",
        ),
        (
            "password.regex",
            vec!["(", "[", "a\nb", "(?<=x)y"],
            "regular expression",
        ),
        ("password.regex_hint", vec!["a\0b"], "one line of text"),
        ("activity.ignored_paths", vec!["ping", "/a, b"], "path patterns"),
        (
            "auth.login_allow_list",
            vec!["10.0.0.0/33", "office", "10.0.0.1-10.0.0.9"],
            "addresses and networks",
        ),
    ] {
        for text in texts {
            let fault = key(name)
                .setting()
                .parse(text)
                .expect_err(&format!("{name} = {text:?}"));
            assert!(fault.contains(accepted), "{name} = {text:?}: {fault}");
        }
    }
}

#[test]
fn bounds_are_inclusive() {
    for (name, first, last) in [
        ("session.ttl", 1, 315_360_000),
        ("auth.idle_session_timeout", -1, 315_360_000),
        ("auth.login_failure_limit", 1, 100),
        ("password.min_length", 8, 128),
        ("password.min_strength", 0, 4),
        ("password.history", 0, 24),
        ("factor.failure_limit", 1, 20),
        ("factor.enrolment_grace", 0, 315_360_000),
        ("factor.trusted_browser", 0, 315_360_000),
    ] {
        let setting = key(name).setting();
        for (number, fits) in [
            (first - 1, false),
            (first, true),
            (last, true),
            (last + 1, false),
            (i64::MIN, false),
            (i64::MAX, false),
        ] {
            assert_eq!(setting.check(&Value::Number(number)).is_ok(), fits, "{name} = {number}");
        }
    }
}

#[test]
fn a_value_of_another_kind_is_refused() {
    let values = [
        Value::Flag(true),
        Value::Number(8),
        Value::Text("Lax".into()),
        Value::List(vec!["/a".into()]),
    ];
    for key in Key::ALL {
        let accepted = values.iter().filter(|value| key.setting().check(value).is_ok()).count();
        let kinds = if key.setting().kind == Kind::FlagOrDuration {
            2
        } else {
            1
        };
        assert!(accepted <= kinds, "{key}");
    }
    assert!(
        key("session.secure")
            .setting()
            .check(&Value::Text("true".into()))
            .is_err()
    );
    assert!(
        key("activity.ignored_paths")
            .setting()
            .check(&Value::List(vec!["/a,b".into()]))
            .is_err(),
        "could not be written down"
    );
}

#[test]
fn values_are_shown_in_words() {
    for (name, value, shown) in [
        ("auth.idle_session_timeout", Value::Number(900), "15 minutes"),
        ("auth.idle_session_timeout", Value::Number(-1), "never"),
        ("auth.idle_session_timeout", Value::Number(0), "while a window is open"),
        ("session.idle_warning", Value::Number(-1), "automatic"),
        ("session.concurrent_user_session_limit", Value::Number(0), "no limit"),
        ("session.secure", Value::Flag(true), "on"),
        ("session.same_site", Value::Text("Lax".into()), "Lax"),
        ("session.session_allow_ip_changes", Value::Number(-1), "unlimited"),
        ("session.session_allow_ip_changes", Value::Number(0), "0"),
        ("auth.expire_superusers", Value::Number(7_776_000), "90 days"),
        ("password.regex", Value::Text(String::new()), "none"),
        (
            "activity.ignored_paths",
            Value::List(vec!["/a".into(), "/b".into()]),
            "/a, /b",
        ),
        ("auth.login_allow_list", Value::List(vec![]), "none"),
    ] {
        assert_eq!(key(name).setting().display(&value), shown, "{name}");
    }
}

#[test]
fn json_takes_the_words_of_people_too() {
    let read = |name: &str, json: serde_json::Value| key(name).setting().read(&json);
    assert_eq!(read("auth.idle_session_timeout", "15m".into()), Ok(Value::Number(900)));
    assert_eq!(read("session.secure", "yes".into()), Ok(Value::Flag(true)));
    assert_eq!(read("auth.expire_superusers", (-1).into()), Ok(Value::Flag(false)));
    assert_eq!(read("auth.expire_superusers", 0.into()), Ok(Value::Number(0)));
    for json in [
        serde_json::json!(1.5),
        serde_json::json!(null),
        serde_json::json!({}),
        serde_json::json!([1]),
        serde_json::json!(1e300),
    ] {
        assert!(read("auth.idle_session_timeout", json.clone()).is_err(), "{json}");
    }
}

#[test]
fn search_finds_settings_by_name_label_effect_and_synonym() {
    let found = |words: &str| Key::ALL.iter().filter(|key| key.setting().matches(words)).count();
    for (words, name) in [
        ("samesite", "session.same_site"),
        ("inactivity", "auth.idle_session_timeout"),
        ("idle session", "auth.idle_session_timeout"),
        ("Auth.Idle_Session", "auth.idle_session_timeout"),
        ("brute force", "auth.login_lock_out_at_failure"),
        ("zxcvbn", "password.min_strength"),
        ("mfa", "factor.required"),
        ("webauthn", "factor.passkeys"),
        ("remember this device", "factor.trusted_browser"),
    ] {
        assert!(key(name).setting().matches(words), "{words}");
    }
    assert_eq!(found("no such thing"), 0);
    assert_eq!(found(""), Key::ALL.len());
}

#[test]
fn scopes_are_allowed_as_declared() {
    let wiki = Scope::Application("wiki".into());
    for key in Key::ALL {
        let setting = key.setting();
        assert!(setting.allowed_in(&Scope::Everyone));
        assert_eq!(setting.allowed_in(&Scope::Administrators), setting.administrators);
        assert_eq!(setting.allowed_in(&wiki), setting.applications);
    }
}

#[test]
fn the_reference_has_a_row_for_every_setting() {
    let page = markdown();
    for key in Key::ALL {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{key}` |")))
            .unwrap_or_else(|| panic!("{key}"));
        assert!(
            row.contains(&key.env_name()) && row.contains(key.setting().source),
            "{row}"
        );
        let cells = row.replace("\\|", "").matches('|').count();
        assert_eq!(cells, 8, "{row}");
    }
    for group in Group::ALL {
        assert!(page.contains(&format!("\n## {}\n", group.title())));
    }
    assert!(page.lines().any(|line| line.contains("2 weeks (`1209600`)")));
}
