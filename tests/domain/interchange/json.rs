//! Policies as JSON files: exact, and with a line for each fault.

use nightlatch_domain::policy::{
    PolicyDocument, Scope,
    interchange::{self, PolicyFormat},
};

use super::{faults, imported};
use crate::{document, set};

#[test]
fn a_file_is_the_whole_document() {
    let mut whole = document(&[("session.ttl", "1h"), ("activity.ignored_paths", "/a, /b")]);
    set(
        &mut whole,
        &Scope::Application("wiki".into()),
        &[("activity.counts", "navigation")],
    );
    let base = document(&[("auth.idle_session_timeout", "5m")]);
    let text = interchange::export(PolicyFormat::Json, &whole).unwrap().text;
    let came = interchange::import(PolicyFormat::Json, &text, &base).unwrap();
    assert_eq!(came.document, whole);
    assert_eq!(imported(PolicyFormat::Json, "{}").document, PolicyDocument::default());
    let typed = "\u{feff}{\"everyone\": {\"auth.idle\\u005fsession_timeout\": \"15m\"}, \"app:wiki\": {}}";
    let mut expected = document(&[("auth.idle_session_timeout", "15m")]);
    expected.applications.entry("wiki".into()).or_default();
    assert_eq!(imported(PolicyFormat::Json, typed).document, expected);
}

#[test]
fn each_fault_has_its_line() {
    let text = "{\n  \"everyone\": {\n    \"session.ttl\": 0,\n    \"session.tll\":\n      5,\n    \"session.secure\": 1.5,\n    \"session.secure\": true,\n    \"session.secure\": false\n  },\n  \"guests\": {},\n  \"administrators\": [],\n  \"administrators\": {\"session.secure\": 1e400}\n}\n";
    let faults = faults(PolicyFormat::Json, text);
    let expected = [
        ("session.ttl = 0: out of range; accepted: 1 second to 10 years", 3),
        ("session.tll = 5: unknown setting", 5),
        ("session.secure = 1.5: not a value of this kind", 6),
        ("session.secure = false: given more than once", 8),
        ("unknown scope “guests”", 10),
        ("administrators: a scope is an object of settings", 11),
        ("administrators: session.secure = 1e400: ", 12),
        ("administrators: this scope is given more than once", 12),
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, (begins, line)) in faults.iter().zip(expected) {
        assert!(
            fault.starts_with(begins) && fault.ends_with(&format!("(line {line})")),
            "{fault}"
        );
    }
}

#[test]
fn invalid_json_is_refused_with_its_line() {
    for (text, begins, line) in [
        ("", "not JSON: EOF", 1),
        ("{\n  \"everyone\": {,}\n}", "not JSON: ", 2),
        ("{} {}", "not JSON: trailing", 1),
        ("\n[]", "a policy is an object of scopes: ", 2),
        ("5", "a policy is an object of scopes: ", 1),
    ] {
        let faults = faults(PolicyFormat::Json, text);
        assert!(faults[0].starts_with(begins), "{text}: {faults:?}");
        assert!(faults[0].ends_with(&format!("(line {line})")), "{text}: {faults:?}");
    }
}
