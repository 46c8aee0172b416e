//! The ways in that `flows::factors::ways_in` cannot drive as flows: setup, a mailed reset, and the
//! handover to an application's host. None of them goes past a required factor.

use super::kit::enrol_app;
use crate::harness::{
    server::{Backend, PASSWORD, TestServer, operator},
    smtp,
};
use nightlatch::{
    domain::{account::Role, policy::Scope, secret::Secret},
    flows::{
        accounts::{self, CreateOutcome, NewAccount, NewPassword},
        applications::{self, ApplicationChange, ApplicationOutcome},
    },
};

const NEW: &str = "quartz lantern meadow";

/// Carries setup out for the administrator `ada`; returns where it leads.
fn set_up(server: &TestServer) -> String {
    let link = server.setup_link.clone().expect("setup is open");
    let token = link.split_once("token=").unwrap().1;
    let form = [
        ("token", token),
        ("username", "ada"),
        ("email", "ada@example.org"),
        ("password", PASSWORD),
        ("password_again", PASSWORD),
        ("baseline", ""),
    ];
    let browser = server.anyone();
    let done = browser.post("/setup", &form).expect(303);
    browser.get("/").expect(303);
    done.location().to_owned()
}

#[test]
fn the_first_administrator_owes_what_is_required() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend)
            .env("NIGHTLATCH_POLICY__FACTOR__REQUIRED", "any")
            .start();
        set_up(&server);
        let ada = server.signed_in("ada");
        let led = ada.get("/admin").expect(303);
        assert!(led.location().starts_with("/factor"), "{backend:?}: {}", led.location());
        enrol_app(&server, &ada);
        ada.get("/admin").expect(200);
        let again = server.anyone();
        let asked = again.sign_in("ada", PASSWORD).expect(303);
        assert_eq!(asked.location(), "/login/factor", "{backend:?}");
    }
}

#[test]
fn setup_offers_a_factor_that_may_be_skipped() {
    let server = TestServer::start();
    assert_eq!(set_up(&server), "/login?return_to=%2Ffactors%3Fsetup%3D1");
    let ada = server.anyone();
    let form = [
        ("username", "ada"),
        ("password", PASSWORD),
        ("return_to", "/factors?setup=1"),
    ];
    let led = ada.post("/login", &form).expect(303);
    assert_eq!(led.location(), "/factors?setup=1");
    let page = ada.get(led.location()).expect(200).page();
    assert!(
        page.shows("Last step of setup: protect this account"),
        "{}",
        page.text()
    );
    assert_eq!(
        page.all("a[href='/admin']")
            .iter()
            .filter(|link| link.text() == "Skip for now")
            .count(),
        1
    );
    ada.get("/admin").expect(200);
    let plain = ada.get("/factors").expect(200).page();
    assert!(!plain.shows("Last step of setup"), "{}", plain.text());
    enrol_app(&server, &ada);
    let later = ada.get("/factors?setup=1").expect(200).page();
    assert!(!later.shows("Last step of setup"), "{}", later.text());
}

#[test]
fn a_mailed_reset_replaces_the_password_and_not_the_factor() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let new = NewAccount {
            name: "ada".to_owned(),
            display_name: String::new(),
            email: "ada@example.org".to_owned(),
            role: Role::Member,
            groups: Vec::new(),
            expires_at: None,
            password: NewPassword::Given {
                password: Secret::new(PASSWORD.to_owned()),
                must_change: false,
            },
        };
        let made = server.run(accounts::create(&server.ctx, &operator(), new)).unwrap();
        assert!(matches!(made, CreateOutcome::Created { .. }));
        let (app, _) = enrol_app(&server, &server.signed_in("ada"));
        server.policy(&[("factor.required", "any")]);
        server.anyone().post("/password/forgot", &[("username", "ada")]);
        let emails = server.deliver();
        let link = emails
            .iter()
            .rev()
            .find_map(|email| smtp::link(email, "/password/reset"));
        let link = link.expect("an email with a link");
        let browser = server.anyone();
        browser.get(link.strip_prefix(&server.base).unwrap()).expect(303);
        let form = [("new_password", NEW), ("new_password_again", NEW)];
        let chosen = browser.post("/password/reset", &form);
        assert!(chosen.status() < 400, "{backend:?}: {}", chosen.text());
        // It opened no session.
        assert!(
            browser.get("/").expect(303).location().starts_with("/login"),
            "{backend:?}"
        );
        let asked = browser.sign_in("ada", NEW).expect(303);
        assert_eq!(asked.location(), "/login/factor", "{backend:?}");
        assert!(
            browser.get("/").expect(303).location().starts_with("/login"),
            "{backend:?}"
        );
        browser
            .post("/login/factor", &[("code", &app.code(&server))])
            .expect(303);
        browser.get("/").expect(200);
    }
}

#[test]
fn a_session_with_a_duty_is_not_handed_over() {
    const PAGE: &str = "http://shop.other.test/page";
    let nonce = "0123456789abcdef".repeat(4);
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("return_to", PAGE)
        .append_pair("nonce", &nonce)
        .finish();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend)
            .env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org")
            .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
            .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
            .start();
        let change = ApplicationChange {
            hosts: Some(vec!["shop.other.test".to_owned()]),
            ..ApplicationChange::default()
        };
        let acting = operator();
        let made = applications::create(&server.ctx, &acting, "shop", change);
        assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
        server.account("ada", Role::Member);
        let ada = server.anyone().header("host", "login.example.org");
        ada.sign_in("ada", PASSWORD).expect(303);
        let arrive = || ada.get(&format!("/handover?{query}")).expect(303).location().to_owned();
        let shop = Scope::Application("shop".to_owned());
        for scope in [Scope::Everyone, shop] {
            for required in ["any", "passkey"] {
                server.policy_in(&scope, &[("factor.required", required)]);
                let led = arrive();
                assert!(
                    led.starts_with("/factor?return_to="),
                    "{backend:?} {scope:?} {required}: {led}"
                );
            }
            server.policy_in(&scope, &[("factor.required", "off")]);
        }
        let led = arrive();
        assert!(
            led.starts_with("http://shop.other.test/nightlatch/handover?code="),
            "{backend:?}: {led}"
        );
        // What the application requires is proved on the way.
        server.policy_in(&Scope::Application("shop".to_owned()), &[("factor.required", "any")]);
        enrol_app(&server, &ada);
        let led = arrive();
        assert!(
            led.starts_with("http://shop.other.test/nightlatch/handover?code="),
            "{backend:?}: {led}"
        );
    }
}
