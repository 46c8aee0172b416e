//! Attacks on the second step over HTTP. Each is refused, leaks nothing and signs nobody in.

use super::kit::{JSON, at_localhost, enrol_app, enrol_passkey, refused, signed_in_at_localhost, unknown_passkey};
use crate::{
    harness::server::{Backend, PASSWORD, TestServer},
    pages::kit::at_once,
};
use nightlatch::{domain::account::Role, flows::accounts::AccountAction};
use serde_json::json;

/// The cookie of a pending sign-in.
const PENDING: &str = "nightlatch-factor";

#[test]
fn a_stolen_pending_cookie_opens_nothing_in_another_browser_or_network() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (app, _) = enrol_app(&server, &server.member("ada"));
        let owner = server.signed_in("ada");
        let code = app.code(&server);
        let other_browser = owner.thief().header("user-agent", "curl/8");
        assert_eq!(
            other_browser
                .post("/login/factor", &[("code", &code)])
                .expect(303)
                .location(),
            "/login",
            "{backend:?}"
        );
        let elsewhere = owner.thief().from("127.99.0.9");
        assert_eq!(
            elsewhere
                .post("/login/factor", &[("code", &code)])
                .expect(303)
                .location(),
            "/login",
            "{backend:?}"
        );
        for thief in [&other_browser, &elsewhere] {
            assert_eq!(thief.get("/").expect(303).location(), "/login", "{backend:?}");
        }
        owner.post("/login/factor", &[("code", &code)]).expect(303);
    }
}

#[test]
fn a_factor_of_one_account_completes_no_sign_in_of_another() {
    let server = TestServer::start();
    let (ada_app, ada_codes) = enrol_app(&server, &server.member("ada"));
    enrol_app(&server, &server.member("eve"));
    let eve = server.signed_in("eve");
    eve.post("/login/factor", &[("code", &ada_app.code(&server))])
        .expect(422);
    eve.post("/login/factor", &[("code", &ada_codes[0])]).expect(422);
    // The cookie is sealed: one for another account cannot be forged, and an unknown one opens
    // nothing.
    let forged = server.anyone();
    forged.set_cookie(PENDING, "AAAA");
    assert_eq!(
        forged
            .post("/login/factor", &[("code", "123456")])
            .expect(303)
            .location(),
        "/login"
    );
}

#[test]
fn a_sign_in_gives_the_browser_a_new_session() {
    let server = TestServer::start();
    let (app, _) = enrol_app(&server, &server.member("ada"));
    // An attacker planted their own session in this browser.
    let browser = server.member("eve");
    let planted = browser.cookie("nightlatch").unwrap();
    browser.sign_in("ada", PASSWORD).expect(303);
    assert!(
        browser.get("/").expect(200).page().shows("eve"),
        "still eve's until the second step"
    );
    browser
        .post("/login/factor", &[("code", &app.code(&server))])
        .expect(303);
    assert_ne!(browser.cookie("nightlatch").unwrap(), planted);
    assert!(browser.get("/").expect(200).page().shows("ada"));
    assert_eq!(browser.cookie(PENDING), None);
    let eve = server.anyone();
    eve.set_cookie("nightlatch", &planted);
    assert!(
        eve.get("/").expect(303).location().starts_with("/login"),
        "the planted session has ended"
    );
}

#[test]
fn one_code_sent_at_once_opens_one_session() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (app, _) = enrol_app(&server, &server.member("ada"));
        let browsers: Vec<_> = (0..8).map(|_| server.signed_in("ada")).collect();
        let code = app.code(&server);
        let outcomes = at_once(8, |index| {
            browsers[index].post("/login/factor", &[("code", &code)]).status()
        });
        assert_eq!(
            outcomes.iter().filter(|status| **status == 303).count(),
            1,
            "{backend:?}: {outcomes:?}"
        );
        server.anyone().post("/login/factor", &[("code", &code)]).expect(303);
    }
}

#[test]
fn an_answer_for_another_origin_or_challenge_or_key_is_refused() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        let (mut passkey, _) = enrol_passkey(&server, &signed_in_at_localhost(&server, "ada"), "laptop");
        let (stranger, _) = at_localhost(&server);
        let options = || {
            stranger
                .post_json("/login/passkey/options", &json!({}), JSON)
                .expect(200)
                .json()
        };
        let sign_in = |credential| stranger.post_json("/login/passkey", &json!({ "credential": credential }), JSON);
        // The answer was signed for a look-alike site.
        let own = passkey.origin.clone();
        passkey.origin = "http://localhost.evil.example".to_owned();
        refused(sign_in(passkey.answer(&options())), 422, "wrong_factor");
        passkey.origin = own;
        // For another relying party.
        passkey.domain = "evil.example".to_owned();
        refused(sign_in(passkey.answer(&options())), 422, "wrong_factor");
        passkey.domain = "localhost".to_owned();
        // Without user verification a passkey is not two factors.
        passkey.is_verified = false;
        refused(sign_in(passkey.answer(&options())), 422, "wrong_factor");
        passkey.is_verified = true;
        // Signed inside a frame of another site.
        passkey.is_framed = true;
        refused(sign_in(passkey.answer(&options())), 422, "wrong_factor");
        passkey.is_framed = false;
        // An unknown challenge, and a used one.
        let made_up = json!({ "publicKey": { "challenge": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" } });
        refused(sign_in(passkey.answer(&made_up)), 422, "wrong_factor");
        let once = options();
        sign_in(passkey.answer(&once)).expect(200);
        let (again, _) = at_localhost(&server);
        let body = json!({ "credential": passkey.answer(&once) });
        refused(again.post_json("/login/passkey", &body, JSON), 422, "wrong_factor");
        // A copy of the key with a lower counter.
        passkey.counter = 0;
        let body = json!({ "credential": passkey.answer(&options()) });
        refused(again.post_json("/login/passkey", &body, JSON), 422, "wrong_factor");
        let counter = server.events().iter().any(|event| event == "factor.refused counter");
        assert!(counter, "{backend:?}: {:?}", server.events());
        assert!(
            again.get("/").expect(303).location().starts_with("/login"),
            "{backend:?}"
        );
    }
}

#[test]
fn a_passkey_that_was_removed_or_never_registered_signs_nobody_in() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let ada = signed_in_at_localhost(&server, "ada");
    let (mut passkey, added) = enrol_passkey(&server, &ada, "laptop");
    let (stranger, _) = at_localhost(&server);
    // The challenge is older than the removal.
    let options = stranger
        .post_json("/login/passkey/options", &json!({}), JSON)
        .expect(200)
        .json();
    let id = added["id"].as_str().unwrap();
    ada.post(&format!("/factors/passkeys/{id}/remove"), &[]).expect(303);
    let body = json!({ "credential": passkey.answer(&options) });
    let answer = refused(stranger.post_json("/login/passkey", &body, JSON), 422, "wrong_factor");
    assert_eq!(answer.json()["unknown_credential"], true, "the browser may forget it");
    let mut unknown = unknown_passkey(&server);
    let options = stranger
        .post_json("/login/passkey/options", &json!({}), JSON)
        .expect(200)
        .json();
    let body = json!({ "credential": unknown.answer(&options) });
    stranger.post_json("/login/passkey", &body, JSON).expect(422);
    assert!(stranger.get("/").expect(303).location().starts_with("/login"));
}

#[test]
fn an_account_disabled_or_a_policy_changed_between_the_steps_is_judged_anew() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        let (app, _) = enrol_app(&server, &server.signed_in("ada"));
        let browser = server.signed_in("ada");
        server.policy(&[("factor.required", "passkey"), ("factor.authenticator_app", "false")]);
        let code = app.code(&server);
        browser.post("/login/factor", &[("code", &code)]).expect(422);
        server.policy(&[("factor.required", "off"), ("factor.authenticator_app", "true")]);
        let browser = server.signed_in("ada");
        server.act(id, AccountAction::Disable);
        let refusal = browser.post("/login/factor", &[("code", &app.code(&server))]);
        assert!(
            [303, 403].contains(&refusal.status()),
            "{backend:?}: {}",
            refusal.status()
        );
        assert!(
            browser.get("/").expect(303).location().starts_with("/login"),
            "{backend:?}"
        );
    }
}

#[test]
fn another_site_starts_no_step() {
    let server = TestServer::start();
    let ada = server.member("ada");
    for path in [
        "/login/factor",
        "/login/passkey/options",
        "/factor",
        "/factors/totp/start",
        "/factors/recovery",
    ] {
        let headers = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")];
        let answer = ada.send(reqwest::Method::POST, path, Some(&[]), &headers);
        assert_eq!(answer.status(), 403, "{path}");
    }
}
