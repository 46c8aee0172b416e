//! Step-up: which actions ask for the password again and when, what happens to the input, and wrong
//! passwords.

use super::kit::{ask, at_once, table};
use crate::harness::{
    client::{Answer, Client},
    server::{Backend, PASSWORD, TestServer},
};
use nightlatch::{
    domain::{account::Role, time::Span},
    flows::accounts::{self, AccountAction},
    http::route::Audience,
};

/// How long a confirmation is valid, in seconds.
const ADMINISTRATORS: i64 = 600;
const OWNERS: i64 = 300;

const NEW: &str = "quiet lantern orchard 9";

const WIKI: &[(&str, &str)] = &[
    ("name", "wiki"),
    ("hosts", "wiki.example.org\r\nalso.example.org"),
    ("role", "member"),
    ("role", "administrator"),
    ("groups", "a \"quoted\" <group> & more"),
];

fn asks(answer: &Answer) -> bool {
    answer.status() == 403 && !answer.page().all("input[name=step_up_password]").is_empty()
}

fn program(client: &Client) -> Client {
    client.thief().header("accept", "application/json")
}

/// Codes of a problem, when it is one.
fn code(answer: &Answer) -> Option<String> {
    let is_problem = answer.header("content-type") == Some("application/problem+json");
    is_problem.then(|| answer.json()["code"].as_str().unwrap().to_owned())
}

#[test]
fn exactly_the_routes_that_the_table_marks_ask_for_the_password_again() {
    let server = TestServer::start();
    let (admin, member) = (server.admin("ada"), server.member("bob"));
    server.advance(ADMINISTRATORS + 1);
    for route in table() {
        for (client, who) in [(&admin, Audience::Administrator), (&member, Audience::Member)] {
            if who == Audience::Member && route.audience == Audience::Administrator {
                continue;
            }
            let what = format!("{} {} for {who:?}", route.method, route.path);
            let page = ask(client, &route, &[]);
            let problem = ask(&program(client), &route, &[]);
            assert_eq!(asks(&page), route.step_up, "{what}: {}", page.status());
            let expected = route.step_up.then_some("step_up");
            assert_eq!(
                code(&problem).filter(|code| code == "step_up").as_deref(),
                expected,
                "{what}"
            );
        }
    }
}

#[test]
fn a_fresh_proof_asks_nobody() {
    let server = TestServer::start();
    let admin = server.admin("ada");
    server.advance(OWNERS);
    for route in table().iter().filter(|route| route.step_up) {
        assert!(!asks(&ask(&admin, route, &[])), "{} {}", route.method, route.path);
    }
}

#[test]
fn the_limits_are_inclusive_to_the_microsecond() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        for (role, path, secs) in [
            (Role::Administrator, "/admin/applications", ADMINISTRATORS),
            (Role::Member, "/sessions/end-others", OWNERS),
        ] {
            let server = TestServer::on(backend).start();
            server.account("ada", role);
            let ada = server.signed_in("ada");
            server.advance(secs);
            assert!(!asks(&ada.post(path, &[])), "{backend:?} {path}: at exactly the limit");
            server.clock.advance(Span::from_micros(1));
            assert!(asks(&ada.post(path, &[])), "{backend:?} {path}: a microsecond later");
        }
    }
}

#[test]
fn the_right_password_carries_the_act_out_with_everything_that_was_typed() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.admin("ada");
        server.advance(ADMINISTRATORS + 1);
        let asked = ada.post("/admin/applications", WIKI).expect(403);
        assert!(
            !server.events().contains(&"application.changed".to_owned()),
            "{backend:?}"
        );
        let carried = asked.page().form_with("step_up_password").field("groups");
        assert_eq!(carried, "a \"quoted\" <group> & more");
        let done = ada.confirm(&asked, PASSWORD).expect(303);
        assert_eq!(done.location(), "/admin/applications/wiki", "{backend:?}");
        let page = ada.get("/admin/applications/wiki").expect(200).page();
        let form = page.form_with("hosts");
        assert_eq!(form.field("hosts"), "also.example.org\nwiki.example.org", "{backend:?}");
        assert_eq!(form.field("groups"), "a \"quoted\" <group> & more", "{backend:?}");
        let roles = form.fields().into_iter().filter(|(name, _)| name == "role");
        assert_eq!(roles.count(), 2, "{backend:?}: both roles were kept");
        let events = server.events();
        let last = |at: usize| events[events.len() - at].as_str();
        assert_eq!(
            (last(2), last(1)),
            ("step_up.accepted", "application.changed"),
            "{backend:?}"
        );
        // From now on it counts again, for as long as before.
        server.advance(ADMINISTRATORS);
        assert!(!asks(&ada.post("/admin/applications", &[])), "{backend:?}");
        server.advance(1);
        assert!(asks(&ada.post("/admin/applications", &[])), "{backend:?}");
    }
}

#[test]
fn a_proof_counts_for_its_own_session_only_and_on_every_instance() {
    let database = std::sync::Arc::new(crate::harness::server::TestDatabase::fresh(Backend::Postgres));
    let one = TestServer::beside(&database)
        .env("NIGHTLATCH_PUBLIC_URL", "http://127.0.0.1")
        .start();
    let two = TestServer::beside(&database)
        .env("NIGHTLATCH_PUBLIC_URL", "http://127.0.0.1")
        .clock(&one.clock)
        .start();
    let host = |client: Client| client.header("host", "127.0.0.1");
    one.account("ada", Role::Administrator);
    let sign_in = || {
        let client = host(one.anyone());
        client.sign_in("ada", PASSWORD).expect(303);
        client
    };
    let (ada, elsewhere) = (sign_in(), sign_in());
    one.advance(ADMINISTRATORS + 1);
    let asked = ada.post("/admin/applications", WIKI).expect(403);
    // Remembered there as it was.
    let there = ada.thief().at(&two.base);
    assert!(asks(&there.post("/admin/applications", &[])));
    ada.confirm(&asked, PASSWORD).expect(303);
    assert!(asks(&elsewhere.post("/admin/applications", &[])));
    // The session has a new id; the one that it replaced did not confirm anything.
    let renewed = ada.thief().at(&two.base);
    crate::harness::server::eventually("the other instance knows", || {
        !asks(&renewed.post("/admin/applications", &[]))
    });
    assert!(asks(&there.post("/admin/applications", &[])));
}

#[test]
fn a_wrong_password_is_a_failed_attempt_and_may_lock() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_failure_limit", "3"),
        ]);
        let ada = server.admin("ada");
        server.advance(ADMINISTRATORS + 1);
        let asked = ada.post("/admin/applications", WIKI).expect(403);
        let wrong = ada.confirm(&asked, "wrong").expect(422);
        assert!(wrong.page().shows("The password is wrong."), "{}", wrong.text());
        let form = wrong.page().form_with("step_up_password").field("step_up_password");
        assert_eq!(form, "", "a password is never sent back");
        assert_eq!(
            server.events().last().map(String::as_str),
            Some("step_up.refused credentials"),
            "{backend:?}"
        );
        server.anyone().sign_in("ada", "wrong").expect(422);
        let locked = ada.confirm(&wrong, "wrong").expect(429);
        assert_eq!(locked.header("retry-after"), Some("900"), "{backend:?}");
        let still = ada.confirm(&locked, PASSWORD).expect(429);
        server.anyone().sign_in("ada", PASSWORD).expect(429);
        // The session itself is live, and actions without step-up work.
        ada.get("/admin").expect(200);
        server.advance(901);
        ada.confirm(&still, PASSWORD).expect(303);
        let made = |event: &&String| *event == "application.changed";
        assert_eq!(server.events().iter().filter(made).count(), 1, "{backend:?}");
    }
}

#[test]
fn parallel_attempts_are_bounded_by_the_lock() {
    let server = TestServer::start();
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_failure_limit", "3"),
    ]);
    let ada = server.admin("ada");
    server.advance(ADMINISTRATORS + 1);
    let asked = ada.post("/admin/applications", WIKI).expect(403);
    let thieves: Vec<Client> = (0..30).map(|_| ada.thief()).collect();
    let before = server.ctx.hasher.checked();
    let statuses = at_once(30, |index| thieves[index].confirm(&asked, "wrong").status());
    assert!(
        statuses.iter().all(|status| [422, 429].contains(status)),
        "{statuses:?}"
    );
    assert!(server.ctx.hasher.checked() - before <= 3);
}

#[test]
fn programs_get_a_code_and_send_the_password_along() {
    let server = TestServer::start();
    let ada = server.admin("ada");
    server.advance(ADMINISTRATORS + 1);
    let program = program(&ada);
    let refused = program.post("/admin/applications", WIKI).expect(403);
    assert_eq!(code(&refused).as_deref(), Some("step_up"));
    let with = |password: &'static str| [WIKI, &[("step_up_password", password)]].concat();
    let wrong = program.post("/admin/applications", &with("wrong")).expect(422);
    assert_eq!(code(&wrong).as_deref(), Some("credentials"));
    program.post("/admin/applications", &with(PASSWORD)).expect(303);
}

#[test]
fn a_form_is_never_carried_out_for_another_person() {
    let server = TestServer::start();
    server.account("eve", Role::Administrator);
    let browser = server.admin("ada");
    server.advance(ADMINISTRATORS + 1);
    let asked = browser.post("/admin/applications", WIKI).expect(403);
    // The same browser, another user: their confirmation is fresh, so no password would be
    // requested.
    browser.sign_in("eve", PASSWORD).expect(303);
    assert_eq!(browser.confirm(&asked, PASSWORD).expect(303).location(), "/");
    let told = "someone else started this action. Nothing was changed.";
    assert!(browser.get("/").expect(200).page().shows(told));
    assert!(!server.events().contains(&"application.changed".to_owned()));
}

#[test]
fn secrets_are_not_carried_but_asked_for_again() {
    let server = TestServer::start();
    let ada = server.admin("ada");
    server.advance(ADMINISTRATORS + 1);
    let form = [
        ("name", "bob"),
        ("role", "member"),
        ("password", NEW),
        ("must_change", "on"),
    ];
    let asked = ada.post("/admin/accounts", &form).expect(403);
    assert!(!asked.text().contains(NEW));
    assert!(asked.page().shows("Password of the new account"));
    let form = [&form[..], &[("step_up_password", PASSWORD)]].concat();
    ada.post("/admin/accounts", &form).expect(303);
    assert_eq!(server.anyone().sign_in("bob", NEW).expect(303).location(), "/password");
    // One that is made needs no typing.
    server.advance(ADMINISTRATORS + 1);
    let form = [("name", "eve"), ("role", "member"), ("password", "")];
    let asked = ada.post("/admin/accounts", &form).expect(403);
    assert!(!asked.page().shows("Password of the new account"));
    ada.confirm(&asked, PASSWORD).expect(303);
}

#[test]
fn actions_that_end_sessions_are_not_delayed() {
    let server = TestServer::start();
    let ada = server.admin("ada");
    let bob = server.account("bob", Role::Member);
    let path = format!("/admin/accounts/{}", bob.0);
    server.advance(ADMINISTRATORS + 1);
    for act in ["end-sessions", "force-change"] {
        ada.post(&path, &[("act", act)]).expect(303);
    }
    for act in [
        "unlock",
        "disable",
        "delete",
        "role",
        "reset-password",
        "profile",
        "enable",
        "expire",
        "set-expiry",
    ] {
        let asked = ada.post(
            &path,
            &[("act", act), ("role", "administrator"), ("confirm_name", "bob")],
        );
        assert!(asks(&asked), "{act}: {}", asked.status());
    }
    let role = accounts::find_by_name(&server.ctx, "bob");
    assert_eq!(server.run(role).unwrap().unwrap().role, Role::Member);
    server.act(bob, AccountAction::Disable);
}

#[test]
fn an_end_of_chosen_peoples_sessions_is_not_delayed_and_one_of_everybody_is_confirmed() {
    let server = TestServer::start();
    let ada = server.admin("ada");
    let bob = server.account("bob", Role::Member).0.to_string();
    server.advance(ADMINISTRATORS + 1);
    let confirmed = [("act", "end-sessions"), ("confirmed", "yes"), ("shown", "1")];
    let of_everybody = [&confirmed[..], &[("what", "matching"), ("back", "")]].concat();
    assert!(asks(&ada.post("/admin/accounts/bulk", &of_everybody)));
    let of_bob = [&confirmed[..], &[("what", "selected"), ("id", bob.as_str())]].concat();
    assert!(!asks(&ada.post("/admin/accounts/bulk", &of_bob)));
}

#[test]
fn an_export_comes_after_the_password() {
    let server = TestServer::start();
    let ada = server.admin("ada");
    server.advance(ADMINISTRATORS + 1);
    for path in [
        "/admin/sessions/export?format=csv&q=ada",
        "/admin/accounts/export?format=csv&q=ada",
    ] {
        let came_from = format!("{}/admin/sessions?q=ada", server.base);
        let came_from = [("referer", came_from.as_str())];
        let asked = ada.send(reqwest::Method::POST, path, None, &came_from).expect(403);
        assert_eq!(asked.page().link("Cancel"), "/admin/sessions?q=ada");
        // Back on the page that sent the request: no page with the password in it stays open.
        let led = ada.confirm(&asked, PASSWORD).expect(303);
        assert_eq!(led.location(), "/admin/sessions?q=ada");
        let page = ada.get(led.location()).expect(200).page();
        assert_eq!(page.all("form[data-fetched]")[0].attribute("action"), path);
        let again = ada.get(led.location()).expect(200).page();
        assert!(again.all("form[data-fetched]").is_empty(), "it is fetched once");
        let csv = ada.post(path, &[]).expect(200);
        assert!(csv.header("content-type").unwrap().starts_with("text/csv"), "{path}");
        assert!(csv.text().contains("ada"), "{path}");
        server.advance(ADMINISTRATORS + 1);
    }
    let asked = ada.get("/admin/policy/export?format=toml").expect(403);
    let policy = ada.confirm(&asked, PASSWORD).expect(200);
    assert!(
        policy.header("content-disposition").unwrap().contains(".toml"),
        "{}",
        policy.text()
    );
}

#[test]
fn a_program_that_sends_the_password_along_gets_the_export_at_once() {
    let server = TestServer::start();
    let ada = server.admin("ada");
    server.advance(ADMINISTRATORS + 1);
    let path = "/admin/sessions/export?format=csv";
    let csv = program(&ada).post(path, &[("step_up_password", PASSWORD)]).expect(200);
    assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
}

#[test]
fn cancel_leads_to_no_other_site() {
    let server = TestServer::start();
    let ada = server.admin("ada");
    server.advance(ADMINISTRATORS + 1);
    for evil in [
        "https://evil.example//evil.example/",
        "javascript:alert(1)",
        "https://x/\\evil",
    ] {
        let path = "/admin/sessions/export";
        let asked = ada
            .send(
                reqwest::Method::POST,
                path,
                None,
                &[("referer", evil), ("sec-fetch-site", "same-origin")],
            )
            .expect(403);
        assert_eq!(asked.page().link("Cancel"), "/", "{evil}");
    }
}

#[test]
fn a_sign_in_in_the_guard_and_a_password_change_are_proofs() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.admin("ada");
        server.advance(ADMINISTRATORS + 1);
        let change = [
            ("current_password", PASSWORD),
            ("new_password", NEW),
            ("new_password_again", NEW),
        ];
        ada.post("/password", &change).expect(303);
        assert!(!asks(&ada.post("/admin/applications", &[])), "{backend:?}");
        server.advance(ADMINISTRATORS + 1);
        assert!(asks(&ada.post("/admin/applications", &[])), "{backend:?}");
        let given = serde_json::json!({ "username": "ada", "password": NEW });
        ada.post_json("/nightlatch/session/login", &given, &[]).expect(200);
        assert!(!asks(&ada.post("/admin/applications", &[])), "{backend:?}");
    }
}

#[test]
fn another_site_cannot_send_the_password() {
    let server = TestServer::start();
    let ada = server.admin("ada");
    server.advance(ADMINISTRATORS + 1);
    let form = [WIKI, &[("step_up_password", PASSWORD)]].concat();
    let headers = [("sec-fetch-site", "cross-site")];
    let refused = ada.send(reqwest::Method::POST, "/admin/applications", Some(&form), &headers);
    assert!(refused.status() == 403 && !asks(&refused));
    assert!(!server.events().contains(&"step_up.accepted".to_owned()));
}

#[test]
fn an_owner_proves_before_ending_other_sessions() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let other = server.signed_in("ada");
        server.advance(OWNERS + 1);
        let asked = ada.post("/sessions/end-others", &[]).expect(403);
        other.get("/").expect(200);
        assert_eq!(ada.confirm(&asked, PASSWORD).expect(303).location(), "/", "{backend:?}");
        other.get("/").expect(303);
        ada.get("/").expect(200);
    }
}

#[test]
fn the_session_goes_on_under_a_new_id_after_the_proof_and_after_a_new_role() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.admin("ada");
        server.advance(ADMINISTRATORS + 1);
        let asked = ada.post("/admin/applications", WIKI).expect(403);
        let before = ada.cookie("nightlatch").unwrap();
        let old = ada.thief();
        ada.confirm(&asked, PASSWORD).expect(303);
        assert_ne!(ada.cookie("nightlatch").unwrap(), before, "{backend:?}");
        ada.get("/admin").expect(200);
        // Other tabs of the browser sent the old one a moment ago.
        old.get("/").expect(200);
        server.advance(11);
        assert_ne!(old.get("/").status(), 200, "{backend:?}: the old id is over");

        let eve = server.account("eve", Role::Member);
        let browser = server.signed_in("eve");
        let before = browser.cookie("nightlatch").unwrap();
        server.act(eve, AccountAction::SetRole(Role::Administrator));
        browser.get("/admin").expect(200);
        assert_ne!(browser.cookie("nightlatch").unwrap(), before, "{backend:?}");
    }
}
