//! `/` and `/history`: my devices, what I do not recognize, and what is on record about my account.

use super::kit::{NOBODY, link};
use crate::harness::{
    client::{CHROME, Client},
    server::{Backend, PASSWORD, TestServer},
};
use nightlatch::{
    domain::{
        account::Role,
        audit::{AuditRecord, Event},
        time::Span,
    },
    flows::accounts::{self, AccountAction},
};

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

/// Ids of the sessions that the page offers to end.
fn others(client: &Client) -> Vec<String> {
    let page = client.get("/").expect(200).page();
    let actions = page
        .all("form")
        .into_iter()
        .map(|form| form.attribute("action").to_owned());
    actions
        .filter_map(|action| Some(action.strip_prefix("/sessions/")?.strip_suffix("/end")?.to_owned()))
        .collect()
}

#[test]
fn this_device_comes_first_and_is_left_by_signing_out() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        server.advance(60);
        let other = server.anyone().from("127.0.0.2").header("user-agent", CHROME);
        other.sign_in("ada", PASSWORD).expect(303);
        let page = ada.get("/").expect(200).page();
        let [this, other_device] = page.all("article")[..] else {
            panic!("{backend:?}: two devices: {}", page.text());
        };
        assert!(
            this.shows("This device") && this.shows("Firefox · Linux"),
            "{backend:?}: {}",
            this.text()
        );
        assert_eq!(this.actions(), ["/logout"], "{backend:?}");
        let id = others(&ada).remove(0);
        assert!(other_device.shows("Chrome · Windows"), "{backend:?}");
        assert_eq!(other_device.fact("IP address"), "127.0.0.2", "{backend:?}");
        assert!(
            other_device.fact("Ends").contains("its lifetime is over"),
            "{backend:?}"
        );
        let actions = other_device.actions();
        assert_eq!(
            actions,
            [format!("/sessions/{id}/end"), format!("/sessions/{id}/disown")]
        );
        ada.post(&format!("/sessions/{id}/end"), &[]).expect(303);
        other.get("/").expect(303);
        assert!(others(&ada).is_empty(), "{backend:?}");
    }
}

#[test]
fn a_device_that_nobody_knows_is_ended_and_another_password_is_next() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        let stranger = server.signed_in("ada");
        let id = others(&ada).remove(0);
        let to = ada.post(&format!("/sessions/{id}/disown"), &[]).expect(303);
        assert_eq!(to.location(), "/password", "{backend:?}");
        let form = ada.get("/password").expect(200);
        assert!(
            form.page().shows("the person who signed in may know yours"),
            "{backend:?}"
        );
        stranger.get("/").expect(303);
        ada.post(&format!("/sessions/{id}/disown"), &[]).expect(404);
        assert!(server.events().contains(&"sign_in.disowned".to_owned()), "{backend:?}");
    }
}

#[test]
fn members_can_neither_end_nor_report_sessions_of_others() {
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
    for backend in BOTH {
        let server = TestServer::on(backend).start();
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
            let answer = ada.get(path).expect(200);
            let page = answer.page();
            let refused = page.rows_with("Event", "Sign-in refused")[0];
            assert!(
                refused.cell("Event").contains("wrong username or password"),
                "{backend:?} {path}"
            );
            assert_eq!(refused.cell("Outcome"), "Refused", "{backend:?} {path}");
            assert_eq!(refused.cell("From"), "Chrome · Windows 127.0.0.9", "{backend:?} {path}");
            let updated = page.rows_with("Event", "Account updated")[0];
            assert_eq!(updated.cell("From"), "by boss", "{backend:?} {path}");
            assert!(!answer.text().contains("xavier"), "{backend:?} {path}");
        }
        let failures = ada.get("/history?outcome=failure").expect(200).page();
        assert_eq!(failures.rows_with("Outcome", "Refused").len(), failures.rows().len());
        assert_eq!(failures.rows_with("Event", "Sign-in refused").len(), 1, "{backend:?}");
        server.act(id, AccountAction::EndSessions);
        let again = server.signed_in("ada").get("/history").expect(200);
        assert!(
            !again.page().rows_with("From", "by an operator").is_empty(),
            "{backend:?}"
        );
    }
}

#[test]
fn the_history_pages_and_shows_each_event_once() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        for _ in 0..30 {
            server.advance(1);
            server.anyone().sign_in("ada", "wrong").expect(422);
            server.signed_in("ada");
        }
        let (mut path, mut seen, mut pages) = ("/history".to_owned(), 0, 0);
        loop {
            let page = ada.get(&path).expect(200);
            seen += page.page().rows().len();
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
        // The sign-in of a session already shows that it began.
        let shown = |row: &&AuditRecord| row.account_id == Some(me) && row.event != Event::SessionOpened;
        let mine = server.audit().iter().filter(shown).count();
        assert_eq!((seen, pages), (mine, mine.div_ceil(50)), "{backend:?}");
        assert!(mine > 50);
        assert!(
            link(&ada.get(&path).expect(200), "before=").is_some(),
            "{backend:?}: and back"
        );
        ada.get("/history?after=nonsense&before=1.x&outcome=odd").expect(200);
    }
}

#[test]
fn an_expiry_is_notified_from_the_exact_microsecond_of_the_notice() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.expiry_notice", "1 day")]);
        let id = server.account("ada", Role::Member);
        let at = server.now().saturating_add(Span::from_secs(2 * 86_400));
        server.act(id, AccountAction::SetExpiry(Some(at)));
        server.advance(86_400 - 60);
        let ada = server.signed_in("ada");
        let told = || ada.get("/").expect(200).page().shows("Your account expires");
        server.clock.advance(Span::from_micros(59_999_999));
        assert!(!told(), "{backend:?}");
        server.clock.advance(Span::from_micros(1));
        assert!(told(), "{backend:?}");
    }
}

#[test]
fn a_password_is_judged_while_it_is_typed_and_logged_nowhere() {
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

#[test]
fn my_account_has_one_row_for_a_sign_in_and_the_applications_that_i_may_open() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        for (name, role) in [("wiki", "member"), ("vault", "administrator")] {
            let host = format!("{name}.example.org");
            boss.post(
                "/admin/applications",
                &[("name", name), ("hosts", &host), ("role", role)],
            )
            .expect(303);
        }
        let ada = server.member("ada");
        for path in ["/", "/history"] {
            let page = ada.get(path).expect(200).page();
            assert!(
                page.rows_with("Event", "Session opened").is_empty(),
                "{backend:?} {path}"
            );
            assert_eq!(page.rows_with("Event", "Signed in").len(), 1, "{backend:?} {path}");
        }
        let page = ada.get("/").expect(200).page();
        assert_eq!(page.link("wiki"), "http://wiki.example.org/", "{backend:?}");
        assert!(!page.shows("vault"), "{backend:?}");
    }
}
