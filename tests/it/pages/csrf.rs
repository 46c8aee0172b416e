//! State changes that another site starts: every POST of the table, with every kind of origin.

use super::kit::{ask, filled, table};
use crate::harness::{
    client::{Answer, Client},
    page::Part,
    server::{Backend, PASSWORD, TestServer},
};
use nightlatch::{
    domain::account::Role,
    http::{paths, route::Route},
};
use reqwest::Method;

/// Routes that read no form, so that sending one has no effect.
const BODILESS: [&str; 18] = [
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
    "/admin/accounts/acts/{id}/passwords",
    "/factors/totp/start",
    "/factors/totp/remove",
    "/factors/passkeys/new",
    "/factors/passkeys/{id}/remove",
    "/factors/recovery",
    "/factors/browsers/{id}/remove",
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
fn cross_site_posts_are_refused_everywhere_and_change_nothing() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
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
                        "{backend:?} {} {headers:?}: {}",
                        route.path,
                        answer.status()
                    );
                    assert_eq!(answer.cookies(), Vec::<String>::new(), "{}", route.path);
                }
            }
        }
        let mut after = server.events();
        let refused = after.split_off(before.len());
        assert_eq!(after, before, "{backend:?}");
        // They are recorded, but not each one.
        assert_eq!(refused, ["access.denied cross_site"], "{backend:?}");
        admin.get("/admin").expect(200);
        other.get("/admin").expect(200);
    }
}

/// What a browser sends behind a proxy that adds `Referrer-Policy: no-referrer`, over plain http.
const SILENT: [(&str, &str); 1] = [("origin", "null")];

#[test]
fn a_browser_that_does_not_say_where_a_form_comes_from_proves_it_by_the_forms_token() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        let send = |client: &Client, form: &Part, filled_in: &[(&str, &str)]| {
            let mut fields = form.fields();
            fields.retain(|(name, _)| filled_in.iter().all(|(known, _)| known != name));
            let kept = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let fields: Vec<(&str, &str)> = kept.chain(filled_in.iter().copied()).collect();
            client.send(Method::POST, form.attribute("action"), Some(&fields), &SILENT)
        };
        let credentials = [("username", "ada"), ("password", PASSWORD)];
        let ada = server.anyone();
        let page = ada.get("/login").expect(200);
        assert_eq!(page.cookies(), Vec::<String>::new(), "{backend:?}: it needs no cookie");
        let page = page.page();
        let form = page.form_with("password");
        // Another browser's form, a form that was open for too long, and none.
        let other = server.anyone().header("user-agent", "Other/1.0");
        send(&other, &form, &credentials).expect(403);
        let refused = ada
            .send(Method::POST, "/login", Some(&credentials), &SILENT)
            .expect(403);
        assert!(
            refused.page().shows("Referrer-Policy: no-referrer"),
            "{backend:?}: {}",
            refused.text()
        );
        send(&ada, &form, &credentials).expect(303);
        ada.get("/").expect(200);
        // Signed in, the token is the session's.
        let signed_out_token = form.field("form_token");
        ada.send(
            Method::POST,
            "/logout",
            Some(&[("form_token", &signed_out_token)]),
            &SILENT,
        )
        .expect(403);
        let home = ada.get("/").expect(200).page();
        let stranger = server.anyone();
        send(&stranger, &home.form("/logout"), &[]).expect(403);
        server.advance(12 * 3600 + 2);
        send(&ada, &home.form("/logout"), &[]).expect(403);
        let home = ada.get("/").expect(200).page();
        send(&ada, &home.form("/logout"), &[]).expect(303);
        ada.get("/").expect(303);
    }
}

#[test]
fn over_https_pages_need_no_tokens() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "https://login.example.org")
        .start();
    let page = server
        .anyone()
        .header("host", "login.example.org")
        .get("/login")
        .expect(200);
    assert!(!page.text().contains("form_token"));
}

#[test]
fn a_foreign_referer_alone_is_refused_and_our_own_is_taken() {
    let server = TestServer::start();
    let ada = program(server.member("ada"));
    let own = format!("{}/login", server.base);
    for referer in ["https://evil.example/page?token=1", "http://127.0.0.1:1/", "nonsense"] {
        let answer = ada.send(Method::POST, "/logout", Some(&[]), &[("referer", referer)]);
        assert!(is_cross_site(&answer), "{referer}: {}", answer.status());
    }
    let denied: Vec<_> = server
        .audit()
        .into_iter()
        .filter(|row| row.event.as_str() == "access.denied")
        .collect();
    assert_eq!(denied.len(), 1, "one a minute");
    let detail = denied[0].detail.to_string();
    assert!(
        detail.contains("https://evil.example/page") && !detail.contains("token"),
        "{detail}"
    );
    ada.send(Method::POST, "/logout", Some(&[]), &[("referer", &own)])
        .expect(303);
}

#[test]
fn same_site_requests_and_programs_are_accepted() {
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
    assert!(ada.get("/").expect(200).page().shows("ada"));
    assert!(!server.events().iter().any(|event| event == "sign_out"));
}

#[test]
fn with_a_public_url_only_its_origin_counts() {
    let server = TestServer::on(Backend::Sqlite)
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
    // A forged forwarded host has no effect.
    let forged = [
        ("origin", "https://evil"),
        ("x-forwarded-host", "evil"),
        ("forwarded", "host=evil"),
    ];
    client().send(Method::POST, "/login", Some(form), &forged).expect(403);
}

/// Forms with a file.
const UPLOADS: &[&str] = &[paths::ADMIN_POLICY_IMPORT, paths::ADMIN_ACCOUNTS_IMPORT];

/// Passkey requests of scripts: these take JSON and no forms.
const JSON_BODIES: &[&str] = &[
    paths::LOGIN_PASSKEY_OPTIONS,
    paths::LOGIN_PASSKEY,
    paths::LOGIN_FACTOR_OPTIONS,
    paths::LOGIN_FACTOR_PASSKEY,
    paths::FACTOR_OPTIONS,
    paths::FACTOR_PASSKEY,
    paths::FACTORS_PASSKEY_OPTIONS,
    paths::FACTORS_PASSKEYS,
];

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
                400 if JSON_BODIES.contains(&route.path) && kind == "application/json" => {}
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
