//! Sessions under the live policy: ended by time, network and agent; rotated; ended by people.

use crate::harness::{
    client::{CHROME, FIREFOX},
    server::{Backend, PASSWORD, TestServer, eventually},
};
use nightlatch::{
    domain::{account::Role, policy::Scope},
    flows::accounts::AccountAction,
};

fn reason(answer: &crate::harness::client::Answer) -> String {
    assert_eq!(answer.status(), 303, "{}", answer.text());
    answer.location().split("reason=").nth(1).unwrap_or("none").to_owned()
}

#[test]
fn an_idle_session_ends_and_a_shorter_timeout_governs_at_the_next_request() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        server.advance(3600);
        ada.get("/").expect(200);
        server.policy(&[("auth.idle_session_timeout", "15m")]);
        server.advance(900);
        ada.get("/").expect(200);
        server.advance(901);
        assert_eq!(reason(&ada.get("/")), "idle", "{backend:?}");
        assert_eq!(reason(&ada.get("/")), "idle", "{backend:?}: it stays ended");
        assert!(server.events().contains(&"session.ended idle".to_owned()));
    }
}

#[test]
fn activity_never_extends_the_absolute_lifetime() {
    let server = TestServer::start();
    server.policy(&[("session.ttl", "1h")]);
    let ada = server.member("ada");
    for _ in 0..6 {
        server.advance(600);
        ada.get("/").expect(200);
    }
    server.advance(1);
    assert_eq!(reason(&ada.get("/")), "ttl");
}

#[test]
fn administrators_may_have_stricter_rules_than_everyone() {
    let server = TestServer::start();
    server.policy_in(
        &Scope::Administrators,
        &[("auth.idle_session_timeout", "15m"), ("session.renewal_period", "6m")],
    );
    let (ada, bob) = (server.admin("ada"), server.member("bob"));
    for _ in 0..3 {
        server.advance(300);
        ada.get("/").expect(200);
        bob.get("/").expect(200);
    }
    server.advance(1);
    assert_eq!(reason(&ada.get("/")), "renewal");
    bob.get("/").expect(200);
}

#[test]
fn requests_of_the_background_do_not_keep_a_session_alive() {
    let server = TestServer::start();
    server.policy(&[
        ("auth.idle_session_timeout", "10m"),
        ("activity.ignored_paths", "/pass*"),
    ]);
    let ada = server.member("ada");
    server.advance(300);
    ada.send(reqwest::Method::GET, "/", None, &[("x-nightlatch-background", "1")])
        .expect(200);
    ada.get("/password").expect(200);
    server.advance(301);
    assert_eq!(reason(&ada.get("/")), "idle");
}

#[test]
fn the_sweep_marks_an_ended_session_at_the_instant_of_its_rule() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "15m")]);
        let signed_in = server.now();
        server.member("ada");
        server.advance(3600);
        server.run(nightlatch::flows::sessions::sweep(&server.ctx)).unwrap();
        let account = server
            .run(nightlatch::flows::accounts::find_by_name(&server.ctx, "ada"))
            .unwrap()
            .unwrap();
        let ended = account.last_session_ended_at.unwrap();
        assert_eq!(ended.since(signed_in).as_secs(), 900, "{backend:?}");
    }
}

#[test]
fn another_browser_family_ends_the_session_under_every_mode_but_off() {
    for mode in ["strict", "moderate", "moderate_vpn", "permissive"] {
        let server = TestServer::start();
        server.policy(&[("session.session_validation_mode", mode)]);
        let ada = server.member("ada");
        let thief = ada.thief().header("user-agent", CHROME);
        assert_eq!(reason(&thief.get("/")), "user_agent", "{mode}");
        assert_eq!(
            reason(&ada.get("/")),
            "user_agent",
            "{mode}: the cookie is known to be in two places"
        );
    }
    let server = TestServer::start();
    server.policy(&[("session.session_validation_mode", "off")]);
    let ada = server.member("ada");
    ada.thief().header("user-agent", CHROME).get("/").expect(200);
}

#[test]
fn an_update_of_the_same_browser_is_accepted_by_moderate_and_refused_by_strict() {
    let newer = FIREFOX.replace("140.0", "141.0");
    for (mode, status) in [("moderate", 200), ("strict", 303)] {
        let server = TestServer::start();
        server.policy(&[("session.session_validation_mode", mode)]);
        let ada = server.member("ada");
        let updated = ada.thief().header("user-agent", &newer);
        assert_eq!(updated.get("/").status(), status, "{mode}");
    }
}

fn behind_proxy(backend: Backend) -> TestServer {
    TestServer::on(backend)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1/32")
        .start()
}

#[test]
fn moderate_accepts_one_network_change_rotates_the_id_and_ends_at_the_second() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = behind_proxy(backend);
        let ada = server.anyone().header("x-forwarded-for", "198.51.100.7");
        server.account("ada", Role::Member);
        ada.sign_in("ada", PASSWORD).expect(303);
        let first = ada.cookie("nightlatch").unwrap();
        // The same /24 is not a change.
        let ada = ada.header("x-forwarded-for", "198.51.100.200");
        ada.get("/").expect(200);
        assert_eq!(ada.cookie("nightlatch").unwrap(), first);
        let ada = ada.header("x-forwarded-for", "203.0.113.9");
        ada.get("/").expect(200);
        let second = ada.cookie("nightlatch").unwrap();
        assert_ne!(first, second, "{backend:?}: rotated");
        let events = server.events();
        assert!(
            events.contains(&"session.network_changed".to_owned()) && events.contains(&"session.rotated".to_owned()),
            "{events:?}"
        );
        ada.get("/").expect(200);
        let ada = ada.header("x-forwarded-for", "192.0.2.1");
        assert_eq!(reason(&ada.get("/")), "network_allowance", "{backend:?}");
    }
}

#[test]
fn a_rotated_id_works_for_ten_seconds_from_either_network_and_then_ends_the_session() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = behind_proxy(backend);
        server.account("ada", Role::Member);
        let ada = server.anyone().header("x-forwarded-for", "198.51.100.7");
        ada.sign_in("ada", PASSWORD).expect(303);
        let old = ada.thief();
        let ada = ada.header("x-forwarded-for", "203.0.113.9");
        ada.get("/").expect(200);
        old.get("/").expect(200);
        server.advance(10);
        let old = old.header("x-forwarded-for", "203.0.113.9");
        old.get("/").expect(200);
        ada.get("/").expect(200);
        server.advance(1);
        assert_eq!(reason(&old.get("/")), "rotated_reuse", "{backend:?}");
        assert_eq!(reason(&ada.get("/")), "rotated_reuse", "{backend:?}: under both ids");
        assert!(
            server
                .events()
                .contains(&"session.rotated_id_reused rotated_reuse".to_owned())
        );
    }
}

#[test]
fn parallel_requests_from_a_new_network_are_one_change() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = behind_proxy(backend);
        server.account("ada", Role::Member);
        let ada = server.anyone().header("x-forwarded-for", "198.51.100.7");
        ada.sign_in("ada", PASSWORD).expect(303);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let requests: Vec<_> = (0..12)
                .map(|_| {
                    let tab = ada.thief().header("x-forwarded-for", "203.0.113.9");
                    scope.spawn(move || tab.get("/").status())
                })
                .collect();
            requests.into_iter().map(|request| request.join().unwrap()).collect()
        });
        assert!(statuses.iter().all(|status| *status == 200), "{backend:?} {statuses:?}");
        let changes = server
            .events()
            .iter()
            .filter(|event| *event == "session.network_changed")
            .count();
        assert_eq!(changes, 1, "{backend:?}");
    }
}

#[test]
fn strict_ends_at_the_first_other_address() {
    let server = behind_proxy(Backend::Sqlite);
    server.policy(&[("session.session_validation_mode", "strict")]);
    server.account("ada", Role::Member);
    let ada = server.anyone().header("x-forwarded-for", "198.51.100.7");
    ada.sign_in("ada", PASSWORD).expect(303);
    let ada = ada.header("x-forwarded-for", "198.51.100.8");
    assert_eq!(reason(&ada.get("/")), "network");
}

#[test]
fn permissive_records_another_network_once_and_goes_on() {
    let server = behind_proxy(Backend::Sqlite);
    server.policy(&[("session.session_validation_mode", "permissive")]);
    server.account("ada", Role::Member);
    let ada = server.anyone().header("x-forwarded-for", "198.51.100.7");
    ada.sign_in("ada", PASSWORD).expect(303);
    let cookie = ada.cookie("nightlatch");
    let ada = ada.header("x-forwarded-for", "203.0.113.9");
    for _ in 0..3 {
        ada.get("/").expect(200);
    }
    assert_eq!(ada.cookie("nightlatch"), cookie, "nothing is rotated");
    assert_eq!(
        server
            .events()
            .iter()
            .filter(|event| *event == "session.network_changed")
            .count(),
        1
    );
}

#[test]
fn a_forged_forwarded_address_is_ignored_without_a_trusted_proxy() {
    let server = TestServer::start();
    server.policy(&[("session.session_validation_mode", "strict")]);
    let ada = server
        .member("ada")
        .header("x-forwarded-for", "203.0.113.9")
        .header("forwarded", "for=203.0.113.9");
    ada.get("/").expect(200);
    assert!(
        server
            .audit()
            .iter()
            .filter_map(|row| row.ip)
            .all(|ip| ip.to_string() == "127.0.0.1")
    );
}

#[test]
fn disabling_an_account_ends_its_sessions_at_the_next_request() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("boss", Role::Administrator);
        let id = server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        server.act(id, AccountAction::Disable);
        assert_eq!(reason(&ada.get("/")), "account_disabled", "{backend:?}");
    }
}

#[test]
fn demoting_an_administrator_closes_the_console_at_once() {
    let server = TestServer::start();
    server.account("boss", Role::Administrator);
    let id = server.account("ada", Role::Administrator);
    let ada = server.signed_in("ada");
    ada.get("/admin").expect(200);
    server.act(id, AccountAction::SetRole(Role::Member));
    ada.get("/admin").expect(403);
}

#[test]
fn a_session_ends_at_other_instances_within_moments() {
    let server = TestServer::on(Backend::Postgres).start();
    let other = TestServer::beside(&server.database).clock(&server.clock).start();
    let ada = server.member("ada");
    let there = ada.thief().at(&other.base);
    there.get("/").expect(200);
    ada.post("/logout", &[]).expect(303);
    eventually("the other instance hears of it", || there.get("/").status() == 303);
}

#[test]
fn activity_at_one_instance_keeps_the_session_alive_at_another() {
    let server = TestServer::on(Backend::Postgres).start();
    let other = TestServer::beside(&server.database).clock(&server.clock).start();
    server.policy(&[("auth.idle_session_timeout", "10m")]);
    let ada = server.member("ada");
    let there = ada.thief().at(&other.base);
    there.get("/").expect(200);
    for _ in 0..5 {
        server.advance(595);
        ada.get("/").expect(200);
    }
    server.advance(300);
    there.get("/").expect(200);
    server.advance(601);
    assert_eq!(reason(&there.get("/")), "idle");
}

#[test]
fn a_policy_saved_elsewhere_governs_here_within_moments() {
    let server = TestServer::on(Backend::Postgres).start();
    let other = TestServer::beside(&server.database).clock(&server.clock).start();
    let ada = server.member("ada");
    server.advance(700);
    other.policy(&[("session.ttl", "10m")]);
    eventually("the session ends here", || ada.get("/").status() == 303);
}

#[test]
fn my_other_sessions_can_be_ended_and_nobody_elses() {
    let server = TestServer::start();
    let (here, eve) = (server.member("ada"), server.member("eve"));
    let there = server.signed_in("ada");
    let page = here.get("/").expect(200);
    let ids = page
        .text()
        .split("action=\"/sessions/")
        .skip(1)
        .map(|rest| rest.split(['/', '"']).next().unwrap());
    let id = ids
        .filter(|id| id.len() == 36)
        .last()
        .expect("the other session can be ended from the page");
    eve.post(&format!("/sessions/{id}/end"), &[]).expect(404);
    there.get("/").expect(200);
    here.post(&format!("/sessions/{id}/end"), &[]).expect(303);
    assert_eq!(reason(&there.get("/")), "revoked");
    let (second, third) = (server.signed_in("ada"), server.signed_in("ada"));
    here.post("/sessions/end-others", &[]).expect(303);
    second.get("/").expect(303);
    third.get("/").expect(303);
    here.get("/").expect(200);
}

#[test]
fn a_signed_in_request_does_not_query_the_database_for_the_session() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.member("ada");
        // For a signed-in user the sign-in page only redirects: only the session is read.
        ada.get("/login").expect(303);
        eventually("the line is alive", || server.ctx.live.freshness.is_fresh());
        let before = server.ctx.store.calls();
        for _ in 0..300 {
            ada.get("/login").expect(303);
        }
        // The jobs query the database occasionally; three hundred requests would have caused three
        // hundred queries.
        let asked = server.ctx.store.calls() - before;
        assert!(asked < 100, "{backend:?}: {asked} calls");
    }
}
