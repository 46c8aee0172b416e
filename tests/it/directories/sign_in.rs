//! Signing in with an account of a directory.

use super::{
    add_source, change_source, definition_with, find, last_refusal, refused_like_unknown, signed_in, unknown_body,
};
use crate::{
    factors::kit::enrol_app,
    harness::{
        server::{Backend, PASSWORD, TestServer, operator},
        slapd::{PERSON_PASSWORD, Slapd, group_dn, person_dn},
    },
};
use nightlatch::{
    domain::account::Role,
    flows::{
        accounts::{self, NewAccount, NewPassword},
        applications::{self, ApplicationChange, ApplicationOutcome},
        source_sync::sync_now,
    },
};
use reqwest::Method;
use serde_json::json;
use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

#[test]
fn the_first_sign_in_creates_the_account_and_later_ones_keep_it_up_to_date() {
    let slapd = Slapd::start();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let source = add_source(&server, "corp", &slapd, &[]);
        assert!(find(&server, "linus").is_none());
        let linus = signed_in(&server, "LINUS", PERSON_PASSWORD);
        linus.get("/").expect(200);
        let account = find(&server, "linus").unwrap();
        assert_eq!(account.name, "linus");
        assert_eq!(account.display_name, "Linus Torvalds");
        assert_eq!(account.email.as_deref(), Some("linus@example.test"));
        assert_eq!(
            (account.role, account.groups.as_slice()),
            (Role::Member, ["editors".to_owned()].as_slice())
        );
        assert_eq!(account.source, Some(source));
        assert_eq!(
            server.events()[..],
            ["account.created", "sign_in.accepted", "session.opened"],
            "{backend:?}"
        );
        let grace = signed_in(&server, "grace", PERSON_PASSWORD);
        grace.get("/admin/sessions").expect(200);
        // Nothing changed, so nothing but the sign-in is recorded.
        signed_in(&server, "linus", PERSON_PASSWORD);
        assert_eq!(
            server.events()[6..],
            ["sign_in.accepted", "session.opened"],
            "{backend:?}"
        );
        slapd.replace(
            &group_dn("admins"),
            "member",
            &[&person_dn("grace"), &person_dn("linus")],
        );
        slapd.replace(&person_dn("linus"), "mail", &["lt@example.test"]);
        signed_in(&server, "linus", PERSON_PASSWORD);
        let account = find(&server, "linus").unwrap();
        assert_eq!(
            (account.role, account.email.as_deref()),
            (Role::Administrator, Some("lt@example.test"))
        );
        assert!(server.events().contains(&"account.role_changed".to_owned()));
        slapd.replace(&group_dn("admins"), "member", &[&person_dn("grace")]);
        slapd.replace(&person_dn("linus"), "mail", &["linus@example.test"]);
    }
}

#[test]
fn refusals_look_alike_and_the_audit_tells_them_apart() {
    let slapd = Slapd::start();
    slapd.add_person("outsider");
    slapd.lock_person("grace");
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        add_source(&server, "corp", &slapd, &[]);
        let unknown = unknown_body(&server);
        for (name, password, reason) in [
            ("ada.l", "wrong", "credentials"),
            ("ada.l", "", "credentials"),
            ("nobody", PERSON_PASSWORD, "credentials"),
            ("*)(uid=*", PERSON_PASSWORD, "credentials"),
            ("grace", PERSON_PASSWORD, "directory_locked"),
            ("outsider", PERSON_PASSWORD, "not_in_allowed_group"),
        ] {
            refused_like_unknown(&server.anyone().sign_in(name, password), name, &unknown);
            assert_eq!(last_refusal(&server).1, reason, "{name} {backend:?}");
            assert!(find(&server, name).is_none(), "{name}");
        }
        // Known and unknown names cost the same searches.
        let before = (slapd.searches("uid=ada.l)"), slapd.searches("uid=nobody2)"));
        server.anyone().sign_in("ada.l", "wrong").expect(422);
        server.anyone().sign_in("nobody2", "wrong").expect(422);
        let after = (slapd.searches("uid=ada.l)"), slapd.searches("uid=nobody2)"));
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1), "{backend:?}");
        // Empty passwords never reach the directory, so they use up none of its binds.
        for _ in 0..4 {
            server.anyone().sign_in("ada.l", "").expect(422);
        }
        signed_in(&server, "ada.l", PERSON_PASSWORD);
    }
}

#[test]
fn a_name_that_a_local_account_has_never_reaches_the_directory() {
    let slapd = Slapd::start();
    let server = TestServer::start();
    server.account("grace", Role::Administrator);
    add_source(&server, "corp", &slapd, &[]);
    let searches = slapd.searches("uid=grace");
    server.anyone().sign_in("grace", PERSON_PASSWORD).expect(422);
    signed_in(&server, "grace", PASSWORD);
    assert_eq!(slapd.searches("uid=grace"), searches);
    assert_eq!(slapd.binds(&person_dn("grace")), 0);
    // Neither does another spelling link to the local account.
    let other = server.anyone();
    slapd.replace(&person_dn("linus"), "uid", &["linus", "grace2"]);
    other.sign_in("grace2", PERSON_PASSWORD);
    assert_eq!(find(&server, "grace").unwrap().source, None);
}

#[test]
fn a_renamed_person_keeps_the_account_and_a_new_one_with_the_same_name_does_not_get_it() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let slapd = Slapd::start();
        let server = TestServer::on(backend).start();
        add_source(&server, "corp", &slapd, &[("allowed_groups", "")]);
        signed_in(&server, "ada.l", PERSON_PASSWORD);
        let account = find(&server, "ada.l").unwrap();
        slapd.rename_person("ada.l", "ada.king");
        let ada = signed_in(&server, "ada.king", PERSON_PASSWORD);
        let renamed = find(&server, "ada.king").unwrap();
        assert_eq!(
            (renamed.id, &renamed.external_id),
            (account.id, &account.external_id),
            "{backend:?}"
        );
        assert!(find(&server, "ada.l").is_none());
        slapd.delete(&person_dn("ada.king"));
        slapd.add_person("ada.king");
        server.anyone().sign_in("ada.king", PERSON_PASSWORD).expect(422);
        assert_eq!(last_refusal(&server).1, "identity_changed", "{backend:?}");
        assert_eq!(slapd.binds(&person_dn("ada.king")), 1, "{backend:?}");
        ada.get("/").expect(200);
    }
}

#[test]
fn a_name_of_another_account_is_refused_before_the_password_is_asked_about() {
    let slapd = Slapd::start();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("grace", Role::Administrator);
        add_source(
            &server,
            "corp",
            &slapd,
            &[("user_filter", "(&(objectClass=inetOrgPerson)(|(uid={})(mail={})))")],
        );
        let before = slapd.binds(&person_dn("grace"));
        server
            .anyone()
            .sign_in("grace@example.test", PERSON_PASSWORD)
            .expect(422);
        assert_eq!(last_refusal(&server).1, "name_taken", "{backend:?}");
        assert_eq!(slapd.binds(&person_dn("grace")), before, "{backend:?}");
        assert_eq!(find(&server, "grace").unwrap().source, None);
    }
}

#[test]
fn the_directory_takes_the_role_from_its_last_administrator_too() {
    let slapd = Slapd::start();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        add_source(&server, "corp", &slapd, &[("allowed_groups", "")]);
        let grace = signed_in(&server, "grace", PERSON_PASSWORD);
        let role = || find(&server, "grace").unwrap().role;
        assert_eq!(role(), Role::Administrator, "{backend:?}");
        grace.get("/admin/sessions").expect(200);
        slapd.replace(&group_dn("admins"), "member", &[&person_dn("linus")]);
        server.run(sync_now(&server.ctx, "corp")).unwrap();
        assert_eq!(role(), Role::Member, "{backend:?}: after a comparison");
        grace.get("/admin/sessions").expect(403);
        assert!(server.events().contains(&"account.role_changed".to_owned()));
        slapd.replace(&group_dn("admins"), "member", &[&person_dn("grace")]);
        signed_in(&server, "grace", PERSON_PASSWORD);
        assert_eq!(role(), Role::Administrator, "{backend:?}");
        slapd.replace(&group_dn("admins"), "member", &[&person_dn("linus")]);
        signed_in(&server, "grace", PERSON_PASSWORD);
        assert_eq!(role(), Role::Member, "{backend:?}: after a sign-in");
        slapd.replace(&group_dn("admins"), "member", &[&person_dn("grace")]);
        // What the command line does.
        server.account("rescue", Role::Administrator);
        signed_in(&server, "rescue", PASSWORD)
            .get("/admin/sessions")
            .expect(200);
    }
}

#[test]
fn only_listed_people_sign_in_where_the_source_says_so() {
    let slapd = Slapd::start();
    let server = TestServer::start();
    let source = add_source(&server, "corp", &slapd, &[("provision", "listed")]);
    server.anyone().sign_in("linus", PERSON_PASSWORD).expect(422);
    assert_eq!(last_refusal(&server).1, "not_listed");
    assert_eq!(slapd.binds(&person_dn("linus")), 0);
    // The console lists an account, which the first sign-in uses and binds to the identity.
    let boss = server.admin("boss");
    let listed = [("name", "Grace"), ("role", "member"), ("source", "corp")];
    boss.post("/admin/accounts", &listed).expect(303);
    let waiting = find(&server, "grace").unwrap();
    assert_eq!((waiting.source, waiting.external_id), (Some(source), None));
    server.anyone().sign_in("grace", "wrong").expect(422);
    assert_eq!(find(&server, "grace").unwrap().external_id, None);
    signed_in(&server, "grace", PERSON_PASSWORD).get("/admin").expect(200);
    let claimed = find(&server, "grace").unwrap();
    assert_eq!((claimed.id, claimed.role), (waiting.id, Role::Administrator));
    assert!(claimed.external_id.is_some());
    change_source(&server, source, |source| {
        source.definition = definition_with(source, &[("provision", "auto")]);
    });
    signed_in(&server, "linus", PERSON_PASSWORD);
    change_source(&server, source, |source| source.enabled = false);
    server.anyone().sign_in("linus", PERSON_PASSWORD).expect(422);
    assert_eq!(last_refusal(&server).1, "source_disabled");
}

/// The directory's own log counts: with a limit of 4, no more than 4 passwords reach it.
#[test]
fn many_parallel_guesses_stay_below_the_directorys_own_limit() {
    let slapd = Slapd::start();
    for (backend, guesses) in [(Backend::Sqlite, 2), (Backend::Postgres, 10)] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.login_account_ceiling", "0"), ("auth.login_ip_ceiling", "0")]);
        add_source(
            &server,
            "corp",
            &slapd,
            &[("connections", "32"), ("operation_timeout", "10s")],
        );
        let before = slapd.binds(&person_dn("ada.l"));
        let (start, threads) = (Barrier::new(20), 20);
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (start, server) = (&start, &server);
                scope.spawn(move || {
                    let client = server.anyone().from(&format!("127.0.0.{}", thread + 2));
                    start.wait();
                    for number in 0..guesses {
                        client.sign_in("ada.l", &format!("guess {thread} {number}"));
                    }
                });
            }
        });
        let tried = slapd.binds(&person_dn("ada.l")) - before;
        assert!((1..=4).contains(&tried), "{tried} binds, {backend:?}");
        // After the window the right password works again, and clears the count.
        server.advance(16 * 60);
        for _ in 0..6 {
            signed_in(&server, "ada.l", PERSON_PASSWORD);
        }
    }
}

#[test]
fn an_outage_is_answered_as_one_and_local_accounts_sign_in() {
    let mut slapd = Slapd::start();
    let server = TestServer::start();
    server.account("boss", Role::Administrator);
    add_source(
        &server,
        "corp",
        &slapd,
        &[("connect_timeout", "10s"), ("operation_timeout", "10s")],
    );
    let linus = signed_in(&server, "linus", PERSON_PASSWORD);
    slapd.freeze();
    let began = Instant::now();
    let mut answers = Vec::new();
    for name in ["linus", "grace", "nobody", "boss"] {
        // The password of a person, which is wrong for the local account.
        let answer = server.anyone().sign_in(name, PERSON_PASSWORD).expect(503);
        assert_eq!(answer.header("retry-after"), Some("30"), "{name}");
        let page = answer.page();
        let shown: Vec<String> = page.all("h1, p.soft").iter().map(|part| part.text()).collect();
        answers.push(shown);
    }
    // Nothing reveals whether a name is local, known or unknown.
    assert!(answers[0].len() > 1, "{answers:?}");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // The wrong password of the local account was counted, under its own reason.
    let reasons: Vec<String> = server
        .audit()
        .into_iter()
        .filter(|row| row.event.as_str() == "sign_in.refused")
        .filter_map(|row| row.reason)
        .collect();
    assert!(reasons.contains(&"credentials".to_owned()), "{reasons:?}");
    // A local account does not wait for the directory, and live sessions continue.
    let began = Instant::now();
    signed_in(&server, "boss", PASSWORD);
    linus.get("/").expect(200);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    slapd.thaw();
    slapd.kill();
    server.anyone().sign_in("linus", PERSON_PASSWORD).expect(503);
    slapd.restart();
    signed_in(&server, "linus", PERSON_PASSWORD);
}

/// A directory that does not answer holds up only the people whom it must answer for, even when
/// many of them wait.
#[test]
fn a_slow_directory_slows_neither_the_sign_ins_of_others_nor_the_checks() {
    const LIMIT: Duration = Duration::from_secs(3);
    let (slow, quick) = (Slapd::start(), Slapd::start());
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "https://login.example.org")
        .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    let limits = [("connect_timeout", "10s"), ("operation_timeout", "10s")];
    add_source(&server, "slow", &slow, &limits);
    add_source(&server, "quick", &quick, &limits);
    server.account("boss", Role::Administrator);
    let acting = operator();
    let wiki = ApplicationChange {
        hosts: Some(vec!["wiki.example.org".to_owned()]),
        ..ApplicationChange::default()
    };
    let made = applications::create(&server.ctx, &acting, "wiki", wiki);
    assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    for (name, source) in [("grace", "quick"), ("linus", "slow")] {
        let listed = NewAccount {
            name: name.to_owned(),
            display_name: String::new(),
            email: String::new(),
            role: Role::Member,
            groups: Vec::new(),
            expires_at: None,
            password: NewPassword::Source(source.to_owned()),
        };
        server.run(accounts::create(&server.ctx, &acting, listed)).unwrap();
    }
    let browser = || server.anyone().header("host", "login.example.org");
    let linus = browser();
    linus.sign_in("linus", PERSON_PASSWORD).expect(303);
    slow.freeze();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..24)
            .map(|number| {
                let client = browser().from(&format!("127.0.0.{}", number + 2));
                let name = if number % 2 == 0 {
                    "linus".to_owned()
                } else {
                    format!("nobody{number}")
                };
                scope.spawn(move || client.sign_in(&name, PERSON_PASSWORD).status())
            })
            .collect();
        // All of them have been hashed and wait for the directory, for four seconds each.
        std::thread::sleep(Duration::from_millis(1500));
        let in_time = |what: &str, act: &dyn Fn() -> u16, expected: u16| {
            let began = Instant::now();
            assert_eq!(act(), expected, "{what}");
            assert!(began.elapsed() < LIMIT, "{what}: {:?}", began.elapsed());
        };
        in_time("a local sign-in", &|| browser().sign_in("boss", PASSWORD).status(), 303);
        in_time(
            "another directory",
            &|| browser().sign_in("grace", PERSON_PASSWORD).status(),
            303,
        );
        in_time("a page", &|| linus.get("/").status(), 200);
        let headers = [
            ("x-original-url", "https://wiki.example.org/"),
            ("x-original-method", "GET"),
        ];
        let check = || {
            linus
                .send(Method::GET, "/api/authz/auth-request", None, &headers)
                .status()
        };
        in_time("a check", &check, 200);
        for waited in waiting {
            assert_eq!(waited.join().unwrap(), 503);
        }
    });
    slow.thaw();
}

#[test]
fn a_second_factor_of_ones_own_follows_the_password_of_the_directory() {
    let slapd = Slapd::start();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        add_source(&server, "corp", &slapd, &[]);
        let (app, _) = enrol_app(&server, &signed_in(&server, "linus", PERSON_PASSWORD));
        let browser = server.anyone();
        let asked = browser.sign_in("linus", PERSON_PASSWORD).expect(303);
        assert_eq!(asked.location(), "/login/factor", "{backend:?}");
        assert!(
            browser.get("/").expect(303).location().starts_with("/login"),
            "{backend:?}"
        );
        browser.post("/login/factor", &[("code", "000000")]).expect(422);
        browser
            .post("/login/factor", &[("code", &app.code(&server))])
            .expect(303);
        browser.get("/").expect(200);
        // A wrong password of the directory never reaches the second step.
        server.anyone().sign_in("linus", "wrong").expect(422);
    }
}

#[test]
fn the_lock_screen_and_the_step_up_ask_the_directory_again() {
    let slapd = Slapd::start();
    let server = TestServer::start();
    add_source(&server, "corp", &slapd, &[]);
    let grace = signed_in(&server, "grace", PERSON_PASSWORD);
    let locked = server.anyone();
    let body = json!({ "username": "grace", "password": "wrong" });
    locked.post_json("/nightlatch/session/login", &body, &[]).expect(401);
    let body = json!({ "username": "grace", "password": PERSON_PASSWORD });
    locked.post_json("/nightlatch/session/login", &body, &[]).expect(200);
    // The step-up finds the person by ID, under another name too.
    slapd.rename_person("grace", "grace.h");
    server.advance(11 * 60);
    let asked = grace.post("/admin/accounts", &[("name", "new"), ("role", "member")]);
    let before = slapd.binds(&person_dn("grace.h"));
    let wrong = grace.confirm(&asked, "wrong");
    assert!(wrong.text().contains("The password is wrong."), "{}", wrong.text());
    let right = grace.confirm(&wrong, PERSON_PASSWORD);
    assert!(!right.text().contains("The password is wrong."), "{}", right.text());
    assert_eq!(slapd.binds(&person_dn("grace.h")), before + 2);
    assert!(
        server.events().contains(&"step_up.accepted".to_owned()),
        "{:?}",
        server.events()
    );
}

#[test]
fn a_directory_that_was_disabled_while_it_checked_the_password_admits_nobody() {
    let slapd = Slapd::start();
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        add_source(&server, "corp", &slapd, &[]);
        signed_in(&server, "linus", PERSON_PASSWORD);
        let unknown = unknown_body(&server);
        // Behind the server's back, which still knows the old rules.
        server.database.sql("UPDATE sources SET enabled = FALSE");
        for (name, reason) in [("linus", "source_disabled"), ("grace", "source_changed")] {
            let answer = server.anyone().sign_in(name, PERSON_PASSWORD);
            refused_like_unknown(&answer, name, &unknown);
            assert_eq!(last_refusal(&server).1, reason, "{backend:?} {name}");
        }
        assert!(find(&server, "grace").is_none(), "{backend:?}");
    }
}
