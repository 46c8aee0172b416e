//! Unusual auth requests of proxies: in doubt the answer is never 200, and a handler that panics is
//! a 500.

use super::kit::{Wire, wire};
use crate::harness::{
    client::FIREFOX,
    server::{Backend, TestServer, operator},
};
use actix_web::{HttpResponse, HttpServer, middleware::from_fn, web};
use nightlatch::{
    domain::application::RequestTarget,
    flows::applications::{self, ApplicationChange, ApplicationOutcome},
    http::{self, session_cookie::CookieKeys},
};
use proptest::{prelude::*, test_runner::TestRunner};
use std::{cell::Cell, sync::Arc};

const STATUSES: [u16; 7] = [400, 401, 302, 303, 403, 431, 503];

fn server() -> TestServer {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    let wiki = ApplicationChange {
        hosts: Some(vec!["wiki.example.org".to_owned()]),
        ..ApplicationChange::default()
    };
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, "wiki", wiki);
    assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    server
}

/// Returns an auth request for this address, with these additional lines.
fn question(dialect: usize, proto: &str, host: &str, path: &[u8], lines: &[Vec<u8>]) -> Vec<u8> {
    let (proto, host) = (proto.as_bytes(), host.as_bytes());
    let mut parts: Vec<&[u8]> = Vec::new();
    match dialect {
        0 => parts.extend([
            b"GET /api/authz/auth-request HTTP/1.1\r\nHost: x\r\nX-Original-Method: GET\r\nX-Original-URL: ",
            proto,
            b"://",
            host,
            path,
        ]),
        1 => parts.extend([
            b"GET /api/authz/forward-auth HTTP/1.1\r\nHost: x\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: ",
            proto,
            b"\r\nX-Forwarded-Host: ",
            host,
            b"\r\nX-Forwarded-Uri: ",
            path,
        ]),
        _ => parts.extend([
            b"GET /api/authz/ext-authz".as_slice(),
            path,
            b" HTTP/1.1\r\nX-Forwarded-Proto: ",
            proto,
            b"\r\nHost: ",
            host,
        ]),
    }
    parts.extend([
        b"\r\nAccept: text/html\r\nConnection: close\r\nUser-Agent: ".as_slice(),
        FIREFOX.as_bytes(),
    ]);
    for line in lines {
        parts.extend([b"\r\n".as_slice(), line]);
    }
    parts.push(b"\r\n\r\n");
    parts.concat()
}

/// Returns any bytes that a header may contain.
fn bytes(length: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no end of the line", |byte| !b"\r\n".contains(byte));
    proptest::collection::vec(byte, length)
}

fn cookie(value: &[u8]) -> Vec<u8> {
    [b"Cookie: nightlatch=".as_slice(), value].concat()
}

/// Returns cookie lines similar to the valid one of `own` and very different ones; none of them is
/// valid.
fn near(own: &str) -> impl Strategy<Value = Vec<Vec<u8>>> + use<> {
    let own = own.as_bytes().to_vec();
    let length = own.len();
    let other = own.clone();
    let changed = (0..length, any::<u8>()).prop_map(move |(at, byte)| {
        let mut value = own.clone();
        // Only characters of a cookie's value, and a different one than before; %2f and %2F are
        // equal.
        let signs = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=%-_.~!*'()";
        let sign = signs[usize::from(byte) % signs.len()];
        value[at] = if value[at].eq_ignore_ascii_case(&sign) {
            b'?'
        } else {
            sign
        };
        value
    });
    let (cut, quoted) = (other.clone(), other.clone());
    prop_oneof![
        4 => changed.prop_map(|value| vec![cookie(&value)]),
        2 => (0..length).prop_map(move |at| vec![cookie(&cut[..at])]),
        2 => (0..length, bytes(1..20)).prop_map(move |(at, more)| {
            let mut value = other.clone();
            value.splice(at..at, more.into_iter().map(|byte| byte & 0x7f | 0x40));
            vec![cookie(&value)]
        }),
        1 => Just(vec![cookie(&[b"\"".as_slice(), &quoted, b"x\""].concat())]),
        3 => bytes(0..200).prop_map(|value| vec![cookie(&value)]),
        3 => bytes(0..200).prop_map(|line| vec![[b"Cookie: ".as_slice(), &line].concat()]),
        1 => (1_usize..4000).prop_map(|number| vec![cookie("x; nightlatch=".repeat(number).as_bytes())]),
        1 => (1_usize..140_000).prop_map(|length| vec![cookie(&vec![b'x'; length])]),
    ]
}

/// The status; a server that refuses a huge head may close before the answer is read.
fn judged(wire: &Wire, sent: usize) -> Option<u16> {
    match wire.statuses()[..] {
        [] if sent > 32_000 && wire.closed => None,
        [status] => Some(status),
        _ => panic!("{:?}", wire.text),
    }
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    })
}

#[test]
fn a_cookie_that_is_not_exactly_the_one_we_gave_never_passes() {
    let server = server();
    let own = server.member("ada").cookie("nightlatch").unwrap();
    let whole = |lines: Vec<Vec<u8>>| question(0, "https", "wiki.example.org", b"/page", &lines);
    assert_eq!(
        wire(&server, &whole(vec![cookie(own.as_bytes())])).statuses(),
        [200],
        "the one we gave does"
    );
    let cases = (0_usize..3, near(&own));
    let run = runner(600).run(&cases, |(dialect, lines)| {
        let sent = question(dialect, "https", "wiki.example.org", b"/page", &lines);
        let answer = wire(&server, &sent);
        if let Some(status) = judged(&answer, sent.len()) {
            prop_assert!(STATUSES.contains(&status), "{}", answer.text);
            prop_assert!(!answer.text.contains("remote-user: ada"), "{}", answer.text);
        }
        Ok(())
    });
    run.unwrap();
    for planted in ["other", &own[1..]] {
        let both = [cookie(planted.as_bytes()), cookie(own.as_bytes())];
        let one_line = cookie(format!("{planted}; nightlatch={own}").as_bytes());
        for lines in [both.to_vec(), both.iter().rev().cloned().collect(), vec![one_line]] {
            assert_eq!(
                wire(&server, &whole(lines)).statuses(),
                [200],
                "what no key of ours signed is passed over"
            );
        }
    }
    assert_eq!(
        wire(&server, &whole(vec![cookie(own.as_bytes())])).statuses(),
        [200],
        "and nothing of it ended the session"
    );
}

#[test]
fn no_header_opens_another_door_than_the_one_that_was_asked_about() {
    let server = server();
    let own = cookie(server.member("ada").cookie("nightlatch").unwrap().as_bytes());
    let names = prop_oneof![
        Just("X-Original-URL"),
        Just("X-Original-Method"),
        Just("X-Forwarded-Host"),
        Just("X-Forwarded-Uri"),
        Just("X-Forwarded-Proto"),
        Just("X-Forwarded-For"),
        Just("X-Forwarded-Method"),
        Just("Forwarded"),
        Just("X-Rewrite-URL"),
        Just("X-HTTP-Method-Override"),
        Just("Remote-User"),
        Just("Authorization"),
        Just("Host"),
        Just("Connection"),
        Just("Transfer-Encoding"),
        Just("Content-Length"),
        Just("Expect"),
        Just("Cookie"),
        "[!-9;-~]{1,40}".prop_map(|name: String| &*name.leak()),
    ];
    let lines = proptest::collection::vec((names, bytes(0..120)), 0..6);
    let lines = lines.prop_map(|lines| {
        let line = |(name, value): (&str, Vec<u8>)| [name.as_bytes(), b": ", &value].concat();
        lines.into_iter().map(line).collect::<Vec<_>>()
    });
    let host = prop_oneof![
        3 => Just("wiki.example.org".to_owned()),
        1 => Just("WIKI.example.org.:8443".to_owned()),
        2 => "[a-z.@:#\\[\\]%-]{0,12}(wiki\\.example\\.org)?[a-z.@:#%0-9-]{0,12}",
    ];
    let proto = prop_oneof![4 => Just("https"), 1 => Just("wss"), 1 => Just("ftp"), 1 => Just("")];
    let path = prop_oneof![2 => Just(b"/page".to_vec()), 1 => bytes(0..60)];
    let (passed, refused) = (Cell::new(0), Cell::new(0));
    let cases = (0_usize..3, proto, host, path, lines);
    let run = runner(600).run(&cases, |(dialect, proto, host, path, mut lines)| {
        lines.push(own.clone());
        let answer = wire(&server, &question(dialect, proto, &host, &path, &lines));
        for status in answer.statuses() {
            // An Envoy's path may be no path of ours at all.
            let known = STATUSES.contains(&status) || (dialect == 2 && [404, 405, 421].contains(&status));
            prop_assert!(known || status == 200, "{}", answer.text);
            if status == 200 {
                let target = RequestTarget::of_parts(proto, &host, "/").unwrap();
                prop_assert_eq!(target.host(), "wiki.example.org");
            }
        }
        let count = match answer.statuses()[..] {
            [200] => &passed,
            _ => &refused,
        };
        count.set(count.get() + 1);
        Ok(())
    });
    run.unwrap();
    let (passed, refused) = (passed.get(), refused.get());
    assert!(passed > 20 && refused > 20, "{passed} passed, {refused} did not");
}

#[test]
fn a_handler_that_panics_is_a_500_and_the_next_request_is_answered() {
    let server = TestServer::start();
    let ctx = server.ctx.clone();
    let keys = Arc::new(CookieKeys::new([[7_u8; 64].as_slice()].into_iter()).unwrap());
    let (told, port) = std::sync::mpsc::channel();
    // Our own application with one more address, wrapped as all of them are.
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let panics = || async {
                let nothing = std::hint::black_box(None::<HttpResponse>);
                nothing.expect("a defect of a handler, with a secret in its words")
            };
            let built = HttpServer::new(move || {
                let resource = web::resource("/panics").route(web::route().to(panics));
                http::app_and(ctx.clone(), keys.clone(), |config| {
                    config.service(resource.wrap(from_fn(http::error_page::catch_panic)));
                })
            })
            .workers(1)
            .disable_signals()
            .bind("127.0.0.1:0")
            .unwrap();
            told.send(built.addrs()[0]).unwrap();
            built.run().await.unwrap();
        });
    });
    let address = port.recv().unwrap();
    let mut client = crate::harness::client::Client::new(&format!("http://{address}"));
    // Under the name that the configuration of this context gives us.
    client = client.header("host", server.base.trim_start_matches("http://"));
    for _ in 0..20 {
        let answer = client.get("/panics").expect(500);
        assert!(!answer.text().contains("secret"), "{}", answer.text());
        assert!(answer.header("content-security-policy").is_some());
        assert!(answer.header("x-request-id").is_some());
        client.get("/healthz").expect(200);
    }
    let program = client.header("accept", "application/json").get("/panics").expect(500);
    assert_eq!(program.json()["code"], "internal");
}
