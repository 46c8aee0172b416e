//! Redirect loops: an application keeps redirecting a signed-in user to the sign-in page.

use crate::harness::{
    client::{Answer, Client},
    server::{Backend, TestServer, operator},
};
use nightlatch::flows::applications::{self, ApplicationChange, ApplicationOutcome};

fn server() -> TestServer {
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_COOKIE_DOMAIN", "example.org")
        .start();
    for name in ["wiki", "docs"] {
        let change = ApplicationChange {
            hosts: Some(vec![format!("{name}.example.org")]),
            ..ApplicationChange::default()
        };
        let operator = operator();
        let made = applications::create(&server.ctx, &operator, name, change);
        assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    }
    server
}

fn back(client: &Client, host: &str) -> Answer {
    client.get(&format!("/login?return_to=https%3A%2F%2F{host}.example.org%2Fpage"))
}

#[test]
fn the_third_bounce_stops_on_a_page_that_says_why_and_offers_a_way_on() {
    let server = server();
    let ada = server.member("ada");
    for _ in 0..2 {
        assert_eq!(
            back(&ada, "wiki").expect(303).location(),
            "https://wiki.example.org/page"
        );
        server.advance(10);
    }
    let page = back(&ada, "wiki").expect(409);
    for words in [
        "<strong>wiki.example.org</strong> sent you back 3 times within 30 seconds",
        "127.0.0.1 is reached over http and wiki.example.org over https",
        "href=\"https://wiki.example.org/page\"",
        "href=\"/\"",
    ] {
        assert!(page.text().contains(words), "{words}: {}", page.text());
    }
    // The user is not locked out: continuing starts a new count, and the session is still live.
    ada.get("/").expect(200);
    back(&ada, "wiki").expect(303);
}

#[test]
fn beyond_the_cookie_domain_one_and_the_same_page_is_a_circle() {
    let server = server();
    let shop = ApplicationChange {
        hosts: Some(vec!["shop.other.test".to_owned()]),
        ..ApplicationChange::default()
    };
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, "shop", shop);
    assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    let ada = server.member("ada");
    let back = |page: &str| ada.get(&format!("/login?return_to=https%3A%2F%2Fshop.other.test%2F{page}"));
    // Many tabs in parallel are not a loop.
    for page in 0..6 {
        let location = back(&format!("tab{page}")).expect(303).location().to_owned();
        assert!(
            location.starts_with("https://shop.other.test/nightlatch/handover/start?"),
            "{location}"
        );
    }
    back("page").expect(303);
    back("page").expect(303);
    let page = back("page").expect(409);
    assert!(
        page.text()
            .contains("<strong>shop.other.test</strong> sent you back 3 times")
    );
    back("page").expect(303);
}

#[test]
fn redirects_without_a_loop_are_not_counted() {
    let server = server();
    let ada = server.member("ada");
    for host in ["wiki", "docs", "wiki", "docs"] {
        back(&ada, host).expect(303);
    }
    for _ in 0..4 {
        back(&ada, "wiki").expect(303);
        server.advance(16);
        back(&ada, "wiki").expect(303);
        server.advance(16);
    }
    for _ in 0..5 {
        back(&server.anyone(), "wiki").expect(200);
        ada.get("/login?return_to=%2Fpassword").expect(303);
    }
}

#[test]
fn a_count_that_we_did_not_write_is_none() {
    let server = server();
    let ada = server.member("ada");
    let now = server.now().as_micros();
    ada.set_cookie("nightlatch-bounces", &format!("9:{now}:wiki.example.org"));
    back(&ada, "wiki").expect(303);
}
