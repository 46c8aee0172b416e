//! Tests of [`super`].

use super::{Arrival, ProbeAnswer, judge_file, judge_refresh, make_http_client, probe, registration_file};
use reqwest::StatusCode;
use std::{
    io::{Read, Write},
    net::TcpListener,
    time::Duration,
};
use url::Url;

const ORIGIN: &str = "https://login.example.org";

fn answer(status: u16, body: &str) -> ProbeAnswer {
    ProbeAnswer {
        status: StatusCode::from_u16(status).unwrap(),
        body: body.as_bytes().to_vec(),
    }
}

fn is_wrong(arrival: &Arrival, words: &str) -> bool {
    matches!(arrival, Arrival::Wrong(why) if why.contains(words))
}

#[test]
fn only_nightlatchs_own_answer_to_a_refresh_is_right() {
    assert_eq!(judge_refresh(&answer(404, r#"{"code":"not_found"}"#)), Arrival::Right);
    let other_host = judge_refresh(&answer(503, r#"{"code":"unavailable"}"#));
    assert!(is_wrong(&other_host, "Host header"), "{other_host:?}");
    for (status, body) in [
        (404, "<h1>Not found</h1>"),
        (301, ""),
        (200, "{}"),
        (503, "down"),
        (403, ""),
    ] {
        let arrival = judge_refresh(&answer(status, body));
        assert!(is_wrong(&arrival, &format!("({status})")), "{arrival:?}");
    }
}

#[test]
fn the_file_must_name_this_server_to_the_letter() {
    let right = r#"{"registering_origins":["https://other.example.org","https://login.example.org"]}"#;
    assert_eq!(judge_file(&answer(200, right), ORIGIN), Arrival::Right);
    for (status, body, words) in [
        (404, right, "404"),
        (302, "", "302"),
        (200, "<html>", "JSON"),
        (200, r#"{"registering_origins":"https://login.example.org"}"#, "JSON"),
        (
            200,
            r#"{"registering_origins":["https://login.example.org:8443"]}"#,
            "name https://login",
        ),
        (200, r#"{"registering_origins":[]}"#, "name https://login"),
    ] {
        let arrival = judge_file(&answer(status, body), ORIGIN);
        assert!(is_wrong(&arrival, words), "{body}: {arrival:?}");
    }
    let url = Url::parse("https://login.example.org:8443/").unwrap();
    let file = registration_file(&url, "example.org").unwrap();
    assert_eq!(
        file.as_str(),
        "https://example.org:8443/.well-known/device-bound-sessions"
    );
}

/// Answers one POST and one GET, each on a connection of its own.
fn serve_both(to_post: &'static str, to_get: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut socket, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            assert!(socket.read(&mut head).unwrap() > 0);
            let answer = if head.starts_with(b"POST") { to_post } else { to_get };
            let length = answer.split_once("\r\n\r\n").unwrap().1.len();
            let answer = answer.replace("LENGTH", &length.to_string());
            socket.write_all(answer.as_bytes()).unwrap();
        }
    });
    format!("http://{address}")
}

#[test]
fn addresses_are_asked_as_browsers_ask_them() {
    let origin = serve_both(
        "HTTP/1.1 404 Not Found\r\nContent-Length: LENGTH\r\n\r\n{\"code\":\"not_found\"}",
        "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: LENGTH\r\n\r\n",
    );
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = make_http_client(Duration::from_secs(10)).unwrap();
    let file = Url::parse(&format!("{origin}/.well-known/device-bound-sessions")).unwrap();
    let origins = [origin.clone(), format!("http://{closed}")];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let found = runtime
        .unwrap()
        .block_on(probe(&client, &origins, Some(&file), &origin));
    let arrivals: Vec<&Arrival> = found.iter().map(|(_, arrival)| arrival).collect();
    assert_eq!(arrivals[..2], [&Arrival::Right, &Arrival::Unreachable]);
    assert!(is_wrong(arrivals[2], "302"), "redirects are not followed: {found:?}");
    assert!(found[0].0.ends_with("/nightlatch/device/refresh"), "{found:?}");
}
