//! Slow clients: a client that reads nothing, or sends without end, is disconnected, and other
//! clients are not affected.

use super::kit::authority;
use crate::harness::server::{Backend, PASSWORD, TestServer, eventually};
use nightlatch::domain::account::Role;
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// Starts a server that waits for a client for one second.
fn impatient() -> TestServer {
    TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_CLIENT_TIMEOUT", "1s")
        .start()
}

fn connect(server: &TestServer) -> TcpStream {
    let socket = TcpStream::connect(authority(server)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// Reads one answer without a body beyond its length, and returns its head.
fn read_answer(socket: &mut TcpStream) -> String {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(socket.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    socket.read_exact(&mut body).unwrap();
    head
}

/// Waits until the server has closed the connection, and returns what it still sent.
fn read_to_close(socket: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    match socket.read_to_end(&mut rest) {
        Ok(_) => rest,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => rest,
        Err(error) => panic!("the connection stays open: {error}"),
    }
}

#[test]
fn a_second_request_that_never_ends_is_cut_off() {
    let server = impatient();
    let host = authority(&server).to_owned();
    let mut socket = connect(&server);
    let first = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n");
    socket.write_all(first.as_bytes()).unwrap();
    assert!(read_answer(&mut socket).starts_with("HTTP/1.1 200"));
    socket.write_all(b"GET /login HTTP/1.1\r\nHost: ").unwrap();
    let mut drip = socket.try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        // A byte now and then delays no one.
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(100));
            if drip.write_all(b"a").is_err() {
                break;
            }
        }
    });
    let start = Instant::now();
    read_to_close(&mut socket);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    dripping.join().unwrap();
}

#[test]
fn a_body_that_never_ends_is_cut_off_also_where_no_one_reads_it() {
    let server = impatient();
    let host = authority(&server).to_owned();
    for path in ["/nothing/here", "/logout", "/healthz"] {
        let mut socket = connect(&server);
        let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n");
        socket.write_all(head.as_bytes()).unwrap();
        let mut drip = socket.try_clone().unwrap();
        let dripping = std::thread::spawn(move || {
            for _ in 0..100 {
                if drip.write_all(b"1\r\na\r\n").is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let start = Instant::now();
        read_to_close(&mut socket);
        assert!(
            start.elapsed() < Duration::from_secs(8),
            "{path}: {:?}",
            start.elapsed()
        );
        dripping.join().unwrap();
    }
}

#[test]
fn a_body_that_falls_silent_after_the_answer_is_cut_off() {
    let server = impatient();
    let host = authority(&server).to_owned();
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    for path in ["/nothing/here", "/logout", "/healthz", "/static/app.css"] {
        for body in [
            "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
            "Transfer-Encoding: chunked\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
            "Content-Length: 100\r\n\r\nab",
        ] {
            let mut socket = connect(&server);
            let request = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{form}{body}");
            socket.write_all(request.as_bytes()).unwrap();
            // Either it is answered and then closed, or only closed.
            let rest = read_to_close(&mut socket);
            let text = String::from_utf8_lossy(&rest).into_owned();
            assert!(
                text.is_empty() || text.starts_with("HTTP/1.1 "),
                "{path} {body:?}: {text}"
            );
        }
    }
}

#[test]
fn pipelined_requests_are_all_answered_in_their_order() {
    let server = TestServer::start();
    let host = authority(&server).to_owned();
    let mut socket = connect(&server);
    let body = "username=nobody&password=wrong";
    let post = format!(
        "POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let chunked = format!(
        "POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let expected = [200, 422, 404, 200, 422, 422, 200];
    let requests = [
        get("/healthz"),
        post.clone(),
        get("/nothing"),
        get("/static/app.css"),
        chunked,
        post,
        get("/healthz"),
    ]
    .concat();
    socket.write_all(requests.as_bytes()).unwrap();
    for status in expected {
        let head = read_answer(&mut socket);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    }
}

#[test]
fn five_hundred_clients_that_read_nothing_harm_no_one_and_are_disconnected() {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_CLIENT_TIMEOUT", "3s")
        .start();
    server.account("ada", Role::Member);
    let host = authority(&server).to_owned();
    let request = format!("GET /static/app.css HTTP/1.1\r\nHost: {host}\r\n\r\n").repeat(2_000);
    let clients: Vec<TcpStream> = (0..500)
        .map(|_| {
            let mut socket = TcpStream::connect(&host).unwrap();
            socket.set_nonblocking(true).unwrap();
            // As much as the server accepts.
            let sent = socket.write(request.as_bytes()).unwrap();
            assert!(sent > 0);
            socket
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let ada = server.signed_in("ada");
    for _ in 0..20 {
        let start = Instant::now();
        ada.get("/nightlatch/session").expect(200);
        slowest = slowest.max(start.elapsed());
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    eventually("they are disconnected", || {
        clients.iter().all(|client| {
            // All that was sent can still be read; the end follows it.
            let (mut client, mut buffer) = (client, vec![0; 1 << 20]);
            loop {
                match client.read(&mut buffer) {
                    Ok(0) => return true,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                    Err(_) => return true,
                }
            }
        })
    });
    ada.get("/").expect(200);
    assert_eq!(server.anyone().sign_in("ada", PASSWORD).status(), 303);
}

#[test]
fn answers_of_the_library_itself_carry_the_security_headers() {
    let server = impatient();
    let host = authority(&server).to_owned();
    let malformed = "GET /lo\0gin HTTP/1.1\r\n\r\n".to_owned();
    let endless = format!("GET /{} HTTP/1.1\r\nHost: {host}\r\n\r\n", "a".repeat(1 << 20));
    let unfinished = "GET /login HTTP/1.1\r\nHost: ".to_owned();
    let after_one = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\nnonsense\r\n\r\n");
    for (request, status) in [(malformed, 400), (endless, 431), (unfinished, 408), (after_one, 400)] {
        let mut socket = connect(&server);
        // The server may close before everything is sent.
        socket.write_all(request.as_bytes()).ok();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).ok();
        let text = String::from_utf8_lossy(&answer).into_owned();
        let head = text.rsplit("HTTP/1.1 ").next().unwrap();
        assert!(head.starts_with(&status.to_string()), "{status}: {text}");
        for name in [
            "content-security-policy",
            "x-content-type-options",
            "referrer-policy",
            "cache-control",
            "x-request-id",
            "x-frame-options",
        ] {
            assert!(head.contains(&format!("\r\n{name}: ")), "{status} {name}: {text}");
        }
    }
}
