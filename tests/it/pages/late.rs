//! Requests in flight when a session ends must not bring it back.

use super::kit::at_once;
use crate::harness::{
    client::Client,
    server::{Backend, TestServer},
};
use nightlatch::{
    domain::{
        account::Role,
        session::{SessionFilter, SessionListState},
    },
    flows::{access, accounts::AccountAction},
    store::sessions,
};

#[test]
fn fifty_requests_during_sign_out_leave_nothing_alive() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "5m")]);
        let ada = server.member("ada");
        let tabs: Vec<Client> = (0..50).map(|_| ada.thief()).collect();
        let statuses = at_once(51, |index| match index {
            50 => ada.post("/logout", &[]).status(),
            index => tabs[index].get("/").status(),
        });
        assert!(
            statuses.iter().all(|status| [200, 303].contains(status)),
            "{backend:?} {statuses:?}"
        );
        for tab in &tabs {
            assert_eq!(tab.get("/").status(), 303, "{backend:?}");
        }
        server.run(access::flush_activity(&server.ctx)).unwrap();
        server.advance(1);
        assert!(tabs.iter().all(|tab| tab.get("/").status() == 303), "{backend:?}");
        let ended = server
            .events()
            .iter()
            .filter(|event| event.starts_with("session.ended"))
            .count();
        assert_eq!(ended, 1, "{backend:?}");
    }
}

#[test]
fn activity_that_is_written_late_does_not_revive_or_move_an_ended_session() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "1h")]);
        let id = server.account("ada", Role::Member);
        let (ada, other) = (server.signed_in("ada"), server.signed_in("ada"));
        server.advance(10);
        ada.get("/").expect(200);
        other.get("/").expect(200);
        server.act(id, AccountAction::EndSessions);
        let ended = server.now();
        server.advance(10);
        server.run(access::flush_activity(&server.ctx)).unwrap();
        assert_eq!(
            ada.get("/").expect(303).location(),
            "/login?reason=revoked",
            "{backend:?}"
        );
        let rows = server
            .run(server.ctx.store.read(move |c| {
                let filter = SessionFilter {
                    account: Some(id),
                    state: SessionListState::All,
                    limit: 10,
                    ..SessionFilter::default()
                };
                sessions::list(c, &filter)
            }))
            .unwrap();
        assert_eq!(rows.items.len(), 2);
        for row in rows.items {
            assert_eq!(row.session.ended_at, Some(ended), "{backend:?}");
            assert!(row.session.last_active_at <= ended, "{backend:?}");
        }
    }
}

#[test]
fn a_restart_and_another_instance_know_that_it_ended() {
    let server = TestServer::on(Backend::Postgres).start();
    let other = TestServer::beside(&server.database).clock(&server.clock).start();
    let ada = server.member("ada");
    let there = ada.thief().at(&other.base);
    there.get("/").expect(200);
    let tabs: Vec<Client> = (0..20).map(|_| ada.thief().at(&other.base)).collect();
    at_once(21, |index| match index {
        20 => ada.post("/logout", &[]).status(),
        index => tabs[index].get("/").status(),
    });
    crate::harness::server::eventually("the other instance hears of it", || there.get("/").status() == 303);
    other.run(access::flush_activity(&other.ctx)).unwrap();
    assert_eq!(ada.thief().get("/").status(), 303);
    other.stop();
    let again = TestServer::beside(&server.database).clock(&server.clock).start();
    assert_eq!(tabs[0].thief().at(&again.base).get("/").status(), 303);
}

#[test]
fn ending_by_an_administrator_during_requests_and_moves_is_final() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend)
            .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1/32")
            .start();
        let id = server.account("ada", Role::Member);
        let home = server.anyone().header("x-forwarded-for", "198.51.100.7");
        home.sign_in("ada", crate::harness::server::PASSWORD).expect(303);
        // Half of the tabs come from a new network, so that rotation and end happen together.
        let tabs: Vec<Client> = (0..20)
            .map(|index| {
                home.thief().header(
                    "x-forwarded-for",
                    if index % 2 == 0 { "198.51.100.7" } else { "203.0.113.9" },
                )
            })
            .collect();
        at_once(21, |index| match index {
            20 => {
                server.act(id, AccountAction::Disable);
            }
            index => {
                tabs[index].get("/");
            }
        });
        for tab in &tabs {
            assert_eq!(tab.get("/").status(), 303, "{backend:?}");
        }
        let ended = server
            .events()
            .iter()
            .filter(|event| event.starts_with("session.ended"))
            .count();
        assert_eq!(ended, 1, "{backend:?} {:?}", server.events());
        server.act(id, AccountAction::Enable);
        assert!(
            tabs.iter().all(|tab| tab.get("/").status() == 303),
            "{backend:?}: enabling revives no session"
        );
    }
}

#[test]
fn signing_in_while_the_account_is_disabled_leaves_no_live_session() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        for _ in 0..4 {
            let clients: Vec<Client> = (0..4).map(|_| server.anyone()).collect();
            at_once(5, |index| match index {
                4 => drop(server.act(id, AccountAction::Disable)),
                index => drop(clients[index].sign_in("ada", crate::harness::server::PASSWORD)),
            });
            assert!(
                clients.iter().all(|client| client.get("/").status() == 303),
                "{backend:?}"
            );
            server.act(id, AccountAction::Enable);
            assert!(
                clients.iter().all(|client| client.get("/").status() == 303),
                "{backend:?}"
            );
        }
    }
}

#[test]
fn parallel_sign_ins_never_leave_more_sessions_than_allowed() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("session.concurrent_user_session_limit", "2")]);
        server.account("ada", Role::Member);
        let clients: Vec<Client> = (0..10).map(|_| server.anyone()).collect();
        at_once(10, |index| {
            clients[index].sign_in("ada", crate::harness::server::PASSWORD).status()
        });
        let live = clients.iter().filter(|client| client.get("/").status() == 200).count();
        assert_eq!(live, 2, "{backend:?}");
    }
}
