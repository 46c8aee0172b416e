//! kill -9 of the server while a batch is on its way.

use crate::harness::{
    collector::{Behaviour, Collector},
    program::Program,
    server::{Backend, TestServer, eventually},
};
use nightlatch::{
    domain::{
        audit::{Actor, AuditEntry, Event},
        time::Span,
    },
    flows::audit::seals::seal_due,
    store::audit,
};

/// Entries that are sealed before the program starts: several batches and seals.
const ENTRIES: u64 = 2_500;

fn a_killed_server_loses_nothing(backend: Backend) {
    let server = TestServer::on(backend).start();
    let old = server.now().saturating_sub(Span::from_secs(3_600));
    let ctx = server.ctx.clone();
    let insert = |c: &mut nightlatch::store::Conn| {
        let entry = AuditEntry::new(Event::SignInRefused, Actor::System).failed("credentials");
        let rows: Vec<_> = (0..ENTRIES).map(|_| (ctx.new_id(old), old, &entry)).collect();
        audit::insert_many(c, rows)
    };
    server.ctx.store.write_now(insert).unwrap();
    drop(ctx);
    // The server's own job may be sealing too.
    server.run(seal_due(&server.ctx)).unwrap();
    let database = server.leave();

    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::webhook();
    collector.behave(Behaviour::ConfirmSome(3));
    std::fs::write(folder.path().join("nightlatch.toml"), collector.webhook_table("siem")).unwrap();
    let url = database.url();
    let env = [("DATABASE_URL", url.as_str())];
    let program = Program::serve(folder.path(), &env);
    eventually("a batch is on its way", || collector.batches().len() == 4);
    let arrived = collector.report().entries;
    assert!(arrived < ENTRIES);
    program.kill();
    collector.behave(Behaviour::Confirm);
    // It waits until the lease of the killed one has run out.
    let program = Program::serve(folder.path(), &env);
    let report = collector.wait_for(ENTRIES);
    assert_eq!(report.faults, [""; 0], "{backend:?}");
    assert!(report.repeated > 0, "the batch that was on its way comes again");
    program.terminate();
}

#[test]
fn a_killed_server_loses_nothing_on_sqlite() {
    a_killed_server_loses_nothing(Backend::Sqlite);
}

#[test]
fn a_killed_server_loses_nothing_on_postgres() {
    a_killed_server_loses_nothing(Backend::Postgres);
}
