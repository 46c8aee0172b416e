//! Passkeys that were made for another passkey domain: nobody is offered them, and the pages say
//! why.

use super::kit::{JSON, enrol_passkey, refused, signed_in_at_localhost};
use crate::harness::{
    client::Client,
    server::{Backend, PASSWORD, TestServer, operator},
};
use nightlatch::{
    domain::account::Role,
    flows::factors::{ResetKind, reset_factors},
};
use serde_json::json;

/// Checks that a page offers no passkey, and returns whether it takes a code.
fn takes_only_codes(browser: &Client, path: &str) -> bool {
    let page = browser.get(path).expect(200).page();
    assert!(page.all("[data-passkey]").is_empty(), "{path}: {}", page.text());
    assert!(
        page.shows("Your passkeys were made for another domain"),
        "{path}: {}",
        page.text()
    );
    refused(
        browser.post_json(&format!("{path}/options"), &json!({}), JSON),
        422,
        "no_passkey",
    );
    let takes_codes = !page.all("input[name=code]").is_empty();
    let advice = "Ask an administrator to reset your second factor.";
    assert!(takes_codes || page.shows(advice), "{path}: {}", page.text());
    takes_codes
}

#[test]
fn passkeys_of_another_domain_are_not_offered() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        let early = signed_in_at_localhost(&server, "ada");
        enrol_passkey(&server, &signed_in_at_localhost(&server, "ada"), "laptop");
        server.database.sql("UPDATE passkeys SET domain = 'old.example'");
        server.policy(&[("factor.required", "any")]);
        let browser = signed_in_at_localhost(&server, "ada");
        assert!(takes_only_codes(&browser, "/login/factor"), "{backend:?}");
        assert!(takes_only_codes(&early, "/factor"), "{backend:?}");
        server
            .run(reset_factors(&server.ctx, &operator(), id, ResetKind::RecoveryCodes))
            .unwrap();
        let browser = signed_in_at_localhost(&server, "ada");
        assert!(
            !takes_only_codes(&browser, "/login/factor"),
            "{backend:?}: no code is left"
        );
    }
}

/// The page and the answers for programs and lock screens name only what works.
#[test]
fn no_confirmation_and_no_lock_screen_asks_for_a_passkey_of_another_domain() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        let early = signed_in_at_localhost(&server, "ada");
        let browser = signed_in_at_localhost(&server, "ada");
        enrol_passkey(&server, &browser, "laptop");
        server.advance(301);
        let asked = browser.post("/factors/recovery", &[]).expect(403).page();
        assert_eq!(asked.all("[data-passkey]").len(), 1, "{backend:?}: {}", asked.text());
        server.database.sql("UPDATE passkeys SET domain = 'old.example'");
        let asked = browser.post("/factors/recovery", &[]).expect(403).page();
        assert!(asked.all("[data-passkey]").is_empty(), "{backend:?}: {}", asked.text());
        assert_eq!(
            asked.all("input[name=step_up_code]").len(),
            1,
            "{backend:?}: {}",
            asked.text()
        );
        let program = browser.thief().header("accept", "application/json");
        let told = program.post("/factors/recovery", &[]);
        let told = refused(told, 403, "step_up").text().to_owned();
        assert!(told.contains("`step_up_code`") && !told.contains("passkey"), "{told}");
        server.policy(&[("factor.required", "any")]);
        let status = early.get("/nightlatch/session").expect(200).json();
        assert_eq!(status["methods"], json!(["recovery"]), "{backend:?}: {status}");
        // Without a code nothing is left, and the password alone would be less than before.
        server.policy(&[("factor.required", "off")]);
        server.database.sql("UPDATE accounts SET recovery_codes = 0");
        let asked = browser.post("/factors/recovery", &[]).expect(403).page();
        assert!(
            asked.shows("Ask an administrator to reset your second factor."),
            "{backend:?}: {}",
            asked.text()
        );
        assert!(
            asked.all("[name=step_up_password]").is_empty(),
            "{backend:?}: {}",
            asked.text()
        );
        let form = [("step_up_password", PASSWORD)];
        browser.post("/factors/recovery", &form).expect(403);
    }
}
