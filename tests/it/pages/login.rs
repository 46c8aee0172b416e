//! `/login`, `/logout`: what every kind of attempt is answered, and what becomes of the cookie.

use crate::harness::{
    client::{Answer, CHROME, Client},
    server::{Backend, PASSWORD, TestDatabase, TestServer},
};
use nightlatch::{domain::account::Role, flows::accounts::AccountAction};
use reqwest::Method;
use std::sync::{Arc, Barrier};

#[test]
fn signing_in_opens_a_session_and_signing_out_ends_it_for_good() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        ada.get("/").expect(200);
        let thief = ada.thief();
        let out = ada.post("/logout", &[]).expect(303);
        assert_eq!(out.location(), "/login");
        assert_eq!(out.header("clear-site-data"), Some("\"cache\", \"storage\""));
        assert_eq!(ada.cookie("nightlatch"), None);
        let answer = thief.get("/").expect(303);
        assert_eq!(answer.location(), "/login?reason=signed_out", "{backend:?}");
        assert_eq!(
            server.events()[1..],
            [
                "sign_in.accepted",
                "session.opened",
                "session.ended signed_out",
                "sign_out"
            ],
            "{backend:?}"
        );
    }
}

#[test]
fn programs_get_a_refusal_as_a_problem() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let program = server.anyone().header("accept", "application/json");
    let refused = program.sign_in("ada", "wrong").expect(422);
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(refused.json()["code"], "credentials");
    program.sign_in("ada", PASSWORD).expect(303);
}

#[test]
fn wrong_passwords_look_alike_for_known_unknown_disabled_and_expired_accounts() {
    let server = TestServer::start();
    server.account("boss", Role::Administrator);
    server.account("known", Role::Member);
    let disabled = server.account("disabled", Role::Member);
    server.act(disabled, AccountAction::Disable);
    let expired = server.account("expired", Role::Member);
    server.act(expired, AccountAction::ExpireNow);
    let body = |name: &str| {
        let answer = server.anyone().sign_in(name, "not the password").expect(422);
        assert_eq!(answer.cookies(), Vec::<String>::new());
        let length: &str = answer.header("content-length").unwrap_or("");
        assert!(!length.is_empty() || answer.header("transfer-encoding").is_some());
        answer.text().replace(&format!("value=\"{name}\""), "value=NAME")
    };
    let known = body("known");
    assert!(known.contains("Username or password is wrong."));
    for name in ["unknown", "disabled", "expired"] {
        assert_eq!(body(name), known, "{name}");
    }
}

#[test]
fn the_correct_password_reveals_that_the_account_is_disabled_or_expired() {
    let server = TestServer::start();
    server.account("boss", Role::Administrator);
    for (name, act, words) in [
        ("dora", AccountAction::Disable, "disabled"),
        ("eve", AccountAction::ExpireNow, "expired"),
    ] {
        let id = server.account(name, Role::Member);
        server.act(id, act);
        let answer = server.anyone().sign_in(name, PASSWORD).expect(403);
        assert!(answer.page().messages()[0].contains(words), "{words}");
        server.act(id, AccountAction::Enable);
        server.anyone().sign_in(name, PASSWORD).expect(303);
    }
    assert!(server.events().contains(&"sign_in.refused account_disabled".to_owned()));
    assert!(server.events().contains(&"sign_in.refused account_expired".to_owned()));
}

#[test]
fn names_are_compared_trimmed_folded_and_normalised() {
    let server = TestServer::start();
    server.account("Åse", Role::Member);
    for name in ["åse", " ÅSE ", "A\u{30a}se", "Ａ\u{30a}ＳＥ"] {
        server.anyone().sign_in(name, PASSWORD).expect(303);
    }
}

#[test]
fn the_failure_that_reaches_the_limit_locks_and_is_itself_answered_as_locked() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_failure_limit", "3"),
            ("auth.login_cooloff_time", "10m"),
        ]);
        server.account("ada", Role::Member);
        let client = server.anyone();
        client.sign_in("ada", "wrong").expect(422);
        client.sign_in("nobody", "wrong").expect(422);
        let locked = client.sign_in("ada", "wrong").expect(429);
        assert_eq!(locked.header("retry-after"), Some("600"));
        assert_eq!(
            locked.page().messages(),
            ["Too many attempts. Try again in 10 minutes."]
        );
        client.sign_in("ada", PASSWORD).expect(429);
        // Another address is not concerned.
        server.anyone().from("127.0.0.2").sign_in("ada", PASSWORD).expect(303);
        server.advance(600);
        assert_eq!(
            client.sign_in("ada", PASSWORD).expect(429).header("retry-after"),
            Some("1"),
            "{backend:?}: inclusive"
        );
        server.advance(1);
        client.sign_in("ada", PASSWORD).expect(303);
        let events = server.events();
        assert_eq!(
            events.iter().filter(|event| event.starts_with("lockout.began")).count(),
            1,
            "{backend:?} {events:?}"
        );
        assert_eq!(
            events.iter().filter(|event| event.starts_with("lockout.ended")).count(),
            1,
            "{backend:?} {events:?}"
        );
    }
}

#[test]
fn two_hundred_parallel_attempts_reach_the_hash_at_most_five_times() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_failure_limit", "5"),
        ]);
        server.account("ada", Role::Member);
        let before = server.ctx.hasher.checked();
        let start = Arc::new(Barrier::new(200));
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let guesses: Vec<_> = (0..200)
                .map(|_| {
                    let (client, start) = (Client::new(&server.base), start.clone());
                    scope.spawn(move || {
                        start.wait();
                        client.sign_in("ada", "wrong").status()
                    })
                })
                .collect();
            guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
        });
        let checked = server.ctx.hasher.checked() - before;
        assert!(checked <= 5, "{backend:?}: {checked} guesses were checked");
        assert!(
            // 503: the database had no time for that many requests; such an attempt is not checked
            // either.
            statuses.iter().all(|status| [422, 429, 503].contains(status)),
            "{backend:?} {statuses:?}"
        );
        // Refusals as busy counted nothing, so further attempts still meet the lock.
        let last = server.anyone();
        while last.sign_in("ada", "wrong").status() == 422 {}
        last.sign_in("ada", PASSWORD).expect(429);
    }
}

#[test]
fn a_password_of_a_megabyte_is_refused_without_a_hash() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let before = server.ctx.hasher.checked();
    server.anyone().sign_in("ada", &"x".repeat(1 << 20)).expect(413);
    server.anyone().sign_in("ada", &"x".repeat(5000)).expect(422);
    assert_eq!(server.ctx.hasher.checked(), before);
}

#[test]
fn a_planted_cookie_is_replaced_at_sign_in() {
    let server = TestServer::start();
    let mallory = server.member("mallory");
    let planted = mallory.cookie("nightlatch").unwrap();
    server.account("ada", Role::Member);
    let ada = server.anyone();
    ada.set_cookie("nightlatch", &planted);
    ada.sign_in("ada", PASSWORD).expect(303);
    assert_ne!(ada.cookie("nightlatch").unwrap(), planted);
    mallory.get("/").expect(303);
    ada.get("/").expect(200);
}

#[test]
fn two_different_cookies_of_one_name_are_nobody_and_the_sign_in_page_expires_them() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let value = ada.cookie("nightlatch").unwrap();
    let with = |header: &str| {
        server
            .anyone()
            .send(reqwest::Method::GET, "/", None, &[("cookie", header)])
            .status()
    };
    assert_eq!(with(&format!("nightlatch={value}; nightlatch={value}")), 200);
    // Values that we did not sign are ignored; a value signed for another session is ambiguous.
    assert_eq!(with(&format!("nightlatch={value}; nightlatch=x{value}")), 200);
    let other = server.member("mallory").cookie("nightlatch").unwrap();
    assert_eq!(with(&format!("nightlatch={value}; nightlatch={other}")), 303);
    let twice = format!("nightlatch={other}; nightlatch={value}");
    let login = server
        .anyone()
        .send(reqwest::Method::GET, "/login", None, &[("cookie", &twice)])
        .expect(200);
    assert!(
        login
            .cookies()
            .iter()
            .any(|line| line.starts_with("nightlatch=;") && line.contains("Max-Age=0"))
    );
}

#[test]
fn a_cookie_planted_for_a_part_of_our_paths_goes_where_it_is_sent() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org")
        .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
        .start();
    server.account("boss", Role::Administrator);
    let boss = server.anyone().header("host", "login.example.org");
    boss.sign_in("boss", PASSWORD).expect(303);
    // A neighbor of ours set it for /admin on example.org: the sign-in page never sees it.
    server.account("mallory", Role::Member);
    let mallory = server.anyone().header("host", "login.example.org");
    mallory.sign_in("mallory", PASSWORD).expect(303);
    let both = format!("{}; {}", mallory.cookie_header(), boss.cookie_header());
    let refused = boss
        .thief()
        .send(reqwest::Method::GET, "/admin/policy", None, &[("cookie", &both)])
        .expect(303);
    let lines = refused.cookies();
    for path in ["/admin", "/admin/", "/admin/policy"] {
        for domain in ["", "; Domain=example.org", "; Domain=login.example.org"] {
            for (name, secure) in [("nightlatch", ""), ("__Secure-nightlatch", "; Secure")] {
                let removal = format!("{name}=; Path={path}{domain}; Max-Age=0{secure}");
                assert!(lines.contains(&removal), "{removal}: {lines:#?}");
            }
        }
    }
    assert_eq!(
        lines.len(),
        18,
        "and none of those that count on every path: {lines:#?}"
    );
    // Only the user's own cookie remains.
    boss.get("/login").expect(303);
    boss.get("/admin/policy").expect(200);
    // The answer stays small for deep paths.
    let deep = format!("/{}", "a/".repeat(300));
    let answer = boss
        .thief()
        .send(reqwest::Method::GET, &deep, None, &[("cookie", &both)]);
    let size: usize = answer.cookies().iter().map(String::len).sum();
    assert!(size < 6000, "{size}");
    let one = boss.get("/admin/policy").expect(200);
    assert_eq!(one.cookies(), Vec::<String>::new());
}

/// `Name=value` pairs of a browser that keeps host-only cookies and those of a domain apart.
fn kept_apart(answers: &[&Answer]) -> String {
    let mut kept: Vec<(String, String, String)> = Vec::new();
    for line in answers.iter().flat_map(|answer| answer.cookies()) {
        let (pair, attributes) = line.split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        let domain = attributes
            .split("; ")
            .find_map(|attribute| attribute.trim().strip_prefix("Domain="))
            .unwrap_or_default();
        kept.retain(|(known, at, _)| (known.as_str(), at.as_str()) != (name, domain));
        if !value.is_empty() {
            kept.push((name.to_owned(), domain.to_owned(), value.to_owned()));
        }
    }
    let pairs: Vec<String> = kept.iter().map(|(name, _, value)| format!("{name}={value}")).collect();
    pairs.join("; ")
}

#[test]
fn a_cookie_from_before_the_cookie_domain_changed_costs_no_second_sign_in() {
    for (before, after) in [
        ("", "example.org"),
        ("example.org", ""),
        ("login.example.org", "example.org"),
    ] {
        let database = Arc::new(TestDatabase::fresh(Backend::Sqlite));
        let start = |domain: &str| {
            let start = TestServer::beside(&database)
                .env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org")
                .env("NIGHTLATCH_SECRET_KEY", &"0123456789abcdef".repeat(4));
            match domain {
                "" => start.start(),
                domain => start.env("NIGHTLATCH_COOKIE_DOMAIN", domain).start(),
            }
        };
        let host = [("host", "login.example.org")];
        let form = [("username", "ada"), ("password", PASSWORD)];
        let old = start(before);
        old.account("ada", Role::Member);
        let first = old
            .anyone()
            .send(Method::POST, "/login", Some(&form), &host)
            .expect(303);
        let stale = kept_apart(&[&first]);
        old.anyone()
            .send(Method::POST, "/logout", Some(&[]), &[host[0], ("cookie", &stale)])
            .expect(303);
        old.stop();
        let new = start(after);
        let second = new
            .anyone()
            .send(Method::POST, "/login", Some(&form), &[host[0], ("cookie", &stale)])
            .expect(303);
        let both = kept_apart(&[&first, &second]);
        let home = new.anyone().send(Method::GET, "/", None, &[host[0], ("cookie", &both)]);
        assert_eq!(home.status(), 200, "{before:?} → {after:?}: {both}");
        new.stop();
    }
}

#[test]
fn tampered_and_foreign_cookies_are_nobody() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let value = ada.cookie("nightlatch").unwrap();
    let flipped = if value.starts_with('A') {
        value.replacen('A', "B", 1)
    } else {
        format!("A{}", &value[1..])
    };
    let cases = [
        flipped,
        value.to_lowercase(),
        value[..value.len() - 1].to_owned(),
        "%00".to_owned(),
        "x".repeat(7000),
        "\u{fffd}".to_owned(),
    ];
    for case in cases {
        let answer = server.anyone().send(
            reqwest::Method::GET,
            "/",
            None,
            &[("cookie", &format!("nightlatch={case}"))],
        );
        assert_eq!(answer.status(), 303, "{case:.40}");
        assert_eq!(answer.location(), "/login");
    }
    ada.get("/").expect(200);
}

#[test]
fn return_to_leads_only_to_our_own_paths() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let lands = |target: &str| {
        let form = [("username", "ada"), ("password", PASSWORD), ("return_to", target)];
        server.anyone().post("/login", &form).expect(303).location().to_owned()
    };
    assert_eq!(lands("/password?x=1"), "/password?x=1");
    for evil in [
        "//evil",
        "/\\evil",
        "/\tevil",
        "/%09/evil",
        "\\\\evil",
        "https:evil",
        "https://evil",
        "javascript:alert(1)",
        "data:text/html,x",
        "/x\r\nSet-Cookie: a=b",
        "https://good@evil",
        " //evil",
        "http://127.0.0.1@evil/",
        "/\u{2028}/evil",
        "/..//evil",
    ] {
        assert_eq!(lands(evil), "/", "{evil:?}");
    }
}

#[test]
fn the_cookie_never_shows_in_pages_and_follows_the_policy() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let token = ada.cookie("nightlatch").unwrap();
    assert!(!ada.get("/").text().contains(&token[token.len() - 20..]));
    server.policy(&[
        ("session.same_site", "Strict"),
        ("session.expire_at_browser_close", "true"),
    ]);
    let again = ada.get("/").expect(200);
    let line = again
        .cookies()
        .into_iter()
        .find(|line| line.starts_with("nightlatch="))
        .expect("issued again after the change");
    assert!(line.contains("SameSite=Strict") && !line.contains("Max-Age"), "{line}");
    assert!(ada.get("/").cookies().is_empty(), "issued again once");
}

#[test]
fn switching_secure_on_moves_the_cookie_to_its_prefixed_name() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let plain = ada.cookie("nightlatch").unwrap();
    server.policy(&[("session.secure", "true")]);
    let moved = ada.get("/").expect(200);
    let line = moved
        .cookies()
        .into_iter()
        .find(|line| line.starts_with("__Host-nightlatch="))
        .expect("moved");
    assert!(
        line.contains("Secure") && line.contains("Path=/") && !line.contains("Domain"),
        "{line}"
    );
    assert_eq!(ada.cookie("nightlatch"), None, "the plain one is expired");
    ada.get("/").expect(200);
    let replayed = server.anyone();
    replayed.set_cookie("nightlatch", &plain);
    replayed.get("/").expect(303);
    let fresh = server.signed_in("ada");
    assert!(fresh.cookie("nightlatch").is_none() && fresh.cookie("__Host-nightlatch").is_some());
}

#[test]
fn requests_that_do_not_want_a_page_get_a_problem_with_the_sign_in_address() {
    let server = TestServer::start();
    let client = server.anyone().header("accept", "application/json");
    let answer = client.get("/admin?x=1").expect(401);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["status"], 401);
    assert_eq!(problem["code"], "sign_in");
    assert_eq!(problem["login_url"], "/login?return_to=%2Fadmin%3Fx%3D1");
}

#[test]
fn hashes_are_upgraded_at_sign_in_when_the_cost_rises() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let hash = |server: &TestServer| {
        server
            .run(nightlatch::flows::accounts::find_by_name(&server.ctx, "ada"))
            .unwrap()
            .unwrap()
            .password_hash
    };
    assert!(hash(&server).starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
    let database = server.database.clone();
    server.stop();
    let server = TestServer::beside(&database)
        .env("NIGHTLATCH_ARGON2_ITERATIONS", "3")
        .start();
    server.anyone().sign_in("ada", "wrong").expect(422);
    assert!(hash(&server).contains("t=2,"));
    server.signed_in("ada");
    assert!(hash(&server).contains("t=3,"));
    server
        .anyone()
        .header("user-agent", CHROME)
        .sign_in("ada", PASSWORD)
        .expect(303);
}

#[test]
fn signing_in_beyond_the_limit_ends_the_least_recently_active_session() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("session.concurrent_user_session_limit", "2")]);
        let first = server.member("ada");
        server.advance(1);
        let second = server.signed_in("ada");
        server.advance(1);
        first.get("/").expect(200);
        server.advance(1);
        let third = server.signed_in("ada");
        assert_eq!(
            second.get("/").expect(303).location(),
            "/login?reason=session_limit",
            "{backend:?}"
        );
        first.get("/").expect(200);
        third.get("/").expect(200);
        server.policy(&[("session.concurrent_user_session_limit", "1")]);
        let last = server.signed_in("ada");
        last.get("/").expect(200);
        first.get("/").expect(303);
        third.get("/").expect(303);
    }
}

#[test]
fn a_lost_cookie_is_explained_on_the_page_and_in_the_log() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let trace = crate::harness::trace::Trace::from(tracing::Level::WARN);
        let server = TestServer::on(backend).start();
        server.policy(&[("session.secure", "true")]);
        let id = server.account("ada", Role::Member);
        let told = "Your browser did not keep the session cookie.";
        assert!(
            !server.anyone().get("/login").expect(200).page().shows(told),
            "{backend:?}"
        );
        // The client drops the cookie and comes back without one.
        server.anyone().sign_in("ada", PASSWORD).expect(303);
        let away = server.anyone().get("/").expect(303);
        let page = server.anyone().get(away.location()).expect(200).page();
        assert!(page.shows(told), "{backend:?}: {}", page.text());
        for part in [
            "session.secure is on",
            "plain http",
            "nightlatch policy set session.secure false",
            "public_url",
        ] {
            assert!(page.shows(part), "{backend:?} {part}: {}", page.text());
        }
        if backend == Backend::Sqlite {
            let log = trace.text();
            assert!(
                log.contains("did not keep the session cookie") && log.contains("session.secure"),
                "{log}"
            );
        }
        // Another browser is not warned, and no browser is after a minute.
        let other = server.anyone().header("user-agent", "Other/1.0");
        assert!(!other.get("/login").expect(200).page().shows(told), "{backend:?}");
        server.advance(61);
        assert!(
            !server.anyone().get("/login").expect(200).page().shows(told),
            "{backend:?}"
        );
        // A browser that keeps it is not warned either, even if its session ended immediately.
        let ada = server.signed_in("ada");
        ada.get("/").expect(200);
        assert!(
            !server.anyone().get("/login").expect(200).page().shows(told),
            "{backend:?}"
        );
        let ada = server.signed_in("ada");
        server.act(id, AccountAction::EndSessions);
        let away = ada.get("/").expect(303);
        assert!(!ada.get(away.location()).expect(200).page().shows(told), "{backend:?}");
    }
}

#[test]
fn the_sign_in_page_says_which_limit_ended_the_session_and_since_when() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "15m")]);
        let ada = server.member("ada");
        let last_active = server.now().to_rfc3339();
        server.advance(16 * 60);
        let sign_in = ada.get("/").expect(303).location().to_owned();
        assert_eq!(sign_in, "/login?reason=idle", "{backend:?}");
        // A later policy does not change what was.
        server.policy(&[("auth.idle_session_timeout", "2h")]);
        let page = ada.get(&sign_in).expect(200).page();
        let said = "You were signed out after 15 minutes without activity.";
        assert!(page.shows(said), "{backend:?}: {}", page.text());
        assert!(page.shows("Last activity"), "{backend:?}: {}", page.text());
        let since = format!(".callout time[datetime='{last_active}']");
        assert_eq!(page.all(&since).len(), 1, "{backend:?}: {}", page.text());
        // Someone who has only the URL learns nothing about any session.
        let page = server.anyone().get(&sign_in).expect(200).page();
        assert!(
            page.shows("You were signed out after a period of inactivity."),
            "{backend:?}"
        );
        assert!(!page.shows("Last activity"), "{backend:?}");
    }
}
