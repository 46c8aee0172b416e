//! Receivers that refuse, break, hang or are away.

use super::{fault, seal, seal_account, target};
use crate::harness::{
    collector::{Behaviour, Collector},
    server::{Backend, TestServer, eventually},
};
use std::net::TcpListener;

/// Waits for the first fault and returns it.
fn first_fault(server: &TestServer) -> String {
    eventually("the fault is recorded", || !fault(server).is_empty());
    fault(server)
}

#[test]
fn a_webhook_that_refuses_gets_everything_later() {
    for (status, pause) in [(500, 1), (503, 1), (429, 1), (404, 300), (302, 300)] {
        for backend in [Backend::Sqlite, Backend::Postgres] {
            let collector = Collector::webhook();
            collector.behave(Behaviour::Refuse(status));
            let server = TestServer::on(backend).file(&collector.webhook_table("siem")).start();
            let entries = seal_account(&server, "ada");
            assert_eq!(first_fault(&server), format!("the receiver answered {status}"));
            let report = target(&server);
            let state = report.state.as_ref().unwrap();
            assert_eq!((state.failures, state.shipped, report.waiting), (1, 0, entries));
            let waits = state.retry_at.unwrap().since(server.now()).as_secs();
            assert_eq!(waits, pause, "{backend:?} {status}");
            assert!(report.needs_attention());
            collector.behave(Behaviour::Confirm);
            server.advance(pause);
            let arrived = collector.wait_for(entries);
            assert_eq!((arrived.faults.len(), arrived.entries), (0, entries));
            eventually("the fault is over", || !target(&server).needs_attention());
            let state = target(&server).state.unwrap();
            assert_eq!((state.failures, state.fault, state.retry_at), (0, None, None));
            assert_eq!(state.shipped, i64::try_from(entries).unwrap());
            if status != 500 {
                break;
            }
        }
    }
}

#[test]
fn the_pauses_grow_up_to_a_minute() {
    let collector = Collector::webhook();
    collector.behave(Behaviour::Refuse(500));
    let server = TestServer::on(Backend::Sqlite)
        .file(&collector.webhook_table("siem"))
        .start();
    seal_account(&server, "bob");
    for (failures, pause) in (1..).zip([1, 2, 4, 8, 16, 32, 60, 60]) {
        let failed = || target(&server).state.is_some_and(|state| state.failures == failures);
        eventually("the next attempt fails", failed);
        let retry = target(&server).state.unwrap().retry_at.unwrap();
        assert_eq!(retry.since(server.now()).as_secs(), pause);
        server.advance(pause);
    }
}

#[test]
fn a_batch_that_was_not_confirmed_arrives_again() {
    for behaviour in [Behaviour::Break, Behaviour::Hang] {
        let collector = Collector::webhook();
        collector.behave(behaviour);
        let server = TestServer::on(Backend::Sqlite)
            .file(&collector.webhook_table("siem"))
            .start();
        let entries = seal_account(&server, "bob");
        let words = first_fault(&server);
        assert!(!words.contains("/in"), "the path may be secret: {words}");
        collector.behave(Behaviour::Confirm);
        server.advance(60);
        eventually("all is confirmed", || target(&server).waiting == 0);
        let report = collector.report();
        assert_eq!((report.faults.len(), report.entries), (0, entries), "{behaviour:?}");
        assert!(report.repeated > 0);
    }
}

#[test]
fn a_syslog_connection_that_breaks_or_is_not_closed_confirms_nothing() {
    for (behaviour, words) in [
        (Behaviour::Break, "connection"),
        (Behaviour::Close, "connection"),
        (
            Behaviour::Hang,
            "the receiver did not take or confirm the records within 15 seconds",
        ),
    ] {
        let collector = Collector::syslog();
        collector.behave(behaviour);
        let server = TestServer::on(Backend::Sqlite)
            .file(&collector.syslog_table("siem"))
            .start();
        let entries = seal_account(&server, "bob");
        let told = first_fault(&server);
        assert!(told.contains(words), "{told}");
        collector.behave(Behaviour::Confirm);
        server.advance(60);
        eventually("all is confirmed", || target(&server).waiting == 0);
        let report = collector.report();
        assert_eq!((report.faults.len(), report.entries), (0, entries), "{behaviour:?}");
    }
}

#[test]
fn a_receiver_that_hangs_delays_no_other_and_nobody_else() {
    let (stuck, quick) = (Collector::webhook(), Collector::webhook());
    stuck.behave(Behaviour::Hang);
    let server = TestServer::on(Backend::Sqlite)
        .file(&format!("{}{}", stuck.webhook_table("a"), quick.webhook_table("b")))
        .start();
    seal_account(&server, "bob");
    eventually("the receiver hangs", || !stuck.batches().is_empty());
    let ada = server.admin("ada");
    ada.get("/admin").expect(200);
    let entries = seal(&server);
    assert_eq!(quick.wait_for(entries).entries, entries);
    let reports = server
        .run(nightlatch::flows::audit::shipping::list_targets(&server.ctx))
        .unwrap();
    assert!(reports[0].waiting > 0 && reports[0].target.name.as_str() == "a");
}

#[test]
fn a_receiver_that_is_away_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let table = format!("[audit_targets.siem]\nkind = \"syslog\"\naddress = \"tcp://127.0.0.1:{port}\"\n");
    let server = TestServer::on(Backend::Sqlite).file(&table).start();
    seal_account(&server, "bob");
    let told = first_fault(&server);
    assert!(
        told.starts_with(&format!("cannot connect to tcp://127.0.0.1:{port}: ")),
        "{told}"
    );
}

#[test]
fn a_certificate_that_is_not_trusted_gets_nothing() {
    let rsyslog = crate::harness::collector::Rsyslog::stopped(Some("ossl"));
    let folder = tempfile::tempdir().unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, other.cert.pem()).unwrap();
    let table = rsyslog.table("siem");
    let (start, _) = table.split_once("ca_file").unwrap();
    let table = format!("{start}ca_file = \"{}\"\n", ca.display());
    let rsyslog = rsyslog.start();
    let server = TestServer::on(Backend::Sqlite).file(&table).start();
    seal_account(&server, "bob");
    let told = first_fault(&server);
    assert!(told.starts_with("TLS: "), "{told}");
    assert_eq!(rsyslog.messages(), "");
}
