//! The guard's one event stream per browser, in real Chromium: several tabs, and connections of the
//! page.

use super::chromium::{answered, aside};
use crate::harness::{
    chromium::{Browser, with_browser},
    server::{PASSWORD, TestServer},
};
use nightlatch::{
    domain::account::{AccountId, Role},
    flows::accounts::Act,
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
    aside(|| server.act(id, Act::EndSessions));
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
