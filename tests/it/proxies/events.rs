//! The event stream through the shipped files, and what happens where a proxy holds it back. The
//! page's own connections end with the session.

use crate::{
    guard::{chromium::aside, events::Events},
    harness::{
        chain::{Chain, EVERY, Kind},
        chromium::{Browser, with_browser},
        server::PASSWORD,
        upstream::{ReceivedRequest, Reply},
    },
};
use nightlatch::{domain::account::Role, flows::accounts::AccountAction};
use std::time::{Duration, Instant};

const PAGE: &str = r#"<!doctype html><html lang="en"><head><title>Live</title>
<script defer src="/nightlatch/guard.js"></script></head><body><h1>Live</h1></body></html>"#;

fn answer(asked: &ReceivedRequest) -> Reply {
    let kind = match asked.target.as_str() {
        "/feed" => "text/event-stream",
        _ => "text/html; charset=utf-8",
    };
    Reply {
        status: "200 OK",
        headers: format!("Content-Type: {kind}\r\n"),
        body: if asked.target == "/feed" { "data: 1\n\n" } else { PAGE }.to_owned(),
    }
}

async fn enter(browser: &Browser, chain: &Chain) {
    browser.go("/live").await;
    let login = format!("http://{}/login?return_to=", chain.authority("login"));
    browser.arrives_at(&login).await;
    browser.sign_in("ada", PASSWORD).await;
    browser.arrives_at("/live").await;
}

/// Waits until a script of the page returns true.
async fn becomes(browser: &Browser, script: &str, within: Duration) -> Duration {
    let started = Instant::now();
    while browser.script(script).await != true {
        assert!(started.elapsed() < within, "never: {script}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    started.elapsed()
}

#[test]
fn the_stream_passes_every_proxy_at_once_on_both_hosts() {
    for kind in EVERY {
        for host in ["login", "wiki"] {
            let chain = Chain::start(kind);
            let id = chain.server.account("ada", Role::Member);
            let cookie = chain.sign_in("ada").cookie_header();
            let address = format!("127.0.0.1:{}", chain.port);
            let mut events = Events::open(&address, &chain.authority(host), &cookie);
            let opened = events.wait_for(": open");
            chain.server.policy(&[("session.ttl", "2h")]);
            events.wait_for("event: policy");
            chain.server.act(id, AccountAction::EndSessions);
            let ended = events.wait_for("event: ended");
            events.closes();
            println!("{kind:?} {host}: open after {opened:?}, told after {ended:?}");
            assert!(ended < Duration::from_secs(5), "{kind:?} {host}: {ended:?}");
        }
    }
}

#[test]
fn the_connections_of_a_page_end_with_its_session() {
    for kind in EVERY {
        let chain = Chain::of(kind).domain("example.localhost").answering(answer).start();
        let id = chain.server.account("ada", Role::Member);
        with_browser(&format!("http://{}", chain.authority("wiki")), async |browser| {
            enter(&browser, &chain).await;
            let wait = Duration::from_secs(20);
            browser
                .script("window.socket = new WebSocket(`ws://${location.host}/socket`); window.feed = new EventSource('/feed')")
                .await;
            becomes(
                &browser,
                "return window.socket.readyState === 1 && window.feed.readyState === 1",
                wait,
            )
            .await;
            assert_eq!(
                browser
                    .script("return window.socket instanceof WebSocket && WebSocket.OPEN === 1")
                    .await,
                true
            );
            let deadline = Instant::now() + wait;
            while chain.server.ctx.live.streams.count() == 0 {
                assert!(Instant::now() < deadline, "no stream");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            aside(|| chain.server.act(id, AccountAction::EndSessions));
            let closed = "return window.socket.readyState >= 2 && window.feed.readyState === 2";
            let took = becomes(&browser, closed, Duration::from_secs(5)).await;
            println!("{kind:?}: closed after {took:?}");
            assert!(browser.has("html[data-nightlatch-covered]").await, "{kind:?}");
            browser
        });
    }
}

const SESSION: &str = "/nightlatch/session";
const EVENTS: &str = "/nightlatch/session/events";

/// The proxy passes one request a minute for the stream on, and the test makes it: no event can
/// reach the page, so that only polling shows the end.
#[test]
fn where_no_event_passes_the_proxy_polling_shows_the_end() {
    let chain = Chain::of(Kind::Nginx)
        .domain("example.localhost")
        .lines("limit_req_zone $host zone=hold:1m rate=1r/m;")
        .edits(&[("proxy_buffering off;", "limit_req zone=hold burst=1000;")])
        .answering(answer)
        .start();
    let id = chain.server.account("ada", Role::Member);
    chain.at("wiki").get(EVENTS).expect(401);
    assert_eq!(chain.relay.count(EVENTS), 1);
    with_browser(&format!("http://{}", chain.authority("wiki")), async |browser| {
        enter(&browser, &chain).await;
        let covered = "return document.documentElement.hasAttribute('data-nightlatch-covered')";
        let asked = chain.relay.count(SESSION);
        let polled = Duration::from_secs(60);
        let started = Instant::now();
        while chain.relay.count(SESSION) < asked + 2 {
            assert!(started.elapsed() < polled, "the guard does not poll");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(browser.script(covered).await, false);
        let asked = chain.relay.count(SESSION);
        aside(|| chain.server.act(id, AccountAction::EndSessions));
        let took = becomes(&browser, covered, polled).await;
        let questions = chain.relay.count(SESSION) - asked;
        println!("covered after {took:?} and {questions} requests");
        // Every 20 s, not as often as near an end.
        assert!((1..=4).contains(&questions), "{questions} requests in {took:?}");
        assert_eq!(chain.relay.count(EVENTS), 1, "no stream ever reached Nightlatch");
        browser
    });
}

#[test]
fn where_a_proxy_holds_the_stream_back_the_guard_polls() {
    let chain = Chain::of(Kind::Nginx)
        .domain("example.localhost")
        .edits(&[(
            "proxy_buffering off;",
            "proxy_ignore_headers X-Accel-Buffering; proxy_buffering on;",
        )])
        .answering(answer)
        .start();
    let id = chain.server.account("ada", Role::Member);
    with_browser(&format!("http://{}", chain.authority("wiki")), async |browser| {
        enter(&browser, &chain).await;
        let asked = "return performance.getEntriesByType('resource').filter(one => one.name.endsWith('/nightlatch/session')).length >= 2";
        // It gives the stream up, and asks by itself.
        becomes(&browser, asked, Duration::from_secs(40)).await;
        aside(|| chain.server.act(id, AccountAction::EndSessions));
        let covered = "return document.documentElement.hasAttribute('data-nightlatch-covered')";
        let took = becomes(&browser, covered, Duration::from_secs(40)).await;
        println!("covered after {took:?}");
        browser
    });
}
