//! Tests of [`super`].

use super::*;
use crate::domain::policy::{Pins, PolicyDocument};

fn policy(set: &[(Scope, Key, Value)]) -> Policy {
    let mut document = PolicyDocument::default();
    for (scope, key, value) in set {
        document.set(scope, *key, value.clone());
    }
    Policy::new(1, document, Pins::new(), false)
}

fn submitted(fields: &[(&str, &str)]) -> PolicyForm {
    PolicyForm::new(
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    )
}

fn edits(base: &Policy, scope: &Scope, fields: &[(&str, &str)]) -> Vec<(Key, Option<Value>)> {
    submitted(fields)
        .touched(base, scope)
        .into_iter()
        .map(|touched| (touched.key, touched.outcome.expect("accepted")))
        .collect()
}

#[test]
fn a_value_equal_to_the_shown_one_is_no_edit() {
    let fields = [
        ("session.ttl", "2 weeks"),
        ("auth.idle_session_timeout", ""),
        ("auth.idle_session_timeout.never", "on"),
        ("session.secure", "off"),
    ];
    assert_eq!(edits(&policy(&[]), &Scope::Everyone, &fields), []);
    assert_eq!(edits(&policy(&[]), &Scope::Everyone, &[("session.ttl", "1209600")]), []);
}

#[test]
fn a_text_typed_beside_a_ticked_never_is_meant() {
    let fields = [
        ("auth.idle_session_timeout", "15m"),
        ("auth.idle_session_timeout.never", "on"),
    ];
    assert_eq!(
        edits(&policy(&[]), &Scope::Everyone, &fields),
        [(Key::AuthIdleSessionTimeout, Some(Value::Number(900)))]
    );
}

#[test]
fn ticking_never_beside_the_old_text_means_never() {
    let base = policy(&[(Scope::Everyone, Key::AuthIdleSessionTimeout, Value::Number(900))]);
    let fields = [
        ("auth.idle_session_timeout", "15 minutes"),
        ("auth.idle_session_timeout.never", "on"),
    ];
    assert_eq!(
        edits(&base, &Scope::Everyone, &fields),
        [(Key::AuthIdleSessionTimeout, Some(Value::Number(-1)))]
    );
}

#[test]
fn a_mode_change_leaves_the_settings_it_derives_unset() {
    let fields = [
        ("session.session_validation_mode", "strict"),
        ("session.session_ip_subnet_bits", "24"),
        ("session.session_allow_ip_changes", "1"),
    ];
    let expected = [(Key::SessionSessionValidationMode, Some(Value::Text("strict".into())))];
    assert_eq!(edits(&policy(&[]), &Scope::Everyone, &fields), expected);
}

#[test]
fn an_override_equal_to_the_inherited_value_needs_its_box() {
    let scope = Scope::Administrators;
    assert_eq!(edits(&policy(&[]), &scope, &[("session.ttl", "2 weeks")]), []);
    let fields = [("session.ttl", "2 weeks"), ("session.ttl.set", "on")];
    assert_eq!(
        edits(&policy(&[]), &scope, &fields),
        [(Key::SessionTtl, Some(Value::Number(1_209_600)))]
    );
}

#[test]
fn unset_wins_over_what_the_field_still_says() {
    let base = policy(&[(Scope::Administrators, Key::SessionTtl, Value::Number(3600))]);
    let fields = [("session.ttl", "1 hour"), ("session.ttl.unset", "on")];
    assert_eq!(edits(&base, &Scope::Administrators, &fields), [(Key::SessionTtl, None)]);
    assert_eq!(edits(&policy(&[]), &Scope::Administrators, &fields), []);
}

#[test]
fn strangers_are_named() {
    let fields = submitted(&[
        ("session.tttl", "1h"),
        ("password.min_length", "9"),
        ("reason", "x"),
        ("session.ttl.never", "on"),
    ]);
    let names: Vec<String> = fields
        .unknown_fields(&Scope::Administrators)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["password.min_length", "session.tttl"]);
}

#[test]
fn a_fault_keeps_what_was_typed() {
    let touched = submitted(&[("session.ttl", "two fortnights")]).touched(&policy(&[]), &Scope::Everyone);
    assert_eq!(
        touched[0].outcome,
        Err("Enter a duration such as 15m, 1.5h or 2 weeks, up to 10 years.".to_owned())
    );
    assert_eq!(touched[0].typed.text, "two fortnights");
    let touched = submitted(&[("auth.idle_session_timeout", "soon")]).touched(&policy(&[]), &Scope::Everyone);
    let words = "Enter a duration such as 15m, 1.5h or 2 weeks, up to 10 years, or choose Never.";
    assert_eq!(touched[0].outcome, Err(words.to_owned()));
}
