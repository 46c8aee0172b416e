//! The preview of a change from the command line: the numbers of the page, and the real result.

use super::{Cli, members};
use crate::{
    harness::server::{Backend, PASSWORD, TestServer},
    pages::kit::{draft, save_reviewed},
};
use nightlatch::{
    clock::{Clock, FixedClock, SystemClock},
    domain::{account::Role, time::Span},
    flows::{access, policy},
};
use std::sync::Arc;

const IDLE: &str = "auth.idle_session_timeout";

/// Starts a server whose clock is hours behind the machine's, so that the command line is later
/// than the test's clock.
fn hours_ago(backend: Backend) -> TestServer {
    let clock = Arc::new(FixedClock::starting_at(
        SystemClock.now().saturating_sub(Span::from_secs(10_000)),
    ));
    TestServer::on(backend).clock(&clock).start()
}

#[test]
fn the_command_line_the_page_and_what_then_happens_agree() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = hours_ago(backend);
        let mut people = Vec::new();
        for name in ["ada", "grace", "alan", "edsger"] {
            people.push((name, server.member(name)));
            server.advance(2000);
        }
        people.push(("boss", server.admin("boss")));
        server.advance(2000);
        let boss = &people[4].1;
        boss.get("/").expect(200);
        server.run(access::flush_activity(&server.ctx)).unwrap();
        let cli = Cli::beside(&server);
        let said = cli
            .run(&["policy", "preview", &format!("{IDLE}=1h15m"), "--json"])
            .json();
        assert_eq!(said["sentence"], "Ends 3 of 5 sessions now.", "{backend:?}");
        assert_eq!(
            said["rules"],
            serde_json::json!([{ "rule": "idle", "scope": "everyone", "now": 3, "sooner": 2 }])
        );
        let base = server.run(policy::in_force(&server.ctx)).unwrap().revision.revision;
        let review = draft(boss, base, &[(IDLE, "1h15m")]).expect(303);
        let page = boss.get(review.location()).expect(200);
        let sentence = "Ends 3 of 5 sessions now, and yours in 1 hour without activity.";
        assert!(page.text().contains(sentence), "{backend:?} {}", page.text());
        let export = review.location().replace("/review?", "/review/export?format=json&");
        let asked = boss.get(&export).expect(403);
        let exported = boss.confirm(&asked, PASSWORD).expect(200).json();
        let ends = |list: &serde_json::Value| {
            let mut ends: Vec<(String, bool)> = list
                .as_array()
                .unwrap()
                .iter()
                .map(|one| (one["account"].as_str().unwrap().to_owned(), one["now"] == true))
                .collect();
            ends.sort();
            ends
        };
        assert_eq!(ends(&exported), ends(&said["affected"]), "{backend:?}");
        // The password was just typed.
        save_reviewed(boss, review.location(), &[]).expect(303);
        let mut asked: Vec<(String, bool)> = people
            .iter()
            .map(|(name, client)| ((*name).to_owned(), client.get("/").status() != 200))
            .collect();
        asked.sort();
        let told: Vec<(String, bool)> = ends(&said["affected"]);
        assert_eq!(asked, told, "{backend:?}");
    }
}

#[test]
fn a_preview_saves_nothing_and_says_what_it_knows() {
    let server = hours_ago(Backend::Sqlite);
    server.member("ada");
    server.advance(10_000);
    let cli = Cli::beside(&server);
    let before = cli.revision();
    let json = cli.run(&["policy", "preview", &format!("{IDLE}=15m"), "--json"]).json();
    assert_eq!(
        members(&json),
        [
            "at",
            "sentence",
            "further",
            "live",
            "ends_now",
            "at_next_request",
            "sooner",
            "later",
            "freed",
            "must_change_password",
            "must_prove_factor",
            "must_enrol_factor",
            "device_bound",
            "device_bindable",
            "device_stops",
            "rules",
            "matching",
            "affected",
            "unforeseen",
            "factors",
            "replay"
        ]
    );
    assert!(json["replay"].is_null() && json["factors"].is_null());
    cli.run(&["policy", "preview", &format!("{IDLE}=15m")]).done().prints(&[
        "Ends 1 of 1 session now.",
        "RULE",
        "idle",
        "ada",
        "NEW END",
        "now",
    ]);
    cli.run(&["policy", "preview", "session.session_validation_mode=strict"])
        .done()
        .prints(&["Ends 0 of 1 session now.", "Not included: The draft compares browsers"]);
    let other = cli.run(&["policy", "preview", &format!("{IDLE}=15m"), "--scope", "administrators"]);
    other.done().prints(&["Ends 0 of 1 session now."]);
    assert_eq!(cli.revision(), before);
    assert!(!cli.events().contains(&"policy.changed".to_owned()));
}

#[test]
fn files_of_every_format_are_previewed() {
    let server = hours_ago(Backend::Sqlite);
    server.member("ada");
    server.advance(10_000);
    let cli = Cli::beside(&server);
    cli.file("policy.toml", "[everyone]\nauth.idle_session_timeout = \"15m\"\n");
    cli.file("policy.json", r#"{"everyone":{"auth.idle_session_timeout":900}}"#);
    cli.file("hue.ini", "[desktop]\n[[auth]]\nidle_session_timeout=900\n");
    for file in ["policy.toml", "policy.json", "hue.ini"] {
        let ran = cli.run(&["policy", "preview", file, "--json"]).done();
        assert_eq!(ran.parsed()["ends_now"], 1, "{file}");
    }
    let toml = b"[everyone]\nauth.idle_session_timeout = 900\n";
    let input = cli.run_with(&["policy", "preview", "-", "--format", "toml", "--json"], toml);
    assert_eq!(input.json()["ends_now"], 1);
    cli.run(&["policy", "preview", "missing.toml"])
        .refused(&["missing.toml"]);
    cli.run(&["policy", "preview", "session.ttl=soon"])
        .refused(&["session.ttl"]);
    cli.run(&["policy", "preview", "no.such=1", "session.ttl=soon"])
        .refused(&["no.such", "session.ttl"]);
    cli.run(&["policy", "preview", "policy.toml", "--replay", "8d"]).usage();
    cli.run(&["policy", "preview"]).usage();
}

#[test]
fn a_replay_comes_with_what_it_worked_from() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = hours_ago(backend);
        let ada = server.member("ada");
        server.advance(5_000);
        ada.post("/logout", &[]).expect(303);
        server.advance(5_000);
        let cli = Cli::beside(&server);
        let arguments = ["policy", "preview", "session.ttl=1h", "--replay", "7d"];
        let json = cli.run(&[&arguments[..], &["--json"]].concat()).json();
        let replay = &json["replay"];
        assert_eq!(
            (&json["live"], &replay["sessions"], &replay["certain"]),
            (&0.into(), &1.into(), &1.into()),
            "{backend:?}"
        );
        assert_eq!(replay["shortened"][0]["would_end_by"], "ttl");
        assert_eq!(replay["shortened"][0]["end_reason"], "signed_out");
        assert!(replay["limits"][0].as_str().unwrap().starts_with("From 1 session and "));
        cli.run(&arguments).done().prints(&[
            "No session is live now.",
            "Of 1 session, 1 would certainly have ended earlier, 0 possibly.",
            "CERTAINTY",
            "certain",
        ]);
    }
}

#[test]
fn a_change_to_second_factors_is_previewed_for_accounts_that_are_not_signed_in_too() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = hours_ago(backend);
        server.account("ada", Role::Member);
        server.account("boss", Role::Administrator);
        let cli = Cli::beside(&server);
        let json = cli.run(&["policy", "preview", "factor.required=any", "--json"]).json();
        assert_eq!(
            json["factors"]["must_enrol"],
            serde_json::json!({ "total": 2, "administrators": 1 }),
            "{backend:?}"
        );
        let by_link = ["policy", "preview", "factor.required=any", "factor.enrolment=by_link"];
        cli.run(&by_link).done().prints(&[
            "2 of 2 accounts could not get in, among them 1 administrator",
            "SECOND FACTOR",
            "ada",
            "could not get in",
        ]);
        let administrators = [
            "policy",
            "preview",
            "factor.required=passkey",
            "--scope",
            "administrators",
            "--json",
        ];
        let json = cli.run(&administrators).json();
        assert_eq!(json["factors"]["affected"][0]["account"], "boss", "{backend:?}");
        // This server is reached by an IP address, for which no passkey can exist.
        assert_eq!(json["factors"]["cannot_enter"]["total"], 1, "{backend:?}");
        assert_eq!(json["factors"]["must_enrol"]["total"], 0, "{backend:?}");
    }
}
