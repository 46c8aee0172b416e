//! Failing closed: without the database, or without the record of an action, the answer is 503 and
//! nothing happened.

use super::kit::{at_once, draft, save_reviewed};
use crate::harness::{
    client::Client,
    server::{Backend, PASSWORD, TestDatabase, TestServer, eventually},
};
use nightlatch::{domain::account::Role, flows::policy};
use std::time::{Duration, Instant};

fn postgres(server: &TestServer) -> &crate::harness::postgres::Database {
    match &*server.database {
        TestDatabase::Postgres(database) => database,
        TestDatabase::Sqlite(_) => panic!("not on Postgres"),
    }
}

#[test]
fn without_the_database_nobody_is_let_in_and_it_recovers_unaided() {
    let server = TestServer::on(Backend::Postgres).start();
    server.account("eve", Role::Member);
    let ada = server.admin("ada");
    ada.get("/admin").expect(200);
    let database = postgres(&server);
    database.allow_connections(false);
    database.disconnect_all();
    eventually("memory is no longer believed", || ada.get("/").status() == 503);
    let start = Instant::now();
    // In parallel: the wait for a connection is bounded, and requests do not queue behind each
    // other.
    let statuses = at_once(20, |index| match index % 3 {
        0 => {
            let answer = ada.thief().get("/");
            assert!(answer.header("retry-after").is_some(), "{}", answer.status());
            for word in ["postgres", "connection", "FATAL", "127.0.0.1", "diesel"] {
                assert!(!answer.text().contains(word), "{word}");
            }
            answer.status()
        }
        1 => ada.thief().get("/admin/policy").status(),
        _ => server.anyone().sign_in("eve", PASSWORD).status(),
    });
    assert_eq!(statuses, [503; 20]);
    assert!(start.elapsed() < Duration::from_secs(25), "{:?}", start.elapsed());
    // Pages and probes without a session still answer what they can.
    server.anyone().get("/static/app.css").expect(200);
    server.anyone().get("/healthz").expect(200);
    server.anyone().get("/readyz").expect(503);
    let program = ada.thief().header("accept", "application/json").get("/").expect(503);
    assert_eq!(program.json()["code"], "unavailable");
    database.allow_connections(true);
    eventually("it answers again", || ada.get("/").status() == 200);
    eventually("people sign in again", || {
        server.anyone().sign_in("eve", PASSWORD).status() == 303
    });
    ada.post("/logout", &[]).expect(303);
    ada.get("/").expect(303);
}

#[test]
fn a_sign_out_that_could_not_be_written_is_not_answered_as_done() {
    let server = TestServer::on(Backend::Postgres).start();
    let ada = server.member("ada");
    let thief = ada.thief();
    postgres(&server).allow_connections(false);
    postgres(&server).disconnect_all();
    eventually("the database is away", || {
        ada.thief().post("/logout", &[]).status() == 503
    });
    postgres(&server).allow_connections(true);
    // It is not forgotten either.
    eventually("it is over", || thief.get("/").status() == 303);
    ada.post("/logout", &[]).expect(303);
}

#[test]
fn a_database_that_only_reads_changes_nothing_and_says_so() {
    let server = TestServer::on(Backend::Postgres).start();
    let boss = server.admin("boss");
    server.account("ada", Role::Member);
    let before = server.run(policy::in_force(&server.ctx)).unwrap().revision.revision;
    postgres(&server).read_only(true);
    postgres(&server).disconnect_all();
    let base = before.to_string();
    eventually("saving is refused", || {
        boss.post("/admin/policy", &[("base", &base), ("session.ttl", "1h")])
            .status()
            == 503
    });
    server.anyone().sign_in("ada", PASSWORD).expect(503);
    postgres(&server).read_only(false);
    postgres(&server).disconnect_all();
    eventually("it recovers", || {
        server.anyone().sign_in("ada", PASSWORD).status() == 303
    });
    assert_eq!(
        server.run(policy::in_force(&server.ctx)).unwrap().revision.revision,
        before
    );
}

/// A server whose security log can be opened and never written.
fn without_a_log(backend: Backend) -> (TestServer, Client) {
    let server = TestServer::on(backend).start();
    let boss = server.admin("boss");
    server.account("ada", Role::Member);
    let database = server.database.clone();
    server.stop();
    let server = TestServer::beside(&database)
        .env("NIGHTLATCH_SECURITY_LOG", "/dev/full")
        .start();
    let boss = boss.at(&server.base);
    (server, boss)
}

#[test]
fn an_action_that_cannot_be_recorded_does_not_happen() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let (server, boss) = without_a_log(backend);
        boss.get("/admin").expect(200);
        let before = (
            server.events(),
            server.run(policy::in_force(&server.ctx)).unwrap().revision.revision,
        );
        let ada = server
            .run(nightlatch::flows::accounts::find_by_name(&server.ctx, "ada"))
            .unwrap()
            .unwrap();
        let page = format!("/admin/accounts/{}", ada.id.0);
        let review = draft(&boss, before.1, &[("session.ttl", "1h")]).expect(303);
        let refused = [
            save_reviewed(&boss, review.location(), &[]),
            boss.post("/admin/accounts", &[("name", "eve"), ("role", "administrator")]),
            boss.post(&page, &[("act", "disable")]),
            boss.post(&page, &[("act", "reset-password")]),
            boss.post(&page, &[("act", "role"), ("role", "administrator")]),
            boss.post(&page, &[("act", "delete"), ("confirm_name", "ada")]),
            boss.post(
                "/password",
                &[
                    ("current_password", PASSWORD),
                    ("new_password", "quiet lantern orchard 9"),
                    ("new_password_again", "quiet lantern orchard 9"),
                ],
            ),
            boss.post("/admin/audit/export", &[]),
            server.anyone().sign_in("ada", PASSWORD),
            server.anyone().sign_in("ada", "wrong"),
        ];
        for (index, answer) in refused.iter().enumerate() {
            assert_eq!(answer.status(), 503, "{backend:?} {index}: {}", answer.text());
            assert!(answer.cookies().is_empty(), "{backend:?} {index}");
            assert!(
                !answer.text().contains("/dev/full") && !answer.text().contains("security log"),
                "{backend:?} {index}"
            );
        }
        let after = (
            server.events(),
            server.run(policy::in_force(&server.ctx)).unwrap().revision.revision,
        );
        assert_eq!(after, before, "{backend:?}");
        let still = server
            .run(nightlatch::flows::accounts::find_by_name(&server.ctx, "ada"))
            .unwrap()
            .unwrap();
        assert_eq!(still, ada, "{backend:?}");
        let database = server.database.clone();
        server.stop();
        TestServer::beside(&database)
            .start()
            .signed_in("ada")
            .get("/")
            .expect(200);
    }
}

#[test]
fn an_ending_holds_even_when_it_cannot_be_recorded() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let (server, boss) = without_a_log(backend);
        boss.get("/").expect(200);
        let thief = boss.thief().header("user-agent", "curl/8");
        assert_ne!(thief.get("/").status(), 200, "{backend:?}");
        assert_ne!(thief.get("/").status(), 200, "{backend:?}");
        assert_ne!(boss.get("/").status(), 200, "{backend:?}: it ended here at once");
        server.advance(30 * 86_400);
        assert_ne!(boss.get("/").status(), 200, "{backend:?}");
        // It could not write the end when it stopped either, and reports it.
        let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| server.stop()));
        assert!(stopped.is_err(), "{backend:?}");
    }
}
