//! The second step of a sign-in: what opens it, what completes it, and how it is refused.

use super::kit::{JSON, at_localhost, enrol_app, enrol_passkey, refused, signed_in_at_localhost};
use crate::harness::server::{Backend, PASSWORD, TestServer};
use nightlatch::domain::account::Role;
use serde_json::json;

#[test]
fn the_password_alone_opens_nothing_and_the_code_opens_the_session() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (app, _) = enrol_app(&server, &server.member("ada"));
        let browser = server.anyone();
        let form = [("username", "ada"), ("password", PASSWORD), ("return_to", "/history")];
        assert_eq!(
            browser.post("/login", &form).expect(303).location(),
            "/login/factor",
            "{backend:?}"
        );
        assert_eq!(
            browser.get("/").expect(303).location(),
            "/login",
            "{backend:?}: no session is open"
        );
        let page = browser.get("/login/factor").expect(200).page();
        assert_eq!(page.heading(), "Confirm it’s you");
        let wrong = browser.post("/login/factor", &[("code", "000000")]).expect(422);
        assert!(wrong.page().shows("That code is wrong"), "{backend:?}");
        let spaced = app.code(&server);
        let spaced = format!("{} {}", &spaced[..3], &spaced[3..]);
        let done = browser.post("/login/factor", &[("code", &spaced)]).expect(303);
        assert_eq!(done.location(), "/history", "{backend:?}");
        browser.get("/").expect(200);
        let accepted = server
            .audit()
            .into_iter()
            .rfind(|row| row.event.as_str() == "sign_in.accepted");
        let detail = accepted.unwrap().detail.to_string();
        assert!(
            detail.contains("password") && detail.contains("totp"),
            "{backend:?}: {detail}"
        );
    }
}

#[test]
fn a_wrong_password_answers_the_same_whether_or_not_the_account_has_factors() {
    let server = TestServer::start();
    enrol_app(&server, &server.member("ada"));
    server.member("bob");
    let answers: Vec<_> = ["ada", "bob", "nobody"]
        .iter()
        .map(|name| server.anyone().sign_in(name, "wrong").expect(422).page().messages())
        .collect();
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

#[test]
fn a_recovery_code_stands_in_once_however_it_is_typed() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (_, codes) = enrol_app(&server, &server.member("ada"));
        let typed = codes[0].to_lowercase().replace('-', " ");
        let browser = server.signed_in("ada");
        browser.post("/login/factor", &[("code", &typed)]).expect(303);
        let page = browser.get("/factors").expect(200).page();
        assert!(page.shows("9 of 10 left"), "{backend:?}");
        let again = server.signed_in("ada");
        again.post("/login/factor", &[("code", &typed)]).expect(422);
        again.post("/login/factor", &[("code", &codes[1])]).expect(303);
    }
}

#[test]
fn wrong_codes_block_the_second_step_for_the_network_alone() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("factor.failure_limit", "3")]);
        let (app, _) = enrol_app(&server, &server.member("ada"));
        let browser = server.signed_in("ada");
        for _ in 0..2 {
            browser.post("/login/factor", &[("code", "000000")]).expect(422);
        }
        let blocked = browser.post("/login/factor", &[("code", "000000")]).expect(429);
        assert!(blocked.header("retry-after").is_some(), "{backend:?}");
        let program = browser.thief().header("accept", "application/json");
        let answer = program.post("/login/factor", &[("code", &app.code(&server))]);
        refused(answer, 429, "locked");
    }
}

#[test]
fn a_browser_that_is_trusted_is_not_asked_again() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("factor.trusted_browser", "7d")]);
        let (app, _) = enrol_app(&server, &server.member("ada"));
        let browser = server.signed_in("ada");
        let form = [("code", app.code(&server)), ("trust", "on".to_owned())];
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.post("/login/factor", &form).expect(303);
        browser.post("/logout", &[]).expect(303);
        assert_eq!(
            browser.sign_in("ada", PASSWORD).expect(303).location(),
            "/",
            "{backend:?}"
        );
        // It skips the question at the sign-in; it is not a proof for a change.
        for change in ["/factors/recovery", "/factors/totp/remove", "/factors/totp/start"] {
            let asked = browser.post(change, &[]).expect(403);
            assert!(
                !asked.page().all("input[name=step_up_code]").is_empty(),
                "{backend:?} {change}"
            );
        }
        server.advance(30);
        let code = app.code(&server);
        let proof = [("step_up_password", PASSWORD), ("step_up_code", code.as_str())];
        browser.post("/factors/recovery", &proof).expect(200);
        let page = browser.get("/factors").expect(200).page();
        let action = page.all("form[action^='/factors/browsers/']")[0]
            .attribute("action")
            .to_owned();
        browser.post(&action, &[]).expect(303);
        browser.post("/logout", &[]).expect(303);
        assert_eq!(
            browser.sign_in("ada", PASSWORD).expect(303).location(),
            "/login/factor",
            "{backend:?}"
        );
    }
}

#[test]
fn a_passkey_completes_the_second_step_or_signs_in_alone() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        let (mut passkey, added) = enrol_passkey(&server, &signed_in_at_localhost(&server, "ada"), "laptop");
        assert_eq!(
            added["recovery_codes"].as_array().unwrap().len(),
            10,
            "{backend:?}: with the first factor"
        );
        let browser = signed_in_at_localhost(&server, "ada");
        let options = browser
            .post_json("/login/factor/options", &json!({}), JSON)
            .expect(200)
            .json();
        let body = json!({ "credential": passkey.answer(&options) });
        let done = browser.post_json("/login/factor/passkey", &body, JSON).expect(200);
        assert_eq!(done.json()["location"], "/", "{backend:?}");
        browser.get("/").expect(200);
        let (stranger, _) = at_localhost(&server);
        let options = stranger
            .post_json("/login/passkey/options", &json!({}), JSON)
            .expect(200)
            .json();
        assert!(
            options["publicKey"]["allowCredentials"]
                .as_array()
                .is_none_or(Vec::is_empty),
            "nothing to enumerate"
        );
        let body = json!({ "credential": passkey.answer(&options), "return_to": "/history" });
        let done = stranger.post_json("/login/passkey", &body, JSON).expect(200);
        assert_eq!(done.json()["location"], "/history", "{backend:?}");
        stranger.get("/history").expect(200);
    }
}

#[test]
fn the_second_step_ends_after_five_minutes() {
    let server = TestServer::start();
    let (app, _) = enrol_app(&server, &server.member("ada"));
    let browser = server.signed_in("ada");
    server.advance(301);
    let over = browser
        .post("/login/factor", &[("code", &app.code(&server))])
        .expect(303);
    assert_eq!(over.location(), "/login");
    assert!(browser.get("/login").expect(200).page().shows("took too long"));
    let program = server.anyone().header("accept", "application/json");
    refused(program.post("/login/factor", &[("code", "123456")]), 401, "sign_in");
}

#[test]
fn an_account_without_passkeys_hears_that_it_has_none() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    enrol_app(&server, &signed_in_at_localhost(&server, "ada"));
    let browser = signed_in_at_localhost(&server, "ada");
    let answer = browser.post_json("/login/factor/options", &json!({}), JSON);
    let answer = refused(answer, 422, "no_passkey");
    let words = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(words.contains("has no passkey that works here"), "{words}");
    let (stranger, _) = at_localhost(&server);
    let answer = stranger.post_json("/login/factor/options", &json!({}), JSON);
    refused(answer, 401, "sign_in");
}

#[test]
fn the_page_offers_only_what_is_of_use() {
    let server = TestServer::start();
    enrol_app(&server, &server.member("ada"));
    server.policy(&[("factor.trusted_browser", "1d"), ("factor.required", "any")]);
    let browser = server.signed_in("ada");
    let page = browser.get("/login/factor").expect(200).page();
    assert_eq!(page.all("input[name=trust]").len(), 1);
    assert!(page.shows("Enter a recovery code"), "{}", page.text());
    server.policy(&[("factor.required", "passkey")]);
    let page = browser.get("/login/factor").expect(200).page();
    assert_eq!(page.all("input[name=trust]").len(), 0, "it never stands for a passkey");
    server
        .database
        .sql("DELETE FROM recovery_codes; UPDATE accounts SET recovery_codes = 0;");
    let page = browser.get("/login/factor").expect(200).page();
    assert!(page.shows("Lost your device? Ask an administrator"), "{}", page.text());
    assert!(!page.shows("recovery code"), "{}", page.text());
}

#[test]
fn signing_out_or_in_drops_a_second_step_that_was_left() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        enrol_app(&server, &server.member("ada"));
        server.account("bob", Role::Member);
        let leave: [fn(&crate::harness::client::Client); 3] = [
            |browser| drop(browser.post("/logout", &[]).expect(303)),
            |browser| drop(browser.sign_in("bob", PASSWORD).expect(303)),
            |browser| drop(browser.sign_in("ada", PASSWORD).expect(303)),
        ];
        for (way, leave) in leave.iter().enumerate() {
            let browser = server.signed_in("ada");
            let copy = browser.thief();
            copy.get("/login/factor").expect(200);
            leave(&browser);
            assert_eq!(
                copy.get("/login/factor").expect(303).location(),
                "/login",
                "{backend:?}, way {way}: the row is gone"
            );
            let is_open = browser.get("/login/factor").status() == 200;
            assert_eq!(is_open, way == 2, "{backend:?}, way {way}: only a new one is open");
        }
    }
}
