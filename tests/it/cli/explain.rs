//! `policy explain`: the examples of docs/policy.md as text and JSON, real sessions, and what it
//! refuses.

use super::{Cli, assert_instant, members};
use crate::harness::server::{Backend, TestServer};
use serde_json::{Value, json};

fn ibm(cli: &Cli) {
    cli.run(&[
        "policy",
        "set",
        "auth.idle_session_timeout=0.5h",
        "session.renewal_period=2h",
    ])
    .done();
    let administrators = [
        "--scope",
        "administrators",
        "auth.idle_session_timeout=0.25h",
        "session.renewal_period=0.1h",
    ];
    cli.run(&[&["policy", "set"][..], &administrators].concat()).done();
}

fn explained(cli: &Cli, arguments: &[&str]) -> Value {
    cli.run(
        &[
            &["policy", "explain", "--json", "--signed-in", "2026-11-21 08:00"],
            arguments,
        ]
        .concat(),
    )
    .json()
}

fn end(explained: &Value) -> (&str, &str, &str) {
    let end = &explained["ends"];
    let text = |name: &str| end[name].as_str().unwrap();
    (&text("at")[11..16], text("reason"), text("scope"))
}

#[test]
fn the_worked_examples_come_out_as_written() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::on(backend);
        ibm(&cli);
        cli.account("boss", "administrator");
        assert_eq!(end(&explained(&cli, &[])), ("08:30", "idle", "everyone"));
        let back = explained(&cli, &["--active", "08:00-08:10", "--active", "08:41"]);
        assert_eq!(end(&back), ("08:40", "idle", "everyone"));
        let active = explained(&cli, &["--active", "08:00-17:00"]);
        assert_eq!(end(&active), ("10:30", "renewal", "everyone"));
        for whose in [["--role", "administrator"], ["--account", "Boss"]] {
            let administrator = explained(&cli, &[&whose[..], &["--active", "08:00-17:00"]].concat());
            assert_eq!(end(&administrator), ("08:15", "renewal", "administrators"));
        }
    }
}

#[test]
fn json_has_everything_that_the_text_has() {
    let cli = Cli::fresh();
    ibm(&cli);
    let shown = explained(
        &cli,
        &[
            "--active",
            "08:00-12:00",
            "--pause",
            "09:00-09:20",
            "--move",
            "10:00=203.0.113.7",
        ],
    );
    let names = [
        "revision",
        "account",
        "role",
        "applications",
        "factors",
        "device",
        "provider",
        "signed_in_at",
        "ends",
        "followed_until",
        "latest",
        "segments",
        "events",
        "others",
        "values",
    ];
    assert_eq!(members(&shown), names);
    assert_eq!(
        (&shown["account"], &shown["role"], &shown["applications"]),
        (&Value::Null, &json!("member"), &json!([]))
    );
    assert_instant(&shown["signed_in_at"]);
    assert_eq!(members(&shown["ends"]), ["at", "reason", "key", "scope", "sentence"]);
    assert_eq!(shown["ends"]["key"], "session.renewal_period");
    assert_eq!(
        shown["segments"][1],
        json!({ "from": "2026-11-21T09:00:00Z", "until": "2026-11-21T09:20:00Z", "active": false })
    );
    let kinds: Vec<&str> = shown["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "signed_in",
            "lease_renewed",
            "lease_renewed",
            "lease_renewed",
            "lease_renewed",
            "network_accepted",
            "refused"
        ]
    );
    let idle = shown["values"]
        .as_array()
        .unwrap()
        .iter()
        .find(|value| value["key"] == "auth.idle_session_timeout")
        .unwrap();
    assert_eq!(
        *idle,
        json!({ "key": "auth.idle_session_timeout", "value": 1800, "scope": "everyone", "source": "everyone", "binds": false })
    );
}

#[test]
fn the_text_is_a_timeline_for_people() {
    let cli = Cli::fresh();
    ibm(&cli);
    let arguments = [
        "policy",
        "explain",
        "--signed-in",
        "2026-11-21 08:00",
        "--active",
        "08:00-09:00",
        "--pause",
        "08:20-08:40",
    ];
    cli.run(&arguments).done().prints(&[
        "Session of any member, signed in 2026-11-21T08:00:00Z",
        "08:00:00 █",
        "░ 09:30:00",
        "  09:28:00  The page warns 2 minutes before the idle end.",
        "  09:30:00  Ends: idle (everyone, auth.idle_session_timeout). No activity for 30 minutes.",
        "Even if active, it ends at 10:30:00 at the latest",
        "Values that are set",
        "set",
        "Default values",
    ]);
}

#[test]
fn a_real_session_is_explained_beside_a_running_server() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "1h")]);
        let _ada = server.member("ada");
        let cli = Cli::beside(&server);
        let list = cli.run(&["session", "list", "--json"]).json();
        let id = list[0]["id"].as_str().unwrap();
        let shown = cli.run(&["policy", "explain", "--json", "--session", id]).json();
        assert_eq!(shown["account"], "ada");
        assert_eq!(shown["ends"]["at"], list[0]["ends_at"]);
        assert_eq!(shown["ends"]["reason"], list[0]["ends_by"]);
        cli.run(&["session", "end", id]).done();
        // The policy of that time is used, not the current one.
        cli.run(&["policy", "set", "auth.idle_session_timeout", "5m"]).done();
        let past = cli.run(&["policy", "explain", "--json", "--session", id]).json();
        assert_eq!(past["revision"], shown["revision"]);
        assert_eq!(
            (&past["account"], &past["ends"]["reason"]),
            (&"ada".into(), &"revoked".into())
        );
        let by_rule = past["others"].as_array().unwrap();
        assert!(by_rule.iter().any(|other| other["at"] == shown["ends"]["at"]), "{past}");
        cli.run(&["policy", "explain", "--session", id]).done().prints(&[
            "This session has ended",
            "Last activity.",
            "revoked",
        ]);
        let unknown = "01900000-0000-7000-8000-000000000000";
        cli.run(&["policy", "explain", "--session", unknown])
            .refused(&["there is no such session"]);
    }
}

#[test]
fn invalid_queries_are_refused_with_all_errors_at_once() {
    let cli = Cli::fresh();
    cli.run(&[
        "policy",
        "explain",
        "--active",
        "soon",
        "--pause",
        "never",
        "--application",
        "a b",
        "--every",
        "0",
    ])
    .refused(&[
        "--active: “soon”",
        "--pause: “never”",
        "--application: “a b”",
        "--every: The interval must be at least one second",
    ]);
    cli.run(&["policy", "explain", "--account", "nobody"])
        .refused(&["there is no account of that name"]);
    cli.run(&["policy", "explain", "--role", "king"]).usage();
    cli.run(&["policy", "explain", "--role", "member", "--account", "ada"])
        .usage();
}
