//! `/nightlatch/…` on the hosts of applications: answered through a trusted proxy and to their own
//! pages alone, by their rules, with the cookie that lives there.

use crate::{
    harness::{
        client::{Answer, Client},
        server::{Backend, PASSWORD, TestServer, operator},
    },
    pages::kit::wire,
};
use nightlatch::{
    domain::{
        account::{AccountId, Role},
        policy::Scope,
    },
    flows::{
        accounts::AccountAction,
        applications::{self, ApplicationChange, ApplicationOutcome},
    },
};
use reqwest::Method;
use serde_json::{Value, json};

const LOGIN: &str = "login.example.org";
/// Under the cookie's domain.
const WIKI: &str = "wiki.example.org";
/// Beyond it.
const SHOP: &str = "shop.other.test";

fn texts(items: &[&str]) -> Option<Vec<String>> {
    Some(items.iter().map(|item| (*item).to_owned()).collect())
}

fn protect(server: &TestServer, name: &str, change: ApplicationChange) {
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, name, change);
    assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
}

fn server(backend: Backend, scheme: &str) -> TestServer {
    let server = TestServer::on(backend)
        .env("NIGHTLATCH_PUBLIC_URL", &format!("{scheme}://{LOGIN}"))
        .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    for (name, host) in [("wiki", WIKI), ("shop", SHOP)] {
        let hosts = texts(&[host]);
        protect(
            &server,
            name,
            ApplicationChange {
                hosts,
                ..ApplicationChange::default()
            },
        );
    }
    server
}

fn at(server: &TestServer, host: &str) -> Client {
    server.anyone().header("host", host)
}

fn then_at(client: &Client, host: &str) -> Client {
    client.thief().header("host", host)
}

fn post(client: &Client, what: &str, body: &Value) -> Answer {
    client.post_json(&format!("/nightlatch/session/{what}"), body, &[])
}

fn sign_in(client: &Client, name: &str) -> Answer {
    post(client, "login", &json!({ "username": name, "password": PASSWORD }))
}

fn status(client: &Client) -> Value {
    client.get("/nightlatch/session").expect(200).json()
}

fn forwarded(client: &Client, url: &str) -> Answer {
    let headers = [("x-original-url", url), ("x-original-method", "GET")];
    client.send(Method::GET, "/api/authz/auth-request", None, &headers)
}

/// The line that gives the browser a session.
#[track_caller]
fn cookie<'a>(lines: &'a [String], name: &str) -> &'a str {
    let given = |line: &&String| line.starts_with(&format!("{name}=")) && !line.contains("Max-Age=0");
    lines
        .iter()
        .find(given)
        .unwrap_or_else(|| panic!("no {name} in {lines:?}"))
}

#[test]
fn an_applications_host_gets_the_guards_part_and_nothing_else() {
    let server = server(Backend::Sqlite, "https");
    for host in [
        WIKI,
        SHOP,
        "WIKI.example.org",
        "wiki.example.org:8443",
        "wiki.example.org.",
    ] {
        let client = at(&server, host);
        client.get("/nightlatch/guard.js").expect(200);
        assert_eq!(status(&client)["state"], "anonymous", "{host}");
        for what in ["touch", "heartbeat"] {
            post(&client, what, &json!({})).expect(401);
        }
        sign_in(&client, "nobody").expect(401);
        post(&client, "logout", &json!({})).expect(200);
        client.get("/nightlatch/nowhere").expect(404);
        for path in [
            "/",
            "/login",
            "/password",
            "/setup",
            "/admin",
            "/static/app.css",
            "/nightlatch",
            "/%6eightlatch/session",
        ] {
            client.get(path).expect(421);
        }
        client
            .post("/login", &[("username", "ada"), ("password", PASSWORD)])
            .expect(421);
        client.post("/logout", &[]).expect(421);
    }
    for target in [
        "/nightlatch/../login",
        "/nightlatch/%2e%2e/login",
        "/nightlatch/..%2flogin",
        "/nightlatch//../login",
        "//nightlatch/session",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {WIKI}\r\nConnection: close\r\n\r\n");
        let statuses = wire(&server, request.as_bytes()).statuses();
        assert!(statuses == [404] || statuses == [421], "{target}: {statuses:?}");
    }
}

#[test]
fn only_registered_names_of_trusted_proxies_are_answered() {
    let server = server(Backend::Sqlite, "https");
    let hosts = texts(&["port.example.org:8443"]);
    protect(
        &server,
        "port",
        ApplicationChange {
            hosts,
            ..ApplicationChange::default()
        },
    );
    at(&server, "port.example.org:8443")
        .get("/nightlatch/session")
        .expect(200);
    for host in [
        "evil.example",
        "example.org",
        "x.wiki.example.org",
        "port.example.org",
        "port.example.org:8444",
        "wiki.example.org.evil.example",
        "evil.example@wiki.example.org",
        "wiki.example.org/x",
        "wiki.example.org?x",
        "wiki.example.org:",
        "wiki.example.org:0",
        "wiki.example.org:443, evil.example",
        "",
    ] {
        let request = format!("GET /nightlatch/session HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let statuses = wire(&server, request.as_bytes()).statuses();
        assert!(statuses == [421] || statuses == [400], "{host:?}: {statuses:?}");
    }
    let two = format!("GET /nightlatch/session HTTP/1.1\r\nHost: {WIKI}\r\nHost: {SHOP}\r\nConnection: close\r\n\r\n");
    let statuses = wire(&server, two.as_bytes()).statuses();
    assert!(statuses == [421] || statuses == [400], "{statuses:?}");
    let stranger = at(&server, WIKI).from("127.0.0.2");
    for path in ["/nightlatch/session", "/nightlatch/guard.js"] {
        stranger.get(path).expect(421);
    }
    let claimed = at(&server, "evil.example").header("x-forwarded-host", WIKI);
    claimed.get("/nightlatch/session").expect(421);
    let operator = operator();
    let gone = applications::delete(&server.ctx, &operator, "wiki");
    assert_eq!(server.run(gone).unwrap(), ApplicationOutcome::Done);
    at(&server, WIKI).get("/nightlatch/session").expect(421);
}

#[test]
fn state_changes_come_from_the_applications_own_origin() {
    let server = server(Backend::Sqlite, "https");
    let client = at(&server, WIKI);
    let touch = |headers: &[(&str, &str)]| {
        client
            .post_json("/nightlatch/session/logout", &json!({}), headers)
            .status()
    };
    for headers in [
        vec![("sec-fetch-site", "same-origin")],
        vec![("sec-fetch-site", "none")],
        vec![("origin", "https://wiki.example.org")],
        vec![],
    ] {
        assert_eq!(touch(&headers), 200, "{headers:?}");
    }
    for headers in [
        vec![("sec-fetch-site", "same-site")],
        vec![("sec-fetch-site", "cross-site"), ("origin", "https://wiki.example.org")],
        vec![("origin", "http://wiki.example.org")],
        vec![("origin", "https://wiki.example.org:8443")],
        vec![("origin", "https://login.example.org")],
        vec![("origin", "https://shop.other.test")],
        vec![("origin", "https://evil.example")],
        vec![("origin", "null")],
    ] {
        assert_eq!(touch(&headers), 403, "{headers:?}");
    }
    // Nor is an application's page one of ours.
    let foreign = [("origin", "https://wiki.example.org")];
    at(&server, LOGIN)
        .post_json("/nightlatch/session/logout", &json!({}), &foreign)
        .expect(403);
}

#[test]
fn under_the_cookies_domain_one_cookie_serves_all() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend, "http");
        server.account("ada", Role::Member);
        let wiki = at(&server, WIKI);
        let opened = sign_in(&wiki, "ada").expect(200);
        assert_eq!(opened.json(), json!({ "user": "ada" }));
        let lines = opened.cookies();
        assert!(cookie(&lines, "nightlatch").contains("Domain=example.org"), "{lines:?}");
        assert_eq!(opened.header("strict-transport-security"), None);
        then_at(&wiki, LOGIN).get("/").expect(200);
        forwarded(&then_at(&wiki, LOGIN), "http://wiki.example.org/").expect(200);
        let thief = then_at(&wiki, LOGIN);
        let out = post(&wiki, "logout", &json!({})).expect(200);
        assert_eq!(
            out.json(),
            json!({ "location": "http://login.example.org/login" }),
            "{backend:?}"
        );
        assert_eq!(out.header("clear-site-data"), Some("\"cache\""));
        assert_eq!(wiki.cookie("nightlatch"), None);
        thief.get("/").expect(303);
    }
}

#[test]
fn beyond_the_cookies_domain_a_host_has_a_cookie_that_counts_there_alone() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend, "http");
        server.account("ada", Role::Member);
        let shop = at(&server, SHOP);
        let lines = sign_in(&shop, "ada").expect(200).cookies();
        let given = cookie(&lines, "nightlatch");
        assert!(!given.contains("Domain") && given.contains("HttpOnly"), "{given}");
        assert_eq!(status(&shop)["state"], "live", "{backend:?}");
        forwarded(&then_at(&shop, LOGIN), "http://shop.other.test/").expect(200);
        // On another host the cookie is not valid.
        then_at(&shop, LOGIN).get("/").expect(303);
        for host in [LOGIN, WIKI] {
            assert_eq!(
                status(&then_at(&shop, host))["state"],
                "anonymous",
                "{backend:?} {host}"
            );
        }
        forwarded(&then_at(&shop, LOGIN), "http://wiki.example.org/").expect(401);
        assert_eq!(status(&shop)["state"], "live", "{backend:?}: and none the worse for it");
        post(&shop, "logout", &json!({})).expect(200);
        forwarded(&then_at(&shop, LOGIN), "http://shop.other.test/").expect(401);
    }
}

#[test]
fn over_https_names_carry_the_prefix_that_browsers_hold_them_to() {
    let server = server(Backend::Sqlite, "https");
    server.policy(&[("session.secure", "true")]);
    server.account("ada", Role::Member);
    let wiki = sign_in(&at(&server, WIKI), "ada").expect(200).cookies();
    let shared = cookie(&wiki, "__Secure-nightlatch");
    assert!(
        shared.contains("Domain=example.org") && shared.contains("Secure"),
        "{shared}"
    );
    let shop = at(&server, SHOP);
    let answer = sign_in(&shop, "ada").expect(200);
    let lines = answer.cookies();
    let own = cookie(&lines, "__Host-nightlatch");
    assert!(
        !own.contains("Domain") && own.contains("Secure") && own.contains("Path=/"),
        "{own}"
    );
    assert_eq!(status(&shop)["state"], "live");
    forwarded(&then_at(&shop, LOGIN), "https://shop.other.test/").expect(200);
    assert_eq!(
        answer.header("strict-transport-security"),
        None,
        "that is the application's to say"
    );
    assert!(
        at(&server, LOGIN)
            .get("/login")
            .header("strict-transport-security")
            .is_some()
    );
}

#[test]
fn the_applications_rules_hold_on_its_pages() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend, "http");
        server.policy(&[("auth.idle_session_timeout", "30m"), ("activity.counts", "interaction")]);
        let wiki = Scope::Application("wiki".to_owned());
        server.policy_in(&wiki, &[("auth.idle_session_timeout", "10m")]);
        server.account("ada", Role::Member);
        let ada = at(&server, LOGIN);
        ada.sign_in("ada", PASSWORD).expect(303);
        assert_eq!(status(&ada)["ends_in"], 1800.0, "{backend:?}");
        let there = then_at(&ada, WIKI);
        let told = status(&there);
        assert_eq!(
            (&told["ends_in"], &told["ends_by"]),
            (&json!(600.0), &json!("idle")),
            "{backend:?}"
        );
        assert_eq!((&told["warn_at"], &told["may_enter"]), (&json!(120.0), &json!(true)));
        server.advance(599);
        assert_eq!(status(&there)["state"], "warning", "asking refreshes nothing");
        let touched = post(&there, "touch", &json!({})).expect(200).json();
        assert_eq!(
            (&touched["state"], &touched["ends_in"]),
            (&json!("live"), &json!(600.0)),
            "{backend:?}"
        );
        server.advance(601);
        let over = status(&there);
        assert_eq!(
            (&over["state"], &over["reason"]),
            (&json!("ended"), &json!("idle")),
            "{backend:?}"
        );
        assert_eq!(status(&ada)["state"], "ended", "an end is one everywhere");
        // Signed in there, it is entered.
        sign_in(&there, "ada").expect(200);
        assert_eq!(status(&then_at(&there, LOGIN))["ends_in"], 600.0, "{backend:?}");
    }
}

#[test]
fn the_page_decides_among_several_applications_of_a_host() {
    let server = server(Backend::Sqlite, "http");
    for (name, idle) in [("red", "10m"), ("blue", "20m")] {
        let change = ApplicationChange {
            hosts: texts(&["two.example.org"]),
            prefixes: texts(&[&format!("/{name}")]),
            ..ApplicationChange::default()
        };
        protect(&server, name, change);
        server.policy_in(
            &Scope::Application(name.to_owned()),
            &[("auth.idle_session_timeout", idle)],
        );
    }
    server.account("ada", Role::Member);
    let ada = at(&server, LOGIN);
    ada.sign_in("ada", PASSWORD).expect(303);
    let from = |page: &str| then_at(&ada, "two.example.org").header("referer", page);
    assert_eq!(status(&from("http://two.example.org/red/page?x=1"))["ends_in"], 600.0);
    assert_eq!(status(&from("http://two.example.org/blue"))["ends_in"], 1200.0);
    let elsewhere = status(&from("http://evil.example/red"))["ends_in"].clone();
    assert_eq!(
        elsewhere, 1200.0,
        "a page elsewhere says nothing: the first one is meant"
    );
}

#[test]
fn links_lead_to_our_own_host() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend, "https");
        let id: AccountId = server.account("ada", Role::Member);
        let wiki = at(&server, WIKI);
        let told = status(&wiki);
        assert_eq!(told["login_url"], "https://login.example.org/login", "{backend:?}");
        assert_eq!(told["password_url"], "https://login.example.org/password");
        assert_eq!(told["may_enter"], Value::Null);
        let refused = post(&wiki, "touch", &json!({})).expect(401).json();
        assert_eq!(refused["login_url"], "https://login.example.org/login");
        sign_in(&wiki, "ada").expect(200);
        server.act(id, AccountAction::EndSessions);
        let refused = post(&wiki, "touch", &json!({})).expect(401).json();
        assert_eq!(refused["code"], "revoked");
        assert_eq!(refused["login_url"], "https://login.example.org/login?reason=revoked");
        server.act(id, AccountAction::ForceChange);
        let told = sign_in(&wiki, "ada").expect(409).json();
        assert_eq!(told["location"], "https://login.example.org/password", "{backend:?}");
        assert_eq!(status(&wiki)["duty"], "password_change");
        let own = at(&server, LOGIN);
        assert_eq!(
            (&status(&own)["login_url"], &status(&own)["password_url"]),
            (&json!("/login"), &json!("/password"))
        );
    }
}

#[test]
fn no_access_is_shown_and_no_session_opens_there() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend, "http");
        let change = ApplicationChange {
            hosts: texts(&["staff.example.org", "staff.other.test"]),
            groups: texts(&["staff"]),
            ..ApplicationChange::default()
        };
        protect(&server, "staff", change);
        let id = server.account("ada", Role::Member);
        for host in ["staff.example.org", "staff.other.test"] {
            let client = at(&server, host);
            let before = server.events().len();
            let refused = sign_in(&client, "ada").expect(403);
            assert_eq!(refused.json()["code"], "forbidden", "{backend:?}");
            assert_eq!(refused.json()["detail"], "You don’t have access to this application.");
            assert_eq!(refused.cookies(), Vec::<String>::new(), "{backend:?} {host}");
            assert_eq!(server.events()[before..], ["access.denied role"], "{backend:?}");
        }
        // Access is revoked while the page is open: it is covered immediately, and activity is
        // refused.
        let ada = at(&server, LOGIN);
        ada.sign_in("ada", PASSWORD).expect(303);
        let page = then_at(&ada, "staff.example.org");
        let told = status(&page);
        assert_eq!(
            (&told["state"], &told["may_enter"]),
            (&json!("live"), &json!(false)),
            "{backend:?}"
        );
        let touch = post(&page, "touch", &json!({})).expect(403).json();
        assert_eq!(touch["code"], "forbidden");
        let profile = AccountAction::SetProfile {
            display_name: String::new(),
            email: String::new(),
            groups: vec!["staff".to_owned()],
        };
        server.act(id, profile);
        assert_eq!(status(&page)["may_enter"], true, "{backend:?}");
        sign_in(&at(&server, "staff.other.test"), "ada").expect(200);
    }
}

#[test]
fn locks_apply_to_every_way_to_sign_in() {
    let server = server(Backend::Sqlite, "http");
    server.account("boss", Role::Administrator);
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_lock_out_by_combination_user_and_ip", "true"),
        ("auth.login_failure_limit", "3"),
    ]);
    server.account("ada", Role::Member);
    let wrong = json!({ "username": "ada", "password": "wrong" });
    post(&at(&server, WIKI), "login", &wrong).expect(401);
    post(&at(&server, SHOP), "login", &wrong).expect(401);
    at(&server, LOGIN).sign_in("ada", "wrong").expect(429);
    sign_in(&at(&server, SHOP), "ada").expect(429);
}

#[test]
fn a_new_id_that_is_due_reaches_the_browser_with_the_guards_next_question() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        for host in [WIKI, SHOP] {
            let server = server(backend, "http");
            server.account("ada", Role::Member);
            let url = format!("http://{host}/");
            let ada = at(&server, host).header("x-forwarded-for", "203.0.113.9");
            sign_in(&ada, "ada").expect(200);
            let old = ada.cookie("nightlatch").unwrap();
            let ada = ada.header("x-forwarded-for", "198.51.100.7");
            forwarded(&ada.thief().header("host", LOGIN), &url).expect(200);
            assert!(
                !server.events().contains(&"session.rotated".to_owned()),
                "{backend:?} {host}"
            );
            let answer = ada.get("/nightlatch/session").expect(200);
            let lines = answer.cookies();
            let line = cookie(&lines, "nightlatch");
            assert_eq!(line.contains("Domain=example.org"), host == WIKI, "{line}");
            assert_ne!(ada.cookie("nightlatch").unwrap(), old, "{backend:?} {host}");
            assert!(
                server.events().contains(&"session.rotated".to_owned()),
                "{backend:?} {host}"
            );
            server.advance(11);
            forwarded(&ada.thief().header("host", LOGIN), &url).expect(200);
            let elsewhere = then_at(&ada, LOGIN).get("/").status();
            assert_eq!(
                elsewhere == 200,
                host == WIKI,
                "the new one counts where the old one did: {backend:?} {host}"
            );
            let late = ada.thief();
            late.set_cookie("nightlatch", &old);
            assert_eq!(status(&late)["reason"], "rotated_reuse", "{backend:?} {host}");
        }
    }
}

#[test]
fn a_planted_second_cookie_shuts_nobody_out() {
    let server = server(Backend::Sqlite, "http");
    server.account("ada", Role::Member);
    let shop = at(&server, SHOP);
    sign_in(&shop, "ada").expect(200);
    server.account("mallory", Role::Member);
    let mallory = at(&server, SHOP);
    sign_in(&mallory, "mallory").expect(200);
    let unsigned = format!("{}; nightlatch=planted", shop.cookie_header());
    let answer = shop.send(Method::GET, "/nightlatch/session", None, &[("cookie", &unsigned)]);
    assert_eq!(answer.expect(200).json()["state"], "live");
    let two = format!("{}; {}", shop.cookie_header(), mallory.cookie_header());
    let answer = shop
        .send(Method::GET, "/nightlatch/session", None, &[("cookie", &two)])
        .expect(200);
    assert_eq!(answer.json()["state"], "anonymous");
    let lines = answer.cookies();
    for domain in ["", "Domain=shop.other.test", "Domain=other.test"] {
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("nightlatch=;") && line.contains(domain) && line.contains("Max-Age=0")),
            "{domain}: {lines:?}"
        );
    }
}
