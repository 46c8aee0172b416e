//! Sealing the audit log, and what a check finds after rows were changed.

use crate::{
    cli::Cli,
    harness::server::{Backend, TestServer},
};
use nightlatch::flows::audit::seals::{SealReport, seal_due, verify};

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

/// A server whose audit has some entries under two seals.
fn sealed(backend: Backend) -> TestServer {
    let server = TestServer::on(backend).start();
    server.admin("ada");
    server.anyone().sign_in("ada", "wrong");
    server.advance(61);
    assert!(server.run(seal_due(&server.ctx)).unwrap() > 3);
    server.member("bob");
    server.advance(61);
    assert!(server.run(seal_due(&server.ctx)).unwrap() > 1);
    server
}

fn check(server: &TestServer) -> SealReport {
    server.run(verify(&server.ctx, None)).unwrap()
}

fn faults(server: &TestServer) -> String {
    let faults: Vec<String> = check(server).faults.iter().map(ToString::to_string).collect();
    faults.join("\n")
}

#[test]
fn entries_are_sealed_once_they_are_a_minute_old() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        server.admin("ada");
        assert_eq!(server.run(seal_due(&server.ctx)).unwrap(), 0, "{backend:?}");
        let young = check(&server);
        assert!(
            young.unsealed > 1 && young.seals == 0 && young.digest.is_none(),
            "{young:?}"
        );
        server.advance(61);
        let entries = server.run(seal_due(&server.ctx)).unwrap();
        assert_eq!(i64::try_from(entries).unwrap(), young.unsealed);
        assert_eq!(server.run(seal_due(&server.ctx)).unwrap(), 0);
        let whole = check(&server);
        assert_eq!((whole.seals, whole.entries, whole.unsealed), (1, entries, 0));
        assert!(whole.faults.is_empty(), "{whole:?}");
    }
}

#[test]
fn a_digest_that_was_noted_is_found_again() {
    for backend in BOTH {
        let server = sealed(backend);
        let noted = check(&server).digest.unwrap();
        server.member("eve");
        server.advance(61);
        server.run(seal_due(&server.ctx)).unwrap();
        assert!(
            server.run(verify(&server.ctx, Some(&noted))).unwrap().known,
            "{backend:?}"
        );
        assert!(!server.run(verify(&server.ctx, Some("0000"))).unwrap().known);
    }
}

#[test]
fn whatever_is_done_to_sealed_entries_shows() {
    let done = [
        (
            "UPDATE audit SET actor = 'mallory' WHERE event = 'sign_in.refused'",
            "seal 1",
            "changed",
        ),
        (
            "UPDATE audit SET detail = '{}' WHERE event = 'sign_in.refused'",
            "seal 1",
            "changed",
        ),
        ("DELETE FROM audit WHERE event = 'sign_in.refused'", "seal 1", "1 of"),
        (
            "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)",
            "seal 2",
            "1 of",
        ),
        (
            "INSERT INTO audit SELECT replace(id, '-7', '-8'), happened_at, event, actor, actor_key, actor_id, account, account_key, \
             account_id, session_id, ip, ip_key, user_agent, application, outcome, reason, detail, request_id, search \
             FROM audit WHERE event = 'sign_in.refused'",
            "seal ",
            "1 entries were inserted later",
        ),
        (
            "INSERT INTO audit SELECT '00000000-0000-7000-8000-000000000001', happened_at, event, actor, actor_key, actor_id, account, \
             account_key, account_id, session_id, ip, ip_key, user_agent, application, outcome, reason, detail, request_id, search \
             FROM audit WHERE event = 'sign_in.refused'",
            "1 entries are before the first seal",
            "seal 1",
        ),
        (
            "UPDATE audit_seals SET digest = previous WHERE number = 1",
            "seal 2 does not follow",
            "seal 1",
        ),
        (
            "UPDATE audit_seals SET number = 3 WHERE number = 2",
            "seal 3 does not follow",
            "removed",
        ),
        (
            "UPDATE audit SET actor_key = 'mallory' WHERE event = 'sign_in.refused'",
            "seal 1",
            "the columns that searches use were changed in",
        ),
        (
            "UPDATE audit SET account_key = NULL WHERE event = 'sign_in.refused'",
            "seal 1",
            "the columns that searches use were changed in",
        ),
        (
            "UPDATE audit SET ip_key = NULL WHERE event = 'sign_in.refused'",
            "seal 1",
            "the columns that searches use were changed in",
        ),
        (
            "UPDATE audit SET search = '' WHERE event = 'sign_in.refused'",
            "seal 1",
            "the columns that searches use were changed in",
        ),
        (
            "DELETE FROM audit WHERE id <= (SELECT last_id FROM audit_seals WHERE number = 1); \
             DELETE FROM audit_seals WHERE number = 1",
            "the log begins with seal 2",
            "no record says",
        ),
        ("DELETE FROM audit_seals", "no seal is left of 2", "that were made"),
        (
            "DELETE FROM audit WHERE id > (SELECT last_id FROM audit_seals WHERE number = 1); \
             DELETE FROM audit_seals WHERE number = 2",
            "the log ends with seal 1, but seal 2 was made",
            "newer seals were removed",
        ),
    ];
    for backend in BOTH {
        for (sql, what, how) in done {
            let server = sealed(backend);
            assert_eq!(faults(&server), "", "{backend:?}");
            server.database.sql(sql);
            let told = faults(&server);
            assert!(told.contains(what) && told.contains(how), "{backend:?} {sql}: {told}");
        }
    }
}

#[test]
fn the_command_line_says_what_it_found() {
    for backend in BOTH {
        let server = sealed(backend);
        let cli = Cli::beside(&server);
        let digest = check(&server).digest.unwrap();
        cli.run(&["audit", "verify"])
            .done()
            .prints(&["unchanged since they were sealed", &digest]);
        let shown = cli.run(&["audit", "verify", "--json", "--noted", &digest]).json();
        assert_eq!((&shown["seals"], &shown["faults"]), (&2.into(), &serde_json::json!([])));
        cli.run(&["audit", "verify", "--noted", "beef"])
            .refused(&["no longer has the noted digest"]);
        server.database.sql("DELETE FROM audit WHERE event = 'sign_in.refused'");
        cli.run(&["audit", "verify"]).refused(&["seal 1", "entries are gone"]);
        let shown = cli.run(&["audit", "verify", "--json"]);
        assert_eq!(shown.code, Some(1));
        assert_eq!(shown.parsed()["faults"].as_array().unwrap().len(), 1);
    }
}
