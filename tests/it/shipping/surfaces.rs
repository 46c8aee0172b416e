//! What operators see: the page, the overview, the metrics, the commands.

use super::{fault, seal, target};
use crate::{
    cli::Cli,
    harness::{
        client::fetch,
        collector::{Behaviour, Collector},
        program,
        server::{Backend, TestServer, eventually},
    },
};
use std::net::TcpListener;

#[test]
fn a_target_that_fails_shows_everywhere() {
    let collector = Collector::webhook();
    collector.behave(Behaviour::Refuse(403));
    let metrics = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_METRICS_BIND", &metrics)
        .file(&collector.webhook_table("siem"))
        .start();
    let ada = server.admin("ada");
    let entries = seal(&server);
    eventually("it fails", || !fault(&server).is_empty());

    let page = ada.get("/admin/audit/targets").expect(200).page();
    assert_eq!(page.heading(), "Audit targets");
    // The subject of the row is the name with its kind.
    let row = page.rows_with("Name", "siem").remove(0);
    assert!(row.cell("State").contains("Failing"));
    assert!(
        row.cell("Waiting").starts_with(&entries.to_string()),
        "{}",
        row.cell("Waiting")
    );
    assert!(row.cell("Last fault").contains("the receiver answered 403"));
    assert!(
        !row.cell("Address").contains("/in"),
        "the path of a webhook may be secret"
    );
    let overview = ada.get("/admin").expect(200);
    assert!(overview.text().contains("The audit is not shipped completely"));
    assert!(
        ada.get("/admin/audit")
            .expect(200)
            .text()
            .contains("/admin/audit/targets")
    );
    let text = fetch(&format!("http://{metrics}/metrics")).unwrap().text().unwrap();
    let waiting = format!("nightlatch_audit_shipping_lag_entries{{target=\"siem\"}} {entries}");
    assert!(text.contains(&waiting), "{text}");
    assert!(text.contains("nightlatch_audit_shipping_lag_seconds{target=\"siem\"}"));
    assert!(text.contains("nightlatch_audit_shipping_faults_total{target=\"siem\"} 1"));

    let cli = Cli::beside(&server);
    cli.file("nightlatch.toml", collector.webhook_table("siem"));
    let listed = cli.run(&["audit", "targets", "--json"]).json();
    assert_eq!(listed[0]["name"], "siem");
    assert_eq!(listed[0]["waiting"], entries);
    assert_eq!(listed[0]["fault"], "the receiver answered 403");
    assert_eq!(listed[0]["needs_attention"], true);
    let found = cli.run(&["doctor", "--json"]).parsed();
    let found = found.as_array().unwrap().iter();
    let found: Vec<_> = found.filter(|finding| finding["check"] == "audit target").collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["status"], "warning");

    collector.behave(Behaviour::Confirm);
    server.advance(300);
    eventually("it recovers", || target(&server).waiting == 0);
    let page = ada.get("/admin/audit/targets").expect(200).page();
    let row = page.rows_with("Name", "siem").remove(0);
    assert!(row.cell("State").contains("Up to date"));
    assert!(ada.get("/admin").expect(200).text().contains("The audit is shipped"));
}

#[test]
fn without_targets_the_page_says_how_to_have_one() {
    let server = TestServer::start();
    let page = server.admin("ada").get("/admin/audit/targets").expect(200);
    assert!(page.text().contains("[audit_targets.NAME]"));
    server.member("bob").get("/admin/audit/targets").expect(403);
}

#[test]
fn shipped_entries_are_verified_where_they_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let table = format!(
        "[audit_targets.disk]\nkind = \"file\"\npath = {:?}\n",
        path.display().to_string()
    );
    let server = TestServer::on(Backend::Sqlite).file(&table).start();
    server.admin("ada");
    let entries = seal(&server);
    eventually("everything is written", || target(&server).waiting == 0);
    let verify = |more: &[&str]| {
        let arguments = [&["audit", "verify", "--file", "audit.jsonl"], more].concat();
        program::run(folder.path(), &[], &arguments)
    };
    let done = verify(&[]);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success(),
        "{text} {}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(text.starts_with(&format!(
        "{entries} entries under the seals 1 to 1, complete and unchanged."
    )));
    let digest = text.trim().rsplit(' ').next().unwrap();
    assert!(verify(&["--noted", digest]).status.success());
    assert_eq!(verify(&["--noted", "00"]).status.code(), Some(1));
    assert!(!folder.path().join("nightlatch.db").exists(), "it needs no database");

    let lines = std::fs::read_to_string(&path).unwrap();
    let (first, rest) = lines.split_once('\n').unwrap();
    std::fs::write(&path, rest).unwrap();
    let done = verify(&[]);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("entries are missing"));
    std::fs::write(&path, format!("{}\n{rest}", first.replace("success", "failure"))).unwrap();
    assert_eq!(verify(&["--json"]).status.code(), Some(1));
}
