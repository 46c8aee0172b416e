//! The vocabulary of events.

use nightlatch_domain::audit::*;

#[test]
fn the_event_codes_are_those_of_the_http_contract_and_those_of_mail() {
    let codes: Vec<_> = Event::ALL.iter().map(|event| event.as_str()).collect();
    let contract = [
        "sign_in.accepted",
        "sign_in.refused",
        "sign_out",
        "step_up.accepted",
        "step_up.refused",
        "session.opened",
        "session.ended",
        "session.network_changed",
        "session.rotated",
        "session.rotated_id_reused",
        "session.user_agent_changed",
        "session.handed_over",
        "device.bound",
        "device.proof_refused",
        "device.lost",
        "lockout.began",
        "lockout.ended",
        "lockout.blocked",
        "lockout.released",
        "password.changed",
        "password.reset_requested",
        "password.reset",
        "email.change_requested",
        "email.change_confirmed",
        "email.changed",
        "email.change_cancelled",
        "factor.added",
        "factor.removed",
        "factor.reset",
        "factor.renamed",
        "factor.refused",
        "factor.proved",
        "recovery_codes.made",
        "recovery_code.used",
        "browser.trusted",
        "browser.untrusted",
        "provider.sign_out",
        "provider.sign_out_refused",
        "provider.event",
        "provider.event_refused",
        "sign_in.disowned",
        "account.created",
        "account.updated",
        "account.deleted",
        "account.disabled",
        "account.enabled",
        "account.expired",
        "account.role_changed",
        "setup.completed",
        "policy.changed",
        "policy.confirmed",
        "policy.restored",
        "policy.reverted",
        "application.changed",
        "source.created",
        "source.changed",
        "source.deleted",
        "source.enabled",
        "source.disabled",
        "audit.exported",
        "audit.purged",
        "data.exported",
        "database.restored",
        "access.denied",
        "mail.given_up",
        "mail.retried",
        "mail.discarded",
    ];
    assert_eq!(codes, contract);
}

#[test]
fn every_event_parses_back_and_has_words() {
    for event in Event::ALL {
        assert_eq!(Event::parse(event.as_str()), Some(*event));
        assert_eq!(event.to_string(), event.as_str());
        assert!(!event.sentence().is_empty());
        assert!(event.as_str().starts_with(event.group()));
    }
    assert_eq!(Event::parse("sign_in"), None);
    assert_eq!(
        (Event::SignOut.group(), Event::SignInRefused.group()),
        ("sign_out", "sign_in")
    );
}

#[test]
fn the_reuse_of_a_replaced_id_is_critical() {
    let critical: Vec<_> = Event::ALL.iter().filter(|event| event.critical()).collect();
    assert_eq!(critical, [&Event::SessionRotatedIdReused]);
}

#[test]
fn a_passkey_whose_counter_fell_back_is_critical() {
    assert!(Event::FactorRefused.is_critical(Some("counter")));
    assert!(!Event::FactorRefused.is_critical(Some("code")));
    assert!(!Event::SignInRefused.is_critical(Some("counter")));
    assert!(Event::SessionRotatedIdReused.is_critical(None));
}

#[test]
fn outcomes_parse_back() {
    for outcome in [EventOutcome::Success, EventOutcome::Failure] {
        assert_eq!(EventOutcome::parse(outcome.as_str()), Some(outcome));
    }
    assert_eq!(EventOutcome::parse("maybe"), None);
}
