//! Requests that no browser sends: broken framing, oversized and slow requests, invalid UTF-8.

use super::kit::{authority, save, wire};
use crate::harness::{
    client::FIREFOX,
    server::{Backend, PASSWORD, TestServer},
};
use nightlatch::domain::account::Role;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

const SMUGGLED: &str = "GET /static/app.css HTTP/1.1\r\nHost: x\r\n\r\n";

fn post(server: &TestServer, lines: &str, body: &str) -> super::kit::Wire {
    let host = authority(server);
    let request = format!(
        "POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n{lines}\r\n{body}"
    );
    wire(server, request.as_bytes())
}

#[test]
fn ambiguous_framing_is_refused_and_the_connection_closed() {
    let server = TestServer::start();
    let chunked = format!("0\r\n\r\n{SMUGGLED}");
    let cases = [
        (
            "CL.TE",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            chunked.clone(),
        ),
        (
            "TE.CL",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            chunked.clone(),
        ),
        (
            "two lengths",
            "Content-Length: 0\r\nContent-Length: 40\r\n",
            SMUGGLED.to_owned(),
        ),
        (
            "the same length twice",
            "Content-Length: 0\r\nContent-Length: 0\r\n",
            SMUGGLED.to_owned(),
        ),
        ("a list of lengths", "Content-Length: 0, 40\r\n", SMUGGLED.to_owned()),
        ("a signed length", "Content-Length: +40\r\n", SMUGGLED.to_owned()),
        ("a negative length", "Content-Length: -1\r\n", SMUGGLED.to_owned()),
        ("a hexadecimal length", "Content-Length: 0x28\r\n", SMUGGLED.to_owned()),
        (
            "a huge length",
            "Content-Length: 99999999999999999999\r\n",
            SMUGGLED.to_owned(),
        ),
        ("an odd coding", "Transfer-Encoding: xchunked\r\n", chunked.clone()),
        (
            "two codings",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            chunked.clone(),
        ),
        (
            "a list of codings",
            "Transfer-Encoding: gzip, chunked\r\n",
            chunked.clone(),
        ),
        ("a vertical tab", "Transfer-Encoding: \u{b}chunked\r\n", chunked.clone()),
        (
            "a space before the colon",
            "Transfer-Encoding : chunked\r\n",
            chunked.clone(),
        ),
        (
            "a folded line",
            "X-Folded: a\r\n b\r\nContent-Length: 0\r\n",
            SMUGGLED.to_owned(),
        ),
        (
            "a carriage return within",
            "X-Odd: a\rContent-Length: 40\r\nContent-Length: 0\r\n",
            SMUGGLED.to_owned(),
        ),
        (
            "NUL in a header",
            "X-Odd: a\0b\r\nContent-Length: 0\r\n",
            SMUGGLED.to_owned(),
        ),
        (
            "a broken chunk",
            "Transfer-Encoding: chunked\r\n",
            format!("zz\r\nabc\r\n0\r\n\r\n{SMUGGLED}"),
        ),
    ];
    for (what, lines, body) in cases {
        let answer = post(&server, lines, &body);
        assert_eq!(answer.statuses(), [400], "{what}: {}", answer.text);
        assert!(answer.closed, "{what}: the connection stays open");
    }
    // The server still works.
    server.anyone().get("/login").expect(200);
}

#[test]
fn odd_request_lines_reach_nothing() {
    let server = TestServer::start();
    let host = authority(&server);
    for line in [
        "GET /login HTTP/1.1 x",
        "GET  /login HTTP/1.1",
        "GET /login HTTP/3.0",
        "GET /login",
        "GET /lo\0gin HTTP/1.1",
        "GET /login\u{7f} HTTP/1.1",
        "GE\u{1}T /login HTTP/1.1",
        "\u{16}\u{3}\u{1}\u{2}",
    ] {
        let answer = wire(&server, format!("{line}\r\nHost: {host}\r\n\r\n").as_bytes());
        assert!(
            answer.statuses().iter().all(|status| *status >= 400),
            "{line:?}: {:?}",
            answer.statuses()
        );
        assert!(answer.closed, "{line:?}");
    }
}

#[test]
fn a_header_of_64_kib_and_ten_thousand_cookies_are_bounded() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let own = ada.cookie("nightlatch").unwrap();
    let host = authority(&server);
    let long = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nX-Long: {}\r\n\r\n",
        "a".repeat(64 << 10)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {FIREFOX}\r\nCookie: {}nightlatch={own}\r\n\r\n",
        "a=b; ".repeat(10_000)
    );
    let lines = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n",
        "Cookie: a=b\r\n".repeat(10_000)
    );
    let endless = format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "a".repeat(1 << 20));
    for request in [long, many, lines, endless] {
        let start = Instant::now();
        let answer = wire(&server, request.as_bytes());
        let statuses = answer.statuses();
        assert!(
            statuses
                .iter()
                .all(|status| [200, 303, 400, 404, 413, 414, 431].contains(status)),
            "{statuses:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    ada.get("/").expect(200);
}

#[test]
fn a_body_of_ten_megabytes_is_refused_without_being_read() {
    let server = TestServer::start();
    let start = Instant::now();
    let answer = post(&server, "Content-Length: 10485760\r\n", &"x".repeat(10 << 20));
    assert!(
        answer.statuses() == [413] || (answer.statuses().is_empty() && answer.closed),
        "{}",
        answer.text
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(1 << 16)).repeat(160);
    let answer = post(&server, "Transfer-Encoding: chunked\r\n", &format!("{chunk}0\r\n\r\n"));
    assert!(
        answer.statuses() == [413] || (answer.statuses().is_empty() && answer.closed),
        "{}",
        answer.text
    );
    server.anyone().get("/login").expect(200);
}

#[test]
fn a_header_that_never_ends_is_cut_off() {
    let server = TestServer::start();
    let mut socket = TcpStream::connect(authority(&server)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(25))).unwrap();
    socket.write_all(b"GET /login HTTP/1.1\r\nHost: ").unwrap();
    let start = Instant::now();
    let mut read = Vec::new();
    socket.read_to_end(&mut read).unwrap();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let text = String::from_utf8_lossy(&read).into_owned();
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 408"), "{text}");
}

#[test]
fn nul_and_broken_utf_8_in_forms_queries_and_cookies_are_refused_without_an_error() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let admin = server.admin("boss");
        let cookie = admin.cookie("nightlatch").unwrap();
        let login = |body: &str| {
            let lines = format!("Content-Length: {}\r\nConnection: close\r\n", body.len());
            post(&server, &lines, body).statuses()
        };
        for body in [
            "username=a%00b&password=wrong",
            "username=%00&password=%00",
            "username=%ff%fe&password=%ff",
            "username=%ed%a0%80&password=x",
            "username=%F0%9F%92%A9&password=%E2%80%AE",
            "username=&password=",
        ] {
            assert_eq!(login(body), [422], "{backend:?} {body}");
        }
        for query in [
            "/admin/sessions?q=%00",
            "/admin/sessions?app=%00&account=%00",
            "/admin/audit?q=a%00b&actor=%00&account=%00&since=%00",
            "/admin/audit?event=%00&without=%00",
            "/admin/accounts?q=%00&after=%00",
            "/admin/lockouts?q=%00",
            "/admin/sessions?q=%ff&after=%ff.%ff",
            "/admin/sessions?after=9223372036854775807.00000000000000000000000000000000",
            "/admin/audit?before=-9223372036854775808.00000000000000000000000000000000",
            "/admin/audit?since=-262144-01-01&until=%2B262142-12-31T23:59:60Z",
            "/admin/sessions?idle=9999999999999999999d",
            "/admin/policy?app=%00",
            "/admin/policy/revisions/9223372036854775807",
            "/admin/policy/revisions/99999999999999999999999",
            "/login?return_to=%00&reason=%00",
        ] {
            let status = admin.get(query).status();
            let expected: &[u16] = if query.starts_with("/login") {
                &[303]
            } else {
                &[200, 400, 404]
            };
            assert!(expected.contains(&status), "{backend:?} {query}: {status}");
        }
        for (path, form) in [
            ("/admin/accounts", vec![("name", "a\0b"), ("role", "member")]),
            (
                "/admin/accounts",
                vec![
                    ("name", "x"),
                    ("role", "member"),
                    ("display_name", "\0"),
                    ("groups", "\0"),
                ],
            ),
            (
                "/admin/accounts",
                vec![("name", "x"), ("role", "member"), ("email", "a\0@b.c")],
            ),
        ] {
            assert_eq!(admin.post(path, &form).status(), 422, "{backend:?} {form:?}");
        }
        let host = authority(&server);
        let mut request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: other=").into_bytes();
        request.extend_from_slice(b"\xff\xfe; nightlatch=");
        request.extend_from_slice(cookie.as_bytes());
        request.extend_from_slice(b"\r\nUser-Agent: \xff\xfe\r\nConnection: close\r\n\r\n");
        let statuses = wire(&server, &request).statuses();
        assert!(statuses == [303] || statuses == [200], "{backend:?} {statuses:?}");
        assert!(!server.events().is_empty());
    }
}

#[test]
fn a_reason_with_nul_is_saved_or_refused_but_never_a_fault_of_ours() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let admin = server.admin("boss");
        let base = server
            .run(nightlatch::flows::policy::in_force(&server.ctx))
            .unwrap()
            .revision
            .revision;
        let reason = [("reason", "a\0b\u{202e}\r\nc")];
        let status = save(&admin, base, &[("session.ttl", "1h")], &reason).status();
        assert!([303, 422, 400].contains(&status), "{backend:?}: {status}");
        let base = base.to_string();
        admin.get("/admin/policy/revisions").expect(200);
        let app = [("base", base.as_str()), ("scope", "app:a\0b"), ("session.ttl", "1h")];
        assert!(
            [303, 400, 409, 422].contains(&admin.post("/admin/policy", &app).status()),
            "{backend:?}"
        );
    }
}

#[test]
fn names_that_forge_lines_stay_one_record_in_the_log_and_show_as_text_in_the_list() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("security.log");
        let server = TestServer::on(backend)
            .env("NIGHTLATCH_SECURITY_LOG", path.to_str().unwrap())
            .start();
        let admin = server.admin("boss");
        let lines = |path: &std::path::Path| std::fs::read_to_string(path).unwrap().lines().count();
        let evil = [
            "eve\r\n{\"event\":\"sign_in.accepted\",\"account\":\"boss\"}",
            "\u{1b}[2J\u{1b}[31mred",
            "\u{202e}gpj.exe",
            "line\u{2028}separator\u{85}next",
            "<img src=x onerror=alert(1)>",
            "\"><script>alert(1)</script>",
            "zero\u{200b}width\u{feff}",
            "=cmd|' /C calc'!A0",
        ];
        for name in evil {
            let before = lines(&path);
            server
                .anyone()
                .header("user-agent", "<svg onload=alert(1)>")
                .sign_in(name, "wrong")
                .expect(422);
            assert_eq!(lines(&path) - before, 1, "{backend:?} {name:?}");
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let record: serde_json::Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(record["event"].is_string());
        }
        assert!(
            !text
                .chars()
                .any(|c| c != '\n' && (c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c)))
        );
        for page in ["/admin/audit", "/admin/lockouts", "/admin", "/admin/sessions"] {
            let html = admin.get(page).expect(200).text().to_owned();
            for tag in ["<img src=x", "<script>alert", "<svg onload"] {
                assert!(!html.contains(tag), "{backend:?} {page} {tag}");
            }
        }
        let csv = admin.post("/admin/audit/export?format=csv", &[]).expect(200);
        for record in super::kit::records(csv.text()) {
            for cell in record {
                assert!(
                    !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
                    "{backend:?} {cell:?}"
                );
            }
        }
    }
}

#[test]
fn half_a_body_does_not_hold_a_form_open_for_ever() {
    let server = TestServer::start();
    server.account("ada", Role::Member);
    let host = authority(&server).to_owned();
    // 40 stalled bodies do not keep other clients out.
    let stalled: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut socket = TcpStream::connect(&host).unwrap();
            let head = format!(
                "POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nusername=a"
            );
            socket.write_all(head.as_bytes()).unwrap();
            socket
        })
        .collect();
    let start = Instant::now();
    server.anyone().sign_in("ada", PASSWORD).expect(303);
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(stalled);
}

#[test]
fn a_client_without_an_agent_is_its_own_and_another_agent_ends_it() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let cookie = ada.cookie("nightlatch").unwrap();
    let host = authority(&server);
    let bare = |lines: &str| {
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\n{lines}Cookie: nightlatch={cookie}\r\nConnection: close\r\n\r\n"
        );
        wire(&server, request.as_bytes()).statuses()
    };
    assert_eq!(bare(&format!("User-Agent: {FIREFOX}\r\n")), [200]);
    assert_eq!(bare(""), [303], "absent is not the same as present");
    assert_eq!(ada.get("/").expect(303).location(), "/login?reason=user_agent");
}
