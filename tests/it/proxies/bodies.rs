//! Request bodies arrive unchanged at any size; the auth request before them contains none of it.

use crate::harness::{
    chain::{Chain, EVERY, status},
    client::FIREFOX,
};
use nightlatch::domain::account::Role;
use std::io::{Read, Write};

const MIB: usize = 1024 * 1024;

/// Binary bytes with a very long period.
fn body(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}

/// A request with a body, of known length or in chunks; the status.
fn send(chain: &Chain, method: &str, cookie: &str, body: &[u8], chunked: bool) -> u16 {
    let host = chain.authority("wiki");
    let framing = match chunked {
        true => "Transfer-Encoding: chunked".to_owned(),
        false => format!("Content-Length: {}", body.len()),
    };
    let head = format!(
        "{method} /save?draft=1 HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {FIREFOX}\r\nCookie: {cookie}\r\nAccept: text/html\r\n\
         Content-Type: application/octet-stream\r\n{framing}\r\nConnection: close\r\n\r\n"
    );
    let mut socket = chain.connect();
    socket.write_all(head.as_bytes()).unwrap();
    // A refused client may find the connection closed before it has sent everything.
    if chunked {
        for part in body.chunks(60_000) {
            socket.write_all(format!("{:x}\r\n", part.len()).as_bytes()).ok();
            socket.write_all(part).ok();
            socket.write_all(b"\r\n").ok();
        }
        socket.write_all(b"0\r\n\r\n").ok();
    } else {
        socket.write_all(body).ok();
    }
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).ok();
    status(&String::from_utf8_lossy(&answer))
}

#[test]
fn bodies_of_several_mebibytes_arrive_whole_and_are_not_sent_to_the_gateway() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        let cookie = chain.sign_in("ada").cookie_header();
        let sent = chain.relay.bytes();
        let large = body(5 * MIB);
        for (method, chunked) in [("POST", false), ("PUT", true), ("POST", true), ("PATCH", false)] {
            assert_eq!(
                send(&chain, method, &cookie, &large, chunked),
                200,
                "{kind:?} {method} {chunked}"
            );
            let asked = chain.application.last();
            assert_eq!(
                (asked.method.as_str(), asked.target.as_str()),
                (method, "/save?draft=1"),
                "{kind:?}"
            );
            assert_eq!(asked.body.len(), large.len(), "{kind:?} {method}");
            assert!(asked.body == large, "{kind:?} {method}: other bytes arrived");
            assert_eq!(asked.header("remote-user").as_deref(), Some("ada"), "{kind:?}");
            let question = chain.relay.questions().pop().unwrap();
            let told = question
                .header("x-original-method")
                .or(question.header("x-forwarded-method"));
            assert_eq!(told.as_deref(), Some(method), "{kind:?}: judged as what it is");
        }
        let sent = chain.relay.bytes() - sent;
        assert!(sent < 64 * 1024, "{kind:?}: {sent} bytes went to the gateway");
    }
}

#[test]
fn a_post_without_a_sign_in_changes_nothing() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        let sent = chain.relay.bytes();
        for chunked in [false, true] {
            let status = send(&chain, "POST", "", &body(100_000), chunked);
            assert!([302, 303, 401].contains(&status), "{kind:?} {chunked}: {status}");
        }
        assert_eq!(chain.application.requests(), 0, "{kind:?}");
        let sent = chain.relay.bytes() - sent;
        assert!(sent < 16 * 1024, "{kind:?}: {sent} bytes went to the gateway");
    }
}
