//! Changing the password at `/password`, by choice or because it is required: the message about
//! each mistake, and the effect on the sessions.

use super::kit::{at_once, filled, table};
use crate::harness::{
    client::{Answer, Client},
    server::{Backend, PASSWORD, TestServer, operator},
};
use nightlatch::{
    domain::{account::Role, secret::Secret},
    flows::{
        accounts::{self, AccountAction, AccountActionOutcome, CreateOutcome, NewAccount, NewPassword},
        applications::{self, ApplicationChange},
    },
    http::route::Audience,
};
use reqwest::Method;

const NEW: &str = "quiet lantern orchard 9";
const NEWER: &str = "copper meadow sailing 4";

fn change(client: &Client, current: &str, new: &str, again: &str) -> Answer {
    client.post(
        "/password",
        &[
            ("current_password", current),
            ("new_password", new),
            ("new_password_again", again),
        ],
    )
}

/// Creates an account as the console does, and returns its one-time password.
fn with_one_time_password(server: &TestServer, name: &str, role: Role) -> String {
    let new = NewAccount {
        name: name.to_owned(),
        display_name: String::new(),
        email: String::new(),
        role,
        groups: Vec::new(),
        expires_at: None,
        password: NewPassword::OneTime,
    };
    match server.run(accounts::create(&server.ctx, &operator(), new)).unwrap() {
        CreateOutcome::Created {
            one_time_password: Some(secret),
            ..
        } => secret.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn password_checks_have_a_limit_for_each_network() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let check = |client: &Client| client.post("/password/strength", &[("new_password", "abc")]).status();
    let answers: Vec<u16> = (0..125).map(|_| check(&ada)).collect();
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 120);
    let refused = ada.post("/password/strength", &[("new_password", "abc")]).expect(429);
    assert!(refused.header("retry-after").is_some());
    let elsewhere = ada.thief().from("127.0.0.2");
    assert_ne!(check(&elsewhere), 429, "another network has its own");
    server.advance(60);
    assert_eq!(check(&ada), 200);
}

/// Asserts that only the form, sign-out and static files answer.
fn assert_confined(client: &Client) {
    for route in table() {
        if route.path == "/logout" || (route.path == "/password" && route.method == "POST") {
            continue;
        }
        let form: Option<&[(&str, &str)]> = (route.method == "POST").then_some(&[]);
        let method = Method::from_bytes(route.method.as_str().as_bytes()).unwrap();
        let answer = client.send(method, &filled(&route), form, &[]);
        match route.audience {
            Audience::Anyone => {}
            Audience::Pending => assert_eq!(answer.status(), 200, "{}", route.path),
            Audience::Member | Audience::Administrator => {
                assert_eq!(
                    (answer.status(), answer.location()),
                    (303, "/password"),
                    "{}",
                    route.path
                );
            }
        }
    }
    let program = client.thief().header("accept", "application/json").get("/").expect(401);
    assert_eq!(program.json()["code"], "password_change");
    assert_eq!(program.json()["login_url"], "/password");
}

#[test]
fn a_one_time_password_opens_nothing_but_the_form_until_it_is_changed() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let one_time = with_one_time_password(&server, "ada", Role::Administrator);
        let ada = server.anyone();
        let form = [
            ("username", "ada"),
            ("password", one_time.as_str()),
            ("return_to", "/admin"),
        ];
        assert_eq!(ada.post("/login", &form).expect(303).location(), "/password");
        assert_confined(&ada);
        ada.get("/static/app.css").expect(200);
        for blank in ["", " ", "\t\u{a0}\u{200b}"] {
            change(&ada, &one_time, blank, blank).expect(422);
        }
        change(&ada, &one_time, &one_time, &one_time).expect(422);
        assert_confined(&ada);
        // Afterwards the browser is redirected to the address that it requested last.
        ada.get("/admin/audit?q=ada").expect(303);
        assert_eq!(
            change(&ada, &one_time, NEW, NEW).expect(303).location(),
            "/admin/audit?q=ada",
            "{backend:?}"
        );
        ada.get("/admin").expect(200);
        server.anyone().sign_in("ada", &one_time).expect(422);
        assert_eq!(server.anyone().sign_in("ada", NEW).expect(303).location(), "/");
    }
}

#[test]
fn after_a_demanded_change_it_goes_on_where_one_was_going() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org")
        .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
        .start();
    let wiki = ApplicationChange {
        hosts: Some(vec!["wiki.example.org".to_owned()]),
        ..ApplicationChange::default()
    };
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, "wiki", wiki);
    assert_eq!(server.run(made).unwrap(), applications::ApplicationOutcome::Done);
    let wiki = "http://wiki.example.org/page?x=1";
    for (return_to, onward) in [
        (wiki, wiki),
        ("/history", "/history"),
        ("http://evil.example/", "/"),
        ("", "/"),
    ] {
        let name = format!("ada{}", return_to.len());
        let id = server.account(&name, Role::Member);
        server.act(id, AccountAction::ForceChange);
        let ada = server.anyone().header("host", "login.example.org");
        let form = [
            ("username", name.as_str()),
            ("password", PASSWORD),
            ("return_to", return_to),
        ];
        assert_eq!(ada.post("/login", &form).expect(303).location(), "/password");
        let page = ada.get("/password").expect(200);
        let policy = page.header("content-security-policy").unwrap();
        assert_eq!(
            policy.contains("http://wiki.example.org"),
            return_to == wiki,
            "{policy}"
        );
        change(&ada, PASSWORD, "short", "other").expect(422);
        assert_eq!(
            change(&ada, PASSWORD, NEW, NEW).expect(303).location(),
            onward,
            "{return_to}"
        );
        // The remembered address is used up.
        assert_eq!(
            change(&ada, NEW, NEWER, NEWER).expect(303).location(),
            "/",
            "{return_to}"
        );
    }
}

#[test]
fn a_pending_change_comes_before_the_sign_in_too() {
    let server = TestServer::start();
    let one_time = with_one_time_password(&server, "ada", Role::Member);
    let ada = server.anyone();
    ada.sign_in("ada", &one_time).expect(303);
    for path in ["/login", "/login?return_to=%2Fadmin", "/password/forgot"] {
        assert_eq!(ada.get(path).expect(303).location(), "/password", "{path}");
    }
}

#[test]
fn a_pending_change_can_be_left_by_signing_out() {
    let server = TestServer::start();
    let one_time = with_one_time_password(&server, "ada", Role::Member);
    let ada = server.anyone();
    ada.sign_in("ada", &one_time).expect(303);
    let thief = ada.thief();
    ada.post("/logout", &[]).expect(303);
    assert_eq!(
        thief.get("/password").expect(303).location(),
        "/login?return_to=%2Fpassword&reason=signed_out"
    );
}

#[test]
fn a_password_set_by_someone_else_must_be_changed_at_the_next_sign_in_if_the_policy_says_so() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    server.signed_in("ada").get("/").expect(200);
    server.policy(&[("auth.change_default_password", "true")]);
    let again = server.anyone();
    assert_eq!(again.sign_in("ada", PASSWORD).expect(303).location(), "/password");
    assert_confined(&again);
    change(&again, PASSWORD, NEW, NEW).expect(303);
    again.get("/").expect(200);
    assert_eq!(server.anyone().sign_in("ada", NEW).expect(303).location(), "/");
}

#[test]
fn a_forced_change_holds_at_the_next_request_of_a_live_session() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        server.act(id, AccountAction::ForceChange);
        assert_eq!(ada.get("/").expect(303).location(), "/password", "{backend:?}");
        change(&ada, PASSWORD, NEW, NEW).expect(303);
        ada.get("/").expect(200);
    }
}

#[test]
fn every_fault_stands_at_its_field_and_nothing_changes() {
    let server = TestServer::start();
    let id = server.account("penelope", Role::Member);
    let profile = AccountAction::SetProfile {
        display_name: "Marlborough".into(),
        email: "winterbottom@example.org".into(),
        groups: Vec::new(),
    };
    server.act(id, profile);
    let ada = server.signed_in("penelope");
    let before = server.events();
    let long = "x".repeat(129);
    let cases = [
        ("", "", "new_password"),
        (PASSWORD, PASSWORD, "new_password"),
        (NEW, NEWER, "new_password_again"),
        ("kx9#Tq2", "kx9#Tq2", "new_password"),
        ("passwordpassword", "passwordpassword", "new_password"),
        ("123456789012", "123456789012", "new_password"),
        ("penelope2026!!", "penelope2026!!", "new_password"),
        ("Marlborough2026", "Marlborough2026", "new_password"),
        ("nightlatch2026", "nightlatch2026", "new_password"),
        (long.as_str(), long.as_str(), "new_password"),
        ("tab\tseparated lantern", "tab\tseparated lantern", "new_password"),
    ];
    for (new, again, field) in cases {
        let answer = change(&ada, PASSWORD, new, again);
        assert_eq!(answer.status(), 422, "{new}");
        assert!(answer.page().fault(field).is_some(), "{new}: {}", answer.text());
        for echoed in [new, again, PASSWORD] {
            assert!(
                echoed.is_empty() || !answer.text().contains(&format!("value=\"{echoed}\"")),
                "{new}"
            );
        }
    }
    assert_eq!(server.events(), before);
    server.signed_in("penelope");
    // Long, spaced, without digits: accepted (no composition rules).
    change(&ada, PASSWORD, "correcthorsebatterystaple", "correcthorsebatterystaple").expect(303);
}

#[test]
fn length_counts_characters_and_nothing_is_trimmed_folded_or_cut() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let full = format!("{}{}", "åß漢 lantern-orchard ".repeat(6), "sailing!");
    assert_eq!(full.chars().count(), 128);
    change(&ada, PASSWORD, &full, &full).expect(303);
    let near: Vec<String> = vec![
        format!("{full} "),
        format!(" {full}"),
        full.to_uppercase(),
        full.chars().take(127).collect(),
        full.chars().take(72).collect(),
        full.replacen('å', "a\u{30a}", 1),
    ];
    for wrong in near {
        server.anyone().sign_in("ada", &wrong).expect(422);
    }
    server.anyone().sign_in("ada", &full).expect(303);
}

#[test]
fn a_change_ends_the_other_sessions_and_goes_on_here_under_a_new_id() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let (other, stolen) = (server.signed_in("ada"), ada.thief());
        let bystander = server.member("eve");
        let old = ada.cookie("nightlatch").unwrap();
        change(&ada, PASSWORD, NEW, NEW).expect(303);
        assert_ne!(ada.cookie("nightlatch").unwrap(), old, "{backend:?}");
        ada.get("/").expect(200);
        assert_eq!(
            other.get("/").expect(303).location(),
            "/login?reason=password_changed",
            "{backend:?}"
        );
        // The copied cookie is just not signed in; it raises no alarm about a reused token.
        assert_eq!(stolen.get("/").expect(303).location(), "/login", "{backend:?}");
        ada.get("/").expect(200);
        bystander.get("/").expect(200);
        assert!(
            !server.events().iter().any(|event| event.contains("rotated_id_reused")),
            "{backend:?}"
        );
        assert_eq!(
            server.events().last().map(String::as_str),
            Some("password.changed"),
            "{backend:?}"
        );
        server.anyone().sign_in("ada", PASSWORD).expect(422);
    }
}

#[test]
fn a_wrong_current_password_counts_toward_the_lock_and_the_lock_holds_here_too() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_failure_limit", "3"),
        ]);
        let ada = server.member("ada");
        change(&ada, "wrong", NEW, NEW).expect(422);
        server.anyone().sign_in("ada", "wrong").expect(422);
        let locked = change(&ada, "wrong", NEW, NEW).expect(429);
        assert_eq!(locked.header("retry-after"), Some("900"), "{backend:?}");
        change(&ada, PASSWORD, NEW, NEW).expect(429);
        server.anyone().sign_in("ada", PASSWORD).expect(429);
        // The lock does not end the session itself.
        ada.get("/").expect(200);
        server.advance(901);
        change(&ada, PASSWORD, NEW, NEW).expect(303);
    }
}

#[test]
fn parallel_attempts_at_the_current_password_are_bounded_by_the_lock() {
    let server = TestServer::start();
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_failure_limit", "3"),
    ]);
    let ada = server.member("ada");
    let thieves: Vec<Client> = (0..30).map(|_| ada.thief()).collect();
    let before = server.ctx.hasher.checked();
    let statuses = at_once(30, |index| change(&thieves[index], "wrong", NEW, NEW).status());
    assert!(
        statuses.iter().all(|status| [422, 429].contains(status)),
        "{statuses:?}"
    );
    assert!(server.ctx.hasher.checked() - before <= 3);
}

#[test]
fn parallel_changes_leave_one_password_and_one_way_in() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let tabs: Vec<Client> = (0..6).map(|_| ada.thief()).collect();
        server.advance(1);
        let news: Vec<String> = (0..6).map(|index| format!("{NEW} number {index}")).collect();
        let statuses = at_once(6, |index| {
            change(&tabs[index], PASSWORD, &news[index], &news[index]).status()
        });
        assert!(statuses.contains(&303), "{backend:?} {statuses:?}");
        let open: Vec<&String> = news
            .iter()
            .filter(|new| server.anyone().sign_in("ada", new).status() == 303)
            .collect();
        assert_eq!(open.len(), 1, "{backend:?} {statuses:?}");
        server.anyone().sign_in("ada", PASSWORD).expect(422);
        let changed = server
            .events()
            .iter()
            .filter(|event| *event == "password.changed")
            .count();
        assert_eq!(changed, 1, "{backend:?} {statuses:?}");
    }
}

#[test]
fn remembered_passwords_are_refused_as_many_as_the_policy_says() {
    let server = TestServer::start();
    server.policy(&[("password.history", "2")]);
    let ada = server.member("ada");
    change(&ada, PASSWORD, NEW, NEW).expect(303);
    change(&ada, NEW, PASSWORD, PASSWORD).expect(422);
    change(&ada, NEW, NEWER, NEWER).expect(303);
    change(&ada, NEWER, PASSWORD, PASSWORD).expect(422);
    change(&ada, NEWER, NEW, NEW).expect(422);
    server.policy(&[("password.history", "0")]);
    change(&ada, NEWER, PASSWORD, PASSWORD).expect(303);
}

#[test]
fn a_password_older_than_allowed_is_changed_at_the_next_sign_in() {
    let server = TestServer::start();
    server.policy(&[("password.max_age", "30 days"), ("session.ttl", "1 day")]);
    server.account("ada", Role::Member);
    server.advance(30 * 86_400);
    let inclusive = server.signed_in("ada");
    inclusive.get("/").expect(200);
    server.advance(1);
    // Not in the middle of a session, only at the next sign-in.
    inclusive.get("/").expect(200);
    let ada = server.anyone();
    assert_eq!(ada.sign_in("ada", PASSWORD).expect(303).location(), "/password");
    assert_confined(&ada);
    change(&ada, PASSWORD, NEW, NEW).expect(303);
    ada.get("/").expect(200);
}

#[test]
fn a_reset_ends_the_sessions_and_shows_a_password_that_must_be_changed() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        let AccountActionOutcome::Done {
            one_time_password: Some(secret),
            ended: 1,
        } = server.act(id, AccountAction::ResetPassword)
        else {
            panic!("reset")
        };
        assert_eq!(
            ada.get("/").expect(303).location(),
            "/login?reason=password_changed",
            "{backend:?}"
        );
        server.anyone().sign_in("ada", PASSWORD).expect(422);
        let ada = server.anyone();
        assert_eq!(
            ada.sign_in("ada", secret.expose()).expect(303).location(),
            "/password",
            "{backend:?}"
        );
        assert_confined(&ada);
    }
}

#[test]
fn a_password_set_at_the_command_line_obeys_the_rules_and_ends_sessions() {
    let server = TestServer::start();
    let id = server.account("ada", Role::Member);
    let ada = server.signed_in("ada");
    let set = |text: &str| AccountAction::SetPassword {
        password: Secret::new(text.to_owned()),
        must_change: true,
    };
    assert!(matches!(server.act(id, set("short")), AccountActionOutcome::Faulty(_)));
    ada.get("/").expect(200);
    assert!(matches!(server.act(id, set(NEW)), AccountActionOutcome::Done { .. }));
    ada.get("/").expect(303);
    assert_eq!(server.anyone().sign_in("ada", NEW).expect(303).location(), "/password");
}

#[test]
fn signed_out_requests_cannot_change_a_password() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    assert_eq!(
        change(&server.anyone(), PASSWORD, NEW, NEW).expect(303).location(),
        "/login"
    );
    server.anyone().sign_in("ada", PASSWORD).expect(303);
    assert_eq!(
        server
            .anyone()
            .get("/.well-known/change-password")
            .expect(302)
            .location(),
        "/password"
    );
}

#[test]
fn fields_that_the_form_does_not_have_change_nothing_else() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let form = [
        ("current_password", PASSWORD),
        ("new_password", NEW),
        ("new_password_again", NEW),
        ("role", "administrator"),
        ("username", "boss"),
        ("expires_at", "2099-01-01"),
        ("account", "1"),
    ];
    ada.post("/password", &form).expect(303);
    ada.get("/admin").expect(403);
    let account = server.run(accounts::find_by_name(&server.ctx, "ada")).unwrap().unwrap();
    assert_eq!((account.role, account.expires_at), (Role::Member, None));
}
