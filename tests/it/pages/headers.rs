//! The headers of every kind of answer, and what an error never reveals.

use super::kit::{ask, table};
use crate::harness::{
    client::{Answer, Client},
    server::{PASSWORD, TestServer},
};
use nightlatch::domain::account::Role;
use reqwest::Method;
use std::collections::BTreeSet;

/// Checks headers that every answer has, and those that none has.
fn assert_security_headers(answer: &Answer, what: &str) {
    let header = |name: &str| answer.header(name).unwrap_or_else(|| panic!("{what}: no {name}"));
    let csp = header("content-security-policy");
    for directive in [
        "default-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "object-src 'none'",
        "form-action 'self'",
    ] {
        assert!(csp.contains(directive), "{what}: {csp}");
    }
    for hole in ["unsafe-inline", "unsafe-eval", "http:", "https:", "data:", "*"] {
        assert!(!csp.contains(hole), "{what}: {csp}");
    }
    assert_eq!(header("x-content-type-options"), "nosniff", "{what}");
    // The pages of links with a token, and the answer of a provider, send no Referer at all.
    let links = [
        "/setup",
        "/email/",
        "/not-me",
        "/password/reset",
        "/factors/enrol",
        "/callback",
    ];
    let of_link = links.iter().any(|path| what.contains(path));
    let policy = header("referrer-policy");
    assert!(
        policy == "same-origin" || of_link && policy == "no-referrer",
        "{what}: {policy}"
    );
    assert_eq!(header("cross-origin-opener-policy"), "same-origin", "{what}");
    assert_eq!(header("cross-origin-resource-policy"), "same-origin", "{what}");
    assert!(header("permissions-policy").contains("camera=()"), "{what}");
    assert!(header("x-request-id").len() >= 16, "{what}");
    for absent in [
        "server",
        "x-powered-by",
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "strict-transport-security",
    ] {
        assert_eq!(answer.header(absent), None, "{what}");
    }
    let names: BTreeSet<&str> = answer.headers().keys().map(|name| name.as_str()).collect();
    for name in names.into_iter().filter(|name| !["set-cookie", "vary"].contains(name)) {
        assert_eq!(answer.headers().get_all(name).iter().count(), 1, "{what}: {name} twice");
    }
    for word in [
        "panicked",
        "backtrace",
        "SELECT ",
        "INSERT ",
        "diesel",
        "/work/",
        "/tmp/",
        ".rs:",
        "sqlite",
        "src/",
    ] {
        let text = answer.text();
        assert!(!text.contains(word), "{what} says {word}: {text}");
    }
}

/// One answer of each kind, for a client that reads HTML or JSON.
fn kinds(server: &TestServer, with: impl Fn(Client) -> Client) -> Vec<(u16, Answer)> {
    let client = || with(server.anyone());
    let form = |text: &str| vec![("username", "x".to_owned()), ("password", text.to_owned())];
    let login = |text: &str, headers: &[(&str, &str)]| {
        let fields = form(text);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        client().send(Method::POST, "/login", Some(&fields), headers)
    };
    vec![
        (200, client().get("/login")),
        (200, client().get("/static/app.css")),
        (404, client().get("/static/nothing.css")),
        (200, client().get("/healthz")),
        (400, client().send(Method::POST, "/login", Some(&[]), &[])),
        (403, login("wrong", &[("sec-fetch-site", "cross-site")])),
        (403, login("wrong", &[("origin", "https://evil")])),
        (404, client().get("/nothing/here")),
        (405, client().send(Method::DELETE, "/login", None, &[])),
        (413, login(&"x".repeat(40_000), &[])),
        (
            415,
            client().send(Method::POST, "/login", None, &[("content-type", "text/plain")]),
        ),
        (
            421,
            client().send(Method::GET, "/login", None, &[("host", "evil.example")]),
        ),
        (422, login("wrong", &[])),
    ]
}

#[test]
fn every_kind_of_answer_carries_the_security_headers_and_says_nothing_of_the_inside() {
    let server = TestServer::start();
    let admin = server.admin("boss");
    for (expected, answer) in kinds(&server, |client| client) {
        assert_eq!(answer.status(), expected, "{}", answer.text());
        assert_security_headers(&answer, &format!("{expected} for people"));
        let kind = answer.header("content-type").unwrap();
        assert!(kind.contains("charset=utf-8"), "{expected}: {kind}");
        if expected >= 400 && expected != 404 {
            assert!(kind.starts_with("text/html"), "{expected}: {kind}");
        }
    }
    for (expected, answer) in kinds(&server, |client| client.header("accept", "application/json")) {
        assert_security_headers(&answer, &format!("{expected} for programs"));
        // The sign-in form is a page for every client; refusals of the middleware are problems.
        if ![200, 422].contains(&expected) && !answer.header("content-type").unwrap().starts_with("text/plain") {
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json"),
                "{expected}"
            );
            let problem = answer.json();
            assert_eq!(problem["status"], expected);
            for field in ["type", "title", "code", "detail"] {
                assert!(problem[field].is_string(), "{expected}: {field}");
            }
        }
    }
    for route in table() {
        let answer = ask(&admin, &route, &[]);
        assert_security_headers(&answer, &format!("{} {}", route.method, route.path));
    }
    for (route, client) in table().into_iter().map(|route| (route, server.anyone())) {
        assert_security_headers(
            &ask(&client, &route, &[]),
            &format!("{} {} for nobody", route.method, route.path),
        );
    }
}

#[test]
fn a_locked_sign_in_has_the_security_headers_too() {
    let server = TestServer::start();
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_failure_limit", "1"),
    ]);
    let answer = server.anyone().sign_in("ada", "wrong").expect(429);
    assert_security_headers(&answer, "429");
}

#[test]
fn answers_to_proxies_have_the_security_headers_too() {
    let server = TestServer::on(crate::harness::server::Backend::Sqlite)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    let wiki = nightlatch::flows::applications::ApplicationChange {
        hosts: Some(vec!["wiki.example.org".to_owned()]),
        ..Default::default()
    };
    let operator = crate::harness::server::operator();
    let made = nightlatch::flows::applications::create(&server.ctx, &operator, "wiki", wiki);
    server.run(made).unwrap();
    let (ada, nobody) = (server.member("ada"), server.anyone());
    let page = [
        ("x-original-url", "https://wiki.example.org/"),
        ("x-original-method", "GET"),
    ];
    let elsewhere = [
        ("x-original-url", "https://docs.example.org/"),
        ("x-original-method", "GET"),
    ];
    let asks = [
        (200, &ada, &page[..]),
        (401, &nobody, &page),
        (403, &ada, &elsewhere),
        (400, &ada, &[]),
    ];
    for (status, client, headers) in asks {
        let answer = client.send(Method::GET, "/api/authz/auth-request", None, headers);
        assert_eq!(answer.status(), status);
        assert_security_headers(&answer, &format!("a proxy's {status}"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.cookies(), Vec::<String>::new());
    }
}

#[test]
fn everything_personal_is_never_stored_and_only_hashed_files_are() {
    let server = TestServer::start();
    let admin = server.admin("boss");
    for route in table().into_iter().filter(|route| !route.path.starts_with("/static")) {
        for client in [&admin, &server.anyone()] {
            let answer = ask(client, &route, &[]);
            assert_eq!(
                answer.header("cache-control"),
                Some("no-store"),
                "{} {}",
                route.method,
                route.path
            );
        }
    }
    let page = server.anyone().get("/login");
    let hashed = super::kit::between(page.text(), "href=\"/static/", "\"")[0];
    let file = server.anyone().get(&format!("/static/{hashed}")).expect(200);
    assert!(file.header("cache-control").unwrap().contains("immutable"));
    assert_eq!(file.cookies(), Vec::<String>::new());
    // With a session the same file, and no cookie on it either.
    let signed_in = server.signed_in("boss").get(&format!("/static/{hashed}")).expect(200);
    assert_eq!(signed_in.cookies(), Vec::<String>::new());
}

#[test]
fn strict_transport_security_is_sent_over_https_only() {
    let server = TestServer::on(crate::harness::server::Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "https://login.example.org")
        .start();
    let client = || server.anyone().header("host", "login.example.org");
    let answers = [
        client().get("/login").expect(200),
        client().get("/static/app.css").expect(200),
        client().get("/nothing").expect(404),
        client().get("/").expect(303),
        server.anyone().get("/login").expect(421),
    ];
    for answer in answers {
        let hsts = answer.header("strict-transport-security").unwrap();
        let secs: i64 = hsts.split(['=', ';']).nth(1).unwrap().parse().unwrap();
        assert!(secs >= 31_536_000 && hsts.contains("includeSubDomains"), "{hsts}");
    }
}

#[test]
fn no_origin_is_ever_let_read_an_answer() {
    let server = TestServer::start();
    let ada = server.member("ada");
    for origin in ["https://evil", "null", "http://127.0.0.1.evil", &server.base] {
        for path in ["/", "/login", "/static/app.css", "/nothing", "/admin"] {
            for method in [Method::GET, Method::OPTIONS] {
                let asks = [("origin", origin), ("access-control-request-method", "POST")];
                let answer = ada.send(method, path, None, &asks);
                let cors = answer
                    .headers()
                    .keys()
                    .find(|name| name.as_str().starts_with("access-control"));
                assert_eq!(cors, None, "{origin} {path}");
            }
        }
    }
}

#[test]
fn request_ids_are_ours_and_differ() {
    let server = TestServer::start();
    let ids: BTreeSet<String> = (0..20)
        .map(|_| {
            let answer = server
                .anyone()
                .send(Method::GET, "/login", None, &[("x-request-id", "forged")]);
            answer.header("x-request-id").unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 20);
    assert!(!ids.iter().any(|id| id.contains("forged")));
}

#[test]
fn signing_out_tells_the_browser_to_forget() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let ada = server.anyone();
    ada.sign_in("ada", PASSWORD).expect(303);
    let out = ada.post("/logout", &[]).expect(303);
    assert_eq!(out.header("clear-site-data"), Some("\"cache\", \"storage\""));
    for line in out.cookies() {
        assert!(line.contains("Max-Age=0") && line.contains("Path=/"), "{line}");
    }
}
