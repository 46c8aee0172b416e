//! The host names that are answered; no request changes where links lead.

use super::kit::{authority, wire};
use crate::harness::server::{Backend, PASSWORD, TestServer};
use nightlatch::domain::account::Role;
use reqwest::Method;

fn get(server: &TestServer, target: &str, lines: &str) -> Vec<u16> {
    let request = format!("GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n");
    wire(server, request.as_bytes()).statuses()
}

#[test]
fn only_our_own_name_is_answered() {
    let server = TestServer::start();
    let own = authority(&server).to_owned();
    let port = own.rsplit(':').next().unwrap().to_owned();
    for host in [
        own.clone(),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        format!("LOCALHOST:{port}"),
    ] {
        assert_eq!(get(&server, "/login", &format!("Host: {host}\r\n")), [200], "{host}");
    }
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        format!("127.0.0.1:{port}.evil.example"),
        format!("evil@127.0.0.1:{port}"),
        format!("127.0.0.1:{port}/"),
        format!("localhost.:{port}"),
        format!("[::1%25lo]:{port}"),
        "127.0.0.1".to_owned(),
        "127.0.0.1:".to_owned(),
        format!("127.0.0.1:0{port}0"),
        format!("{own}, evil.example"),
        String::new(),
    ] {
        let statuses = get(&server, "/login", &format!("Host: {host}\r\n"));
        assert!(statuses == [421] || statuses == [400], "{host}: {statuses:?}");
    }
    let none = get(&server, "/login", "");
    assert!(none == [400] || none == [421], "no host at all: {none:?}");
    for second in [own.as_str(), "evil.example"] {
        let two = get(&server, "/login", &format!("Host: {own}\r\nHost: {second}\r\n"));
        assert!(two == [400] || two == [421], "two hosts: {two:?}");
    }
}

#[test]
fn a_port_that_a_proxy_drops_and_a_final_dot_are_understood() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "https://login.example.org:8443")
        .start();
    for host in [
        "login.example.org:8443",
        "login.example.org",
        "login.example.org.",
        "Login.Example.org.:8443",
    ] {
        assert_eq!(get(&server, "/login", &format!("Host: {host}\r\n")), [200], "{host}");
    }
    for host in ["login.example.org:443", "login.example.org:80", "example.org:8443"] {
        assert_eq!(get(&server, "/login", &format!("Host: {host}\r\n")), [421], "{host}");
    }
}

#[test]
fn a_refused_host_is_reported_with_both_names_and_the_remedy() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "https://login.example.org:8443")
        .start();
    let asked = server.anyone().header("host", "wrong.example.org:8443");
    let program = asked.thief().header("accept", "application/json");
    let told = program.get("/login").expect(421).json()["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    for part in [
        "login.example.org:8443",
        "\"wrong.example.org:8443\"",
        "public_url",
        "proxy_set_header Host $http_host",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let page = asked.get("/login").expect(421);
    assert!(page.text().contains("wrong.example.org:8443") && page.text().contains("public_url"));
}

#[test]
fn requests_for_a_foreign_host_are_on_record_and_limited_in_number() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let foreign = |host: &str| server.anyone().header("host", host).get("/login?secret=1").expect(421);
        for host in ["one.example", "two.example", "three.example"] {
            foreign(host);
        }
        assert_eq!(server.events(), ["access.denied foreign_host"], "{backend:?}");
        let row = server.audit().remove(0);
        let detail = row.detail.to_string();
        assert!(
            detail.contains("one.example") && detail.contains("/login"),
            "{backend:?}: {detail}"
        );
        assert!(!detail.contains("secret"), "{backend:?}: {detail}");
        server.advance(60);
        foreign("four.example");
        server
            .run(nightlatch::flows::refusals::write_over(&server.ctx))
            .unwrap();
        let rows = server.audit();
        let counted = rows
            .iter()
            .filter(|row| row.detail.to_string().contains("\"refusals\":2"))
            .count();
        assert_eq!((rows.len(), counted), (3, 1), "{backend:?}: {rows:?}");
    }
}

#[test]
fn an_absolute_target_must_name_the_same_host() {
    let server = TestServer::start();
    let own = authority(&server).to_owned();
    let host = format!("Host: {own}\r\n");
    assert_eq!(get(&server, &format!("http://{own}/login"), &host), [200]);
    for target in [
        "http://evil.example/login",
        "https://evil.example/",
        "http://evil@127.0.0.1/login",
    ] {
        let statuses = get(&server, target, &host);
        assert!(statuses == [421] || statuses == [400], "{target}: {statuses:?}");
        assert_ne!(get(&server, target, "Host: evil.example\r\n"), [200], "{target}");
    }
}

#[test]
fn links_and_redirects_never_follow_what_the_request_claims() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let forged = [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "444"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-original-url", "https://evil.example/admin"),
        ("x-rewrite-url", "/admin"),
        ("x-host", "evil.example"),
    ];
    let client = server.anyone();
    let form: &[(&str, &str)] = &[("username", "ada"), ("password", PASSWORD)];
    let signed_in = client.send(Method::POST, "/login", Some(form), &forged).expect(303);
    assert_eq!(signed_in.location(), "/");
    let cookies = signed_in.cookies();
    let cookie = cookies.iter().find(|line| line.starts_with("nightlatch=")).unwrap();
    assert!(!cookie.contains("Domain") && !cookie.contains("Secure"), "{cookie}");
    for path in ["/", "/login", "/password", "/nothing"] {
        let answer = client.send(Method::GET, path, None, &forged);
        assert!(
            !answer.text().contains("evil.example") && !answer.location().contains("evil"),
            "{path}"
        );
    }
    let away = server.anyone().send(Method::GET, "/admin", None, &forged).expect(303);
    assert_eq!(away.location(), "/login?return_to=%2Fadmin");
}

#[test]
fn probes_answer_under_any_name_and_say_nothing_else() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "https://login.example.org")
        .start();
    for path in ["/healthz", "/readyz"] {
        let answer = server.anyone().get(path).expect(200);
        assert!(answer.text().len() < 20, "{}", answer.text());
    }
    for path in [
        "/login",
        "/",
        "/healthz/",
        "/healthz%2f..%2flogin",
        "//healthz",
        "/static/app.css",
    ] {
        assert_eq!(server.anyone().get(path).status(), 421, "{path}");
    }
}
