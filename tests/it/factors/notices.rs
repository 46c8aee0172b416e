//! Notifications to the owner of a factor that was replaced, may have been copied, or no longer
//! opens.

use super::kit::{App, JSON, at_localhost, enrol_app, enrol_passkey, refused, shown, signed_in_at_localhost};
use crate::harness::server::{Backend, TestServer};
use nightlatch::{
    domain::account::{AccountId, Role},
    flows::accounts::AccountAction,
};
use serde_json::json;

/// Gives the account an address for notifications.
fn with_email(server: &TestServer, id: AccountId) {
    let profile = AccountAction::SetProfile {
        display_name: String::new(),
        email: "ada@example.org".to_owned(),
        groups: Vec::new(),
    };
    server.act(id, profile);
}

#[test]
fn the_owner_of_a_passkey_that_may_have_been_copied_gets_an_email() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        with_email(&server, server.account("ada", Role::Member));
        let (mut passkey, _) = enrol_passkey(&server, &signed_in_at_localhost(&server, "ada"), "laptop");
        let (stranger, _) = at_localhost(&server);
        let mut sign_in = |counter| {
            let options = stranger
                .post_json("/login/passkey/options", &json!({}), JSON)
                .expect(200)
                .json();
            passkey.counter = counter;
            let body = json!({ "credential": passkey.answer(&options) });
            stranger.post_json("/login/passkey", &body, JSON)
        };
        sign_in(7).expect(200);
        let copied = |emails: Vec<String>| {
            let about = |email: &&String| email.contains("may have been copied");
            emails.iter().filter(about).count()
        };
        assert_eq!(copied(server.deliver()), 0, "{backend:?}");
        refused(sign_in(3), 422, "wrong_factor");
        assert_eq!(copied(server.deliver()), 1, "{backend:?}");
    }
}

#[test]
fn a_replaced_app_is_recorded_and_mailed_as_replaced() {
    let server = TestServer::start();
    with_email(&server, server.account("ada", Role::Member));
    let ada = server.signed_in("ada");
    enrol_app(&server, &ada);
    let page = ada.post("/factors/totp/start", &[]).expect(200);
    let new = App::new(&shown(&page, "[data-secret]").pop().expect("a secret"));
    let done = ada.post("/factors/totp", &[("code", &new.code(&server))]);
    assert!(done.status() < 400, "{}", done.text());
    let replaced: Vec<bool> = server
        .audit()
        .iter()
        .filter(|entry| entry.event.as_str() == "factor.added")
        .map(|entry| entry.detail["replaced"] == true)
        .collect();
    assert_eq!(replaced.iter().filter(|replaced| **replaced).count(), 1);
    assert_eq!(replaced.len(), 2);
    let emails = server.deliver();
    assert!(
        emails
            .iter()
            .any(|email| email.contains("the earlier one no longer works")),
        "{emails:?}"
    );
}

#[test]
fn the_owner_hears_that_a_browser_is_trusted_and_the_record_names_the_owner() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        with_email(&server, id);
        let (_, codes) = enrol_app(&server, &server.signed_in("ada"));
        server.policy(&[("factor.trusted_browser", "30d")]);
        let browser = server.signed_in("ada");
        browser.post("/login/factor", &[("code", "000000")]).expect(422);
        let form = [("code", codes[0].as_str()), ("trust", "on")];
        browser.post("/login/factor", &form).expect(303);
        let emails = server.deliver();
        let told = emails.iter().filter(|email| email.contains("A browser is trusted"));
        assert_eq!(told.count(), 1, "{backend:?}: {emails:?}");
        let entries = server.audit();
        let actors = |code: &str| -> Vec<Option<AccountId>> {
            let known = entries.iter().filter(|entry| entry.event.as_str() == code);
            known.map(|entry| entry.actor_id).collect()
        };
        // A wrong code says nothing about who sent it.
        assert_eq!(actors("factor.refused"), [None], "{backend:?}");
        for code in [
            "recovery_code.used",
            "browser.trusted",
            "factor.proved",
            "sign_in.accepted",
        ] {
            let found = actors(code);
            assert!(!found.is_empty(), "{backend:?} {code}");
            assert!(
                found.iter().all(|actor| *actor == Some(id)),
                "{backend:?} {code}: {found:?}"
            );
        }
    }
}

#[test]
fn a_code_of_an_app_whose_key_is_gone_is_refused_and_recorded() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (app, codes) = enrol_app(&server, &server.member("ada"));
        server.database.sql("UPDATE authenticator_apps SET key_id = 'gone'");
        let browser = server.signed_in("ada");
        browser
            .post("/login/factor", &[("code", &app.code(&server))])
            .expect(422);
        let events = server.events();
        assert!(
            events.iter().any(|event| event == "factor.refused key_lost"),
            "{backend:?}: {events:?}"
        );
        browser.post("/login/factor", &[("code", &codes[0])]).expect(303);
        browser.get("/").expect(200);
    }
}
