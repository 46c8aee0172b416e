//! The guard's one event stream per browser, in real Chromium: several tabs, and connections of the
//! page.

use super::chromium::{answered, aside};
use crate::harness::{
    chromium::{Browser, with_browser},
    server::{PASSWORD, TestServer},
};
use nightlatch::{
    domain::account::{AccountId, Role},
    flows::accounts::AccountAction,
};
use std::time::{Duration, Instant};

async fn sign_in(browser: &Browser, name: &str) {
    browser.go("/login").await;
    browser.sign_in(name, PASSWORD).await;
    browser.arrives_at("/").await;
}

/// Waits until the server has this number of open streams.
async fn has_streams(server: &TestServer, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while server.ctx.live.streams.count() != count {
        let open = server.ctx.live.streams.count();
        assert!(Instant::now() < deadline, "{open} streams, not {count}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Ends the account's sessions and returns how long the page stays uncovered.
async fn covered_after_end(browser: &Browser, server: &TestServer, id: AccountId) -> Duration {
    aside(|| server.act(id, AccountAction::EndSessions));
    let ended = Instant::now();
    while !browser.has("html[data-nightlatch-covered]").await {
        assert!(ended.elapsed() < Duration::from_secs(10), "never covered");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ended.elapsed()
}

#[test]
fn two_tabs_share_one_stream_and_the_other_takes_over_when_the_first_is_closed() {
    let server = TestServer::start();
    let id = server.account("ada", Role::Member);
    with_browser(&server.base.clone(), async |browser| {
        sign_in(&browser, "ada").await;
        browser.go("/password").await;
        answered(&browser, "/nightlatch/session").await;
        has_streams(&server, 1).await;
        browser.new_tab("/").await;
        answered(&browser, "/nightlatch/session").await;
        has_streams(&server, 1).await;
        browser.to_tab(0).await;
        browser.close_tab().await;
        browser.to_tab(0).await;
        assert_eq!(browser.path().await, "/");
        // The closed one is noticed when it is written to.
        has_streams(&server, 1).await;
        let took = covered_after_end(&browser, &server, id).await;
        println!("covered {took:?} after the end");
        assert!(took < Duration::from_secs(5), "by the stream, not by polling: {took:?}");
        has_streams(&server, 0).await;
        browser
    });
}

#[test]
fn a_page_is_covered_within_a_second_of_an_end() {
    let server = TestServer::start();
    let id = server.account("ada", Role::Member);
    with_browser(&server.base.clone(), async |browser| {
        let mut took = Vec::new();
        for _ in 0..3 {
            sign_in(&browser, "ada").await;
            answered(&browser, "/nightlatch/session").await;
            has_streams(&server, 1).await;
            took.push(covered_after_end(&browser, &server, id).await);
            browser.forget_cookies().await;
        }
        // A busy machine may be slow once.
        let quickest = took.iter().min().unwrap();
        println!("covered {took:?} after the end");
        assert!(*quickest < Duration::from_secs(1), "{took:?}");
        browser
    });
}

/// Holds back the answers to one path while `window.held` names it, and notes the events that the
/// guard announces to other tabs.
const HOLD_ANSWERS: &str = "window.events = []; window.holding = 0; \
     window.channel = new BroadcastChannel('nightlatch'); \
     channel.onmessage = ({ data }) => events.push(data); \
     const plain = window.fetch.bind(window); \
     window.fetch = async (...given) => { \
         const answer = await plain(...given); \
         if (window.held === String(given[0])) { \
             holding += 1; \
             while (window.held) await new Promise((resolve) => setTimeout(resolve, 10)); \
         } \
         return answer; \
     };";

async fn becomes_true(browser: &Browser, script: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while browser.script(script).await != true {
        assert!(Instant::now() < deadline, "never true: {script}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn an_answer_older_than_an_event_does_not_hide_what_happened() {
    let server = TestServer::start();
    server.policy(&[("auth.idle_session_timeout", "10m")]);
    with_browser(&server.base.clone(), async |browser| {
        browser.script_on_new_pages(HOLD_ANSWERS).await;
        // The question whose answer is on its way, and the report whose answer is.
        for (name, held, act) in [
            ("ada", "/nightlatch/session", "dispatchEvent(new Event('focus'));"),
            ("bob", "/nightlatch/session/touch", ""),
        ] {
            let id = aside(|| server.account(name, Role::Member));
            sign_in(&browser, name).await;
            browser.go("/password").await;
            becomes_true(&browser, "return events.includes('beat')").await;
            browser.script(&format!("window.held = '{held}'")).await;
            browser.type_into("[name=new_password]", "x").await;
            becomes_true(&browser, &format!("{act} return holding > 0")).await;
            aside(|| server.act(id, AccountAction::ForceChange));
            becomes_true(&browser, "return events.includes('duty')").await;
            browser.script("window.held = null").await;
            browser
                .guard_says("dialog.cover h2", "Choose a new password first")
                .await;
            browser.forget_cookies().await;
        }
        browser
    });
}
