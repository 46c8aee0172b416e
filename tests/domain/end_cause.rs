//! Why a session ended, as it is kept with it.

use nightlatch_domain::{
    account::Role,
    policy::{Key, Scope, Value},
    session::{EndCause, EndReason, LifeFacts, SessionEnder},
    time::Span,
};

use super::{at, document, policy, set};

/// A rule ended ada's session.
const NOBODY: SessionEnder<'_> = SessionEnder {
    person: None,
    owner: "ada",
};

/// A session of an hour that was last active after ten minutes.
fn life() -> LifeFacts {
    LifeFacts {
        signed_in_at: at(0),
        last_active_at: at(600),
        last_seen_at: at(600),
    }
}

#[test]
fn the_cause_names_the_rule_that_binds_with_its_limit_and_instant() {
    let mut rules = document(&[("auth.idle_session_timeout", "30m"), ("session.ttl", "2h")]);
    set(&mut rules, &Scope::Administrators, &[("session.ttl", "1h")]);
    set(
        &mut rules,
        &Scope::Application("wiki".into()),
        &[("auth.idle_session_timeout", "5m")],
    );
    let policy = policy(rules);
    let wiki = ["wiki".to_owned()];
    for (reason, role, entered, setting, scope, limit, due_at) in [
        (
            EndReason::Idle,
            Role::Member,
            &[][..],
            Key::AuthIdleSessionTimeout,
            Scope::Everyone,
            1800,
            at(2400),
        ),
        (
            EndReason::Idle,
            Role::Member,
            &wiki[..],
            Key::AuthIdleSessionTimeout,
            Scope::Application("wiki".into()),
            300,
            at(900),
        ),
        (
            EndReason::Ttl,
            Role::Member,
            &wiki[..],
            Key::SessionTtl,
            Scope::Everyone,
            7200,
            at(7200),
        ),
        (
            EndReason::Ttl,
            Role::Administrator,
            &[][..],
            Key::SessionTtl,
            Scope::Administrators,
            3600,
            at(3600),
        ),
    ] {
        let cause = EndCause::new(reason, &life(), role, entered, &policy);
        let expected = EndCause {
            setting: Some(setting),
            scope: Some(scope),
            limit: Some(Value::Number(limit)),
            due_at: Some(due_at),
            window_close_grace: None,
            last_active_at: at(600),
            policy_revision: 1,
            refused_client: None,
        };
        assert_eq!(cause, expected, "{reason} of {role:?} in {entered:?}");
    }
}

#[test]
fn an_end_by_a_person_names_no_setting() {
    let cause = EndCause::new(EndReason::Revoked, &life(), Role::Member, &[], &policy(document(&[])));
    assert_eq!((cause.setting, cause.limit, cause.due_at), (None, None, None));
    assert_eq!((cause.last_active_at, cause.policy_revision), (at(600), 1));
}

#[test]
fn written_values_are_read_back() {
    let policy = policy(document(&[("auth.idle_session_timeout", "30m")]));
    for reason in EndReason::ALL {
        let cause = EndCause::new(*reason, &life(), Role::Member, &["wiki".to_owned()], &policy);
        assert_eq!(EndCause::from_json(&cause.to_json()), Some(cause), "{reason}");
    }
    assert_eq!(EndCause::from_json(&serde_json::json!({})), None);
    assert_eq!(EndCause::from_json(&serde_json::Value::Null), None);
}

#[test]
fn a_closed_window_names_the_rule_that_ties_the_session_to_it_and_the_grace() {
    let mut rules = document(&[("session.window_close_grace", "2m")]);
    set(
        &mut rules,
        &Scope::Application("cms".into()),
        &[("auth.idle_session_timeout", "0")],
    );
    let policy = policy(rules);
    let cause = EndCause::new(
        EndReason::WindowClosed,
        &life(),
        Role::Member,
        &["cms".to_owned()],
        &policy,
    );
    assert_eq!(cause.setting, Some(Key::AuthIdleSessionTimeout));
    assert_eq!(
        (cause.scope.clone(), cause.limit.clone()),
        (Some(Scope::Application("cms".into())), Some(Value::Number(0)))
    );
    assert_eq!(cause.window_close_grace, Some(Span::from_secs(120)));
    assert_eq!(cause.due_at, Some(at(720)));
    assert_eq!(
        cause.sentence(EndReason::WindowClosed, NOBODY),
        "No window was open for 2 minutes."
    );
}

#[test]
fn the_sentence_says_the_limit_that_was_in_force() {
    let policy = policy(document(&[
        ("auth.idle_session_timeout", "15m"),
        ("session.ttl", "12h"),
        ("session.concurrent_user_session_limit", "3"),
    ]));
    for (reason, sentence) in [
        (EndReason::Idle, "There was no activity for 15 minutes."),
        (
            EndReason::Ttl,
            "Its absolute lifetime of 12 hours was over; activity does not extend it.",
        ),
        (EndReason::SignedOut, "The user signed out."),
    ] {
        let cause = EndCause::new(reason, &life(), Role::Member, &[], &policy);
        assert_eq!(cause.sentence(reason, NOBODY), sentence);
    }
    let limit = EndCause::new(EndReason::SessionLimit, &life(), Role::Member, &[], &policy);
    assert!(
        limit
            .sentence(EndReason::SessionLimit, NOBODY)
            .contains("may have 3 at a time")
    );
}

#[test]
fn the_sentence_names_the_person_or_the_client_that_ended_it() {
    let policy = policy(document(&[]));
    let sentence = |reason, person, client: Option<&str>| {
        let cause = EndCause {
            refused_client: client.map(str::to_owned),
            ..EndCause::new(reason, &life(), Role::Member, &[], &policy)
        };
        cause.sentence(reason, SessionEnder { person, ..NOBODY })
    };
    for (reason, person, client, expected) in [
        (EndReason::Revoked, Some("bob"), None, "bob ended it."),
        (
            EndReason::Revoked,
            Some("ada"),
            None,
            "ada ended it from another session.",
        ),
        (
            EndReason::Revoked,
            Some("cli:root (uid 0)"),
            None,
            "An administrator at the command line, root (uid 0), ended it.",
        ),
        (
            EndReason::AccountDisabled,
            Some("cli:root (uid 0)"),
            None,
            "An administrator at the command line, root (uid 0), disabled the account.",
        ),
        (
            EndReason::PasswordChanged,
            Some("cli:root (uid 0)"),
            None,
            "An administrator at the command line, root (uid 0), reset the password of the account.",
        ),
        (EndReason::Revoked, None, None, "It was ended from outside the session."),
        (
            EndReason::AccountDisabled,
            Some("bob"),
            None,
            "bob disabled the account.",
        ),
        (
            EndReason::PasswordChanged,
            Some("bob"),
            None,
            "bob reset the password of the account.",
        ),
        (
            EndReason::Network,
            None,
            Some("203.0.113.9"),
            "It was used from another network (203.0.113.9); no change of network was allowed.",
        ),
        (
            EndReason::UserAgent,
            None,
            Some("Firefox on Linux"),
            "It was used with a different browser (Firefox on Linux) than at the sign-in.",
        ),
    ] {
        assert_eq!(sentence(reason, person, client), expected);
    }
}
