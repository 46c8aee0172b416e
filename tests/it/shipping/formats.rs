//! What arrives at a webhook, a syslog server and in a file.

use super::seal_account;
use crate::harness::{
    collector::{Collector, SECRET, frames},
    server::{Backend, TestServer, eventually},
};
use nightlatch::domain::audit::shipping::received::ReceivedLog;
use ring::hmac;

#[test]
fn a_webhook_gets_signed_cloud_events_in_the_order_of_the_audit() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let collector = Collector::webhook();
        let server = TestServer::on(backend)
            .env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org")
            .file(&collector.webhook_table("siem"))
            .start();
        let entries = seal_account(&server, "ada");
        let report = collector.wait_for(entries);
        assert_eq!(report.faults, [""; 0], "{backend:?}");
        assert_eq!((report.entries, report.repeated, report.unfinished), (entries, 0, None));

        let batches = collector.batches();
        let mut ids = Vec::new();
        for batch in &batches {
            assert!(batch.head.contains("content-type: application/cloudevents-batch+json"));
            let signature = batch
                .head
                .lines()
                .find_map(|line| line.strip_prefix("nightlatch-signature: "));
            let (time, value) = signature.unwrap().split_once(",v1=").unwrap();
            let signed = format!("{}.{}", time.strip_prefix("t=").unwrap(), batch.body);
            let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
            let value = data_encoding::HEXLOWER.decode(value.as_bytes()).unwrap();
            hmac::verify(&key, signed.as_bytes(), &value).unwrap();
            let events: serde_json::Value = serde_json::from_str(&batch.body).unwrap();
            for event in events.as_array().unwrap() {
                assert_eq!(event["source"], "http://login.example.org");
                assert_eq!(event["id"], event["data"]["id"]);
                ids.push(event["id"].as_str().unwrap().to_owned());
            }
        }
        let audit: Vec<String> = server.audit().iter().map(|row| row.id.to_string()).collect();
        assert_eq!(ids, audit);
    }
}

#[test]
fn a_syslog_server_gets_one_message_for_each_entry() {
    let collector = Collector::syslog();
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org")
        .file(&format!("{}format = \"ocsf\"\n", collector.syslog_table("siem")))
        .start();
    let entries = seal_account(&server, "ada");
    let report = collector.wait_for(entries);
    assert_eq!((report.faults.len(), report.entries, report.repeated), (0, entries, 0));
    let messages: Vec<String> = collector
        .batches()
        .iter()
        .flat_map(|batch| frames(&batch.body))
        .collect();
    let created = messages
        .iter()
        .find(|message| message.contains(" account.created "))
        .unwrap();
    assert!(created.starts_with("<86>1 "), "{created}");
    assert!(created.contains(" login.example.org nightlatch - account.created [origin "));
    assert!(created.contains("\"class_uid\":3001"));
}

#[test]
fn a_file_gets_a_line_for_each_entry_and_can_be_moved_away() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let table = format!(
            "[audit_targets.disk]\nkind = \"file\"\npath = {:?}\n",
            path.display().to_string()
        );
        let server = TestServer::on(backend).file(&table).start();
        let lines = || {
            let moved = std::fs::read_to_string(folder.path().join("old")).unwrap_or_default();
            moved + &std::fs::read_to_string(&path).unwrap_or_default()
        };
        let first = seal_account(&server, "bob");
        eventually("the first entries are written", || {
            lines().lines().count() as u64 == first
        });
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        let all = seal_account(&server, "ada");
        assert!(all > first);
        eventually("the others are written", || lines().lines().count() as u64 == all);
        let mut log = ReceivedLog::default();
        for (number, line) in lines().lines().enumerate() {
            log.read_line(number + 1, line);
        }
        let report = log.finish(None);
        assert_eq!(
            (report.faults.len(), report.entries),
            (0, all),
            "{backend:?} {report:?}"
        );
    }
}
