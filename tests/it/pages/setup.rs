//! `/setup`: the first administrator, once, with the link that the log printed.

use super::kit::at_once;
use crate::harness::{
    client::{Answer, Client},
    server::{Backend, PASSWORD, TestServer, operator},
};
use nightlatch::{
    domain::{account::Role, policy::Key},
    flows::{accounts, policy},
    store::accounts as rows,
};

fn path(server: &TestServer) -> String {
    let link = server.setup_link.as_deref().expect("set-up is open");
    link.strip_prefix(&server.base).unwrap().to_owned()
}

fn token(server: &TestServer) -> String {
    path(server).split("token=").nth(1).unwrap().to_owned()
}

fn set_up(client: &Client, token: &str, change: &[(&str, &str)]) -> Answer {
    let mut form = vec![
        ("token", token),
        ("username", "ada"),
        ("email", "ada@example.org"),
        ("password", PASSWORD),
        ("password_again", PASSWORD),
        ("baseline", ""),
    ];
    for (name, value) in change {
        form.retain(|(known, _)| known != name);
        form.push((name, value));
    }
    client.post("/setup", &form)
}

fn idle(server: &TestServer) -> String {
    let current = server.run(policy::in_force(&server.ctx)).unwrap();
    format!(
        "{:?}",
        current
            .in_force
            .policy
            .value(Key::AuthIdleSessionTimeout, Role::Member, None)
            .0
    )
}

#[test]
fn a_baseline_leaves_alone_what_the_environment_holds_fast() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT", "600")
        .start();
    let token = token(&server);
    set_up(&server.anyone(), &token, &[("baseline", "asvs-l2")]).expect(303);
    assert_eq!(idle(&server), "Number(600)");
    server.signed_in("ada").get("/admin").expect(200);
}

#[test]
fn the_link_makes_one_administrator_applies_the_baseline_and_is_then_gone() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (path, token) = (path(&server), token(&server));
        let page = server.anyone().open(&path).expect(200).page();
        assert_eq!(page.form("/setup").field("baseline"), "asvs-l2", "preselected");
        server.anyone().open(&path).expect(200);
        let client = server.anyone();
        let done = set_up(&client, &token, &[("baseline", "asvs-l2")]).expect(303);
        assert_eq!(done.location(), "/login?return_to=%2Ffactors%3Fsetup%3D1");
        assert!(
            client
                .get("/login")
                .page()
                .shows("Nightlatch is set up. Sign in as ada."),
            "{backend:?}"
        );
        // It opened no session.
        client.get("/").expect(303);
        assert_eq!(idle(&server), "Number(1800)", "{backend:?}");
        server.signed_in("ada").get("/admin").expect(200);
        server.anyone().open(&path).expect(404);
        set_up(&server.anyone(), &token, &[("username", "eve")]).expect(404);
        assert_eq!(
            server.events()[..2],
            ["account.created", "setup.completed"],
            "{backend:?} {:?}",
            server.events()
        );
    }
}

#[test]
fn the_token_leaves_the_address_before_the_page_loads_anything() {
    let server = TestServer::start();
    let client = server.anyone();
    let moved = client.get(&path(&server)).expect(303);
    assert_eq!(moved.location(), "/setup");
    assert_eq!(moved.header("referrer-policy"), Some("no-referrer"));
    let page = client.get("/setup").expect(200);
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(page.page().form("/setup").field("token"), token(&server));
    assert_ne!(
        client.get("/login").header("referrer-policy"),
        Some("no-referrer"),
        "other pages stay as they are"
    );
}

#[test]
fn a_setup_link_that_does_not_work_says_so_and_what_to_do() {
    let server = TestServer::start();
    let wrong = server.anyone().open("/setup?token=wrong").expect(404).page();
    assert_eq!(wrong.heading(), "This setup link does not work");
    assert!(wrong.shows("restart Nightlatch: the log then shows a new link"));
    let (path, token) = (path(&server), token(&server));
    set_up(&server.anyone(), &token, &[]).expect(303);
    for answer in [
        server.anyone().open(&path),
        server.anyone().get("/setup"),
        set_up(&server.anyone(), &token, &[]),
    ] {
        let used = answer.expect(404).page();
        assert_eq!(used.heading(), "Setup is complete");
        assert_eq!(used.link("Sign in"), "/login");
    }
    let program = server.anyone().header("accept", "application/json");
    assert_eq!(program.open(&path).expect(404).json()["code"], "not_found");
}

#[test]
fn wrong_missing_and_expired_tokens_find_nothing() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (path, token) = (path(&server), token(&server));
        let other_case: String = token
            .chars()
            .map(|c| {
                if c.is_lowercase() {
                    c.to_ascii_uppercase()
                } else {
                    c.to_ascii_lowercase()
                }
            })
            .collect();
        for wrong in [
            "",
            "x",
            "%00",
            &token[..token.len() - 1],
            &format!("{token}x"),
            &other_case,
            "a' OR '1'='1",
        ] {
            server
                .anyone()
                .open(&format!("/setup?token={}", wrong.replace(' ', "+")))
                .expect(404);
            set_up(&server.anyone(), wrong, &[]).expect(404);
        }
        server.anyone().get("/setup").expect(404);
        server.advance(24 * 3600);
        server.anyone().open(&path).expect(200);
        server.advance(1);
        server.anyone().open(&path).expect(404);
        set_up(&server.anyone(), &token, &[]).expect(404);
        assert_eq!(
            server
                .run(accounts::find_by_name(&server.ctx, "ada"))
                .unwrap()
                .map(|found| found.name),
            None
        );
        assert!(server.events().is_empty(), "{backend:?} {:?}", server.events());
    }
}

#[test]
fn ten_set_ups_at_once_make_one_administrator() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let token = token(&server);
        let mut statuses = at_once(10, |index| {
            set_up(&server.anyone(), &token, &[("username", &format!("ada{index}"))]).status()
        });
        statuses.sort();
        assert_eq!(statuses[0], 303, "{backend:?} {statuses:?}");
        assert!(
            statuses[1..].iter().all(|status| [404, 503].contains(status)),
            "{backend:?} {statuses:?}"
        );
        let made = (0..10)
            .filter(|index| {
                server
                    .run(accounts::find_by_name(&server.ctx, &format!("ada{index}")))
                    .unwrap()
                    .is_some()
            })
            .count();
        assert_eq!(made, 1, "{backend:?}");
        assert_eq!(
            server
                .events()
                .iter()
                .filter(|event| *event == "setup.completed")
                .count(),
            1,
            "{backend:?}"
        );
    }
}

#[test]
fn faults_are_listed_together_keep_the_input_and_never_echo_a_password() {
    let server = TestServer::start();
    let token = token(&server);
    let secret = "ada-canary";
    let answer = set_up(
        &server.anyone(),
        &token,
        &[
            ("username", "a\u{202e}da"),
            ("email", "no address"),
            ("password", secret),
            ("password_again", "canary-other"),
            ("baseline", "nist-aal2"),
        ],
    )
    .expect(422);
    let page = answer.page();
    for field in ["username", "email", "password", "password_again"] {
        assert!(page.fault(field).is_some(), "{field}");
    }
    assert!(!answer.text().contains("canary"), "no password comes back");
    let form = page.form("/setup");
    assert_eq!(form.field("email"), "no address");
    assert_eq!(form.field("baseline"), "nist-aal2");
    assert_eq!(form.field("token"), token);
    for change in [
        ("username", ""),
        ("baseline", "nothing"),
        ("password", ""),
        ("password", "adaadaadaada"),
        ("password", "short"),
    ] {
        set_up(&server.anyone(), &token, &[change, ("password_again", change.1)]).expect(422);
    }
    let long = "x".repeat(10_000);
    set_up(
        &server.anyone(),
        &token,
        &[("password", &long), ("username", &long[..5000])],
    )
    .expect(422);
    // The link was not used up by any of it.
    set_up(&server.anyone(), &token, &[]).expect(303);
}

#[test]
fn a_restart_prints_a_new_link_only_while_there_is_no_account() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (database, first) = (server.database.clone(), token(&server));
        server.stop();
        let server = TestServer::beside(&database).start();
        let second = token(&server);
        assert_ne!(first, second);
        // Each works until one is used.
        server.anyone().open(&format!("/setup?token={first}")).expect(200);
        set_up(&server.anyone(), &first, &[]).expect(303);
        server.anyone().open(&format!("/setup?token={second}")).expect(404);
        set_up(&server.anyone(), &second, &[("username", "eve")]).expect(404);
        server.stop();
        let server = TestServer::beside(&database).start();
        assert_eq!(server.setup_link, None, "{backend:?}");
    }
}

#[test]
fn deleting_every_account_does_not_open_set_up_again() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let old = token(&server);
        set_up(&server.anyone(), &old, &[]).expect(303);
        let id = server
            .run(accounts::find_by_name(&server.ctx, "ada"))
            .unwrap()
            .unwrap()
            .id;
        server
            .run(server.ctx.store.write(move |c| rows::delete(c, id)))
            .unwrap();
        server.anyone().open(&format!("/setup?token={old}")).expect(404);
        set_up(&server.anyone(), &old, &[]).expect(404);
        let database = server.database.clone();
        server.stop();
        let server = TestServer::beside(&database).start();
        assert_eq!(server.setup_link, None, "{backend:?}");
        server.anyone().get("/setup").expect(404);
    }
}

#[test]
fn an_account_made_at_the_command_line_ends_set_up_at_a_running_server() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let token = token(&server);
        server.account("boss", Role::Administrator);
        set_up(&server.anyone(), &token, &[]).expect(404);
        server
            .run(nightlatch::flows::setup::close(&server.ctx, &operator()))
            .unwrap();
        server.anyone().open(&format!("/setup?token={token}")).expect(404);
        set_up(&server.anyone(), &token, &[]).expect(404);
        assert_eq!(
            server
                .run(accounts::find_by_name(&server.ctx, "ada"))
                .unwrap()
                .map(|found| found.name),
            None
        );
    }
}

#[test]
fn the_token_is_stored_hashed_and_shows_nowhere_but_in_the_form() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("security.log");
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_SECURITY_LOG", log.to_str().unwrap())
        .start();
    let token = token(&server);
    set_up(&server.anyone(), "wrong", &[]).expect(404);
    let answer = set_up(&server.anyone(), &token, &[]).expect(303);
    assert!(!answer.location().contains(&token));
    let database = server.database.clone();
    server.stop();
    let mut everything = std::fs::read(&log).unwrap();
    let url = database.url();
    let file = url.strip_prefix("sqlite:").unwrap();
    for ending in ["", "-wal"] {
        everything.extend(std::fs::read(format!("{file}{ending}")).unwrap_or_default());
    }
    assert!(everything.len() > 10_000);
    for secret in [token.as_str(), PASSWORD] {
        assert!(
            !everything
                .windows(secret.len())
                .any(|window| window == secret.as_bytes())
        );
    }
}

#[test]
fn the_setup_link_lets_its_holder_check_a_password() {
    let server = TestServer::start();
    let (path, token) = (path(&server), token(&server));
    let client = server.anyone();
    assert!(
        client
            .open(&path)
            .expect(200)
            .text()
            .contains("data-with=\"token username email baseline\"")
    );
    let ask = |token: &str, typed: &str| {
        let form = [("token", token), ("username", "ada.lovelace"), ("new_password", typed)];
        client.post("/setup/strength", &form)
    };
    ask("wrong", PASSWORD).expect(404);
    assert_eq!(ask(&token, PASSWORD).expect(200).json()["enough"], true);
    assert_eq!(ask(&token, "ada.lovelace1").expect(200).json()["enough"], false);
    set_up(&client, &token, &[("baseline", "asvs-l2")]).expect(303);
    ask(&token, PASSWORD).expect(404);
}

#[test]
fn the_hint_and_the_meter_follow_the_baseline_that_is_about_to_hold() {
    let server = TestServer::start();
    let (path, token) = (path(&server), token(&server));
    let client = server.anyone();
    let twelve = "Vk3#qLw9_xT!";
    let judged = |baseline: &str| {
        let form = [
            ("token", token.as_str()),
            ("new_password", twelve),
            ("baseline", baseline),
        ];
        client.post("/setup/strength", &form).expect(200).json()["enough"].clone()
    };
    let page = client.open(&path).expect(200).page();
    assert!(page.shows("At least 15 characters"), "of what is preselected");
    for (baseline, least) in [("hue", 12), ("asvs-l2", 15), ("nist-aal2", 15), ("pci-dss-4", 12)] {
        let choice = page.all(&format!("input[name=baseline][value={baseline}]"));
        assert_eq!(choice[0].attribute("data-least"), least.to_string(), "{baseline}");
        assert_eq!(judged(baseline), least <= 12, "{baseline}");
        let change = [
            ("baseline", baseline),
            ("password", twelve),
            ("password_again", "other"),
        ];
        let refused = set_up(&client, &token, &change).expect(422);
        let refused = refused.page();
        assert!(refused.shows(&format!("At least {least} characters")), "{baseline}");
        assert_eq!(refused.fault("password").is_some(), least > 12, "{baseline}");
    }
    assert_eq!(judged(""), true, "the policy as it is");
}

#[test]
fn while_set_up_is_open_the_sign_in_page_says_so() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let token = token(&server);
        let words = "Not set up yet. Open the setup link printed in the server log.";
        let page = server.anyone().get("/login").expect(200);
        assert!(page.page().shows(words) && !page.text().contains(&token), "{backend:?}");
        set_up(&server.anyone(), &token, &[]).expect(303);
        assert!(
            !server.anyone().get("/login").expect(200).page().shows(words),
            "{backend:?}"
        );
        let database = server.database.clone();
        server.stop();
        let server = TestServer::beside(&database).start();
        assert!(
            !server.anyone().get("/login").expect(200).page().shows(words),
            "{backend:?}"
        );
    }
}
