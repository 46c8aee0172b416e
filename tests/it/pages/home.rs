//! `/` and `/history`: my devices, what I do not recognise, and what is on record about my account.

use super::kit::{NOBODY, between, link};
use crate::harness::{
    client::{CHROME, Client},
    server::{On, PASSWORD, TestServer},
};
use nightlatch::{
    domain::{account::Role, time::Span},
    flows::accounts::{self, Act},
};

const BOTH: [On; 2] = [On::Sqlite, On::Postgres];

/// Ids of the sessions that the page offers to end.
fn others(client: &Client) -> Vec<String> {
    let page = client.get("/").expect(200);
    let actions = between(page.text(), "action=\"/sessions/", "\"");
    actions
        .into_iter()
        .filter_map(|action| action.strip_suffix("/end"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn this_device_comes_first_and_is_left_by_signing_out() {
    for on in BOTH {
        let server = TestServer::on(on).start();
        let ada = server.member("ada");
        server.advance(60);
        let other = server.anyone().from("127.0.0.2").header("user-agent", CHROME);
        other.sign_in("ada", PASSWORD).expect(303);
        let page = ada.get("/").expect(200);
        let cards: Vec<&str> = page.text().split("<article").skip(1).collect();
        assert_eq!(cards.len(), 2, "{on:?}");
        assert!(
            cards[0].contains("This device") && cards[0].contains("Firefox · Linux"),
            "{on:?}"
        );
        assert!(
            cards[0].contains("action=\"/logout\"") && !cards[0].contains("/end\""),
            "{on:?}"
        );
        for part in [
            "Chrome · Windows",
            "127.0.0.2",
            "/end\"",
            "/disown\"",
            "its lifetime is over",
        ] {
            assert!(cards[1].contains(part), "{on:?} {part}: {}", cards[1]);
        }
        let id = others(&ada).remove(0);
        ada.post(&format!("/sessions/{id}/end"), &[]).expect(303);
        other.get("/").expect(303);
        assert!(others(&ada).is_empty(), "{on:?}");
    }
}

#[test]
fn a_device_that_nobody_knows_is_ended_and_another_password_is_next() {
    for on in BOTH {
        let server = TestServer::on(on).start();
        let ada = server.member("ada");
        let stranger = server.signed_in("ada");
        let id = others(&ada).remove(0);
        let to = ada.post(&format!("/sessions/{id}/disown"), &[]).expect(303);
        assert_eq!(to.location(), "/password", "{on:?}");
        let form = ada.get("/password").expect(200);
        assert!(form.text().contains("whoever opened it may know yours"), "{on:?}");
        stranger.get("/").expect(303);
        ada.post(&format!("/sessions/{id}/disown"), &[]).expect(404);
        assert!(server.events().contains(&"sign_in.disowned".to_owned()), "{on:?}");
    }
}

#[test]
fn nobody_ends_or_disowns_what_is_not_theirs() {
    let server = TestServer::start();
    let (ada, eve) = (server.member("ada"), server.member("eve"));
    let _more = server.signed_in("ada");
    let id = others(&ada).remove(0);
    for id in [id.as_str(), NOBODY, "x"] {
        for act in ["end", "disown"] {
            eve.post(&format!("/sessions/{id}/{act}"), &[]).expect(404);
        }
    }
    assert_eq!(others(&ada).len(), 1);
}

#[test]
fn failed_attempts_show_with_time_place_and_device_and_others_acts_without() {
    for on in BOTH {
        let server = TestServer::on(on).start();
        let ada = server.member("ada");
        let id = server
            .run(accounts::find_by_name(&server.ctx, "ada"))
            .unwrap()
            .unwrap()
            .id;
        server.member("xavier");
        let thief = server.anyone().from("127.0.0.9").header("user-agent", CHROME);
        thief.sign_in("ada", "wrong").expect(422);
        thief.sign_in("xavier", "wrong").expect(422);
        let boss = server.admin("boss");
        let boss = boss.from("127.0.0.5");
        boss.post(
            &format!("/admin/accounts/{}", id.0),
            &[("act", "profile"), ("display_name", "Ada L")],
        )
        .expect(303);
        for path in ["/", "/history"] {
            let page = ada.get(path).expect(200);
            let rows: Vec<&str> = page.text().split("<tr>").collect();
            let failed = rows.iter().find(|row| row.contains("Sign-in refused")).unwrap();
            for part in ["wrong name or password", "127.0.0.9", "Chrome · Windows", "Refused"] {
                assert!(failed.contains(part), "{on:?} {path} {part}: {failed}");
            }
            let updated = rows.iter().find(|row| row.contains("Account updated")).unwrap();
            assert!(
                updated.contains("by boss") && !updated.contains("127.0.0.5"),
                "{on:?} {path}"
            );
            assert!(!page.text().contains("xavier"), "{on:?} {path}");
        }
        let only = ada.get("/history?outcome=failure").expect(200);
        assert!(
            only.text().contains("Sign-in refused") && !only.text().contains("Account updated"),
            "{on:?}"
        );
        server.act(id, Act::EndSessions);
        let again = server.signed_in("ada").get("/history").expect(200);
        assert!(again.text().contains("by an operator"), "{on:?}");
    }
}

#[test]
fn the_history_pages_and_shows_each_event_once() {
    for on in BOTH {
        let server = TestServer::on(on).start();
        let ada = server.member("ada");
        for _ in 0..30 {
            server.advance(1);
            server.anyone().sign_in("ada", "wrong").expect(422);
            server.signed_in("ada");
        }
        let count = |text: &str| text.matches("data-label=\"When\"").count();
        let (mut path, mut seen, mut pages) = ("/history".to_owned(), 0, 0);
        loop {
            let page = ada.get(&path).expect(200);
            seen += count(page.text());
            pages += 1;
            match link(&page, "after=") {
                Some(next) => path = next,
                None => break,
            }
        }
        let me = server
            .run(accounts::find_by_name(&server.ctx, "ada"))
            .unwrap()
            .unwrap()
            .id;
        let mine = server.audit().iter().filter(|row| row.account_id == Some(me)).count();
        assert_eq!((seen, pages), (mine, mine.div_ceil(50)), "{on:?}");
        assert!(mine > 50);
        assert!(
            link(&ada.get(&path).expect(200), "before=").is_some(),
            "{on:?}: and back"
        );
        ada.get("/history?after=nonsense&before=1.x&outcome=odd").expect(200);
    }
}

#[test]
fn an_account_that_expires_within_the_notice_is_told_to_the_microsecond() {
    for on in BOTH {
        let server = TestServer::on(on).start();
        server.policy(&[("auth.expiry_notice", "1 day")]);
        let id = server.account("ada", Role::Member);
        let at = server.now().saturating_add(Span::from_secs(2 * 86_400));
        server.act(id, Act::SetExpiry(Some(at)));
        server.advance(86_400 - 60);
        let ada = server.signed_in("ada");
        let told = || ada.get("/").expect(200).text().contains("Your account expires");
        server.clock.advance(Span::from_micros(59_999_999));
        assert!(!told(), "{on:?}");
        server.clock.advance(Span::from_micros(1));
        assert!(told(), "{on:?}");
    }
}

#[test]
fn a_password_is_judged_while_it_is_typed_and_said_nowhere() {
    let server = TestServer::start();
    let ada = server.member("penelope").header("accept", "application/json");
    let ask = |typed: &str| ada.post("/password/strength", &[("new_password", typed)]).expect(200);
    let before = server.events();
    let weak = ask("password1").json();
    assert_eq!(
        (weak["score"].as_u64(), weak["enough"].as_bool()),
        (Some(0), Some(false))
    );
    assert!(
        weak["advice"].as_str().unwrap().contains("Use at least 12 characters."),
        "{weak}"
    );
    let own = ask("penelope2026!!").json();
    assert!(own["advice"].as_str().unwrap().contains("penelope"), "{own}");
    let good = ask("quiet lantern orchard 9").json();
    assert_eq!(
        (good["score"].as_u64(), good["enough"].as_bool()),
        (Some(4), Some(true))
    );
    assert_eq!(good["words"], "Very hard to guess");
    assert_eq!(ask(&"x".repeat(200)).json()["score"], 0);
    assert_eq!(server.events(), before);
    let stranger = server.anyone().header("accept", "application/json");
    stranger
        .post("/password/strength", &[("new_password", "x")])
        .expect(401);
}
