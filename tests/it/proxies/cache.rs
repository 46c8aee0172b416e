//! A proxy that caches everything it may: decisions are never kept, and nobody is answered with somebody else's copy.

use crate::harness::{
    chain::{Chain, Kind, Setting},
    upstream::Reply,
};
use nightlatch::domain::account::Role;

/// Everything is kept for an hour unless its answer forbids it; the application's answers allow it.
const LINES: &str = "proxy_cache_path cache keys_zone=shared:1m; proxy_cache shared; proxy_cache_valid any 1h;";

fn setting() -> Setting {
    Chain::of(Kind::Nginx).lines(LINES).answering(|asked| {
        let mut reply = Reply::text(&asked.header("remote-user").unwrap_or_default());
        reply.headers.push_str("Cache-Control: public, max-age=3600\r\n");
        reply
    })
}

/// Two people take turns, so many times in all; then one of them leaves.
fn take_turns(chain: &Chain, times: usize) {
    let people = ["ada", "bob"].map(|name| {
        chain.server.account(name, Role::Member);
        (name, chain.sign_in(name))
    });
    for turn in 0..times {
        let (name, browser) = &people[turn % 2];
        let path = format!("/page?x={}", turn / 2 % 5);
        assert_eq!(browser.get(&path).expect(200).text(), *name, "turn {turn}");
    }
    let asked = chain.application.requests();
    assert!(asked <= 12, "the cache is in use: {asked} requests for {times} answers");
    let (_, ada) = &people[0];
    chain.then_at(ada, "login").post("/logout", &[]).expect(303);
    ada.get("/page?x=1").expect(302);
    chain.at("wiki").get("/page?x=1").expect(302);
    assert_eq!(people[1].1.get("/page?x=1").expect(200).text(), "bob");
}

#[test]
fn a_thousand_requests_of_two_people_in_turn_never_mix() {
    take_turns(&setting().start(), 1000);
}

#[test]
fn decisions_forbid_to_be_kept_even_where_the_file_would_not() {
    let careless = setting().edits(&[("proxy_cache off;", "")]).start();
    take_turns(&careless, 200);
    let questions = careless.relay.questions().len();
    assert!(questions >= 200, "each request was judged: {questions} questions");
}
