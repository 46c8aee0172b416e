//! `GET /nightlatch/session/events`: what an open page is notified of, and who may listen.

use crate::harness::{
    client::{Client, FIREFOX},
    server::{Backend, PASSWORD, TestDatabase, TestServer, eventually},
};
use nightlatch::{domain::account::Role, flows::accounts::AccountAction, live::event_streams::MAX_PER_SESSION};
use reqwest::Method;
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

const PATH: &str = "/nightlatch/session/events";
const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

/// An open event stream, read from its socket.
pub struct Events {
    socket: TcpStream,
    pub text: String,
}

impl Events {
    /// Opens a stream with these cookies.
    pub fn open(address: &str, host: &str, cookie: &str) -> Self {
        let mut socket = TcpStream::connect(address).unwrap();
        let request = format!(
            "GET {PATH} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {FIREFOX}\r\nCookie: {cookie}\r\n\
             Accept: text/event-stream\r\nAccept-Encoding: gzip\r\nSec-Fetch-Dest: empty\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        Self {
            socket,
            text: String::new(),
        }
    }

    /// The stream of a browser that is signed in.
    pub fn of(server: &TestServer, client: &Client) -> Self {
        let address = server.base.trim_start_matches("http://");
        let mut events = Self::open(address, address, &client.cookie_header());
        events.wait_for(": open");
        events
    }

    /// Reads until this text has arrived, and returns how long it took.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> Duration {
        let started = Instant::now();
        while !self.text.contains(text) {
            assert!(
                started.elapsed() < Duration::from_secs(15),
                "no {text} in: {}",
                self.text
            );
            assert!(
                self.read(Duration::from_millis(200)),
                "closed without {text}: {}",
                self.text
            );
        }
        started.elapsed()
    }

    /// Reads to the end of the stream.
    #[track_caller]
    pub fn closes(&mut self) {
        let started = Instant::now();
        while self.read(Duration::from_millis(200)) && !self.text.ends_with("\r\n0\r\n\r\n") {
            assert!(started.elapsed() < Duration::from_secs(15), "still open: {}", self.text);
        }
    }

    /// Returns whether the stream stays silent for a moment.
    pub fn is_quiet(&mut self) -> bool {
        let before = self.text.len();
        self.read(Duration::from_millis(400)) && self.text.len() == before
    }

    /// Reads what is there; false: the connection is closed.
    fn read(&mut self, patience: Duration) -> bool {
        let mut buffer = [0; 4096];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        match self.socket.read(&mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                self.text.push_str(&String::from_utf8_lossy(&buffer[..count]));
                true
            }
            Err(error) => matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            ),
        }
    }
}

#[test]
fn an_end_is_told_at_once_and_closes_the_stream() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        let mut events = Events::of(&server, &ada);
        assert!(events.is_quiet(), "{backend:?}: {}", events.text);
        server.act(id, AccountAction::EndSessions);
        let took = events.wait_for("event: ended\ndata: {}\n\n");
        assert!(took < Duration::from_secs(5), "{backend:?}: {took:?}");
        events.closes();
        eventually("it is counted as closed", || server.ctx.live.streams.count() == 0);
        // Signing out is an end too.
        let ada = server.signed_in("ada");
        let mut events = Events::of(&server, &ada);
        ada.post_json("/nightlatch/session/logout", &json!({}), &[]).expect(200);
        events.wait_for("event: ended");
    }
}

#[test]
fn a_stream_is_neither_compressed_nor_held_back_nor_stored() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let events = Events::of(&server, &ada);
    let head = events.text.to_lowercase();
    for line in [
        "200 ok",
        "content-type: text/event-stream\r\n",
        "x-accel-buffering: no\r\n",
        "content-encoding: identity\r\n",
        "cache-control: no-store\r\n",
    ] {
        assert!(head.contains(line), "{line} is not in {head}");
    }
    let head = ada.send(Method::HEAD, PATH, None, &[]).expect(200);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(server.ctx.live.streams.count(), 1, "asking for the head opens none");
}

#[test]
fn only_a_live_session_has_a_stream_and_a_duty_does_not_prevent_it() {
    let server = TestServer::start();
    let refused = server.anyone().get(PATH).expect(401);
    assert_eq!(refused.json()["code"], "sign_in");
    let id = server.account("ada", Role::Member);
    let ada = server.signed_in("ada");
    for (name, value) in [("sec-fetch-dest", "script"), ("sec-fetch-dest", "document")] {
        ada.send(Method::GET, PATH, None, &[(name, value)]).expect(403);
    }
    let mut events = Events::of(&server, &ada);
    server.act(id, AccountAction::ForceChange);
    events.wait_for("event: duty");
    let mut second = Events::of(&server, &ada);
    server.act(id, AccountAction::EndSessions);
    events.wait_for("event: ended");
    second.wait_for("event: ended");
    assert_eq!(ada.get(PATH).expect(401).json()["code"], "revoked");
}

#[test]
fn a_new_policy_is_told_and_what_it_ends_is_an_end() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let mut events = Events::of(&server, &ada);
        server.policy(&[("session.ttl", "2h")]);
        events.wait_for("event: policy");
        assert!(!events.text.contains("ended"), "{backend:?}: {}", events.text);
        server.advance(3000);
        server.policy(&[("session.ttl", "40m")]);
        events.wait_for("event: ended");
        events.closes();
    }
}

#[test]
fn the_coming_end_is_told_and_taken_back_by_activity() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "10m")]);
        let ada = server.member("ada");
        let mut events = Events::of(&server, &ada);
        server.advance(470);
        assert!(events.is_quiet(), "{backend:?}: {}", events.text);
        server.advance(20);
        events.wait_for("event: warned");
        ada.post_json("/nightlatch/session/touch", &json!({}), &[]).expect(200);
        events.wait_for("event: resumed");
        server.advance(601);
        events.wait_for("event: ended");
        events.closes();
    }
}

#[test]
fn one_instance_tells_what_happened_on_another() {
    let database = Arc::new(TestDatabase::fresh(Backend::Postgres));
    let one = TestServer::beside(&database).start();
    let two = TestServer::beside(&database).clock(&one.clock).start();
    one.policy(&[("auth.idle_session_timeout", "10m")]);
    let id = one.account("ada", Role::Member);
    let ada = one.signed_in("ada");
    let mut events = Events::of(&one, &ada);
    two.policy(&[("auth.idle_session_timeout", "20m")]);
    events.wait_for("event: policy");
    two.act(id, AccountAction::EndSessions);
    let took = events.wait_for("event: ended");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn another_token_of_the_session_needs_another_stream() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let mut events = Events::of(&server, &ada);
    // Signing in again replaces the session.
    let again = json!({ "username": "ada", "password": PASSWORD });
    ada.post_json("/nightlatch/session/login", &again, &[]).expect(200);
    events.closes();
    let mut events = Events::of(&server, &ada);
    assert!(events.is_quiet());
}

#[test]
fn streams_are_bounded_per_session_and_idle_ones_ask_nothing_of_the_database() {
    let server = TestServer::start();
    let ada = server.member("ada");
    let mut oldest = Events::of(&server, &ada);
    let mut others: Vec<Events> = (0..MAX_PER_SESSION).map(|_| Events::of(&server, &ada)).collect();
    oldest.closes();
    assert!(!oldest.text.contains("ended"), "{}", oldest.text);
    eventually("its place is free", || {
        server.ctx.live.streams.count() == MAX_PER_SESSION
    });
    let before = server.ctx.store.calls();
    std::thread::sleep(Duration::from_secs(1));
    // The jobs of the server ask a few times.
    let calls = server.ctx.store.calls() - before;
    assert!(calls < 60, "{calls}");
    assert!(others.iter_mut().all(Events::is_quiet));
    server.ctx.live.mark_stopping();
    for events in &mut others {
        events.closes();
    }
    ada.get(PATH).expect(503);
}
