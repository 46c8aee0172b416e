//! The audit trail from the command line.

use super::{Cli, actor, assert_instant, members};
use crate::harness::server::{Backend, TestServer};
use serde_json::{Value, json};

const SHAPE: [&str; 12] = [
    "id",
    "at",
    "event",
    "actor",
    "account",
    "session_id",
    "ip",
    "user_agent",
    "application",
    "outcome",
    "reason",
    "detail",
];

#[test]
fn events_are_listed_and_narrowed() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.admin("ada");
        server.anyone().sign_in("ada", "wrong");
        let cli = Cli::beside(&server);
        let list = |arguments: &[&str]| -> Vec<Value> {
            let list = cli.run(&[&["audit", "list", "--json"], arguments].concat()).json();
            list.as_array().unwrap().clone()
        };
        let all = list(&[]);
        assert!(all.len() >= 4, "{all:?}");
        for row in &all {
            assert_eq!(members(row), SHAPE);
            assert_instant(&row["at"]);
        }
        let refused = list(&["--event", "sign_in.refused"]);
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0]["reason"], "credentials");
        assert_eq!(refused[0]["outcome"], "failure");
        assert_eq!(refused[0]["account"], "ada");
        assert_eq!(refused[0]["ip"], "127.0.0.1");
        assert_eq!(
            list(&["--event", "sign_in.refused", "--event", "sign_in.accepted"]).len(),
            2
        );
        assert_eq!(list(&["--outcome", "failure"]).len(), 1);
        assert_eq!(list(&["--account", "ADA"]).len(), all.len());
        assert_eq!(list(&["--account", "eve"]).len(), 0);
        assert_eq!(list(&["--actor", "cli:test"]).len(), 1);
        assert_eq!(list(&["--since", "1h"]).len(), all.len());
        assert_eq!(list(&["--since", "2999-01-01"]).len(), 0);
        assert_eq!(list(&["--until", "2001-01-01T00:00:00Z"]).len(), 0);
        assert_eq!(
            list(&["--since", refused[0]["at"].as_str().unwrap(), "--outcome", "failure"]).len(),
            1
        );
        assert_eq!(list(&["--ip", "127.0.0.1", "--event", "sign_in.accepted"]).len(), 1);
        assert_eq!(list(&["--text", "CREDENTIALS"]).len(), 1);
        assert_eq!(list(&["--limit", "2"]).len(), 2);
        assert_eq!(list(&["--limit", "0"]).len(), 0);
        let ran = cli
            .run(&["audit", "list", "--limit", "1"])
            .done()
            .says(&["older entries"]);
        assert_eq!(ran.out.lines().count(), 2);
        cli.run(&["audit", "list"])
            .done()
            .prints(&["EVENT", "sign_in.refused", "credentials"]);
        cli.run(&["audit", "list", "--event", "sign_out"])
            .done()
            .prints(&["No entries."]);
    }
}

#[test]
fn a_list_and_an_export_go_beyond_one_page() {
    let cli = Cli::fresh();
    let server = TestServer::beside(cli.database()).start();
    for number in 0..4 {
        server.run(async {
            for part in 0..150 {
                let what = format!("/{number}/{part}");
                nightlatch::flows::audit::denied(&server.ctx, &crate::harness::server::operator(), what)
                    .await
                    .unwrap();
            }
        });
    }
    let rows = cli.run(&["audit", "list", "--json", "--event", "access.denied"]).json();
    let mut paths: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["detail"]["path"].as_str().unwrap())
        .collect();
    assert_eq!((paths.len(), paths[0]), (600, "/3/149"));
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), 600);
    let export = cli.run(&["audit", "export", "--event", "access.denied"]).done().out;
    assert_eq!(export.lines().count(), 600);
    let shown = cli.run(&["audit", "list", "--event", "access.denied"]).done();
    assert_eq!(shown.out.lines().count(), 101);
}

#[test]
fn an_export_is_recorded_and_has_both_formats() {
    let cli = Cli::fresh();
    cli.account("=cmd|' /C calc'!A0", "member");
    cli.account("plain", "member");
    let lines = cli.run(&["audit", "export", "--event", "account.created"]).done().out;
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(members(&rows[0]), SHAPE);
    let text = cli
        .run(&["audit", "export", "--format", "csv", "--account", "=cmd|' /C calc'!A0"])
        .done()
        .out;
    let mut csv = csv::Reader::from_reader(text.as_bytes());
    assert_eq!(csv.headers().unwrap().iter().collect::<Vec<_>>(), SHAPE);
    let row = csv.records().next().unwrap().unwrap();
    assert_eq!((&row[2], &row[4]), ("account.created", "'=cmd|' /C calc'!A0"));
    let exports = cli
        .run(&["audit", "list", "--json", "--event", "audit.exported"])
        .json();
    assert_eq!(exports.as_array().unwrap().len(), 2);
    assert_eq!(exports[0]["actor"], actor());
    assert_eq!(
        (&exports[0]["detail"]["format"], &exports[1]["detail"]["format"]),
        (&json!("csv"), &json!("jsonl"))
    );
    assert_eq!(exports[1]["detail"]["filter"]["events"], json!(["account.created"]));
}

#[test]
fn bad_input_of_audit_is_usage() {
    let cli = Cli::fresh();
    let cases: [&[&str]; 8] = [
        &["audit", "list", "--event", "sign.in"],
        &["audit", "list", "--since", "yesterday"],
        &["audit", "list", "--since", "never"],
        &["audit", "list", "--until", "2026-13-01"],
        &["audit", "list", "--outcome", "maybe"],
        &["audit", "list", "--limit", "-1"],
        &["audit", "export", "--format", "xml"],
        &["audit"],
    ];
    for arguments in cases {
        cli.run(arguments).usage();
    }
}
