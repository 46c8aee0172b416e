//! `/api/authz/…`: the answers to proxies; only a live session passes.

use super::kit::{authority, wire};
use crate::harness::{
    client::{Answer, CHROME, Client, FIREFOX},
    server::{Backend, PASSWORD, TestDatabase, TestServer, eventually, operator},
};
use nightlatch::{
    domain::{account::Role, origin::ReturnTo, policy::Scope, session::SessionFilter},
    flows::{
        accounts::AccountAction,
        applications::{self, ApplicationChange, ApplicationOutcome},
        sessions,
    },
};
use reqwest::Method;

const PAGE: &str = "https://wiki.example.org/page?x=1";

/// A server behind a proxy at 127.0.0.1, with `wiki` protected.
fn server(backend: Backend) -> TestServer {
    let server = TestServer::on(backend)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    protect(&server, "wiki", &["wiki.example.org"], ApplicationChange::default());
    server
}

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn protect(server: &TestServer, name: &str, hosts: &[&str], change: ApplicationChange) {
    let change = ApplicationChange {
        hosts: Some(texts(hosts)),
        ..change
    };
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, name, change);
    assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
}

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Sends an auth request like nginx.
fn nginx(client: &Client, url: &str) -> Answer {
    let headers = [("x-original-url", url), ("x-original-method", "GET")];
    client.send(Method::GET, "/api/authz/auth-request", None, &headers)
}

/// Sends an auth request like Caddy or Traefik.
fn caddy(client: &Client, method: &str, url: &str) -> Answer {
    let (proto, rest) = url.split_once("://").unwrap();
    let (host, _) = rest.split_once('/').unwrap();
    let headers = [
        ("x-forwarded-proto", proto),
        ("x-forwarded-host", host),
        ("x-forwarded-uri", &rest[host.len()..]),
        ("x-forwarded-method", method),
    ];
    client.send(Method::GET, "/api/authz/forward-auth", None, &headers)
}

/// Sends an auth request like Envoy.
fn envoy(client: &Client, method: Method, url: &str) -> Answer {
    let (proto, rest) = url.split_once("://").unwrap();
    let (host, _) = rest.split_once('/').unwrap();
    let path = format!("/api/authz/ext-authz{}", &rest[host.len()..]);
    client.send(method, &path, None, &[("x-forwarded-proto", proto), ("host", host)])
}

fn all_three(client: &Client, url: &str) -> [Answer; 3] {
    [
        nginx(client, url),
        caddy(client, "GET", url),
        envoy(client, Method::GET, url),
    ]
}

fn identity(answer: &Answer) -> [Option<String>; 4] {
    ["remote-user", "remote-name", "remote-email", "remote-groups"].map(|name| {
        let value = answer.headers().get(name)?;
        Some(String::from_utf8(value.as_bytes().to_vec()).unwrap())
    })
}

fn code(answer: &Answer) -> &str {
    answer.header("x-nightlatch-reason").unwrap_or("none")
}

#[test]
fn a_signed_in_request_passes_every_dialect_with_its_identity() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let id = server.account("bücher", Role::Member);
        let profile = AccountAction::SetProfile {
            display_name: "Ada Lovelace".to_owned(),
            email: "ada@example.org".to_owned(),
            groups: texts(&["staff", "editors"]),
        };
        server.act(id, profile);
        let ada = server.signed_in("bücher");
        for answer in all_three(&ada, PAGE) {
            let answer = answer.expect(200);
            assert_eq!(answer.text(), "", "{backend:?}");
            let expected = ["bücher", "Ada Lovelace", "ada@example.org", "staff,editors"];
            assert_eq!(
                identity(&answer),
                expected.map(|value| Some(value.to_owned())),
                "{backend:?}"
            );
            assert_eq!(
                answer.header("x-nightlatch-session-ends"),
                Some("1209600"),
                "{backend:?}"
            );
            assert_eq!(answer.header("x-nightlatch-factors"), Some("password"), "{backend:?}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.cookies(), Vec::<String>::new());
        }
        let bob = server.member("bob");
        let empty = ["bob", "", "", ""].map(|value| Some(value.to_owned()));
        assert_eq!(
            identity(&nginx(&bob, PAGE).expect(200)),
            empty,
            "{backend:?}: empty, never absent"
        );
    }
}

#[test]
fn signed_out_requests_are_redirected_in_the_form_of_the_proxy() {
    let server = server(Backend::Sqlite);
    let browser = server.anyone();
    let login = format!(
        "{}/login?return_to=https%3A%2F%2Fwiki.example.org%2Fpage%3Fx%3D1",
        server.base
    );
    let answer = nginx(&browser, PAGE).expect(401);
    assert_eq!((answer.location(), code(&answer)), (login.as_str(), "sign_in"));
    for answer in [caddy(&browser, "GET", PAGE), envoy(&browser, Method::GET, PAGE)] {
        let answer = answer.expect(302);
        assert_eq!(
            (answer.location(), code(&answer), answer.text()),
            (login.as_str(), "sign_in", "")
        );
    }
    let bare = format!("{}/login", server.base);
    for answer in [caddy(&browser, "POST", PAGE), envoy(&browser, Method::POST, PAGE)] {
        assert_eq!(
            answer.expect(303).location(),
            bare,
            "what cannot be asked for again is not returned to"
        );
    }
    let programs = [
        server.anyone().header("accept", "application/json"),
        server.anyone().header("accept", "*/*"),
        server.anyone().header("x-requested-with", "XMLHttpRequest"),
        server.anyone().header("sec-fetch-mode", "cors"),
    ];
    for program in programs {
        for answer in all_three(&program, PAGE) {
            let answer = answer.expect(401);
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(
                (answer.json()["code"].as_str(), answer.json()["login_url"].as_str()),
                (Some("sign_in"), Some(login.as_str()))
            );
        }
    }
}

#[test]
fn an_ended_session_is_refused_at_once_with_its_reason() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let ada = server.member("ada");
        let thief = ada.thief();
        nginx(&ada, PAGE).expect(200);
        ada.post("/logout", &[]).expect(303);
        for answer in all_three(&thief, PAGE) {
            assert_ne!(answer.status(), 200, "{backend:?}");
            assert!(answer.location().starts_with(&server.base), "{backend:?}");
        }
        server.policy(&[("auth.idle_session_timeout", "15m")]);
        let ada = server.signed_in("ada");
        server.advance(900);
        nginx(&ada, PAGE).expect(200);
        server.advance(901);
        let answer = nginx(&ada, PAGE).expect(401);
        assert_eq!(code(&answer), "idle", "{backend:?}");
        assert!(
            answer.location().ends_with("&reason=idle"),
            "{backend:?}: {}",
            answer.location()
        );
    }
}

#[test]
fn only_trusted_proxies_may_ask() {
    let server = server(Backend::Sqlite);
    server.account("ada", Role::Member);
    let direct = server.anyone().from("127.0.0.2");
    direct.sign_in("ada", PASSWORD).expect(303);
    for answer in all_three(&direct, PAGE) {
        let answer = answer.expect(403);
        assert_eq!((code(&answer), answer.header("remote-user")), ("untrusted_proxy", None));
    }
    let nobody_trusted = TestServer::start();
    protect(
        &nobody_trusted,
        "wiki",
        &["wiki.example.org"],
        ApplicationChange::default(),
    );
    let ada = nobody_trusted.member("ada");
    nginx(&ada, PAGE).expect(403);
}

#[test]
fn a_missing_or_malformed_header_is_named() {
    let server = server(Backend::Sqlite);
    let ada = server.member("ada");
    let nginx = [("x-original-url", PAGE), ("x-original-method", "GET")];
    let caddy = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "wiki.example.org"),
        ("x-forwarded-uri", "/"),
        ("x-forwarded-method", "GET"),
    ];
    let odd: [(&str, Headers, &str, &[&str]); 6] = [
        (
            "/api/authz/auth-request",
            &nginx,
            "x-original-url",
            &[
                "/page",
                "wiki.example.org",
                "ftp://wiki.example.org/",
                "https://a@wiki.example.org/",
                "https://wiki.example.org/a b",
                "https://wiki.example.org",
            ],
        ),
        (
            "/api/authz/auth-request",
            &nginx,
            "x-original-method",
            &["", "GE T", "G\tT"],
        ),
        (
            "/api/authz/forward-auth",
            &caddy,
            "x-forwarded-proto",
            &["", " , ", "ftp", "ftp, https", "https;http"],
        ),
        (
            "/api/authz/forward-auth",
            &caddy,
            "x-forwarded-host",
            &["", "wiki.example.org, evil.example", "a b", "wiki:x", "wiki/x"],
        ),
        (
            "/api/authz/forward-auth",
            &caddy,
            "x-forwarded-uri",
            &["", "page", "https://wiki.example.org/", "/a b", "/a#b"],
        ),
        ("/api/authz/forward-auth", &caddy, "x-forwarded-method", &["", "GE T"]),
    ];
    for (path, headers, name, values) in odd {
        let others: Vec<_> = headers.iter().copied().filter(|(header, _)| *header != name).collect();
        let missing = ada.send(Method::GET, path, None, &others).expect(400);
        let detail = missing.json()["detail"].as_str().unwrap().to_lowercase();
        assert!(detail.starts_with(name) && detail.contains("missing"), "{detail}");
        for value in values {
            let headers = [others.as_slice(), &[(name, value)]].concat();
            let answer = ada.send(Method::GET, path, None, &headers).expect(400);
            assert!(
                answer.json()["detail"]
                    .as_str()
                    .unwrap()
                    .to_lowercase()
                    .starts_with(name),
                "{name}: {value}"
            );
        }
        let twice = [
            headers,
            &[headers.iter().copied().find(|(header, _)| *header == name).unwrap()],
        ]
        .concat();
        // A list may have several lines (RFC 9110, 5.3); every other header is a single value.
        let expected = if name == "x-forwarded-proto" { 200 } else { 400 };
        ada.send(Method::GET, path, None, &twice).expect(expected);
    }
    ada.send(
        Method::GET,
        "/api/authz/ext-authz/page",
        None,
        &[("host", "wiki.example.org")],
    )
    .expect(400);
    ada.send(Method::GET, "/api/authz/else", None, &[]).expect(404);
}

#[test]
fn a_preflight_passes_where_its_method_is_public() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    let change = ApplicationChange {
        public: Some(texts(&["OPTIONS /api/*"])),
        ..ApplicationChange::default()
    };
    protect(&server, "wiki", &["wiki.example.org"], change);
    let anyone = server.anyone();
    let (api, page) = ("https://wiki.example.org/api/x", "https://wiki.example.org/page");
    let passed = caddy(&anyone, "OPTIONS", api).expect(200);
    assert_eq!(identity(&passed), ["", "", "", ""].map(|text| Some(text.to_owned())));
    envoy(&anyone, Method::OPTIONS, api).expect(200);
    for (method, url) in [("GET", api), ("POST", api), ("OPTIONS", page)] {
        assert_ne!(caddy(&anyone, method, url).status(), 200, "{method} {url}");
    }
}

#[test]
fn the_scheme_is_read_as_a_list_of_tokens_without_case() {
    let server = server(Backend::Sqlite);
    let ada = server.member("ada");
    for proto in ["https, http", "HTTPS", ", https", "Https ,, http,", "wss, ws"] {
        let headers = [
            ("x-forwarded-proto", proto),
            ("x-forwarded-host", "wiki.example.org"),
            ("x-forwarded-uri", "/page"),
            ("x-forwarded-method", "GET"),
        ];
        ada.send(Method::GET, "/api/authz/forward-auth", None, &headers)
            .expect(200);
        let headers = [("x-forwarded-proto", proto), ("host", "wiki.example.org")];
        ada.send(Method::GET, "/api/authz/ext-authz/page", None, &headers)
            .expect(200);
        let anyone = server.anyone();
        let answer = anyone.send(Method::GET, "/api/authz/ext-authz/page", None, &headers);
        let back = "return_to=https%3A%2F%2Fwiki.example.org%2Fpage";
        assert!(answer.expect(302).location().contains(back), "{proto}");
    }
    let urls = ["HTTPS://wiki.example.org/page", "https://wiki.example.org/page"];
    for url in urls {
        nginx(&ada, url).expect(200);
    }
}

#[test]
fn access_follows_roles_paths_and_public_paths() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        let only = |roles: &[Role], groups: &[&str]| ApplicationChange {
            roles: Some(roles.to_vec()),
            groups: Some(texts(groups)),
            ..ApplicationChange::default()
        };
        protect(
            &server,
            "console",
            &["console.example.org"],
            only(&[Role::Administrator], &[]),
        );
        protect(&server, "ops", &["ops.example.org"], only(&[], &["ops"]));
        let docs = ApplicationChange {
            prefixes: Some(texts(&["/docs"])),
            public: Some(texts(&["/docs/public/*"])),
            ..ApplicationChange::default()
        };
        protect(&server, "docs", &["site.example.org"], docs);
        let (ada, boss) = (server.member("ada"), server.admin("boss"));
        for (url, member, administrator, stranger) in [
            ("https://console.example.org/", 403, 200, 401),
            ("https://ops.example.org/", 403, 403, 401),
            ("https://unknown.example.org/", 403, 403, 403),
            ("https://wiki.example.org.evil.example/", 403, 403, 403),
            ("https://WIKI.example.org.:8443/", 200, 200, 401),
            ("https://site.example.org/docs", 200, 200, 401),
            ("https://site.example.org/other", 403, 403, 403),
            ("https://site.example.org/docs/public/a.css", 200, 200, 200),
            ("https://site.example.org/docs/public/../secret", 400, 400, 400),
            ("https://site.example.org/docs/public%2f..%2fsecret", 400, 400, 400),
            ("https://site.example.org//docs/public/a.css", 400, 400, 400),
            ("https://wiki.example.org//a/../b", 200, 200, 401),
        ] {
            assert_eq!(nginx(&ada, url).status(), member, "{backend:?} {url}");
            assert_eq!(nginx(&boss, url).status(), administrator, "{backend:?} {url}");
            let answer = nginx(&server.anyone(), url);
            assert_eq!(answer.status(), stranger, "{backend:?} {url}");
            assert!(
                answer.status() != 200 || identity(&answer) == [const { Some(String::new()) }; 4],
                "{backend:?} {url}"
            );
        }
        let public = nginx(&ada, "https://site.example.org/docs/public/a.css").expect(200);
        assert_eq!(
            identity(&public),
            [const { Some(String::new()) }; 4],
            "{backend:?}: nobody is looked for"
        );
        assert_eq!(public.header("x-nightlatch-session-ends"), Some(""), "{backend:?}");
        assert_eq!(public.header("x-nightlatch-factors"), Some(""), "{backend:?}");
        let denied: Vec<_> = server
            .audit()
            .into_iter()
            .filter(|row| row.event.as_str() == "access.denied")
            .collect();
        assert!(
            denied.iter().all(|row| !row.detail.to_string().contains('?')),
            "{backend:?}: queries may hold secrets"
        );
        let told: Vec<_> = denied
            .iter()
            .map(|row| (row.actor.as_str(), row.application.as_deref()))
            .collect();
        assert_eq!(
            told,
            [("ada", Some("console")), ("ada", Some("ops")), ("boss", Some("ops"))],
            "{backend:?}"
        );
        // Groups and applications apply immediately.
        let change = ApplicationChange {
            groups: Some(Vec::new()),
            ..ApplicationChange::default()
        };
        server
            .run(applications::set(&server.ctx, &operator(), "ops", change))
            .unwrap();
        nginx(&ada, "https://ops.example.org/").expect(200);
        server
            .run(applications::delete(&server.ctx, &operator(), "ops"))
            .unwrap();
        assert_eq!(
            code(&nginx(&ada, "https://ops.example.org/").expect(403)),
            "unknown_application",
            "{backend:?}"
        );
    }
}

#[test]
fn entering_a_stricter_application_counts_from_then_on() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        protect(&server, "strict", &["strict.example.org"], ApplicationChange::default());
        let strict = Scope::Application("strict".to_owned());
        server.policy_in(&strict, &[("auth.idle_session_timeout", "5m")]);
        let entered = |server: &TestServer| {
            let list = server
                .run(sessions::list(
                    &server.ctx,
                    SessionFilter {
                        limit: 10,
                        ..SessionFilter::default()
                    },
                ))
                .unwrap();
            list.items[0].row.session.applications.clone()
        };
        let ada = server.member("ada");
        server.advance(301);
        nginx(&ada, PAGE).expect(200);
        assert_eq!(entered(&server), ["wiki"], "{backend:?}");
        let answer = nginx(&ada, "https://strict.example.org/").expect(200);
        assert_eq!(answer.header("x-nightlatch-session-ends"), Some("300"), "{backend:?}");
        assert_eq!(entered(&server), ["strict", "wiki"], "{backend:?}");
        server.advance(301);
        assert_eq!(
            code(&nginx(&ada, PAGE).expect(401)),
            "idle",
            "{backend:?}: an end is one everywhere"
        );
        // At its door the stricter rule is included already.
        let ada = server.signed_in("ada");
        server.advance(301);
        assert_eq!(
            code(&nginx(&ada, "https://strict.example.org/").expect(401)),
            "idle",
            "{backend:?}"
        );
        ada.get("/").expect(303);
    }
}

#[test]
fn the_applications_own_rule_says_what_is_activity() {
    let server = server(Backend::Sqlite);
    server.policy(&[("auth.idle_session_timeout", "10m")]);
    let wiki = Scope::Application("wiki".to_owned());
    server.policy_in(
        &wiki,
        &[("activity.counts", "navigation"), ("activity.ignored_paths", "/poll/*")],
    );
    let ends = |client: &Client, url: &str| {
        nginx(client, url)
            .expect(200)
            .header("x-nightlatch-session-ends")
            .unwrap()
            .to_owned()
    };
    let ada = server.member("ada");
    let page = ada.thief().header("sec-fetch-mode", "navigate");
    server.advance(300);
    assert_eq!(ends(&ada, PAGE), "300", "a fetch is no activity here");
    assert_eq!(ends(&page, "https://wiki.example.org/poll/1"), "300");
    assert_eq!(ends(&page.thief().header("x-nightlatch-background", "1"), PAGE), "300");
    assert_eq!(ends(&page, PAGE), "600");
}

#[test]
fn a_pending_password_change_comes_first() {
    let server = server(Backend::Sqlite);
    let id = server.account("ada", Role::Member);
    let ada = server.signed_in("ada");
    server.act(id, AccountAction::ForceChange);
    let password = format!("{}/password", server.base);
    let answer = nginx(&ada, PAGE).expect(401);
    assert_eq!(
        (answer.location(), code(&answer)),
        (password.as_str(), "password_change")
    );
    assert_eq!(caddy(&ada, "GET", PAGE).expect(302).location(), password);
    let program = ada.thief().header("accept", "application/json");
    assert_eq!(
        caddy(&program, "GET", PAGE).expect(401).json()["code"],
        "password_change"
    );
}

#[test]
fn a_rotation_waits_for_the_next_page_that_reaches_the_browser() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = server(backend);
        server.account("ada", Role::Member);
        let ada = server.anyone().header("x-forwarded-for", "203.0.113.9");
        ada.sign_in("ada", PASSWORD).expect(303);
        let old = ada.cookie("nightlatch").unwrap();
        let ada = ada.header("x-forwarded-for", "198.51.100.7");
        for _ in 0..3 {
            for answer in all_three(&ada, PAGE) {
                assert_eq!(answer.expect(200).cookies(), Vec::<String>::new(), "{backend:?}");
            }
            server.advance(20);
        }
        assert!(
            server
                .events()
                .iter()
                .any(|event| event.starts_with("session.network_changed")),
            "{backend:?}"
        );
        assert!(
            !server.events().iter().any(|event| event.starts_with("session.rotated")),
            "{backend:?}"
        );
        ada.get("/").expect(200);
        assert_ne!(ada.cookie("nightlatch").unwrap(), old, "{backend:?}");
        assert!(
            server.events().iter().any(|event| event.starts_with("session.rotated")),
            "{backend:?}"
        );
        let late = ada.thief();
        late.set_cookie("nightlatch", &old);
        server.advance(5);
        nginx(&late, PAGE).expect(200);
        nginx(&ada, PAGE).expect(200);
        server.advance(6);
        assert_eq!(code(&nginx(&late, PAGE).expect(401)), "rotated_reuse", "{backend:?}");
        assert_eq!(
            code(&nginx(&ada, PAGE).expect(401)),
            "rotated_reuse",
            "{backend:?}: under both ids"
        );
    }
}

#[test]
fn nothing_but_a_live_session_is_ever_let_through() {
    let server = server(Backend::Sqlite);
    let ada = server.member("ada");
    let own = ada.cookie("nightlatch").unwrap();
    let bob = server.member("bob").cookie("nightlatch").unwrap();
    let mut halves = own.clone();
    halves.replace_range(..10, &bob[..10]);
    let huge = "x".repeat(60_000);
    let odd = [
        String::new(),
        "nightlatch=".to_owned(),
        "nightlatch".to_owned(),
        format!("nightlatch={}", &own[..own.len() - 1]),
        format!("nightlatch={own}x"),
        format!("nightlatch={halves}"),
        format!("nightlatch={own}; nightlatch={bob}"),
        format!("nightlatch={bob}; nightlatch={own}"),
        format!("NIGHTLATCH={own}"),
        format!("nightlatch=%00{own}"),
        format!("nightlatch={}", own.to_uppercase()),
        format!("nightlatch={huge}"),
        format!("{huge}={own}"),
        format!("x={own}"),
        "nightlatch=ü".to_owned(),
    ];
    let headers = [("x-original-url", PAGE), ("x-original-method", "GET")];
    for cookie in &odd {
        let sent = [&headers[..], &[("cookie", cookie)]].concat();
        let answer = server
            .anyone()
            .send(Method::GET, "/api/authz/auth-request", None, &sent);
        assert!(
            [400, 401, 431].contains(&answer.status()),
            "{} for {:.80}",
            answer.status(),
            cookie
        );
        assert_eq!(answer.cookies(), Vec::<String>::new());
    }
    // Identity headers of a client are never returned.
    let claimed = ada.thief();
    claimed.set_cookie("nightlatch", "forged");
    let claimed = claimed
        .header("remote-user", "boss")
        .header("x-original-user", "boss")
        .header("authorization", "Basic Ym9zczpib3Nz");
    for answer in all_three(&claimed, PAGE) {
        assert_ne!(answer.status(), 200);
        assert_eq!(answer.header("remote-user"), None);
    }
    // The valid cookie still passes, even twice, and together with values that none of our keys
    // signed.
    for beside in [own.as_str(), "x", halves.as_str()] {
        for cookies in [
            format!("nightlatch={own}; nightlatch={beside}"),
            format!("nightlatch={beside}; nightlatch={own}"),
        ] {
            let sent = [&headers[..], &[("cookie", &cookies)]].concat();
            let answer = server
                .anyone()
                .send(Method::GET, "/api/authz/auth-request", None, &sent);
            assert_eq!(identity(&answer.expect(200))[0].as_deref(), Some("ada"), "{beside}");
        }
    }
    // Another browser ends it, as everywhere.
    let thief = ada.thief().header("user-agent", CHROME);
    assert_eq!(code(&nginx(&thief, PAGE).expect(401)), "user_agent");
    nginx(&ada, PAGE).expect(401);
}

#[test]
fn proxies_ask_under_any_name_with_any_method_from_any_page() {
    let server = server(Backend::Sqlite);
    let ada = server
        .member("ada")
        .header("origin", "https://wiki.example.org")
        .header("sec-fetch-site", "cross-site");
    for method in [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::OPTIONS,
    ] {
        envoy(&ada, method.clone(), PAGE).expect(200);
        let headers = [
            ("x-original-url", PAGE),
            ("x-original-method", method.as_str()),
            ("host", "wiki.example.org"),
        ];
        ada.send(method.clone(), "/api/authz/auth-request", None, &headers)
            .expect(200);
        caddy(&ada, method.as_str(), PAGE).expect(200);
    }
    // Our own pages keep their rules.
    ada.send(Method::GET, "/", None, &[("host", "wiki.example.org")])
        .expect(421);
    ada.post("/sessions/end-others", &[]).expect(403);
}

#[test]
fn a_forwarded_request_of_a_live_session_asks_no_database() {
    let server = server(Backend::Sqlite);
    let ada = server.member("ada");
    nginx(&ada, PAGE).expect(200);
    nginx(&ada, PAGE).expect(200);
    let quiet = (0..10).any(|_| {
        let before = server.ctx.store.calls();
        for _ in 0..3 {
            nginx(&ada, PAGE).expect(200);
        }
        server.ctx.store.calls() == before
    });
    assert!(quiet, "every round asked the database");
}

#[test]
fn without_the_database_nobody_passes() {
    let server = server(Backend::Postgres);
    let ada = server.member("ada");
    nginx(&ada, PAGE).expect(200);
    let TestDatabase::Postgres(database) = &*server.database else {
        panic!("not on Postgres");
    };
    database.allow_connections(false);
    database.disconnect_all();
    eventually("memory is no longer believed", || nginx(&ada, PAGE).status() == 503);
    for answer in all_three(&ada, PAGE) {
        let answer = answer.expect(503);
        assert_eq!(
            (answer.header("remote-user"), answer.header("retry-after")),
            (None, Some("2"))
        );
    }
    database.allow_connections(true);
    eventually("it answers again", || nginx(&ada, PAGE).status() == 200);
}

#[test]
fn people_return_to_a_registered_application_and_nowhere_else() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    for (name, host) in [("wiki", "wiki.example.org"), ("far", "far.example.com")] {
        protect(&server, name, &[host], ApplicationChange::default());
    }
    server.account("ada", Role::Member);
    let page = server
        .anyone()
        .get("/login?return_to=https%3A%2F%2Fwiki.example.org%2Fpage%3Fx%3D1")
        .expect(200);
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.ends_with("form-action 'self' https://wiki.example.org"),
        "{policy}"
    );
    assert!(page.page().shows("wiki.example.org"), "where it goes on is said");
    let form = |return_to| [("username", "ada"), ("password", PASSWORD), ("return_to", return_to)];
    let refused = server.anyone().post(
        "/login",
        &[("username", "ada"), ("password", "wrong"), ("return_to", PAGE)],
    );
    assert!(
        refused
            .expect(422)
            .header("content-security-policy")
            .unwrap()
            .ends_with("https://wiki.example.org")
    );
    let ada = server.anyone();
    assert_eq!(ada.post("/login", &form(PAGE)).expect(303).location(), PAGE);
    let again = |url: &str| {
        ada.get(&format!("/login?return_to={url}"))
            .expect(303)
            .location()
            .to_owned()
    };
    assert_eq!(again("https%3A%2F%2Fwiki.example.org%2F"), "https://wiki.example.org/");
    assert_eq!(
        again("https%3A%2F%2Ffar.example.com%2F"),
        "https://far.example.com/nightlatch/handover/start?return_to=https%3A%2F%2Ffar.example.com%2F",
        "the cookie does not get there: the session is handed over"
    );
    for evil in [
        "https://evil.example/",
        "https://wiki.example.org.evil.example/",
        "https://wiki.example.org@evil.example/",
        "https://evil.example\\@wiki.example.org/",
        "//wiki.example.org/",
        "javascript://wiki.example.org/%0aalert(1)",
    ] {
        let answer = server.anyone().post("/login", &form(evil)).expect(303);
        assert_eq!(answer.location(), "/", "{evil}");
    }
    let page = server
        .anyone()
        .get("/login?return_to=https%3A%2F%2Fevil.example%2F")
        .expect(200);
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .ends_with("form-action 'self'")
    );
}

#[test]
fn a_path_is_judged_as_it_came_over_the_wire() {
    let server = server(Backend::Sqlite);
    let docs = ApplicationChange {
        prefixes: Some(texts(&["/docs"])),
        public: Some(texts(&["/docs/public/*"])),
        ..ApplicationChange::default()
    };
    protect(&server, "docs", &["site.example.org"], docs);
    let ada = server.member("ada").cookie_header();
    let asked = |path: &str, headers: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\nCookie: {ada}\r\n{headers}\r\n");
        wire(&server, request.as_bytes()).statuses()
    };
    for (path, status) in [
        ("/docs/public/a.css", 200),
        ("/docs/page", 401),
        ("/%64ocs/public/a.css", 200),
        ("/docs/public/../secret", 400),
        ("/docs/public/%2e%2e/secret", 400),
        ("/docs/public/..;/secret", 400),
        ("/docs/public%2fa.css", 400),
        ("//docs/public/a.css", 400),
        ("/docs/public/%zz", 400),
        ("/docs/public/%00", 400),
        ("", 421),
    ] {
        let headers = "Host: site.example.org\r\nX-Forwarded-Proto: https\r\n";
        // Without the user agent of the sign-in the session is not valid: only public paths pass.
        let got = asked(&format!("/api/authz/ext-authz{path}"), headers);
        assert_eq!(got, [status], "{path}");
    }
    // Other spellings of our own address do not bypass its gate.
    let own = format!(
        "Host: {}\r\nUser-Agent: {FIREFOX}\r\nX-Original-URL: {PAGE}\r\nX-Original-Method: GET\r\n",
        authority(&server)
    );
    for path in [
        "/%61pi/authz/auth-request",
        "/api%2fauthz/auth-request",
        "/api/authz/../authz/auth-request",
        "//api/authz/auth-request",
    ] {
        let got = asked(path, &own);
        assert!(got.iter().all(|status| *status >= 400), "{path}: {got:?}");
    }
    // Not even on public paths: a proxy that blocks our paths for the public may not decode them.
    let public = own.replace(PAGE, "https://site.example.org/docs/public/a.css");
    assert_eq!(asked("/api/authz/auth-request", &public), [200]);
    for path in [
        "/%61pi/authz/auth-request",
        "/api/authz/%61uth-request",
        "/api/authz/auth%2Drequest",
    ] {
        assert_eq!(asked(path, &public), [400], "{path}");
    }
}

#[test]
fn an_address_that_nobody_would_be_sent_back_to_is_left_out() {
    let server = server(Backend::Sqlite);
    let asked = |length: usize| {
        let page = format!("https://wiki.example.org/{}", "x".repeat(length));
        nginx(&server.anyone(), &page).expect(401).location().to_owned()
    };
    let longest = ReturnTo::MAX_LEN - "https://wiki.example.org/".len();
    assert!(asked(longest).contains("return_to="));
    assert!(asked(longest + 1).ends_with("/login"));
}

/// What an iPhone sends for a video in a page.
const PLAYER: &str = "AppleCoreMedia/1.0.0.21F90 (iPhone; U; CPU OS 17_5_1 like Mac OS X; en_us)";
const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) \
                      Version/17.5 Mobile/15E148 Safari/604.1";

#[test]
fn a_media_player_of_the_same_platform_is_no_thief() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        for mode in ["moderate", "moderate_vpn", "permissive"] {
            let server = server(backend);
            server.policy(&[("session.session_validation_mode", mode)]);
            server.account("ada", Role::Member);
            let safari = server.anyone().header("user-agent", SAFARI);
            safari.sign_in("ada", PASSWORD).expect(303);
            let player = safari.thief().header("user-agent", PLAYER);
            assert_eq!(
                nginx(&player, "http://wiki.example.org/film.mp4").status(),
                200,
                "{backend:?} {mode}"
            );
            assert_eq!(
                nginx(&safari, "http://wiki.example.org/page").status(),
                200,
                "{backend:?} {mode}: the browser is still signed in"
            );
            // A request that navigates is not treated as a player.
            let navigating = player.thief().header("sec-fetch-mode", "navigate");
            assert_eq!(
                nginx(&navigating, "http://wiki.example.org/page").status(),
                401,
                "{backend:?} {mode}"
            );
        }
        let server = server(backend);
        server.policy(&[("session.session_validation_mode", "strict")]);
        server.account("ada", Role::Member);
        let safari = server.anyone().header("user-agent", SAFARI);
        safari.sign_in("ada", PASSWORD).expect(303);
        assert_eq!(
            nginx(
                &safari.thief().header("user-agent", PLAYER),
                "http://wiki.example.org/film.mp4"
            )
            .status(),
            401,
            "{backend:?} strict"
        );
    }
}
