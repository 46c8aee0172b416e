//! A replay over what a real server recorded: lifetimes, networks, locks, and the policy that was
//! in force.

use crate::harness::{
    client::CHROME,
    server::{Backend, PASSWORD, TestServer},
};
use nightlatch::{
    domain::{
        account::Role,
        policy::{Key, PolicyDocument},
        session::EndReason,
        simulate::replay::{Certainty, ReplayReport},
    },
    flows::{
        access, policy,
        replay::{self, ReplayPeriod},
    },
};

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];
const IDLE: &str = "auth.idle_session_timeout";

fn draft(server: &TestServer, settings: &[(&str, &str)]) -> PolicyDocument {
    let mut document = server.run(policy::in_force(&server.ctx)).unwrap().revision.document;
    for (name, text) in settings {
        let key = Key::parse(name).unwrap();
        let scope = nightlatch::domain::policy::Scope::Everyone;
        document.set(&scope, key, key.setting().parse(text).unwrap());
    }
    document
}

fn replayed(server: &TestServer, settings: &[(&str, &str)], days: ReplayPeriod) -> ReplayReport {
    let draft = draft(server, settings);
    server.run(replay::replay(&server.ctx, draft, days)).unwrap()
}

/// Returns the sessions that it would have ended: name, rule, certainty.
fn told(report: &ReplayReport) -> Vec<(String, EndReason, Certainty)> {
    let one = |one: &nightlatch::domain::simulate::replay::ShortenedSession| {
        (one.record.name.clone(), one.draft.reason, one.draft.certainty)
    };
    let mut told: Vec<_> = report.shortened.iter().map(one).collect();
    told.sort();
    told
}

#[test]
fn sessions_that_the_draft_would_have_ended_are_listed_with_their_certainty() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (ada, grace) = (server.member("ada"), server.member("grace"));
        server.advance(3000);
        ada.get("/").expect(200);
        server.run(access::flush_activity(&server.ctx)).unwrap();
        server.advance(100);
        ada.post("/logout", &[]).expect(303);
        let report = replayed(&server, &[(IDLE, "30m")], ReplayPeriod::Seven);
        assert_eq!(
            told(&report),
            [
                ("ada".to_owned(), EndReason::Idle, Certainty::Possible),
                ("grace".to_owned(), EndReason::Idle, Certainty::Certain)
            ],
            "{backend:?}"
        );
        assert_eq!((report.sessions, report.certain, report.possible), (2, 1, 1));
        assert!(report.data.events > 4 && report.data.events_cut_at.is_none());
        assert_eq!(
            told(&replayed(&server, &[("session.ttl", "1h")], ReplayPeriod::Seven)),
            []
        );
        let shorter = replayed(&server, &[("session.ttl", "50m")], ReplayPeriod::Thirty);
        assert_eq!((shorter.certain, shorter.possible), (2, 0), "{backend:?}");
        grace.get("/").expect(200);
    }
}

#[test]
fn moves_of_the_records_are_judged_by_the_draft() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.policy(&[("session.session_ip_subnet_bits", "32")]);
        let ada = server.member("ada");
        server.advance(10);
        let ada = ada.from("127.0.0.9");
        ada.get("/").expect(200);
        server.advance(10);
        assert_eq!(
            told(&replayed(&server, &[], ReplayPeriod::Seven)),
            [],
            "{backend:?}: as it was"
        );
        let strict = replayed(
            &server,
            &[("session.session_validation_mode", "strict")],
            ReplayPeriod::Seven,
        );
        assert_eq!(
            told(&strict),
            [("ada".to_owned(), EndReason::Network, Certainty::Certain)]
        );
        assert_eq!(
            strict.shortened[0].draft.at,
            server
                .now()
                .saturating_sub(nightlatch::domain::time::Span::from_secs(10))
        );
        // Ended for another move, and the draft would have let it be.
        ada.from("127.0.0.10").get("/").expect(303);
        let looser = replayed(
            &server,
            &[("session.session_ip_subnet_bits", "24")],
            ReplayPeriod::Seven,
        );
        assert_eq!((looser.certain, looser.spared), (0, 1), "{backend:?}");
        assert_eq!(replayed(&server, &[], ReplayPeriod::Seven).spared, 0);
    }
}

#[test]
fn another_browser_that_was_let_in_is_refused_by_a_draft_that_looks() {
    let server = TestServer::start();
    server.policy(&[("session.session_validation_mode", "off")]);
    let boss = server.admin("boss");
    server.advance(5);
    let boss = boss.header("user-agent", CHROME);
    boss.post("/admin/audit/export", &[("format", "csv")]).expect(200);
    server.advance(5);
    let report = replayed(
        &server,
        &[("session.session_validation_mode", "permissive")],
        ReplayPeriod::Seven,
    );
    assert_eq!(
        told(&report),
        [("boss".to_owned(), EndReason::UserAgent, Certainty::Certain)]
    );
}

#[test]
fn the_policy_that_was_in_force_ends_nothing_for_certain_and_locks_nobody_out_again() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.policy(&[
            (IDLE, "10m"),
            ("session.ttl", "1h"),
            ("auth.login_lock_out_at_failure", "true"),
            ("session.concurrent_user_session_limit", "2"),
        ]);
        let ada = server.member("ada");
        for _ in 0..4 {
            server.advance(500);
            ada.get("/").expect(200);
            server.signed_in("ada");
            // The clock leaps; the job that writes activity does not.
            server.run(access::flush_activity(&server.ctx)).unwrap();
        }
        server.account("grace", Role::Member);
        for _ in 0..4 {
            server.anyone().from("127.0.0.7").sign_in("grace", "wrong");
        }
        server.anyone().from("127.0.0.7").sign_in("grace", PASSWORD);
        server.advance(1000);
        ada.get("/").expect(303);
        let report = replayed(&server, &[], ReplayPeriod::Seven);
        let guesses = &report.guesses;
        assert_eq!(
            (report.certain, report.spared),
            (0, 0),
            "{backend:?} {:?}",
            report.shortened
        );
        assert_eq!((guesses.sign_ins, guesses.locks), (10, 1), "{backend:?}");
        assert_eq!(
            (guesses.locked_out, guesses.refused_earlier, guesses.let_through),
            (0, 0, 0),
            "{backend:?}"
        );
    }
}

#[test]
fn sign_ins_that_the_draft_would_have_locked_out_are_listed() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        for _ in 0..3 {
            server.anyone().sign_in("ada", "wrong");
            server.advance(1);
        }
        server.signed_in("ada");
        let locks = [("auth.login_lock_out_at_failure", "true")];
        let report = replayed(&server, &locks, ReplayPeriod::Seven);
        assert_eq!((report.guesses.locks, report.guesses.locked_out), (1, 1), "{backend:?}");
        let one = report.guesses.newest().next().unwrap();
        assert_eq!((one.attempt.name.as_str(), one.certainty), ("ada", Certainty::Certain));
        let wider = [locks[0], ("auth.login_failure_limit", "4")];
        assert_eq!(replayed(&server, &wider, ReplayPeriod::Seven).guesses.locked_out, 0);
        let combined = [locks[0], ("auth.login_lock_out_by_combination_user_and_ip", "true")];
        assert_eq!(replayed(&server, &combined, ReplayPeriod::Seven).guesses.locked_out, 1);
        assert_eq!(replayed(&server, &[], ReplayPeriod::Seven).guesses.locks, 0);
    }
}

#[test]
fn records_older_than_the_requested_days_are_left_out() {
    let server = TestServer::start();
    server.member("ada").post("/logout", &[]).expect(303);
    server.advance(8 * 86_400);
    server.member("grace");
    server.advance(100);
    assert_eq!(replayed(&server, &[(IDLE, "1m")], ReplayPeriod::Seven).sessions, 1);
    assert_eq!(replayed(&server, &[(IDLE, "1m")], ReplayPeriod::Thirty).sessions, 2);
}

#[test]
fn a_stricter_measure_of_activity_in_force_before_makes_idle_ends_unsure() {
    let server = TestServer::start();
    server.policy(&[("activity.counts", "interaction")]);
    let ada = server.member("ada");
    server.advance(3000);
    ada.get("/").expect(200);
    server.advance(100);
    let counted = [(IDLE, "30m"), ("activity.counts", "every_request")];
    assert_eq!(
        told(&replayed(&server, &counted, ReplayPeriod::Seven)),
        [("ada".to_owned(), EndReason::Idle, Certainty::Possible)]
    );
    assert_eq!(
        told(&replayed(&server, &[(IDLE, "30m")], ReplayPeriod::Seven)),
        [("ada".to_owned(), EndReason::Idle, Certainty::Certain)]
    );
}
