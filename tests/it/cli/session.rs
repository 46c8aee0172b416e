//! Sessions from the command line.

use super::{Cli, actor, assert_instant, members};
use crate::harness::{
    client::FIREFOX,
    server::{Backend, TestServer},
};
use nightlatch::{
    clock::{Clock, FixedClock, SystemClock},
    domain::time::Span,
};
use serde_json::Value;
use std::sync::Arc;

#[test]
fn live_sessions_are_listed_and_ended() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[("auth.idle_session_timeout", "15m")]);
        let (ada, bob) = (server.admin("ada"), server.member("bob"));
        let again = server.signed_in("bob");
        let cli = Cli::beside(&server);
        let list = cli.run(&["session", "list", "--json"]).json();
        let sessions = list.as_array().unwrap();
        assert_eq!(sessions.len(), 3, "{list}");
        let one = sessions.iter().find(|session| session["account"] == "ada").unwrap();
        assert_eq!(
            members(one),
            [
                "id",
                "account",
                "ip",
                "user_agent",
                "application",
                "signed_in_at",
                "last_active_at",
                "ends_at",
                "ends_by",
                "factors",
                "devices",
                "source"
            ]
        );
        assert_eq!(one["ip"], "127.0.0.1");
        assert_eq!(one["user_agent"], FIREFOX);
        assert_eq!(one["factors"], serde_json::json!(["password"]));
        assert_eq!(one["application"], Value::Null);
        assert_eq!(one["ends_by"], "idle");
        for instant in ["signed_in_at", "last_active_at", "ends_at"] {
            assert_instant(&one[instant]);
        }
        let of = |arguments: &[&str]| {
            cli.run(&[&["session", "list", "--json"], arguments].concat())
                .json()
                .as_array()
                .unwrap()
                .len()
        };
        assert_eq!(of(&["--account", "bob"]), 2);
        assert_eq!(of(&["--administrators"]), 1);
        assert_eq!((of(&["--source", "local"]), of(&["--source", "corp"])), (3, 0));
        assert_eq!(of(&["--ip", "127.0.0.0/8"]), 3);
        assert_eq!(of(&["--ip", "10.0.0.0/8"]), 0);
        cli.run(&["session", "list"])
            .done()
            .prints(&["ACCOUNT", "ada", "idle (everyone)"]);
        cli.run(&["session", "end", one["id"].as_str().unwrap()])
            .done()
            .prints(&["Ended 1 session."]);
        ended(&ada);
        cli.run(&["session", "end", one["id"].as_str().unwrap()])
            .done()
            .prints(&["Nothing to do"]);
        bob.get("/").expect(200);
        cli.run(&["session", "end", "--account", "bob"])
            .done()
            .prints(&["Ended 2 sessions."]);
        ended(&bob);
        ended(&again);
        let carl = server.member("carl");
        cli.run(&["session", "end", "--all"])
            .done()
            .prints(&["Ended 1 session."]);
        ended(&carl);
        assert_eq!(cli.run(&["session", "list", "--json"]).json(), serde_json::json!([]));
        cli.run(&["session", "list"]).done().prints(&["No sessions."]);
        let endings = cli.run(&["audit", "list", "--json", "--event", "session.ended"]).json();
        let endings = endings.as_array().unwrap();
        assert_eq!(endings.len(), 4);
        assert!(
            endings
                .iter()
                .all(|row| row["actor"] == actor() && row["reason"] == "revoked"),
            "{endings:?}"
        );
    }
}

/// The server heard of it.
#[track_caller]
fn ended(client: &crate::harness::client::Client) {
    crate::harness::server::eventually("the session ends", || client.get("/").status() == 303);
}

#[test]
fn the_end_of_a_session_is_named_by_its_code() {
    let server = TestServer::start();
    let _ada = server.admin("ada");
    let cli = Cli::beside(&server);
    let ends = || cli.run(&["session", "list", "--json"]).json()[0]["ends_by"].clone();
    assert_eq!(ends(), "ttl");
    server.policy(&[("auth.idle_session_timeout", "0")]);
    assert_eq!(ends(), "window_closed");
    server.policy(&[("auth.idle_session_timeout", "10m"), ("session.renewal_period", "0")]);
    assert_eq!(ends(), "renewal");
}

#[test]
fn a_session_that_is_over_by_rule_is_not_listed() {
    let an_hour_ago = SystemClock.now().saturating_sub(Span::from_secs(3600));
    let server = TestServer::on(Backend::Sqlite)
        .clock(&Arc::new(FixedClock::starting_at(an_hour_ago)))
        .start();
    let _ada = server.admin("ada");
    let cli = Cli::beside(&server);
    assert_eq!(
        cli.run(&["session", "list", "--json"]).json().as_array().unwrap().len(),
        1
    );
    cli.run(&["policy", "set", "session.ttl", "1800"]).done();
    assert_eq!(cli.run(&["session", "list", "--json"]).json(), serde_json::json!([]));
}

#[test]
fn why_a_session_ended_is_listed_and_shown() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let an_hour_ago = SystemClock.now().saturating_sub(Span::from_secs(3600));
        let clock = Arc::new(FixedClock::starting_at(an_hour_ago));
        let server = TestServer::on(backend).clock(&clock).start();
        server.policy(&[("auth.idle_session_timeout", "15m")]);
        let (_frank, ada) = (server.member("frank"), server.member("ada"));
        ada.post("/logout", &[]).expect(303);
        let signed_in = server.now();
        server.advance(15 * 60 + 1);
        server.run(nightlatch::flows::sessions::sweep(&server.ctx)).unwrap();
        let cli = Cli::beside(&server);
        let listed = |arguments: &[&str]| {
            let list = cli.run(&[&["session", "list", "--json"], arguments].concat()).json();
            list.as_array().unwrap().clone()
        };
        assert_eq!(listed(&["--ended"]).len(), 2, "{backend:?}");
        assert_eq!(listed(&["--reason", "signed_out"])[0]["account"], "ada", "{backend:?}");
        assert_eq!(listed(&["--since", "2h"]).len(), 2, "{backend:?}");
        assert_eq!(listed(&["--until", "2h"]).len(), 0, "{backend:?}");
        let idle = listed(&["--reason", "idle"]);
        let frank = &idle[0];
        let due = signed_in.saturating_add(Span::from_secs(900)).to_rfc3339();
        assert_eq!(
            (&frank["account"], &frank["ended_at"]),
            (&"frank".into(), &due.clone().into())
        );
        assert_eq!(frank["ends_at"], Value::Null, "it has ended");
        let cause = &frank["end_cause"];
        assert_eq!(cause["setting"], "auth.idle_session_timeout");
        assert_eq!((&cause["scope"], &cause["limit"]), (&"everyone".into(), &900.into()));
        assert_eq!(
            (&cause["due_at"], &cause["policy_revision"]),
            (&due.clone().into(), &2.into())
        );
        assert_eq!(frank["end_sentence"], "There was no activity for 15 minutes.");
        let id = frank["id"].as_str().unwrap();
        assert_eq!(cli.run(&["session", "show", id, "--json"]).json(), *frank);
        cli.run(&["session", "show", id]).done().prints(&[
            "There was no activity for 15 minutes.",
            "auth.idle_session_timeout",
            "everyone",
            due.as_str(),
        ]);
        cli.run(&["session", "list", "--ended"]).done().prints(&[
            "WHY",
            "frank",
            "There was no activity for 15 minutes.",
        ]);
    }
}

#[test]
fn bad_input_of_session_is_refused() {
    let cli = Cli::fresh();
    let unknown = "00000000-0000-7000-8000-000000000001";
    cli.run(&["session", "end", unknown])
        .refused(&["there is no session 00000000-0000-7000-8000-000000000001"]);
    cli.run(&["session", "end", "--account", "eve"])
        .refused(&["there is no account named eve"]);
    cli.run(&["session", "list", "--account", "eve"])
        .refused(&["there is no account named eve"]);
    cli.run(&["session", "show", unknown]).refused(&["there is no session"]);
    cli.run(&["session", "list", "--reason", "bored"]).usage();
    cli.run(&["session", "list", "--since", "soon"]).usage();
    cli.run(&["session", "end"]).usage();
    cli.run(&["session", "end", "first"])
        .usage()
        .says(&["not a session id: `nightlatch session list` shows them"]);
    cli.run(&["session", "end", unknown, "--all"]).usage();
    cli.run(&["session", "end", "--all", "--account", "eve"]).usage();
    cli.run(&["session", "list", "--ip", "here"]).usage();
    cli.run(&["session", "end", "--all"]).done().prints(&["Nothing to do"]);
}

#[test]
fn an_end_from_the_command_line_says_who_ended_it() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let cli = Cli::beside(&server);
        for (name, command, act) in [
            ("ada", ["session", "end", "--account", "ada"].as_slice(), "ended it."),
            ("bob", &["account", "disable", "bob"], "disabled the account."),
        ] {
            server.member(name);
            let listed = cli.run(&["session", "list", "--json", "--account", name]).json();
            let id = listed[0]["id"].as_str().unwrap();
            cli.run(command).done();
            let shown = cli.run(&["session", "show", id, "--json"]).json();
            assert_eq!(shown["ended_by"], actor(), "{backend:?} {shown}");
            let page = boss.get(&format!("/admin/sessions/{id}")).expect(200).page();
            let subject = actor().replacen("cli:", "An administrator at the command line, ", 1);
            for text in ["Ended by", &actor(), &format!("{subject}, {act}")] {
                assert!(page.shows(text), "{backend:?} {text}: {}", page.text());
            }
        }
    }
}
