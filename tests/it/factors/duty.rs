//! The duty to prove or set up a second factor, for pages, programs, proxies and the page guard.

use super::kit::{JSON, enrol_app, enrol_passkey, refused, signed_in_at_localhost};
use crate::harness::server::{Backend, PASSWORD, TestServer};
use nightlatch::domain::account::Role;
use serde_json::json;

#[test]
fn a_live_session_is_led_to_the_setup_and_goes_on_where_it_was() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        server.policy(&[("factor.required", "any")]);
        let led = ada.get("/history").expect(303);
        assert_eq!(led.location(), "/factor?return_to=%2Fhistory", "{backend:?}");
        let program = ada.thief().header("accept", "application/json");
        refused(program.get("/history"), 401, "factor");
        assert_eq!(ada.get("/static/app.css").status(), 200);
        let page = ada.get(led.location()).expect(200).page();
        assert_eq!(page.heading(), "Set up a second factor", "{backend:?}");
        let setup = ada.submit(&page.form("/factors/totp/start"), &[]).expect(200);
        let secret = super::kit::shown(&setup, "[data-secret]");
        assert_eq!(secret.len(), 1, "{backend:?}");
        let (_, codes) = enrol_app(&server, &ada);
        assert_eq!(codes.len(), 10);
        ada.get("/history").expect(200);
        let ends: Vec<_> = server
            .events()
            .into_iter()
            .filter(|event| event.starts_with("session.ended"))
            .collect();
        assert_eq!(ends, Vec::<String>::new(), "{backend:?}: nobody is signed out");
    }
}

#[test]
fn a_session_that_has_a_factor_proves_it_and_nothing_else_opens() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let early = server.member("ada");
        let (app, _) = enrol_app(&server, &server.signed_in("ada"));
        server.policy(&[("factor.required", "any")]);
        let led = early.get("/").expect(303);
        assert!(led.location().starts_with("/factor"), "{backend:?}: {}", led.location());
        let page = early.get("/factor").expect(200).page();
        assert_eq!(page.heading(), "Confirm it’s you", "{backend:?}");
        // A password alone cannot enrol a further factor.
        assert!(
            early
                .post("/factors/totp/start", &[])
                .expect(303)
                .location()
                .starts_with("/factor")
        );
        early.post("/factor", &[("code", "000000")]).expect(422);
        let cookie = early.cookie("nightlatch").unwrap();
        let form = [("code", app.code(&server)), ("return_to", "/history".to_owned())];
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(
            early.post("/factor", &form).expect(303).location(),
            "/history",
            "{backend:?}"
        );
        assert_ne!(
            early.cookie("nightlatch").unwrap(),
            cookie,
            "{backend:?}: under a new id"
        );
        early.get("/history").expect(200);
    }
}

#[test]
fn under_passkey_a_code_is_not_enough_and_a_recovery_code_opens_the_setup_only() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let ada = signed_in_at_localhost(&server, "ada");
    let (_, codes) = enrol_app(&server, &ada);
    let (mut passkey, _) = enrol_passkey(&server, &ada, "laptop");
    server.policy(&[("factor.required", "passkey")]);
    let browser = signed_in_at_localhost(&server, "ada");
    browser.post("/login/factor", &[("code", &codes[0])]).expect(303);
    assert!(browser.get("/").expect(303).location().starts_with("/factor"));
    let page = browser.get("/factor").expect(200).page();
    assert_eq!(page.heading(), "Set up a passkey");
    assert!(page.shows("Signed in as ada"), "{}", page.text());
    assert_eq!(
        page.all("form[action='/factors/totp/start']").len(),
        0,
        "an app is not enough"
    );
    let refused = browser.post("/factors/totp/start", &[]).expect(303);
    let page = browser.get(refused.location()).expect(200).page();
    assert!(page.shows("Your account requires a passkey."), "{}", page.text());
    let (_, _) = enrol_passkey(&server, &browser, "new phone");
    browser.get("/").expect(200);
    // In another session, the passkey proves it.
    let other = signed_in_at_localhost(&server, "ada");
    let options = other
        .post_json("/login/factor/options", &json!({}), JSON)
        .expect(200)
        .json();
    let body = json!({ "credential": passkey.answer(&options) });
    other.post_json("/login/factor/passkey", &body, JSON).expect(200);
    other.get("/").expect(200);
}

#[test]
fn by_link_only_the_link_opens_the_setup() {
    use crate::harness::server::operator;
    use nightlatch::flows::factors::{EnrolmentLinkOutcome, make_enrolment_link};
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        server.policy(&[("factor.required", "any"), ("factor.enrolment", "by_link")]);
        let thief = server.signed_in("ada");
        let page = thief.get("/factor").expect(200).page();
        assert!(page.shows("You need an enrolment link."), "{backend:?}");
        assert_eq!(
            thief.post("/factors/totp/start", &[]).expect(303).location(),
            "/factor",
            "{backend:?}"
        );
        refused(
            thief.post_json("/factors/passkeys/options", &json!({}), JSON),
            403,
            "enrolment_link",
        );
        let made = server.run(make_enrolment_link(&server.ctx, &operator(), id)).unwrap();
        let EnrolmentLinkOutcome::Link(address) = made else {
            panic!("no link")
        };
        let owner = server.anyone();
        let token = address.expose().split_once("token=").unwrap().1;
        let link = format!("/factors/enrol?token={token}");
        let bare = owner.get(&link).expect(303);
        assert_eq!(
            bare.location(),
            "/factors/enrol",
            "the token leaves the address: {backend:?}"
        );
        let page = owner.get("/factors/enrol").expect(200).page();
        assert!(page.shows("ada"), "{backend:?}");
        let went = owner.submit(&page.form("/factors/enrol"), &[]).expect(303);
        assert!(
            owner.get(went.location()).expect(303).location().starts_with("/login"),
            "{backend:?}: the password first"
        );
        // Someone else's link opens nothing.
        server.account("bob", Role::Member);
        owner.sign_in("bob", PASSWORD).expect(303);
        let page = owner.get("/factor").expect(200).page();
        assert!(
            page.shows("You need an enrolment link."),
            "{backend:?}: {}",
            page.text()
        );
        owner.post("/logout", &[]).expect(303);
        owner.get(&link).expect(303);
        owner.submit(
            &owner.get("/factors/enrol").expect(200).page().form("/factors/enrol"),
            &[],
        );
        owner.sign_in("ada", PASSWORD).expect(303);
        enrol_app(&server, &owner);
        owner.get("/").expect(200);
        let later = server.anyone();
        later.get(&link).expect(303);
        let used = later.get("/factors/enrol").expect(404);
        assert_eq!(used.page().heading(), "This link does not work", "{backend:?}");
    }
}

#[test]
fn a_grace_period_lets_people_in_and_says_until_when() {
    let server = TestServer::start();
    let ada = server.member("ada");
    server.policy(&[("factor.required", "any"), ("factor.enrolment_grace", "1d")]);
    let home = ada.get("/").expect(200).page();
    assert!(home.shows("Set up a second factor by"), "{}", home.text());
}

#[test]
fn a_required_passkey_is_the_only_way_for_those_who_have_one() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        let early = signed_in_at_localhost(&server, "ada");
        let other = signed_in_at_localhost(&server, "ada");
        let (_, codes) = enrol_app(&server, &other);
        let (mut passkey, _) = enrol_passkey(&server, &other, "laptop");
        server.policy(&[("factor.required", "passkey")]);
        let status = early.get("/nightlatch/session").expect(200).json();
        assert_eq!(status["methods"], json!(["passkey"]), "{backend:?}");
        assert_eq!(status["required"], "passkey", "{backend:?}");
        let page = early.get("/factor").expect(200).page();
        assert_eq!(page.all("[data-passkey='prove']").len(), 1, "{backend:?}");
        assert_eq!(page.all("input[name=code]").len(), 0, "{backend:?}: no code is enough");
        assert!(
            page.shows("Sign out and sign in again with a recovery code"),
            "{backend:?}"
        );
        // Who used a recovery code and finds the passkey again need not set up another one.
        let recovered = signed_in_at_localhost(&server, "ada");
        let step = recovered.get("/login/factor").expect(200).page();
        assert!(step.shows("It opens only the setup of a passkey"), "{}", step.text());
        assert!(!step.shows("authenticator app"), "{}", step.text());
        recovered.post("/login/factor", &[("code", &codes[0])]).expect(303);
        let page = recovered.get("/factor").expect(200).page();
        assert_eq!(page.all("[data-passkey='prove']").len(), 1, "{backend:?}");
        assert_eq!(page.all("form[action='/factors/passkeys/new']").len(), 1, "{backend:?}");
        let status = recovered.get("/nightlatch/session").expect(200).json();
        assert_eq!(status["methods"], json!(["passkey"]), "{backend:?}");
        let send = |what: &str, body: &serde_json::Value| {
            recovered.post_json(&format!("/nightlatch/session/{what}"), body, JSON)
        };
        let options = send("factor/options", &json!({})).expect(200).json();
        send("factor", &json!({ "credential": passkey.answer(&options) })).expect(200);
        recovered.get("/").expect(200);
    }
}

#[test]
fn without_a_passkey_a_code_is_asked_for_and_said_to_open_the_setup() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let early = server.member("ada");
        let (app, _) = enrol_app(&server, &server.signed_in("ada"));
        server.policy(&[("factor.required", "passkey")]);
        let status = early.get("/nightlatch/session").expect(200).json();
        assert_eq!(status["methods"], json!(["totp", "recovery"]), "{backend:?}");
        let page = early.get("/factor").expect(200).page();
        assert!(page.shows("It opens only the setup of a passkey"), "{}", page.text());
        early.post("/factor", &[("code", &app.code(&server))]).expect(303);
        let page = early.get("/factor").expect(200).page();
        assert_eq!(page.heading(), "Set up a passkey", "{backend:?}");
        let status = early.get("/nightlatch/session").expect(200).json();
        assert!(status.get("methods").is_none(), "{backend:?}: {status}");
    }
}
