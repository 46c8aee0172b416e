//! State changes that another site starts: every POST of the table, with every kind of origin.

use super::kit::{ask, filled, table};
use crate::harness::{
    client::{Answer, Client},
    server::{On, PASSWORD, TestServer},
};
use nightlatch::{
    domain::account::Role,
    http::{Route, paths},
};
use reqwest::Method;

/// What reads no form: who sends one says nothing with it.
const BODILESS: [&str; 11] = [
    "/logout",
    "/sessions/end-others",
    "/sessions/{id}/end",
    "/sessions/{id}/disown",
    "/admin/policy/export",
    "/admin/policy/review/export",
    "/admin/audit/export",
    "/admin/sessions/export",
    "/admin/accounts/export",
    "/admin/lockouts/export",
    "/admin/policy/revisions/{number}/restore",
];

fn posts() -> Vec<Route> {
    table().into_iter().filter(|route| route.method == "POST").collect()
}

fn is_cross_site(answer: &Answer) -> bool {
    answer.status() == 403 && answer.json()["code"] == "cross_site"
}

fn program(client: Client) -> Client {
    client.header("accept", "application/json")
}

#[test]
fn what_another_site_starts_is_refused_at_every_post_and_changes_nothing() {
    for on in [On::Sqlite, On::Postgres] {
        let server = TestServer::on(on).start();
        let admin = program(server.admin("ada"));
        let other = server.signed_in("ada");
        let before = server.events();
        let own = server.base.clone();
        let foreign_port = format!("{}1", server.base);
        let upgraded = server.base.replace("http:", "https:");
        let refused: Vec<Vec<(&str, &str)>> = vec![
            vec![("sec-fetch-site", "cross-site")],
            vec![("sec-fetch-site", "same-site")],
            vec![("sec-fetch-site", "cross-site"), ("origin", &own)],
            vec![("sec-fetch-site", "")],
            vec![("sec-fetch-site", "same-origin, cross-site")],
            vec![("sec-fetch-site", "nonsense")],
            vec![("origin", "https://evil")],
            vec![("origin", "null")],
            vec![("origin", "")],
            vec![("origin", &foreign_port)],
            vec![("origin", &upgraded)],
            vec![("origin", "http://localhost")],
        ];
        for route in posts() {
            for headers in &refused {
                for client in [&admin, &program(server.anyone())] {
                    let answer = ask(client, &route, headers);
                    assert!(
                        is_cross_site(&answer),
                        "{on:?} {} {headers:?}: {}",
                        route.path,
                        answer.status()
                    );
                    assert_eq!(answer.cookies(), Vec::<String>::new(), "{}", route.path);
                }
            }
        }
        assert_eq!(server.events(), before, "{on:?}");
        admin.get("/admin").expect(200);
        other.get("/admin").expect(200);
    }
}

#[test]
fn what_our_own_pages_the_address_bar_and_programs_send_is_taken() {
    let server = TestServer::start();
    let taken: Vec<Vec<(&str, &str)>> = vec![
        vec![("sec-fetch-site", "same-origin")],
        vec![("sec-fetch-site", "none")],
        vec![("sec-fetch-site", "same-origin"), ("origin", &server.base)],
        vec![("origin", &server.base)],
        vec![],
    ];
    let admin = program(server.admin("ada"));
    for route in posts() {
        for headers in &taken {
            let answer = ask(&admin, &route, headers);
            assert_ne!(answer.status(), 403, "{} {headers:?}", route.path);
        }
    }
}

#[test]
fn two_lines_of_origin_or_fetch_site_do_not_smuggle_a_foreign_one() {
    let server = TestServer::start();
    let host = super::kit::authority(&server);
    for (one, two) in [
        ("Origin: http://evil.example", format!("Origin: {}", server.base)),
        ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin".to_owned()),
    ] {
        for lines in [format!("{one}\r\n{two}"), format!("{two}\r\n{one}")] {
            let request = format!(
                "POST /logout HTTP/1.1\r\nHost: {host}\r\n{lines}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            let answer = super::kit::wire(&server, request.as_bytes());
            assert_eq!(answer.statuses(), [403], "{lines}");
        }
    }
}

#[test]
fn another_site_can_neither_sign_a_browser_in_nor_out() {
    let server = TestServer::start();
    server.account("mallory", Role::Member);
    let ada = server.member("ada");
    let cookie = ada.cookie("nightlatch");
    let credentials: &[(&str, &str)] = &[("username", "mallory"), ("password", PASSWORD)];
    for headers in [
        [("sec-fetch-site", "cross-site")],
        [("origin", "https://evil")],
        [("origin", "null")],
    ] {
        let answer = ada
            .send(Method::POST, "/login", Some(credentials), &headers)
            .expect(403);
        assert_eq!(answer.cookies(), Vec::<String>::new());
        ada.send(Method::POST, "/logout", Some(&[]), &headers).expect(403);
    }
    assert_eq!(ada.cookie("nightlatch"), cookie);
    assert!(ada.get("/").expect(200).text().contains("ada"));
    assert!(!server.events().iter().any(|event| event == "sign_out"));
}

#[test]
fn with_a_public_url_only_its_origin_counts() {
    let server = TestServer::on(On::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "https://login.example.org")
        .start();
    let client = || program(server.anyone()).header("host", "login.example.org");
    let form: &[(&str, &str)] = &[("username", "ada"), ("password", "wrong")];
    let post = |origin: &str| {
        client()
            .send(Method::POST, "/login", Some(form), &[("origin", origin)])
            .status()
    };
    assert_eq!(post("https://login.example.org"), 422);
    for origin in [
        "http://login.example.org",
        "https://login.example.org:8443",
        "https://login.example.org.evil",
        "https://evil.login.example.org",
        "https://login.example.org@evil",
        &server.base,
    ] {
        assert_eq!(post(origin), 403, "{origin}");
    }
    // A forged forwarded host moves nothing.
    let forged = [
        ("origin", "https://evil"),
        ("x-forwarded-host", "evil"),
        ("forwarded", "host=evil"),
    ];
    client().send(Method::POST, "/login", Some(form), &forged).expect(403);
}

/// Forms with a file.
const UPLOADS: &[&str] = &[paths::ADMIN_POLICY_IMPORT, paths::ADMIN_ACCOUNTS_IMPORT];

#[test]
fn forms_are_taken_as_forms_only() {
    let server = TestServer::start();
    let admin = program(server.admin("ada"));
    let before = server.events();
    let mut bodiless = Vec::new();
    for route in posts() {
        for kind in [
            "text/plain",
            "multipart/form-data; boundary=x",
            "application/json",
            "text/plain; charset=application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded, text/plain",
        ] {
            let answer = admin.send(Method::POST, &filled(&route), None, &[("content-type", kind)]);
            match answer.status() {
                415 => {}
                // These forms have a file in them; an empty body is no such form.
                400 if UPLOADS.contains(&route.path) && kind.starts_with("multipart/") => {}
                // These read no body at all.
                200 | 303 | 404 if BODILESS.contains(&route.path) => bodiless.push(route.path),
                status => panic!("{} {kind}: {status}", route.path),
            }
        }
    }
    assert!(!bodiless.is_empty());
    let harmless = ["sign_out", "session.ended", "audit.exported", "data.exported"];
    assert!(
        server.events()[before.len()..]
            .iter()
            .all(|event| harmless.iter().any(|known| event.starts_with(known)))
    );
}
