//! Every route of the table for every kind of visitor: generated, so that a new route cannot be
//! forgotten.

use super::kit::{ask, filled, table};
use crate::harness::{
    client::{Answer, Client},
    server::{Backend, TestServer},
};
use nightlatch::{
    domain::account::Role,
    flows::accounts::AccountAction,
    http::{
        paths,
        route::{Audience, Route},
        routes,
    },
};
use reqwest::Method;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    Anonymous,
    Pending,
    Member,
    Administrator,
}

/// How a refusal shows: to people, and to programs by code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    SignIn,
    Change,
    Forbidden,
    In,
}

fn expected(audience: Audience, visit: Visit) -> Expected {
    match (audience, visit) {
        (Audience::Anyone, _) => Expected::In,
        (_, Visit::Anonymous) => Expected::SignIn,
        (Audience::Pending, _) => Expected::In,
        (_, Visit::Pending) => Expected::Change,
        (Audience::Administrator, Visit::Member) => Expected::Forbidden,
        (_, _) => Expected::In,
    }
}

fn visitor(server: &TestServer, visit: Visit) -> Client {
    match visit {
        Visit::Anonymous => server.anyone(),
        Visit::Member => server.member("member"),
        Visit::Administrator => server.admin("administrator"),
        Visit::Pending => {
            // An administrator, so that only the duty can be what keeps the console shut.
            let id = server.account("pending", Role::Administrator);
            let pending = server.signed_in("pending");
            server.act(id, AccountAction::ForceChange);
            pending
        }
    }
}

fn check(route: &Route, visit: Visit, page: &Answer, problem: &Answer) {
    let what = format!("{} {} for {visit:?}", route.method, route.path);
    let code = |answer: &Answer| {
        let is_problem = answer.header("content-type") == Some("application/problem+json");
        is_problem.then(|| answer.json()["code"].as_str().unwrap().to_owned())
    };
    match expected(route.audience, visit) {
        Expected::SignIn => {
            assert_eq!((page.status(), problem.status()), (303, 401), "{what}");
            assert!(page.location().starts_with("/login"), "{what}: {}", page.location());
            assert_eq!(code(problem).as_deref(), Some("sign_in"), "{what}");
            assert_eq!(
                page.location().contains("return_to"),
                route.method == "GET" && route.path != "/",
                "{what}"
            );
        }
        Expected::Change => {
            assert_eq!((page.status(), problem.status()), (303, 401), "{what}");
            assert_eq!(page.location(), "/password", "{what}");
            assert_eq!(code(problem).as_deref(), Some("password_change"), "{what}");
        }
        Expected::Forbidden => {
            assert_eq!((page.status(), problem.status()), (403, 403), "{what}");
            assert_eq!(code(problem).as_deref(), Some("forbidden"), "{what}");
        }
        // Without a pending sign-in, it starts over.
        Expected::In if route.path == paths::LOGIN_FACTOR => {
            assert_eq!((page.status(), page.location()), (303, "/login"), "{what}");
            if route.method == "POST" {
                assert_eq!(
                    (problem.status(), code(problem).as_deref()),
                    (401, Some("sign_in")),
                    "{what}"
                );
            }
        }
        Expected::In => {
            // Readiness does not depend on the client.
            for answer in [page, problem].into_iter().filter(|_| route.path != "/readyz") {
                assert!(
                    ![401, 403, 405, 500, 503].contains(&answer.status()),
                    "{what}: {}",
                    answer.status()
                );
            }
            assert!(
                ["/logout", paths::LOGIN_OIDC_CALLBACK].contains(&route.path) || !page.location().starts_with("/login"),
                "{what}"
            );
        }
    }
}

#[test]
fn every_route_answers_every_kind_of_visitor_as_the_table_says() {
    let server = TestServer::start();
    for visit in [Visit::Anonymous, Visit::Pending, Visit::Member, Visit::Administrator] {
        let person = visitor(&server, visit);
        let program = person.thief().header("accept", "application/json");
        for route in table() {
            let problem = ask(&program, &route, &[]);
            let page = ask(&person, &route, &[]);
            check(&route, visit, &page, &problem);
        }
    }
}

#[test]
fn a_request_without_a_cookie_creates_no_session_no_event_and_no_cookie() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        let before = server.events();
        for route in table().iter().filter(|route| route.method == "GET") {
            for client in [server.anyone(), server.anyone().header("accept", "application/json")] {
                let answer = ask(&client, route, &[]);
                assert_eq!(answer.cookies(), Vec::<String>::new(), "{backend:?} {}", route.path);
            }
        }
        assert_eq!(server.events(), before, "{backend:?}");
    }
}

#[test]
fn looking_at_every_page_changes_nothing() {
    let server = TestServer::start();
    let admin = server.admin("ada");
    let before = server.events();
    for route in table().iter().filter(|route| route.method == "GET") {
        for method in [Method::GET, Method::HEAD] {
            admin.send(method, &filled(route), None, &[]);
        }
    }
    let after = server.events();
    let new: Vec<&String> = after[before.len()..]
        .iter()
        .filter(|event| *event != "audit.exported")
        .collect();
    assert_eq!(new, Vec::<&String>::new());
    admin.get("/admin").expect(200);
}

#[test]
fn head_answers_like_get_without_a_body() {
    let server = TestServer::start();
    let admin = server.admin("ada");
    for route in table().iter().filter(|route| route.method == "GET") {
        let get = ask(&admin, route, &[]);
        let head = admin.send(Method::HEAD, &filled(route), None, &[]);
        assert_eq!(head.status(), get.status(), "{}", route.path);
        assert_eq!(
            head.header("content-type"),
            get.header("content-type"),
            "{}",
            route.path
        );
        assert_eq!(head.text(), "", "{}", route.path);
    }
}

#[test]
fn methods_that_are_not_in_the_table_are_405_and_name_those_that_are() {
    let server = TestServer::start();
    let admin = server.admin("ada");
    let mut methods: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    // Proxies use the method of the original request.
    let asks_of_pages = |route: &Route| !route.path.starts_with(paths::AUTHZ);
    let table: Vec<Route> = routes().into_iter().filter(asks_of_pages).collect();
    for route in &table {
        let known = methods.entry(route.path).or_default();
        known.push(route.method.to_string());
        if route.method == "GET" {
            known.push("HEAD".to_owned());
        }
    }
    for route in &table {
        let known = &methods[route.path];
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND",
        ] {
            if known.iter().any(|known| known == method) {
                continue;
            }
            for client in [&admin, &server.anyone()] {
                let answer = client.send(
                    Method::from_bytes(method.as_bytes()).unwrap(),
                    &filled(route),
                    None,
                    &[],
                );
                assert_eq!(answer.status(), 405, "{method} {}", route.path);
                let mut allowed: Vec<String> = answer.header("allow").unwrap().split(", ").map(str::to_owned).collect();
                let mut known = known.clone();
                allowed.sort();
                known.sort();
                assert_eq!(allowed, known, "{method} {}", route.path);
                assert!(!answer.text().contains("PROPFIND"), "nothing is echoed");
            }
        }
    }
    admin.get("/admin").expect(200);
}

#[test]
fn a_method_override_is_ignored() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let other = server.signed_in("ada");
    let overrides = [
        ("x-http-method-override", "POST"),
        ("x-method-override", "POST"),
        ("x-http-method", "POST"),
    ];
    for path in ["/logout?_method=POST", "/sessions/end-others?_method=POST"] {
        ada.send(Method::GET, path, None, &overrides).expect(405);
    }
    ada.send(Method::GET, "/?_method=POST", None, &overrides).expect(200);
    let form: &[(&str, &str)] = &[("_method", "GET"), ("username", "ada"), ("password", "wrong")];
    server
        .anyone()
        .send(Method::POST, "/login", Some(form), &[("x-http-method-override", "GET")])
        .expect(422);
    other.get("/").expect(200);
    ada.get("/").expect(200);
}

#[test]
fn paths_that_only_look_like_a_page_are_not_that_page() {
    let server = TestServer::start();
    let admin = server.admin("ada");
    for path in [
        "/admin/sessions/x.css",
        "/admin/accounts;a.js",
        "/admin/",
        "/admin//sessions",
        "/ADMIN",
        "/login/x.css",
        "/password/",
        "/%61dmin/accounts/x",
        "/static/../admin",
        "/static/%2e%2e%2fadmin",
        "/static/..%5c..%5cCargo.toml",
        "/admin/accounts/%00",
        "/admin/accounts/%ff",
        "/admin/sessions/1%0d%0aSet-Cookie:%20a=b",
        "/metrics",
        "/openapi.json",
        "/.git/config",
    ] {
        let answer = admin.get(path);
        assert_eq!(
            answer.status(),
            if path == "/static/../admin" { 200 } else { 404 },
            "{path}"
        );
        assert_eq!(answer.header("set-cookie"), None, "{path}");
    }
}
