//! Debian's rsyslog as the receiver, over TCP and TLS.

use super::{fault, seal_account, target};
use crate::harness::{
    collector::Rsyslog,
    server::{Backend, TestServer, eventually},
};

#[test]
fn rsyslog_gets_every_entry_also_when_it_was_away() {
    for tls in [None, Some("ossl")] {
        let rsyslog = Rsyslog::stopped(tls);
        let server = TestServer::on(Backend::Sqlite)
            .env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org")
            .file(&rsyslog.table("siem"))
            .start();
        let first = seal_account(&server, "zoë");
        eventually("it is away", || !fault(&server).is_empty());
        let rsyslog = rsyslog.start();
        server.advance(60);
        eventually("it has everything", || {
            server.advance(1);
            rsyslog.report().entries >= first
        });
        let report = rsyslog.report();
        assert_eq!(
            (report.faults.len(), report.entries),
            (0, first),
            "tls: {tls:?} {report:?}"
        );
        eventually("it has confirmed everything", || target(&server).waiting == 0);
        assert_eq!(rsyslog.report().repeated, 0, "tls: {tls:?}");

        let rsyslog = rsyslog.stop();
        let second = seal_account(&server, "bob");
        eventually("it is away again", || !fault(&server).is_empty());
        let rsyslog = rsyslog.start();
        server.advance(60);
        eventually("it has the rest", || {
            server.advance(1);
            rsyslog.report().entries >= second
        });
        let report = rsyslog.report();
        assert_eq!(
            (report.faults.len(), report.entries),
            (0, second),
            "tls: {tls:?} {report:?}"
        );
        let messages = rsyslog.messages();
        assert!(messages.contains("account=\"zoë\""), "{messages}");
        assert!(
            messages
                .lines()
                .all(|line| line.starts_with('<') && line.contains(" login.example.org nightlatch - "))
        );
    }
}

#[test]
fn rsyslog_with_gtls_never_sends_close_notify_and_is_accepted_only_when_told_so() {
    let plan = Rsyslog::stopped(Some("gtls"));
    let table = plan.table("siem");
    let rsyslog = plan.start();
    let server = TestServer::on(Backend::Sqlite).file(&table).start();
    let entries = seal_account(&server, "ada");
    eventually("it confirms nothing", || fault(&server).contains("close_notify"));
    assert_eq!(target(&server).waiting, entries);
    let clock = server.clock.clone();
    let database = server.leave();
    let second = TestServer::beside(&database).clock(&clock);
    let second = second.file(&format!("{table}close_notify = \"optional\"\n")).start();
    second.advance(60);
    eventually("all is confirmed", || target(&second).waiting == 0);
    let report = rsyslog.report();
    assert_eq!((report.faults.len(), report.entries), (0, entries));
    assert!(report.repeated > 0);
}
