//! A proxy that caches everything it may: decisions are never stored, and no user gets another
//! user's copy.

use crate::harness::{
    chain::{Chain, Kind, Setting},
    client::Client,
    upstream::Reply,
};
use nightlatch::{domain::account::Role, flows::accounts::AccountAction};

/// Everything is kept for an hour unless its answer forbids it; the application's answers allow it.
const LINES: &str = "proxy_cache_path cache keys_zone=shared:1m; proxy_cache shared; proxy_cache_valid any 1h;";

fn setting() -> Setting {
    Chain::of(Kind::Nginx).lines(LINES).answering(|asked| {
        let mut reply = Reply::text(&asked.header("remote-user").unwrap_or_default());
        reply.headers.push_str("Cache-Control: public, max-age=3600\r\n");
        reply
    })
}

/// Names and groups. The first two are equal if only a space separates name and groups.
const PEOPLE: [(&str, &[&str]); 4] = [("a b", &["c"]), ("a", &["b c"]), ("ada", &[]), ("bob", &["b"])];

fn person(chain: &Chain, name: &str, groups: &[&str]) -> Client {
    let id = chain.server.account(name, Role::Member);
    let profile = AccountAction::SetProfile {
        display_name: String::new(),
        email: String::new(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    chain.server.act(id, profile);
    chain.sign_in(name)
}

/// Four users take turns this many times; then one of them loses access.
fn take_turns(chain: &Chain, times: usize) {
    let people = PEOPLE.map(|(name, groups)| (name, person(chain, name, groups)));
    for turn in 0..times {
        let (name, browser) = &people[turn % people.len()];
        let path = format!("/page?x={}", turn / people.len() % 5);
        assert_eq!(browser.get(&path).expect(200).text(), *name, "turn {turn}");
    }
    let asked = chain.application.requests();
    assert!(asked <= 24, "the cache is in use: {asked} requests for {times} answers");
    let (_, ada) = &people[2];
    chain.then_at(ada, "login").post("/logout", &[]).expect(303);
    ada.get("/page?x=1").expect(302);
    chain.at("wiki").get("/page?x=1").expect(302);
    assert_eq!(people[3].1.get("/page?x=1").expect(200).text(), "bob");
}

#[test]
fn a_thousand_requests_of_four_people_in_turn_never_mix() {
    take_turns(&setting().start(), 1000);
}

#[test]
fn decisions_forbid_to_be_kept_even_where_the_file_would_not() {
    let careless = setting().edits(&[("proxy_cache off;", "")]).start();
    take_turns(&careless, 200);
    let questions = careless.relay.questions().len();
    assert!(questions >= 200, "each request was judged: {questions} questions");
}
