//! Policy documents as TOML.

use nightlatch_domain::policy::{PolicyDocument, Scope, toml};

use super::{document, set};

fn everything() -> PolicyDocument {
    let mut document = document(&[
        ("session.ttl", "1h"),
        ("auth.idle_session_timeout", "never"),
        ("auth.expire_superusers", "90d"),
        ("password.regex", r#"^(?=.*[A-Z])"quoted"\d{2,}$"#),
        ("password.regex_hint", "Größe: “zwei” 'Ziffern' # kein Kommentar"),
        ("activity.ignored_paths", "/a, /b/*"),
        ("auth.login_allow_list", ""),
        ("session.secure", "on"),
    ]);
    set(&mut document, &Scope::Administrators, &[("session.ttl", "30m")]);
    set(
        &mut document,
        &Scope::Application("wiki".into()),
        &[("activity.counts", "navigation")],
    );
    set(
        &mut document,
        &Scope::Application("größe.\"x\"".into()),
        &[("session.ttl", "5m")],
    );
    document
}

#[test]
fn a_document_round_trips_exactly() {
    for document in [PolicyDocument::default(), everything()] {
        let text = toml::export(&document);
        assert_eq!(
            toml::import(&text).unwrap_or_else(|faults| panic!("{faults:#?}\n{text}")),
            document
        );
    }
}

#[test]
fn the_export_is_readable() {
    let text = toml::export(&document(&[("auth.idle_session_timeout", "15m")]));
    assert!(
        text.contains("[everyone]\n# Idle timeout: 15 minutes\nauth.idle_session_timeout = 900\n"),
        "{text}"
    );
    assert!(text.contains("\n[administrators]\n"), "{text}");
    assert!(::toml::from_str::<::toml::Table>(&text).is_ok());
}

#[test]
fn quoted_keys_nested_tables_and_words_of_people_are_read() {
    let expected = document(&[("auth.idle_session_timeout", "15m"), ("session.secure", "on")]);
    for text in [
        "[everyone]\n'auth.idle_session_timeout' = '15m'\n\"session.secure\" = true",
        "[everyone.auth]\nidle_session_timeout = 900\n[everyone.session]\nsecure = 'yes'",
        "everyone.auth.idle_session_timeout = 0x384\neveryone.session.secure = true",
    ] {
        assert_eq!(toml::import(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn all_faults_come_at_once_with_their_lines() {
    let text = "[everyone]\nsession.ttl = 0\nsession.tll = 5\nsession.secure = 1.5\n\n[administrators]\nsession.secure = true\n\n[guests]\n[app.wiki]\nauth.idle_session_timeout = 'soon'\n[app.\"a b\"]\n";
    let faults = toml::import(text).unwrap_err();
    let mut seen: Vec<_> = faults
        .iter()
        .map(|fault| (line(&fault.message), fault.scope.to_string(), fault.key.as_str()))
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            (2, "everyone".into(), "session.ttl"),
            (3, "everyone".into(), "session.tll"),
            (4, "everyone".into(), "session.secure"),
            (7, "administrators".into(), "session.secure"),
            (9, "everyone".into(), "guests"),
            (11, "app:wiki".into(), "auth.idle_session_timeout"),
            (12, "everyone".into(), "app"),
        ]
    );
}

#[test]
fn invalid_toml_is_refused_with_its_line() {
    for (text, number) in [
        ("[everyone\n", 1),
        ("[everyone]\nsession.ttl = \n", 2),
        ("[everyone]\nsession.ttl = 1\nsession.ttl = 2\n", 3),
        ("a", 1),
    ] {
        let faults = toml::import(text).unwrap_err();
        assert_eq!(line(&faults[0].message), number, "{text}: {faults:?}");
    }
}

fn line(message: &str) -> usize {
    let digits = message.rsplit_once("(line ").unwrap_or_else(|| panic!("{message}")).1;
    digits.trim_end_matches(')').parse().unwrap()
}
