//! `backup` and `restore`: a copy made while a server writes, restored when none runs, without
//! reviving ended sessions.

use super::{Cli, PASSWORD, actor};
use crate::harness::server::{Backend, TestServer, operator};
use nightlatch::{
    domain::{
        account::Role,
        reset::LinkKind,
        session::{SessionFilter, SessionId},
    },
    flows,
    store::{
        OpenOptions, Store, StoreError,
        email_changes::{self, EmailChange},
        handovers::{self, Handover, HandoverBinding},
        notifications::{self, SignInReportLink},
        password_links::{self, PasswordLink},
        setup,
    },
};
use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Where the database of `cli` is.
fn file(cli: &Cli) -> PathBuf {
    PathBuf::from(cli.database().url().strip_prefix("sqlite:").unwrap())
}

fn beside(cli: &Cli, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", file(cli).display()))
}

#[test]
fn a_copy_taken_beside_a_server_is_put_back_and_its_sessions_end() {
    let server = TestServer::start();
    let ada = server.admin("ada");
    let cli = Cli::beside(&server);
    cli.run(&["policy", "set", "session.ttl", "3h"]).done();
    cli.run(&["backup", "copy.db"])
        .done()
        .prints(&["Copied the database to copy.db"]);
    let copy = cli.directory().join("copy.db");
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    cli.run(&["policy", "set", "session.ttl", "5h"]).done();
    cli.account("bob", "member");
    ada.get("/").expect(200);

    cli.run(&["restore", "copy.db"])
        .refused(&["already served by another process"]);
    server.stop();
    cli.run(&["restore", "copy.db"])
        .done()
        .prints(&["Ended 1 session: everyone has to sign in again.", ".before-restore"]);
    assert_eq!(cli.get("session.ttl"), 3 * 3600);
    let accounts = cli.run(&["account", "list", "--json"]).json();
    assert_eq!(accounts.as_array().unwrap().len(), 1, "{accounts}");
    assert_eq!(cli.run(&["session", "list", "--json"]).json(), serde_json::json!([]));

    // The session of the copy has ended, and a new one begins.
    let again = TestServer::beside(cli.database()).start();
    let ada = ada.at(&again.base);
    ada.get("/").expect(303);
    ada.sign_in("ada", PASSWORD).expect(303);
    ada.get("/").expect(200);
    again.stop();

    // The previous database is complete.
    let kept = beside(&cli, ".before-restore");
    let before = Cli::of(&Arc::new(crate::harness::server::TestDatabase::fresh(Backend::Sqlite)));
    let url = format!("sqlite:{}", kept.display());
    let ran = before.run(&["policy", "get", "session.ttl", "--json", "--database-url", &url]);
    assert_eq!(ran.json()["value"], 5 * 3600);
    cli.run(&["restore", "copy.db"])
        .refused(&[".before-restore", "move it away first"]);
}

#[test]
fn a_damaged_database_is_replaced_and_kept() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    cli.run(&["backup", "copy.db"]).done();
    std::fs::write(file(&cli), b"this was a database").unwrap();
    cli.run(&["account", "list"]).refused(&["not a database"]);
    cli.run(&["restore", "copy.db"]).done();
    cli.run(&["account", "show", "ada"]).done();
    assert_eq!(
        std::fs::read(beside(&cli, ".before-restore")).unwrap(),
        b"this was a database"
    );
}

#[test]
fn restoring_from_a_file_that_is_no_backup_changes_nothing() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    let before = cli.events();
    cli.file(
        "words.db",
        "hello, this is no database at all, but long enough to be looked at as one",
    );
    cli.file("empty.db", "");
    for (name, why) in [
        ("missing.db", "No such file"),
        ("words.db", "not an SQLite database"),
        ("empty.db", "not a database of this program"),
    ] {
        cli.run(&["restore", name]).refused(&[name, why]);
        assert!(
            !beside(&cli, ".restoring").exists() && !beside(&cli, ".before-restore").exists(),
            "{name}"
        );
    }
    assert_eq!(cli.events(), before);
}

#[test]
fn a_copy_never_overwrites_a_file_and_leaves_none_half_written() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    cli.file("mine.txt", "emails");
    cli.run(&["backup", "mine.txt"]).refused(&["mine.txt", "exists"]);
    assert_eq!(std::fs::read(cli.directory().join("mine.txt")).unwrap(), b"emails");
    cli.run(&["backup", "nowhere/copy.db"]).refused(&["nowhere/copy.db"]);
    cli.run(&["backup", "copy.db", "--database-url", "sqlite:nothing.db"])
        .refused(&["nothing.db"]);
    assert!(!cli.directory().join("copy.db").exists() && !cli.directory().join("nothing.db").exists());
}

#[test]
fn postgres_is_left_to_its_own_tools() {
    let cli = Cli::on(Backend::Postgres);
    cli.account("ada", "administrator");
    cli.run(&["backup", "copy.db"]).refused(&["pg_dump"]);
    cli.run(&["restore", "copy.db"]).refused(&["pg_restore"]);
    assert!(!cli.directory().join("copy.db").exists());
}

#[test]
fn a_restore_that_fails_midway_leaves_the_database_unchanged() {
    let server = TestServer::start();
    server.admin("ada");
    let cli = Cli::beside(&server);
    cli.run(&["backup", "copy.db"]).done();
    server
        .run(flows::sessions::end_matching(
            &server.ctx,
            &operator(),
            SessionFilter::default(),
            None,
        ))
        .unwrap();
    server.stop();
    let sessions = |cli: &Cli| cli.run(&["session", "list", "--json"]).json();
    let events = cli.events();
    // A security log that cannot be written: the sessions of the copy cannot be ended.
    let cli = cli.env("NIGHTLATCH_SECURITY_LOG", ".");
    cli.run(&["restore", "copy.db"]).refused(&["security log"]);
    for end in [".restoring", ".restoring-wal", ".restoring-shm", ".before-restore"] {
        assert!(!beside(&cli, end).exists(), "{end}");
    }
    let cli = cli.env("NIGHTLATCH_SECURITY_LOG", "security.log");
    assert_eq!(cli.events(), events);
    assert_eq!(sessions(&cli), serde_json::json!([]));
    // Files of an earlier attempt before a power failure are not mixed into the copy.
    std::fs::write(beside(&cli, ".restoring-wal"), b"of another time").unwrap();
    cli.run(&["restore", "copy.db"]).done().prints(&["Ended 1 session"]);
    assert_eq!(sessions(&cli), serde_json::json!([]));
    let restored = cli
        .run(&["audit", "list", "--json", "--event", "database.restored"])
        .json();
    assert_eq!(restored[0]["actor"], actor());
    assert_eq!(restored[0]["detail"], serde_json::json!({ "ended_sessions": 1 }));
}

#[test]
fn links_and_codes_of_the_time_of_the_copy_open_nothing() {
    let server = TestServer::start();
    let ada = server.account("ada", Role::Administrator);
    server.signed_in("ada");
    let (now, session) = (server.now(), live_session(&server));
    let code = HandoverBinding {
        digest: "code".to_owned(),
        host: "shop.other.test".to_owned(),
        nonce: "nonce".to_owned(),
        user_agent: String::new(),
        network: "192.0.2.0/24".parse().unwrap(),
    };
    let link = |kind: LinkKind| PasswordLink {
        digest: kind.as_str().to_owned(),
        account: ada,
        kind,
        email: "ada@example.org".to_owned(),
        password_changed_at: now,
        made_at: now,
        expires_at: now,
    };
    let bound = code.clone();
    let made = server.ctx.store.write_now(|c| {
        handovers::insert(
            c,
            &Handover {
                bound: bound.clone(),
                session,
                return_to: "http://shop.other.test/".to_owned(),
                issued_at: now,
                expires_at: now,
            },
        )?;
        password_links::replace(c, &link(LinkKind::Reset))?;
        password_links::replace(c, &link(LinkKind::Invitation))?;
        email_changes::insert(
            c,
            &EmailChange {
                account: ada,
                old: None,
                new: "other@example.org".to_owned(),
                new_digest: "confirm".to_owned(),
                old_digest: "cancel".to_owned(),
                requested_at: now,
                new_confirmed_at: None,
                old_confirmed_at: None,
            },
        )?;
        notifications::add_report_link(
            c,
            &SignInReportLink {
                digest: "disavowal".to_owned(),
                account: ada,
                made_at: now,
                device: String::new(),
                ip: String::new(),
            },
        )?;
        setup::create_token(c, "token", now)
    });
    made.unwrap();
    let cli = Cli::beside(&server);
    cli.run(&["backup", "copy.db"]).done();
    server.stop();
    cli.run(&["restore", "copy.db"]).done();
    let store = Store::open(&cli.database().url(), OpenOptions::default()).unwrap();
    let left = store.read_now(|c| {
        Ok::<_, StoreError>([
            password_links::find(c, "reset")?.is_some(),
            email_changes::find(c, ada)?.is_some(),
            notifications::find_report_link(c, "disavowal")?.is_some(),
            setup::is_valid(c, "token", now)?,
            handovers::count_since(c, session, now)? > 0,
        ])
    });
    assert_eq!(left.unwrap(), [false; 5]);
    let invited = store.read_now(|c| password_links::find(c, "invitation")).unwrap();
    assert!(invited.is_some(), "whoever is invited has no other way in");
}

fn live_session(server: &TestServer) -> SessionId {
    let filter = SessionFilter {
        limit: 1,
        ..SessionFilter::default()
    };
    let list = server.run(flows::sessions::list(&server.ctx, filter)).unwrap();
    list.items[0].row.session.id
}

/// Gives an account a passkey and a recovery code.
fn give_factors(cli: &Cli, account: &str, passkey: &str, code: &str) {
    static MADE: AtomicU32 = AtomicU32::new(1);
    let id = format!("01900000-0000-7000-8000-{:012}", MADE.fetch_add(1, Ordering::Relaxed));
    cli.database().sql(&format!(
        "INSERT INTO passkeys (id, account_id, name, credential_id, credential, domain, added_at, synced)
             SELECT '{id}', id, '{passkey}', '{passkey}', '{{}}', 'localhost', created_at, FALSE
             FROM accounts WHERE name = '{account}';
         INSERT INTO recovery_codes (digest, account_id, made_at)
             SELECT '{code}', id, created_at FROM accounts WHERE name = '{account}';
         UPDATE accounts SET passkeys = passkeys + 1, recovery_codes = recovery_codes + 1 WHERE name = '{account}';"
    ));
}

#[test]
fn restore_names_the_factors_that_are_lost_and_those_that_count_again() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    cli.account("bob", "member");
    cli.account("eve", "member");
    give_factors(&cli, "ada", "Blue key", "one");
    give_factors(&cli, "eve", "Old phone", "two");
    cli.run(&["backup", "copy.db"]).done();
    // Since then ada and bob got a passkey each, and eve lost hers.
    give_factors(&cli, "ada", "Red key", "three");
    give_factors(&cli, "bob", "Laptop", "four");
    cli.run(&["account", "reset-factors", "eve"]).done();
    let restored = cli.run(&["restore", "copy.db"]).done();
    restored.prints(&[
        "In the copy 2 accounts have second factors: 0 authenticator apps, 2 passkeys, 2 recovery codes.",
        "Lost, because they were added after the copy was made:",
        "  ada: passkey “Red key”, 1 recovery code\n",
        "  bob: passkey “Laptop”, 1 recovery code; no second factor is left\n",
        "Valid again",
        "  eve: passkey “Old phone”, 1 recovery code\n",
    ]);
    let shown = cli.run(&["account", "factors", "eve", "--json"]).json();
    assert_eq!(shown["passkeys"][0]["name"], "Old phone");
}

#[test]
fn restore_over_a_damaged_database_says_that_factors_were_not_compared() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    give_factors(&cli, "ada", "Blue key", "one");
    cli.run(&["backup", "copy.db"]).done();
    std::fs::write(file(&cli), b"this was a database").unwrap();
    cli.run(&["restore", "copy.db"]).done().prints(&[
        "In the copy 1 account has second factors",
        "could not be read to compare them",
    ]);
}
