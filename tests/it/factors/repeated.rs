//! A form that turns an authenticator app on and is sent again: only the same session gets the
//! result again, and only with the same code.

use super::kit::{App, shown};
use crate::harness::{
    client::{Answer, Client},
    page::Page,
    server::{Backend, TestServer},
};

/// Starts the setup of an app; returns the app, and the page with the form for its first code.
fn start_setup(browser: &Client) -> (App, Page) {
    let page = browser.post("/factors/totp/start", &[]).expect(200);
    let app = App::new(&shown(&page, "[data-secret]").pop().unwrap());
    (app, page.page())
}

fn send(browser: &Client, page: &Page, code: &str) -> Answer {
    browser.submit(&page.form_with("code"), &[("code", code)])
}

fn codes(answer: &Answer) -> Vec<String> {
    shown(answer, "[data-recovery-code]")
}

#[test]
fn another_session_of_the_account_gets_neither_codes_nor_proof() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let thief = server.signed_in("ada");
        let (app, page) = start_setup(&ada);
        let code = app.code(&server);
        assert_eq!(codes(&send(&ada, &page, &code).expect(200)).len(), 10, "{backend:?}");
        for required in ["off", "any"] {
            server.policy(&[("factor.required", required)]);
            for typed in [code.as_str(), "1", ""] {
                let answer = send(&thief, &page, typed);
                assert_eq!(codes(&answer), Vec::<String>::new(), "{backend:?} {required} {typed:?}");
                assert_ne!(answer.status(), 200, "{backend:?} {required} {typed:?}");
                assert_ne!(
                    thief.cookie("nightlatch"),
                    ada.cookie("nightlatch"),
                    "{backend:?} {required}"
                );
            }
        }
        assert_eq!(
            thief.get("/").expect(303).location(),
            "/factor?return_to=%2F",
            "{backend:?}"
        );
        ada.get("/").expect(200);
    }
}

#[test]
fn the_same_session_gets_it_again_with_the_same_code_only() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let second_click = ada.thief();
        let (app, page) = start_setup(&ada);
        let code = app.code(&server);
        let first = codes(&send(&ada, &page, &code).expect(200));
        assert_eq!(first.len(), 10, "{backend:?}");
        for typed in ["1", "", "000000"] {
            let answer = send(&second_click, &page, typed);
            assert_eq!(codes(&answer), Vec::<String>::new(), "{backend:?} {typed:?}");
        }
        // Spaces in a code are ignored.
        let spaced = format!("{} {}", &code[..3], &code[3..]);
        let again = send(&second_click, &page, &spaced).expect(200);
        assert_eq!(codes(&again), first, "{backend:?}");
        assert_eq!(
            ada.cookie("nightlatch"),
            second_click.cookie("nightlatch"),
            "{backend:?}"
        );
        let again = send(&ada, &page, &code).expect(200);
        assert_eq!(codes(&again), first, "{backend:?}: under the new id");
    }
}

#[test]
fn codes_that_no_longer_work_are_not_shown_again() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let (app, page) = start_setup(&ada);
        let code = app.code(&server);
        send(&ada, &page, &code).expect(200);
        ada.post("/factors/recovery", &[]).expect(200);
        let again = send(&ada, &page, &code).expect(303);
        assert_eq!(again.location(), "/factors", "{backend:?}");
        assert!(
            ada.get("/factors").page().shows("Your authenticator app is on."),
            "{backend:?}"
        );
        ada.post("/factors/totp/remove", &[]).expect(303);
        let again = send(&ada, &page, &code).expect(303);
        assert_eq!(again.location(), "/factors", "{backend:?}");
        let list = ada.get("/factors").page();
        assert!(list.shows("The setup took too long. Start again."), "{backend:?}");
        assert!(list.shows("You have no authenticator app."), "{backend:?}");
    }
}
