//! Where a target begins, what it keeps, and several servers on one database.

use super::{seal, seal_account, target};
use crate::harness::{
    collector::Collector,
    server::{Backend, TestServer, eventually},
};
use nightlatch::{
    clock::FixedClock,
    domain::{account::Role, audit::shipping::TargetName},
    store::audit::shipping as rows,
};
use std::sync::Arc;

#[test]
fn two_servers_on_one_database_ship_every_entry_once() {
    let collector = Collector::webhook();
    let one = TestServer::on(Backend::Postgres)
        .file(&collector.webhook_table("siem"))
        .start();
    let clock: Arc<FixedClock> = one.clock.clone();
    let two = TestServer::beside(&one.database)
        .file(&collector.webhook_table("siem"))
        .clock(&clock)
        .start();
    let mut entries = 0;
    for round in 0..4 {
        one.account(&format!("ada{round}"), Role::Member);
        two.account(&format!("bob{round}"), Role::Member);
        entries = seal(&one);
    }
    let report = collector.wait_for(entries);
    assert_eq!(report.faults, [""; 0]);
    assert_eq!(
        (report.entries, report.repeated),
        (entries, 0),
        "the leases do not overlap"
    );
}

#[test]
fn a_new_target_may_begin_now_and_keeps_its_place_over_restarts() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let collector = Collector::webhook();
        let server = TestServer::on(backend).start();
        let before = seal_account(&server, "eve");
        let table = format!("{}from = \"now\"\n", collector.webhook_table("siem"));
        let clock = server.clock.clone();
        let database = server.leave();
        let second = TestServer::beside(&database).clock(&clock).file(&table).start();
        eventually("the target has begun", || target(&second).state.is_some());
        let all = seal_account(&second, "ada");
        let report = collector.wait_for(all - before);
        assert_eq!(
            (report.entries, report.range),
            (all - before, Some((2, 2))),
            "{backend:?}"
        );
        eventually("all is confirmed", || target(&second).waiting == 0);
        second.stop();
        // From where it was, whatever `from` says now.
        let third = TestServer::beside(&database).clock(&clock);
        let third = third.file(&collector.webhook_table("siem")).start();
        let all = seal_account(&third, "bob");
        let report = collector.wait_for(all - before);
        assert_eq!((report.entries, report.repeated), (all - before, 0));
        assert_eq!(report.faults, [""; 0]);
    }
}

#[test]
fn seals_that_were_removed_before_they_were_shipped_are_counted() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let collector = Collector::webhook();
        let server = TestServer::on(backend).start();
        for name in ["ada", "bob", "eve"] {
            seal_account(&server, name);
        }
        let name = TargetName::parse("siem").unwrap();
        server.ctx.store.write_now(|c| rows::insert(c, &name, 0)).unwrap();
        server.database.sql(
            "DELETE FROM audit WHERE id <= (SELECT last_id FROM audit_seals WHERE number = 2); \
             DELETE FROM audit_seals WHERE number <= 2",
        );
        let clock = server.clock.clone();
        let database = server.leave();
        let second = TestServer::beside(&database).clock(&clock);
        let second = second.file(&collector.webhook_table("siem")).start();
        collector.wait_for(second.audit().len() as u64);
        eventually("the loss is recorded", || {
            target(&second).state.is_some_and(|state| state.missed_seals == 2)
        });
        assert!(target(&second).needs_attention());
        assert_eq!(collector.report().range, Some((3, 3)), "{backend:?}");
    }
}
