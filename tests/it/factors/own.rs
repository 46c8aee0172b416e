//! `/factors`: managing one's own factors. Each change asks for a step-up; a secret is shown once.

use super::kit::{App, JSON, enrol_app, enrol_passkey, refused, shown, signed_in_at_localhost};
use crate::{
    harness::{
        page::Page,
        server::{Backend, PASSWORD, TestServer, operator},
    },
    pages::kit::at_once,
};
use nightlatch::{
    domain::{account::Role, policy::Scope},
    flows::{
        applications::{self, ApplicationChange},
        factors::{EnrolmentLinkOutcome, make_enrolment_link},
    },
};
use serde_json::json;

#[test]
fn an_app_is_set_up_replaced_and_removed() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let (app, codes) = enrol_app(&server, &ada);
        let page = ada.get("/factors").expect(200);
        assert!(page.page().shows("10 of 10 left"), "{backend:?}");
        assert!(!page.text().contains(app.secret()), "{backend:?}: shown once");
        assert!(!page.text().contains(&codes[0]), "{backend:?}: shown once");
        let made = ada.post("/factors/recovery", &[]).expect(200);
        let new = shown(&made, "[data-recovery-code]");
        assert_eq!(new.len(), 10);
        assert!(new.iter().all(|code| !codes.contains(code)), "{backend:?}");
        assert_eq!(ada.post("/factors/totp/remove", &[]).expect(303).location(), "/factors");
        assert!(
            ada.get("/factors")
                .expect(200)
                .page()
                .shows("You have no authenticator app."),
            "{backend:?}"
        );
        assert_eq!(
            server.anyone().sign_in("ada", PASSWORD).expect(303).location(),
            "/",
            "{backend:?}"
        );
        ada.post("/factors/totp/remove", &[]).expect(404);
    }
}

#[test]
fn a_wrong_first_code_turns_nothing_on_and_shows_no_secret_again() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let setup = ada.post("/factors/totp/start", &[]).expect(200);
    let secret = shown(&setup, "[data-secret]").pop().unwrap();
    assert!(setup.text().contains("<svg"), "a QR code");
    let wrong = ada.post("/factors/totp", &[("code", "000000")]).expect(422);
    assert!(!wrong.text().contains(&secret));
    assert!(wrong.page().fault("code").is_some());
    assert!(
        ada.get("/factors")
            .expect(200)
            .page()
            .shows("You have no authenticator app.")
    );
}

#[test]
fn a_passkey_is_added_renamed_and_removed_by_its_owner_only() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        let ada = signed_in_at_localhost(&server, "ada");
        let (_, added) = enrol_passkey(&server, &ada, " laptop ");
        assert_eq!(added["name"], "laptop", "{backend:?}");
        let id = added["id"].as_str().unwrap();
        server.account("eve", Role::Member);
        let eve = signed_in_at_localhost(&server, "eve");
        for act in ["rename", "remove"] {
            eve.post(&format!("/factors/passkeys/{id}/{act}"), &[("name", "mine")])
                .expect(404);
        }
        ada.post(&format!("/factors/passkeys/{id}/rename"), &[("name", "phone")])
            .expect(303);
        assert!(ada.get("/factors").expect(200).page().shows("phone"), "{backend:?}");
        ada.post(&format!("/factors/passkeys/{id}/remove"), &[]).expect(303);
        assert!(
            ada.get("/factors").expect(200).page().shows("You have no passkey."),
            "{backend:?}"
        );
    }
}

#[test]
fn a_passkey_keeps_its_name_when_the_new_one_is_empty_or_too_long() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        let ada = signed_in_at_localhost(&server, "ada");
        let (_, added) = enrol_passkey(&server, &ada, "laptop");
        let id = added["id"].as_str().unwrap();
        let address = format!("/factors/passkeys/{id}/rename");
        let words = "Enter a name of at most 64 characters.";
        for name in ["", " \u{200b} ", &"x".repeat(65)] {
            let page = ada.post(&address, &[("name", name)]).expect(422).page();
            assert_eq!(
                page.fault(&format!("name-{id}")).as_deref(),
                Some(words),
                "{backend:?} {name:?}"
            );
            assert!(page.shows("laptop"), "{backend:?} {name:?}");
        }
        let program = ada.thief().header("accept", "application/json");
        refused(program.post(&address, &[("name", "")]), 422, "passkey_name");
        let longest = "é".repeat(64);
        ada.post(&address, &[("name", &longest)]).expect(303);
        assert!(ada.get("/factors").page().shows(&longest), "{backend:?}");
    }
}

#[test]
fn the_page_says_that_a_kind_is_turned_off_beside_a_factor_of_that_kind() {
    let server = TestServer::start();
    let ada = server.member("ada");
    enrol_app(&server, &ada);
    server.policy(&[("factor.authenticator_app", "false")]);
    let page = ada.get("/factors").expect(200).page();
    assert!(
        page.shows("An administrator has turned authenticator apps off."),
        "{}",
        page.text()
    );
    assert!(page.shows("Turned off") && page.shows("Yours is asked for only while"));
}

#[test]
fn the_last_factor_stays_while_one_is_required() {
    let server = TestServer::start();
    let ada = server.member("ada");
    enrol_app(&server, &ada);
    server.policy(&[("factor.required", "any")]);
    ada.post("/factors/totp/remove", &[]).expect(303);
    let page = ada.get("/factors").expect(200).page();
    assert!(page.shows("this is the last one"), "{}", page.text());
    let program = ada.thief().header("accept", "application/json");
    refused(program.post("/factors/totp/remove", &[]), 409, "last_factor");
}

#[test]
fn removing_the_only_factor_of_a_kind_asks_once_and_says_what_it_means() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        ada.get("/factors/totp/remove").expect(404);
        enrol_app(&server, &ada);
        // No script is needed: the list links to the confirmation page, which has a form.
        assert!(
            ada.get("/factors")
                .expect(200)
                .text()
                .contains("href=\"/factors/totp/remove\"")
        );
        let asked = ada.get("/factors/totp/remove").expect(200).page();
        assert!(
            asked.shows("You will sign in with your password alone; your 10 recovery codes stop working."),
            "{backend:?}: {}",
            asked.text()
        );
        asked.form_with("step_up_act");
        // An application that requires a second factor is named.
        let create = ApplicationChange {
            hosts: Some(vec!["wiki.example.org".to_owned()]),
            ..ApplicationChange::default()
        };
        server
            .run(applications::create(&server.ctx, &operator(), "wiki", create))
            .unwrap();
        server.policy_in(&Scope::Application("wiki".to_owned()), &[("factor.required", "any")]);
        let asked = ada.get("/factors/totp/remove").expect(200).page();
        assert!(
            asked.shows("You will have to set up another one before you can open wiki."),
            "{backend:?}: {}",
            asked.text()
        );
        // The last factor of an account that requires one stays; the page says so before the click.
        server.policy(&[("factor.required", "any")]);
        let asked = ada.get("/factors/totp/remove").expect(200).page();
        assert!(asked.shows("this is the last one"), "{backend:?}: {}", asked.text());
        assert!(
            asked.all("form[action='/factors/totp/remove']").is_empty(),
            "{backend:?}"
        );
        // An app that does not meet the requirement can be removed, and the page says what comes
        // next.
        server.policy(&[("factor.required", "passkey"), ("factor.enrolment_grace", "7d")]);
        let asked = ada.get("/factors/totp/remove").expect(200).page();
        assert!(
            asked.shows("Your account requires a passkey, which you still have to set up."),
            "{backend:?}: {}",
            asked.text()
        );
    }
}

#[test]
fn an_account_with_a_factor_steps_up_with_it() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let (app, _) = enrol_app(&server, &ada);
        server.advance(600);
        let asked = ada.post("/factors/totp/remove", &[]).expect(403);
        assert!(!asked.page().all("input[name=step_up_code]").is_empty(), "{backend:?}");
        let form = asked.page().form_with("step_up_password").fields();
        assert!(form.iter().any(|(name, _)| name == "step_up_code"));
        // The password alone is not enough.
        let alone = ada
            .post("/factors/totp/remove", &[("step_up_password", PASSWORD)])
            .expect(403);
        assert!(!alone.page().all("input[name=step_up_code]").is_empty(), "{backend:?}");
        let wrong = [("step_up_password", PASSWORD), ("step_up_code", "000000")];
        let wrong = ada.post("/factors/totp/remove", &wrong).expect(422);
        assert!(wrong.page().fault("step_up_code").is_some(), "{backend:?}");
        let code = app.code(&server);
        let right = [("step_up_password", PASSWORD), ("step_up_code", code.as_str())];
        ada.post("/factors/totp/remove", &right).expect(303);
        assert!(
            ada.get("/factors")
                .expect(200)
                .page()
                .shows("You have no authenticator app."),
            "{backend:?}"
        );
    }
}

#[test]
fn a_session_from_before_the_factor_changes_nothing_without_it() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (ada, earlier) = (server.member("ada"), server.signed_in("ada"));
        enrol_app(&server, &ada);
        for change in ["/factors/recovery", "/factors/totp/remove", "/factors/totp/start"] {
            let asked = earlier.post(change, &[]).expect(403);
            assert!(
                !asked.page().all("input[name=step_up_code]").is_empty(),
                "{backend:?} {change}"
            );
        }
        ada.post("/factors/recovery", &[]).expect(200);
    }
}

#[test]
fn an_account_with_a_passkey_steps_up_with_that() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let ada = signed_in_at_localhost(&server, "ada");
    let (mut passkey, _) = enrol_passkey(&server, &ada, "laptop");
    server.advance(600);
    let form = [("step_up_password", PASSWORD)];
    ada.post("/factors/recovery", &form).expect(403);
    let options = ada.post_json("/factor/options", &json!({}), JSON).expect(200).json();
    let body = json!({ "credential": passkey.answer(&options) });
    ada.post_json("/factor/passkey", &body, JSON).expect(200);
    ada.post("/factors/recovery", &[]).expect(200);
}

#[test]
fn on_an_ip_address_the_page_says_which_name_has_passkeys() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let page = ada.get("/factors").expect(200).page();
    assert!(
        page.shows("Passkeys do not work under this address."),
        "{}",
        page.text()
    );
    assert!(page.shows("http://localhost:"), "{}", page.text());
    assert_eq!(page.all("form[action='/factors/passkeys/new']").len(), 0);
}

#[test]
fn a_page_of_one_setup_leads_to_the_list_when_it_is_reloaded_and_a_wrong_code_starts_again() {
    let server = TestServer::start();
    let ada = server.member("ada");
    for path in ["/factors/totp/start", "/factors/passkeys/new"] {
        assert_eq!(ada.get(path).expect(303).location(), "/factors", "{path}");
    }
    ada.post("/factors/totp/start", &[]).expect(200);
    let wrong = ada.post("/factors/totp", &[("code", "000000")]).expect(422);
    assert_eq!(wrong.page().all("form[action='/factors/totp/start'] button").len(), 1);
}

#[test]
fn secrets_stand_in_no_audit_entry_and_in_no_log() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let (app, codes) = enrol_app(&server, &ada);
    let browser = server.signed_in("ada");
    browser.post("/login/factor", &[("code", &codes[0])]).expect(303);
    let entries = format!("{:?}", server.audit());
    for secret in codes.iter().map(String::as_str).chain([app.secret()]) {
        assert!(!entries.contains(secret), "{secret}");
        assert!(!entries.contains(&secret.replace('-', "")), "{secret}");
    }
    for email in server.deliver() {
        assert!(!email.contains(app.secret()) && !email.contains(&codes[0]));
    }
}

#[test]
fn without_script_a_passkey_owner_steps_up_with_password_and_code() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        let ada = signed_in_at_localhost(&server, "ada");
        let (app, _) = enrol_app(&server, &ada);
        enrol_passkey(&server, &ada, "laptop");
        server.advance(600);
        let asked = ada.post("/factors/recovery", &[]).expect(403).page();
        assert_eq!(
            asked.all("[data-passkey='step-up']").len(),
            1,
            "{backend:?}: passkey first"
        );
        assert!(
            asked
                .form_with("step_up_password")
                .fields()
                .iter()
                .any(|(name, _)| name == "step_up_code")
        );
        ada.post("/factors/recovery", &[("step_up_password", PASSWORD)])
            .expect(403);
        let code = app.code(&server);
        let form = [("step_up_password", PASSWORD), ("step_up_code", code.as_str())];
        ada.post("/factors/recovery", &form).expect(200);
        // Where a passkey is required, nothing replaces it.
        server.policy(&[("factor.required", "passkey")]);
        server.advance(600);
        let asked = ada.post("/factors/recovery", &[]);
        let page = asked.page();
        assert!(page.all("input[name=step_up_code]").is_empty(), "{backend:?}");
    }
}

#[test]
fn a_program_hears_which_fields_confirm_its_identity() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let ada = signed_in_at_localhost(&server, "ada");
    server.advance(600);
    let detail = |path: &str| {
        let answer = ada.post_json(path, &json!({}), JSON);
        let answer = refused(answer, 403, "step_up");
        answer.json()["detail"].as_str().unwrap().to_owned()
    };
    let words = detail("/factors/passkeys/options");
    assert!(
        words.contains("`step_up_password`") && !words.contains("`step_up_code`"),
        "{words}"
    );
    ada.post("/factors/totp/start", &[("step_up_password", PASSWORD)])
        .expect(200);
    enrol_app(&server, &ada);
    server.advance(600);
    let words = detail("/factors/passkeys/options");
    assert!(
        words.contains("`step_up_password`") && words.contains("`step_up_code`"),
        "{words}"
    );
}

#[test]
fn a_second_click_on_turn_on_the_app_gets_the_same_recovery_codes() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        server.policy(&[("factor.required", "any")]);
        let page = ada.post("/factors/totp/start", &[]).expect(200);
        let app = App::new(&shown(&page, "[data-secret]").pop().unwrap());
        let wrong = ada
            .submit(&page.page().form_with("code"), &[("code", "000000")])
            .expect(422);
        let act = wrong.page().form_with("code").field("act");
        // Both clicks send the earlier cookie.
        let (first, second) = (ada.thief(), ada.thief());
        let code = app.code(&server);
        let codes = at_once(2, |index| {
            let browser = [&first, &second][index];
            let done = browser
                .post("/factors/totp", &[("code", &code), ("act", &act)])
                .expect(200);
            browser.get("/").expect(200);
            shown(&done, "[data-recovery-code]")
        });
        assert_eq!(codes[0].len(), 10, "{backend:?}");
        assert_eq!(codes[0], codes[1], "{backend:?}");
        assert_eq!(first.cookie("nightlatch"), second.cookie("nightlatch"), "{backend:?}");
        // Later the codes are shown to nobody.
        let late = ada.thief();
        server.advance(11);
        let led = late
            .post("/factors/totp", &[("code", &code), ("act", &act)])
            .expect(303);
        assert!(led.location().starts_with("/login"), "{backend:?}: {}", led.location());
    }
}

#[test]
fn a_step_up_names_the_codes_that_the_account_has() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let ada = signed_in_at_localhost(&server, "ada");
    enrol_passkey(&server, &ada, "laptop");
    server.advance(6 * 60);
    let asked = ada.post("/factors/recovery", &[]).expect(403).page();
    assert_eq!(asked.all("input[name=step_up_code]").len(), 1);
    assert!(asked.shows("Recovery code"), "{}", asked.text());
    assert!(!asked.shows("authenticator app"), "{}", asked.text());
}

#[test]
fn under_enrolment_by_link_the_page_says_why_nothing_can_be_added() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        let ada = signed_in_at_localhost(&server, "ada");
        let buttons = |page: &Page| {
            page.all("form[action='/factors/totp/start'], form[action='/factors/passkeys/new']")
                .len()
        };
        let why = "Only a link from an administrator can add your first second factor.";
        let page = ada.get("/factors").expect(200).page();
        assert_eq!((buttons(&page), page.shows(why)), (2, false), "{backend:?}");
        server.policy(&[("factor.enrolment", "by_link")]);
        let page = ada.get("/factors").expect(200).page();
        assert_eq!(
            (buttons(&page), page.shows(why)),
            (0, true),
            "{backend:?}: {}",
            page.text()
        );
        assert!(
            page.shows("Ask an administrator to send you an enrolment link"),
            "{backend:?}"
        );
        let made = server.run(make_enrolment_link(&server.ctx, &operator(), id)).unwrap();
        let EnrolmentLinkOutcome::Link(address) = made else {
            panic!("no link")
        };
        let token = address.expose().split_once("token=").unwrap().1;
        ada.get(&format!("/factors/enrol?token={token}")).expect(303);
        let link = ada.get("/factors/enrol").expect(200).page();
        ada.submit(&link.form("/factors/enrol"), &[]).expect(303);
        let page = ada.get("/factors").expect(200).page();
        assert_eq!(
            (buttons(&page), page.shows(why)),
            (2, false),
            "{backend:?}: {}",
            page.text()
        );
        // With a first factor, the next one needs no link.
        enrol_app(&server, &ada);
        let page = ada.get("/factors").expect(200).page();
        assert_eq!(
            (buttons(&page), page.shows(why)),
            (2, false),
            "{backend:?}: {}",
            page.text()
        );
    }
}
