//! Tests of [`super`].

use super::*;

#[test]
fn an_entry_that_stands_for_several_says_how_many() {
    let mut row = AuditRecord {
        id: uuid::Uuid::nil(),
        at: Timestamp::from_micros(0),
        event: Event::SignInRefused,
        actor: "anonymous".to_owned(),
        actor_id: None,
        account: Some("eve".to_owned()),
        account_id: None,
        session_id: None,
        ip: Some([192, 0, 2, 1].into()),
        user_agent: None,
        application: None,
        outcome: EventOutcome::Failure,
        reason: Some("locked".to_owned()),
        detail: Value::Null,
        request_id: None,
    };
    assert_eq!(sentence(&row), "Sign-in refused: locked out");
    row.detail = serde_json::json!({ "refusals": 21 });
    assert_eq!(sentence(&row), "Sign-in refused: locked out, 21 times");
    row.account = None;
    assert_eq!(
        sentence(&row),
        "Sign-in refused: locked out, 21 times under various names"
    );
    row.ip = None;
    assert_eq!(
        sentence(&row),
        "Sign-in refused: locked out, 21 times from various addresses"
    );
}

#[test]
fn a_factor_is_named_and_a_refusal_says_why() {
    let mut row = AuditRecord {
        id: uuid::Uuid::nil(),
        at: Timestamp::from_micros(0),
        event: Event::FactorAdded,
        actor: "ada".to_owned(),
        actor_id: None,
        account: Some("ada".to_owned()),
        account_id: None,
        session_id: None,
        ip: None,
        user_agent: None,
        application: None,
        outcome: EventOutcome::Success,
        reason: None,
        detail: serde_json::json!({ "kind": "passkey", "passkey": "Pixel 9" }),
        request_id: None,
    };
    assert_eq!(sentence(&row), "Passkey added: Pixel 9");
    row.detail = serde_json::json!({ "kind": "authenticator_app" });
    assert_eq!(sentence(&row), "Authenticator app added");
    (row.outcome, row.detail) = (EventOutcome::Failure, Value::Null);
    (row.event, row.reason) = (Event::FactorRefused, Some("replayed".to_owned()));
    assert_eq!(sentence(&row), "Second factor refused: code already used");
    (row.event, row.reason) = (Event::PasswordChanged, Some("credentials".to_owned()));
    assert_eq!(sentence(&row), "Password change refused: wrong current password");
}

#[test]
fn old_and_new_become_a_diff_and_the_rest_facts() {
    let recorded = serde_json::json!({
        "revision": 7,
        "reason": "",
        "changes": [{ "scope": "everyone", "key": "auth.idle_session_timeout", "old": 900, "new": 600 }],
        "email": { "old": null, "new": "a@example.org" },
        "keys": { "ip": "203.0.113.9", "account": null },
        "baseline": null,
    });
    let (changes, facts) = detail(&recorded);
    let changes: Vec<(&str, &str, &str)> = changes
        .iter()
        .map(|line| (line.label.as_str(), line.old.as_str(), line.new.as_str()))
        .collect();
    assert_eq!(
        changes,
        [
            ("Idle timeout", "15 minutes", "10 minutes"),
            ("Email", "none", "a@example.org")
        ]
    );
    let facts: Vec<(&str, &str)> = facts
        .iter()
        .map(|(label, words)| (label.as_str(), words.as_str()))
        .collect();
    assert_eq!(facts, [("Revision", "7"), ("Reason", "none"), ("Ip", "203.0.113.9")]);
}
