//! Real Chromium, over https through nginx with the shipped file: it binds sessions by itself,
//! proves its key, and goes on while copies of its cookies die. The clock of the server stands
//! still until a test moves it; the browser refreshes when its cookie is gone.

use crate::harness::{
    chain::{Chain, Kind},
    chromium::{Browser, with_binding_browser},
    server::{PASSWORD, eventually},
    upstream::{ReceivedRequest, Reply},
};
use nightlatch::domain::account::Role;
use reqwest::Method;

const DOMAIN: &str = "device.test";

fn page(_: &ReceivedRequest) -> Reply {
    Reply {
        status: "200 OK",
        headers: "Content-Type: text/html; charset=utf-8\r\n".to_owned(),
        body: "<!doctype html><html lang=\"en\"><head><title>Wiki</title></head><body><h1>A page</h1></body></html>"
            .to_owned(),
    }
}

type Cookies = Vec<(String, String)>;

/// Runs what blocks beside the runtime that drives the browser.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

fn bound_hosts(chain: &Chain) -> Vec<String> {
    let audit = chain.server.audit();
    let bound = audit.iter().filter(|row| row.event.as_str() == "device.bound");
    let mut hosts: Vec<String> = bound
        .map(|row| row.detail["host"].as_str().unwrap().to_owned())
        .collect();
    hosts.sort();
    hosts
}

/// Returns the status of a page of the application for another program with these cookies, which
/// talks to it as the proxy does.
fn ask(chain: &Chain, cookies: &Cookies) -> u16 {
    apart(|| {
        let program = chain.server.anyone().header("host", &chain.authority("wiki"));
        for (name, value) in cookies {
            program.set_cookie(name, value);
        }
        let url = format!("https://{}/page", chain.authority("wiki"));
        let headers = [("x-original-url", url.as_str()), ("x-original-method", "GET")];
        let answer = program.send(Method::GET, "/api/authz/auth-request", None, &headers);
        if answer.status() == 401 {
            assert_eq!(answer.header("x-nightlatch-reason"), Some("device_unproven"));
        }
        answer.status()
    })
}

fn value_of(cookies: &Cookies, name: &str) -> Option<String> {
    let own = cookies.iter().find(|(known, _)| known == name);
    own.map(|(_, value)| value.clone())
}

/// Signs in on the way to a page of the application, waits until these hosts are bound, and lets
/// the proof run out for everyone but the owner.
async fn lives_on(chain: &Chain, browser: &Browser, hosts: &[&str], cookie: &str) {
    browser.go("/page").await;
    let login = format!("https://{}/login", chain.authority("login"));
    browser.arrives_at(&login).await;
    browser.sign_in("ada", PASSWORD).await;
    browser.arrives_at("/page").await;
    apart(|| eventually("the browser binds its session", || bound_hosts(chain) == hosts));
    browser.go("/page?bound").await;
    assert_eq!(browser.find("h1").await.text().await.unwrap(), "A page");
    let copied = browser.cookies().await;
    assert!(value_of(&copied, cookie).is_some(), "{copied:?}");
    assert_eq!(ask(chain, &copied), 200, "within the life of the proof");
    chain.server.advance(700);
    assert_eq!(ask(chain, &copied), 401, "after it");
    browser.forget_cookie(cookie).await;
    browser.go("/page?refreshed").await;
    assert_eq!(browser.find("h1").await.text().await.unwrap(), "A page");
    let fresh = browser.cookies().await;
    assert_ne!(value_of(&fresh, cookie), value_of(&copied, cookie), "a new proof");
    assert_eq!((ask(chain, &fresh), ask(chain, &copied)), (200, 401));
    let events = apart(|| chain.server.events());
    let over = |event: &String| event.starts_with("session.ended") || event.starts_with("device.proof_refused");
    assert!(!events.iter().any(over), "{events:?}");
    assert!(
        events.iter().any(|event| event == "device.lost device_unproven"),
        "{events:?}"
    );
}

#[test]
fn chromium_binds_each_host_and_its_copied_cookies_die() {
    let chain = Chain::of(Kind::Nginx)
        .domain(DOMAIN)
        .https()
        .own_cookies()
        .answering(page)
        .start();
    chain.server.account("ada", Role::Member);
    let base = format!("https://{}", chain.authority("wiki"));
    with_binding_browser(&base, &chain.key_hash, async |browser| {
        lives_on(&chain, &browser, &["", "wiki.device.test"], "__Host-nightlatch-device").await;
        browser
    });
}

#[test]
fn chromium_binds_hosts_that_share_the_cookie_with_one_key() {
    let chain = Chain::of(Kind::Nginx).domain(DOMAIN).https().answering(page).start();
    chain.server.account("ada", Role::Member);
    let base = format!("https://{}", chain.authority("wiki"));
    with_binding_browser(&base, &chain.key_hash, async |browser| {
        lives_on(&chain, &browser, &[""], "__Secure-nightlatch-device").await;
        browser
    });
}
