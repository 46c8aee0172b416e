//! Forgotten passwords and invitations, by the emails that are sent.

use super::kit::{at_once, one_time_password, wire};
use crate::harness::{
    client::Answer,
    server::{Backend, PASSWORD, TestDatabase, TestServer, eventually, operator},
    smtp,
};
use nightlatch::{
    domain::{
        account::{AccountId, Role},
        audit::AuditRecord,
        time::Span,
    },
    flows::{
        accounts::{self, AccountAction, CreateOutcome, NewAccount, NewPassword},
        retention,
    },
    mail::render::format_utc,
};

const NEW: &str = "quartz lantern meadow";

fn account(server: &TestServer, name: &str, email: &str, password: NewPassword) -> AccountId {
    let new = NewAccount {
        name: name.to_owned(),
        display_name: String::new(),
        email: email.to_owned(),
        role: Role::Member,
        groups: Vec::new(),
        expires_at: None,
        password,
    };
    match server.run(accounts::create(&server.ctx, &operator(), new)).unwrap() {
        CreateOutcome::Created { id, .. } => id,
        CreateOutcome::Faulty(faults) => panic!("{faults:?}"),
    }
}

fn ada(server: &TestServer) -> AccountId {
    let password = NewPassword::Given {
        password: nightlatch::domain::secret::Secret::new(PASSWORD.to_owned()),
        must_change: false,
    };
    account(server, "ada", "ada@example.org", password)
}

fn ask(server: &TestServer, name: &str) -> Answer {
    server.anyone().post("/password/forgot", &[("username", name)])
}

/// The path of the newest such link that was mailed.
fn link(server: &TestServer) -> String {
    let emails = server.deliver();
    // Other emails about the account are written when their job runs.
    let newest = emails
        .iter()
        .rev()
        .find_map(|email| smtp::link(email, "/password/reset"));
    let link = newest.expect("an email with a link");
    link.strip_prefix(&server.base)
        .unwrap_or_else(|| panic!("{link}"))
        .to_owned()
}

/// Opens a link as a browser does: the token leaves the address.
fn open(browser: &crate::harness::client::Client, link: &str) -> Answer {
    let moved = browser.get(link).expect(303);
    assert_eq!(moved.location(), "/password/reset");
    browser.get("/password/reset")
}

fn choose(browser: &crate::harness::client::Client, new: &str) -> Answer {
    browser.post("/password/reset", &[("new_password", new), ("new_password_again", new)])
}

#[test]
fn a_forgotten_password_is_set_anew_with_the_mailed_link_once() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        ada(&server);
        let elsewhere = server.signed_in("ada");
        let asked = ask(&server, "ada").expect(303);
        assert_eq!(asked.location(), "/login");
        let link = link(&server);
        let browser = server.anyone();
        let form = open(&browser, &link).expect(200);
        assert!(form.page().shows("ada"), "{backend:?}");
        assert!(
            !form.text().contains(link.split('=').nth(1).unwrap()),
            "{backend:?}: no token in the page"
        );
        elsewhere.get("/").expect(200);
        choose(&browser, "short").expect(422);
        let done = choose(&browser, NEW).expect(303);
        assert_eq!(done.location(), "/login");
        assert_eq!(
            browser.cookie("nightlatch"),
            None,
            "{backend:?}: nobody is signed in by it"
        );
        elsewhere.get("/").expect(303);
        server.anyone().sign_in("ada", PASSWORD).expect(422);
        server.anyone().sign_in("ada", NEW).expect(303);
        open(&server.anyone(), &link).expect(410);
        choose(&browser, "another quartz lantern").expect(410);
        let emails = server.deliver();
        assert_eq!(emails.len(), 2, "{backend:?}");
        let notice = &emails[1];
        assert_eq!(
            smtp::header(notice, "Subject").as_deref(),
            Some("Your password was changed")
        );
        assert!(!notice.contains("token="), "{backend:?}");
        let events = server.events();
        assert!(
            events.contains(&"password.reset_requested".to_owned()),
            "{backend:?}: {events:?}"
        );
        assert!(
            events.contains(&"password.reset reset".to_owned()),
            "{backend:?}: {events:?}"
        );
        assert!(
            events.contains(&"session.ended password_changed".to_owned()),
            "{backend:?}"
        );
    }
}

#[test]
fn the_answer_is_the_same_for_every_name_and_only_an_owner_gets_an_email() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        ada(&server);
        server.account("nomail", Role::Member);
        let gone = account(&server, "gone", "gone@example.org", NewPassword::OneTime);
        server.act(gone, AccountAction::Disable);
        let over = account(&server, "over", "over@example.org", NewPassword::OneTime);
        server.act(over, AccountAction::ExpireNow);
        let shape = |answer: &Answer| {
            let mut names: Vec<_> = answer.headers().keys().map(ToString::to_string).collect();
            names.sort();
            (
                answer.status(),
                answer.location().to_owned(),
                names,
                answer.text().to_owned(),
            )
        };
        let known = shape(&ask(&server, "ada"));
        for name in ["nobody", "nomail", "gone", "over", "ADA ", "x\r\ny"] {
            assert_eq!(shape(&ask(&server, name)), known, "{backend:?}: {name}");
        }
        // The expiry of an account also causes an email, but without a link.
        let emails = server.deliver();
        let links: Vec<_> = emails
            .iter()
            .filter(|email| smtp::link(email, "/password/reset").is_some())
            .collect();
        assert!(!links.is_empty(), "{backend:?}");
        for email in links {
            assert_eq!(
                smtp::header(email, "To").as_deref(),
                Some("ada <ada@example.org>"),
                "{backend:?}"
            );
        }
        let events = server.events();
        for reason in ["no_account", "no_address", "account_disabled", "account_expired"] {
            let event = format!("password.reset_requested {reason}");
            assert!(events.contains(&event), "{backend:?}: {event}: {events:?}");
        }
        server.anyone().sign_in("ada", PASSWORD).expect(303);
        server
            .anyone()
            .post("/password/forgot", &[("username", " ")])
            .expect(422);
    }
}

#[test]
fn a_newer_link_kills_the_older_and_all_run_out() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        ada(&server);
        ask(&server, "ada").expect(303);
        let first = link(&server);
        ask(&server, "ada").expect(303);
        let second = link(&server);
        assert_ne!(first, second);
        open(&server.anyone(), &first).expect(410);
        let browser = server.anyone();
        open(&browser, &second).expect(200);
        server.advance(1800);
        browser.get("/password/reset").expect(200);
        server.advance(1);
        browser.get("/password/reset").expect(410);
        choose(&browser, NEW).expect(410);
        server.anyone().sign_in("ada", PASSWORD).expect(303);
    }
}

#[test]
fn one_of_twenty_parallel_uses_of_a_link_succeeds() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        ada(&server);
        ask(&server, "ada").expect(303);
        let link = link(&server);
        let browsers: Vec<_> = (0..20)
            .map(|_| {
                let browser = server.anyone();
                browser.get(&link).expect(303);
                browser
            })
            .collect();
        let statuses = at_once(20, |number| {
            loop {
                let status = choose(&browsers[number], &format!("quartz lantern meadow {number}")).status();
                // A full hashing queue is not an answer.
                if status != 503 {
                    return status;
                }
            }
        });
        let done = statuses.iter().filter(|status| **status == 303).count();
        assert_eq!(done, 1, "{backend:?}: {statuses:?}");
        assert!(
            statuses.iter().all(|status| [303, 410].contains(status)),
            "{backend:?}: {statuses:?}"
        );
        let resets = server
            .events()
            .iter()
            .filter(|event| event.starts_with("password.reset "))
            .count();
        assert_eq!(resets, 1, "{backend:?}");
    }
}

#[test]
fn a_link_leads_to_the_configured_address_whatever_a_request_called_us() {
    let server = TestServer::start();
    ada(&server);
    let body = "username=ada";
    let authority = server.base.trim_start_matches("http://").to_owned();
    for (host, more) in [
        ("evil.example", ""),
        (authority.as_str(), "X-Forwarded-Host: evil.example\r\n"),
        (authority.as_str(), "Forwarded: host=evil.example;proto=https\r\n"),
        (authority.as_str(), "Host: evil.example\r\n"),
        (
            authority.as_str(),
            "X-Original-URL: http://evil.example/\r\nX-Host: evil.example\r\n",
        ),
    ] {
        let request = format!(
            "POST /password/forgot HTTP/1.1\r\nHost: {host}\r\n{more}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        wire(&server, request.as_bytes());
    }
    let absolute = format!(
        "POST http://evil.example/password/forgot HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    wire(&server, absolute.as_bytes());
    let emails = server.deliver();
    assert!(!emails.is_empty());
    for email in &emails {
        assert!(!email.contains("evil"), "{email}");
        assert!(smtp::link(email, "/password/reset").unwrap().starts_with(&server.base));
    }
}

#[test]
fn requests_beyond_the_limit_are_answered_alike_and_send_nothing() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        ada(&server);
        server.policy(&[("auth.reset_limit", "2")]);
        for _ in 0..5 {
            assert_eq!(ask(&server, "ada").expect(303).location(), "/login");
        }
        let events = server.events();
        let refused = events
            .iter()
            .filter(|event| *event == "password.reset_requested limit")
            .count();
        assert_eq!(refused, 1, "{backend:?}: said once");
        server.deliver();
        let asked = |server: &TestServer| {
            let events = server.events();
            events
                .iter()
                .filter(|event| *event == "password.reset_requested")
                .count()
        };
        assert_eq!(asked(&server), 2, "{backend:?}");
        // Another name from the same address is over the address's limit; from elsewhere it is not.
        account(&server, "bob", "bob@example.org", NewPassword::OneTime);
        ask(&server, "bob").expect(303);
        server.deliver();
        assert_eq!(asked(&server), 2, "{backend:?}");
        let elsewhere = server.anyone().from("127.0.0.9");
        elsewhere.post("/password/forgot", &[("username", "bob")]).expect(303);
        elsewhere.post("/password/forgot", &[("username", "ada")]).expect(303);
        server.deliver();
        assert_eq!(asked(&server), 3, "{backend:?}: ada's own limit holds from everywhere");
        server.advance(3601);
        ask(&server, "ada").expect(303);
        server.deliver();
        assert_eq!(asked(&server), 4, "{backend:?}");
    }
}

#[test]
fn looking_at_a_link_uses_nothing_up_and_its_token_leaves_the_address() {
    let server = TestServer::start();
    ada(&server);
    ask(&server, "ada").expect(303);
    let link = link(&server);
    let token = link.split('=').nth(1).unwrap();
    for _ in 0..3 {
        // A mail scanner: no cookies, perhaps both steps.
        let moved = server.anyone().get(&link).expect(303);
        assert_eq!(moved.header("referrer-policy"), Some("no-referrer"));
        assert!(!moved.location().contains("token"));
        let cookie = moved
            .cookies()
            .into_iter()
            .find(|line| line.starts_with("nightlatch-reset="))
            .unwrap();
        assert!(!cookie.contains(token), "encrypted");
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/;", "Max-Age=900"] {
            assert!(cookie.contains(attribute), "{attribute}: {cookie}");
        }
        open(&server.anyone(), &link).expect(200);
        server.anyone().send(reqwest::Method::HEAD, &link, None, &[]);
    }
    server.anyone().get("/password/reset").expect(410);
    let stranger = server.anyone();
    choose(&stranger, NEW).expect(410);
    stranger
        .post(
            "/password/reset",
            &[("token", token), ("new_password", NEW), ("new_password_again", NEW)],
        )
        .expect(410);
    open(&server.anyone(), "/password/reset?token=made-up").expect(410);
    let browser = server.anyone();
    open(&browser, &link).expect(200);
    browser
        .send(
            reqwest::Method::POST,
            "/password/reset",
            Some(&[("new_password", NEW), ("new_password_again", NEW)]),
            &[("sec-fetch-site", "cross-site")],
        )
        .expect(403);
    choose(&browser, NEW).expect(303);
}

#[test]
fn every_step_looks_again_whether_the_account_may_still() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = ada(&server);
        let acts: [(AccountAction, Option<AccountAction>); 4] = [
            (AccountAction::Disable, Some(AccountAction::Enable)),
            (AccountAction::ExpireNow, Some(AccountAction::Enable)),
            (
                AccountAction::SetProfile {
                    display_name: String::new(),
                    email: "other@example.org".to_owned(),
                    groups: Vec::new(),
                },
                None,
            ),
            (AccountAction::ResetPassword, None),
        ];
        for (number, (act, back)) in acts.into_iter().enumerate() {
            ask(&server, "ada").expect(303);
            let link = link(&server);
            let browser = server.anyone();
            open(&browser, &link).expect(200);
            server.act(id, act);
            choose(&browser, NEW).expect(410);
            browser.get(&link).expect(303);
            browser.get("/password/reset").expect(410);
            if let Some(back) = back {
                server.act(id, back);
            }
            server.advance(3601);
            assert!(number < 4, "{backend:?}");
        }
        server.anyone().sign_in("ada", NEW).expect(422);
    }
}

#[test]
fn choosing_a_new_password_lets_a_locked_owner_in_again() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        ada(&server);
        server.policy(&[
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_lock_out_by_combination_user_and_ip", "true"),
        ]);
        for _ in 0..3 {
            server.anyone().sign_in("ada", "wrong");
        }
        server.anyone().sign_in("ada", PASSWORD).expect(429);
        ask(&server, "ada").expect(303);
        server.anyone().sign_in("ada", PASSWORD).expect(429);
        let link = link(&server);
        let browser = server.anyone();
        open(&browser, &link).expect(200);
        choose(&browser, NEW).expect(303);
        server.anyone().sign_in("ada", NEW).expect(303);
        assert!(server.events().contains(&"lockout.released".to_owned()), "{backend:?}");
    }
}

#[test]
fn an_account_that_never_signed_in_can_be_invited() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let admin = server.admin("boss");
        let id = server.account("dan", Role::Member);
        let place = format!("/admin/accounts/{}", id.0);
        let offers = || {
            let page = admin.get(&place).expect(200).page();
            page.all("strong").iter().any(|label| label.text() == "Invite")
        };
        assert!(!offers(), "{backend:?}: there is nowhere to send it");
        let profile = AccountAction::SetProfile {
            display_name: String::new(),
            email: "dan@example.org".to_owned(),
            groups: Vec::new(),
        };
        server.act(id, profile);
        assert!(offers(), "{backend:?}");
        admin.post(&place, &[("act", "invite")]).expect(303);
        let browser = server.anyone();
        open(&browser, &link(&server)).expect(200);
        choose(&browser, NEW).expect(303);
        server.anyone().sign_in("dan", NEW).expect(303);
        assert!(!offers(), "{backend:?}: whoever signed in once is reset, not invited");
    }
}

#[test]
fn an_invited_person_chooses_the_first_password() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let admin = server.admin("boss");
        let form = [
            ("name", "eve"),
            ("role", "member"),
            ("email", "eve@example.org"),
            ("invite", "on"),
        ];
        let created = admin.post("/admin/accounts", &form).expect(303);
        let place = created.location().to_owned();
        let page = admin.get(&place).expect(200);
        assert!(
            page.page().shows("Invited") && one_time_password(&page).is_none(),
            "{backend:?}"
        );
        let list = admin.get("/admin/accounts?q=eve").expect(200).page();
        let eve = list.row("eve");
        assert!(eve.shows("Invited"), "{backend:?}");
        assert!(
            !eve.shows("Active"),
            "{backend:?}: there is nothing yet that it could be active with: {}",
            eve.text()
        );
        assert_eq!(eve.cell("Password changed"), "–", "{backend:?}");
        let list = admin.get("/admin/accounts?state=invited").expect(200).page();
        assert_eq!(list.rows(), ["eve"], "{backend:?}");
        assert!(list.row("eve").shows("link expires"), "{backend:?}");
        let first = link(&server);
        let email = server.emails().pop().unwrap();
        let good_until = format_utc(server.now().saturating_add(Span::from_secs(72 * 3600)));
        assert!(
            email.contains(&format!("The link works once, until {good_until}.")) && email.contains("eve@example.org"),
            "{backend:?}: {email}"
        );
        server.advance(72 * 3600 + 1);
        open(&server.anyone(), &first).expect(410);
        let admin = server.signed_in("boss");
        assert!(
            admin.get(&place).expect(200).page().shows("Invitation expired"),
            "{backend:?}"
        );
        admin.post(&place, &[("act", "invite")]).expect(303);
        let second = link(&server);
        assert_ne!(first, second, "{backend:?}");
        open(&server.anyone(), &first).expect(410);
        let browser = server.anyone();
        assert!(
            open(&browser, &second).expect(200).page().shows("Choose your password"),
            "{backend:?}"
        );
        choose(&browser, "eve2026!!!!!").expect(422);
        choose(&browser, NEW).expect(303);
        server.anyone().sign_in("eve", NEW).expect(303);
        let eve = server.anyone();
        assert_eq!(
            eve.sign_in("eve", NEW).location(),
            "/",
            "{backend:?}: nothing more to change"
        );
        let page = admin.get(&place).expect(200);
        assert!(!page.page().shows("Invited"), "{backend:?}");
        admin.post(&place, &[("act", "invite")]).expect(303);
        assert!(
            admin
                .get(&place)
                .page()
                .shows("Only an active account that has never signed in"),
            "{backend:?}"
        );
        assert!(
            server.events().contains(&"password.reset invitation".to_owned()),
            "{backend:?}"
        );
    }
}

#[test]
fn an_invitation_needs_an_address_and_dies_when_a_password_is_set_otherwise() {
    let server = TestServer::start();
    let admin = server.admin("boss");
    let refused = admin
        .post(
            "/admin/accounts",
            &[("name", "eve"), ("role", "member"), ("invite", "on")],
        )
        .expect(422);
    assert!(refused.page().shows("An invitation needs an email address."));
    let id = account(&server, "eve", "eve@example.org", NewPassword::Invitation);
    let link = link(&server);
    let browser = server.anyone();
    open(&browser, &link).expect(200);
    server.act(id, AccountAction::ResetPassword);
    choose(&browser, NEW).expect(410);
    let page = admin.get(&format!("/admin/accounts/{}", id.0)).expect(200);
    assert!(!page.page().shows("Invited"));
}

#[test]
fn a_working_link_lets_its_holder_check_a_password() {
    let server = TestServer::start();
    ada(&server);
    ask(&server, "ada").expect(303);
    let link = link(&server);
    let browser = server.anyone();
    let ask = |new: &str| browser.post("/password/reset/strength", &[("new_password", new)]);
    ask("quiet lantern orchard 9").expect(404);
    let page = open(&browser, &link).expect(200);
    let meter = page.page().all("[data-strength]")[0].attribute("data-url").to_owned();
    assert_eq!(meter, "/password/reset/strength");
    let weak = ask("ada@example.org").expect(200).json();
    assert_eq!(weak["enough"], false, "{weak}");
    let strong = ask("quiet lantern orchard 9").expect(200).json();
    assert_eq!(
        (&strong["enough"], &strong["score"]),
        (&true.into(), &4.into()),
        "{strong}"
    );
    choose(&browser, "quiet lantern orchard 9").expect(303);
    ask("quiet lantern orchard 9").expect(404);
}

#[test]
fn an_administrator_mails_a_link_instead_of_making_a_password() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (boss, id) = (server.admin("boss"), ada(&server));
        let page = format!("/admin/accounts/{}", id.0);
        assert!(
            boss.get(&page).expect(200).page().shows("Email a password reset link"),
            "{backend:?}"
        );
        boss.post(&page, &[("act", "mail-link")]).expect(303);
        let link = link(&server);
        assert!(
            server
                .emails()
                .pop()
                .unwrap()
                .contains("An administrator sent you this link"),
            "{backend:?}"
        );
        let asked = server.audit().pop().unwrap();
        assert_eq!(
            (asked.event.as_str(), asked.actor.as_str()),
            ("password.reset_requested", "boss"),
            "{backend:?}"
        );
        server.signed_in("ada");
        let browser = server.anyone();
        open(&browser, &link).expect(200);
        choose(&browser, "quiet lantern orchard 9").expect(303);
        server.anyone().sign_in("ada", PASSWORD).expect(422);
        server.act(id, AccountAction::Disable);
        boss.post(&page, &[("act", "mail-link")]).expect(303);
        assert!(
            boss.get(&page).expect(200).page().shows("enable it first"),
            "{backend:?}"
        );
        let nobody = server.account("nobody", Role::Member);
        let page = format!("/admin/accounts/{}", nobody.0);
        assert!(
            !boss.get(&page).expect(200).page().shows("Email a password reset link"),
            "{backend:?}"
        );
        boss.post(&page, &[("act", "mail-link")]).expect(303);
        assert!(
            boss.get(&page)
                .expect(200)
                .page()
                .shows("This account has no email address."),
            "{backend:?}"
        );
    }
}

#[test]
fn a_link_does_not_tell_what_the_password_is_or_was() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        ada(&server);
        ask(&server, "ada").expect(303);
        let link = link(&server);
        let browser = server.anyone();
        open(&browser, &link).expect(200);
        // An invalid new password is not compared, so nothing is revealed or hashed.
        let before = server.ctx.hasher.checked();
        for new in [PASSWORD, NEW] {
            let form = [("new_password", new), ("new_password_again", "another")];
            browser.post("/password/reset", &form).expect(422);
        }
        assert_eq!(server.ctx.hasher.checked(), before, "{backend:?}");
        // A valid new password is compared, reported and recorded, five times at most.
        for _ in 0..5 {
            choose(&browser, PASSWORD).expect(422);
        }
        let reused = |event: &AuditRecord| event.reason.as_deref() == Some("reused");
        assert_eq!(
            server.audit().iter().filter(|event| reused(event)).count(),
            5,
            "{backend:?}"
        );
        choose(&browser, PASSWORD).expect(410);
        choose(&browser, NEW).expect(410);
    }
}

#[test]
fn the_token_of_a_mailed_link_is_soon_in_no_file_of_the_database() {
    let server = TestServer::on(Backend::Sqlite).start();
    ada(&server);
    ask(&server, "ada").expect(303);
    let link = link(&server);
    let token = link.split('=').nth(1).unwrap();
    let TestDatabase::Sqlite(directory) = &*server.database else {
        panic!("SQLite keeps its data in files")
    };
    eventually("the token is in no file", || {
        server.run(retention::empty_log(&server.ctx)).unwrap();
        let mut files = std::fs::read_dir(directory.path()).unwrap();
        files.all(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            !bytes.windows(token.len()).any(|window| window == token.as_bytes())
        })
    });
    // The link works nevertheless.
    open(&server.anyone(), &link).expect(200);
}
