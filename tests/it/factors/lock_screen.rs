//! The second step on the lock screen, as the page guard's script asks for it.

use super::kit::{at_localhost, enrol_app, enrol_passkey, refused, signed_in_at_localhost};
use crate::harness::{
    client::{Answer, Client},
    passkey::SoftPasskey,
    server::{Backend, PASSWORD, TestServer, operator},
};
use nightlatch::{
    domain::account::Role,
    flows::applications::{self, ApplicationChange, ApplicationOutcome},
};
use serde_json::{Value, json};

fn post(client: &Client, what: &str, body: &Value) -> Answer {
    client.post_json(&format!("/nightlatch/session/{what}"), body, &[])
}

fn sign_in(client: &Client, name: &str) -> Answer {
    post(client, "login", &json!({ "username": name, "password": PASSWORD }))
}

#[test]
fn a_code_follows_the_password_in_place() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (app, _) = enrol_app(&server, &server.member("ada"));
        let page = server.anyone();
        let asked = refused(sign_in(&page, "ada"), 401, "factor");
        assert_eq!(asked.json()["methods"], json!(["totp", "recovery"]), "{backend:?}");
        assert_eq!(
            page.get("/nightlatch/session").expect(200).json()["state"],
            "anonymous",
            "{backend:?}"
        );
        refused(post(&page, "factor", &json!({ "code": "000000" })), 401, "wrong_factor");
        let done = post(&page, "factor", &json!({ "code": app.code(&server) })).expect(200);
        assert_eq!(done.json()["user"], "ada", "{backend:?}");
        assert_eq!(
            page.get("/nightlatch/session").expect(200).json()["state"],
            "live",
            "{backend:?}"
        );
        refused(
            post(&server.anyone(), "factor", &json!({ "code": "123456" })),
            401,
            "sign_in",
        );
    }
}

#[test]
fn a_passkey_follows_the_password_or_stands_in_for_it() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let (mut passkey, _) = enrol_passkey(&server, &signed_in_at_localhost(&server, "ada"), "laptop");
    let (page, _) = at_localhost(&server);
    let asked = refused(sign_in(&page, "ada"), 401, "factor");
    assert_eq!(asked.json()["methods"], json!(["passkey", "recovery"]));
    assert_eq!(asked.json()["passkey"], "here");
    let options = post(&page, "factor/options", &json!({})).expect(200).json();
    let done = post(&page, "factor", &json!({ "credential": passkey.answer(&options) })).expect(200);
    assert_eq!(done.json()["user"], "ada");
    let (locked, _) = at_localhost(&server);
    assert_eq!(locked.get("/nightlatch/session").expect(200).json()["passkey"], "here");
    let options = post(&locked, "factor/options", &json!({})).expect(200).json();
    post(&locked, "factor", &json!({ "credential": passkey.answer(&options) })).expect(200);
    assert_eq!(locked.get("/nightlatch/session").expect(200).json()["user"], "ada");
    server.policy(&[("factor.passwordless", "false")]);
    let (locked, _) = at_localhost(&server);
    refused(post(&locked, "factor/options", &json!({})), 422, "passkeys_off");
}

#[test]
fn a_live_session_is_asked_in_place_when_the_policy_becomes_stricter() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let early = server.member("ada");
        let (app, _) = enrol_app(&server, &server.signed_in("ada"));
        server.policy(&[("factor.required", "any")]);
        let status = early.get("/nightlatch/session").expect(200).json();
        assert_eq!(
            (&status["state"], &status["duty"]),
            (&json!("live"), &json!("factor")),
            "{backend:?}"
        );
        assert_eq!(status["methods"], json!(["totp", "recovery"]), "{backend:?}");
        refused(post(&early, "touch", &json!({})), 401, "factor");
        let done = post(&early, "factor", &json!({ "code": app.code(&server) })).expect(200);
        assert_eq!(done.json()["user"], "ada", "{backend:?}");
        assert_eq!(
            early.get("/nightlatch/session").expect(200).json()["duty"],
            Value::Null,
            "{backend:?}"
        );
    }
}

/// A host outside the passkey domain cannot use passkeys, so its lock screen links to the sign-in
/// host.
#[test]
fn outside_the_passkey_domain_the_lock_screen_leads_to_the_sign_in_host() {
    const OWN: &str = "https://login.example.org";
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", OWN)
        .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    for (name, host) in [("wiki", "wiki.example.org"), ("shop", "shop.other.test")] {
        let change = ApplicationChange {
            hosts: Some(vec![host.to_owned()]),
            ..ApplicationChange::default()
        };
        let acting = operator();
        let made = applications::create(&server.ctx, &acting, name, change);
        assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    }
    server.account("ada", Role::Member);
    let owner = server.anyone().header("host", "login.example.org");
    owner.sign_in("ada", PASSWORD).expect(303);
    let options = owner
        .post_json("/factors/passkeys/options", &json!({}), &[])
        .expect(200);
    let (_, answer) = SoftPasskey::register(&options.json(), OWN);
    let body = json!({ "name": "laptop", "credential": answer });
    owner.post_json("/factors/passkeys", &body, &[]).expect(200);
    for (host, place) in [("wiki.example.org", "here"), ("shop.other.test", "elsewhere")] {
        let page = server.anyone().header("host", host);
        let status = page.get("/nightlatch/session").expect(200).json();
        assert_eq!(status["passkey"], place, "{host}: {status}");
        let login = status["login_url"].as_str().unwrap();
        assert!(login.starts_with(&format!("{OWN}/login")), "{host}: {login}");
        let asked = refused(sign_in(&page, "ada"), 401, "factor");
        assert_eq!(asked.json()["methods"], json!(["passkey", "recovery"]), "{host}");
        assert_eq!(asked.json()["passkey"], place, "{host}");
    }
}
