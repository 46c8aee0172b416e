//! A WebSocket through the proxy is judged when it opens; other protocols are not let through.

use crate::harness::{
    chain::{Chain, EVERY, Kind, status},
    client::FIREFOX,
    upstream::{NONCE, PROOF, Reply},
};
use nightlatch::domain::account::Role;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// Asks for an upgrade; the connection and the head of the answer.
fn upgrade(chain: &Chain, to: &str, cookie: &str) -> (TcpStream, String) {
    let host = chain.authority("wiki");
    let request = format!(
        "GET /live HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {FIREFOX}\r\nCookie: {cookie}\r\nOrigin: http://{host}\r\n\
         Connection: Upgrade\r\nUpgrade: {to}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {NONCE}\r\n\r\n"
    );
    let mut socket = chain.connect();
    socket.write_all(request.as_bytes()).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    (socket, String::from_utf8_lossy(&head).into_owned())
}

/// Sends a text over an open WebSocket, and returns the answer.
fn say(socket: &mut TcpStream, text: &str) -> String {
    const MASK: [u8; 4] = [7, 31, 127, 3];
    let mut frame = vec![0x81, 0x80 | text.len() as u8];
    frame.extend(MASK);
    frame.extend(text.bytes().enumerate().map(|(at, byte)| byte ^ MASK[at % 4]));
    socket.write_all(&frame).unwrap();
    let mut start = [0; 2];
    socket.read_exact(&mut start).unwrap();
    assert_eq!(start[0], 0x81, "one text");
    let mut answer = vec![0; usize::from(start[1])];
    socket.read_exact(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

#[test]
fn an_upgrade_is_refused_without_a_session_and_works_with_one() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        let (_, refused) = upgrade(&chain, "websocket", "");
        assert_eq!(status(&refused), 401, "{kind:?}: {refused}");
        let (_, refused) = upgrade(&chain, "websocket", "nightlatch=forged");
        assert_eq!(status(&refused), 401, "{kind:?}: {refused}");
        assert_eq!(chain.application.requests(), 0, "{kind:?}");
        let browser = chain.sign_in("ada");
        let cookie = browser.cookie_header();
        let (mut open, head) = upgrade(&chain, "websocket", &cookie);
        assert_eq!(status(&head), 101, "{kind:?}: {head}");
        assert!(head.contains(PROOF), "{kind:?}: {head}");
        let asked = chain.application.last();
        assert_eq!(asked.header("remote-user").as_deref(), Some("ada"), "{kind:?}");
        assert_eq!(say(&mut open, "good morning"), "good morning", "{kind:?}");
        // One that is open outlives the end of its session; the next one does not open.
        chain.then_at(&browser, "login").post("/logout", &[]).expect(303);
        assert_eq!(say(&mut open, "still here"), "still here", "{kind:?}");
        let (_, refused) = upgrade(&chain, "websocket", &cookie);
        assert_eq!(status(&refused), 401, "{kind:?}: {refused}");
    }
}

#[test]
fn no_other_protocol_is_let_through() {
    for kind in EVERY {
        let chain = Chain::start(kind);
        chain.server.account("ada", Role::Member);
        let cookie = chain.sign_in("ada").cookie_header();
        for protocol in ["h2c", "websocket, h2c", "TLS/1.0"] {
            let (_, head) = upgrade(&chain, protocol, &cookie);
            assert_eq!(status(&head), 200, "{kind:?} {protocol}: answered as it is: {head}");
            let asked = chain.application.last();
            assert_eq!(asked.header("upgrade"), None, "{kind:?} {protocol}: {}", asked.head);
        }
    }
}

/// Opens an event stream of the application, which sends an event ten times a second.
fn listen(chain: &Chain, cookie: &str) -> TcpStream {
    let host = chain.authority("wiki");
    let request = format!(
        "GET /feed HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {FIREFOX}\r\nCookie: {cookie}\r\n\
         Accept: text/event-stream\r\n\r\n"
    );
    let mut socket = chain.connect();
    socket.write_all(request.as_bytes()).unwrap();
    hears_more(&mut socket, 3);
    socket
}

/// Reads until more events have arrived.
fn hears_more(socket: &mut TcpStream, count: usize) {
    let (mut text, mut buffer) = (String::new(), [0; 1024]);
    while text.matches("data: more").count() < count {
        let read = socket.read(&mut buffer).unwrap();
        assert!(read > 0, "closed: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}

/// Reads to the end of a connection, and returns how long it took.
fn is_cut(socket: &mut TcpStream) -> Duration {
    let started = Instant::now();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut rest = Vec::new();
    match socket.read_to_end(&mut rest) {
        Ok(_) => started.elapsed(),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => started.elapsed(),
        Err(error) => panic!("still open: {error}"),
    }
}

fn feed() -> Reply {
    Reply {
        status: "200 OK",
        headers: "Content-Type: text/event-stream\r\n".to_owned(),
        body: String::new(),
    }
}

#[test]
fn what_flows_outlives_the_session_and_what_is_silent_is_cut_by_the_proxy() {
    for (kind, edits) in [
        (
            Kind::Nginx,
            &[("proxy_read_timeout 60s;", "proxy_read_timeout 1s;")][..],
        ),
        (Kind::Haproxy, &[("timeout tunnel 1h", "timeout tunnel 1s")]),
    ] {
        let chain = Chain::of(kind).edits(edits).answering(|_| feed()).start();
        chain.server.account("ada", Role::Member);
        let browser = chain.sign_in("ada");
        let cookie = browser.cookie_header();
        let (mut silent, head) = upgrade(&chain, "websocket", &cookie);
        assert_eq!(status(&head), 101, "{kind:?}: {head}");
        let mut flowing = listen(&chain, &cookie);
        chain.then_at(&browser, "login").post("/logout", &[]).expect(303);
        let took = is_cut(&mut silent);
        println!("{kind:?}: cut after {took:?} without data");
        hears_more(&mut flowing, 15);
    }
}

#[test]
fn a_command_cuts_every_connection_of_an_application_behind_haproxy() {
    let chain = Chain::of(Kind::Haproxy)
        .edits(&[("# stats socket", "stats socket")])
        .answering(|_| feed())
        .start();
    chain.server.account("ada", Role::Member);
    let browser = chain.sign_in("ada");
    let cookie = browser.cookie_header();
    let (mut socket, head) = upgrade(&chain, "websocket", &cookie);
    assert_eq!(status(&head), 101, "{head}");
    let mut feed = listen(&chain, &cookie);
    chain.then_at(&browser, "login").post("/logout", &[]).expect(303);
    assert_eq!(say(&mut socket, "still here"), "still here");
    hears_more(&mut feed, 3);
    let said = chain.command_haproxy("shutdown sessions server wiki/wiki");
    assert_eq!(said.trim(), "");
    for (what, connection) in [("WebSocket", &mut socket), ("event stream", &mut feed)] {
        let took = is_cut(connection);
        println!("{what}: cut after {took:?}");
    }
    let (_, refused) = upgrade(&chain, "websocket", &cookie);
    assert_eq!(status(&refused), 401, "{refused}");
}
