//! An end of sessions that the database did not accept is never forgotten: it applies here
//! immediately, and is written when the database is back, in the name of the person who ended them.

use super::{RECOVERED, behind_relay, within};
use crate::harness::{
    client::Client,
    postgres::Database,
    relay::Relay,
    server::{Backend, TestDatabase, TestServer},
};
use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use nightlatch::{
    clock::SystemClock,
    domain::{
        audit::AuditRecord,
        session::{Session, SessionFilter, SessionListState},
    },
    flows::sessions,
};
use std::{sync::Arc, time::Duration};

/// What is wrong with the database.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Stopped,
    Frozen,
    ReadOnly,
}

fn postgres(server: &TestServer) -> &Database {
    match &*server.database {
        TestDatabase::Postgres(database) => database,
        TestDatabase::Sqlite(_) => panic!("not on Postgres"),
    }
}

impl Fault {
    pub(super) fn begin(self, server: &TestServer, relay: &Relay) {
        match self {
            Self::Stopped => postgres(server).allow_connections(false),
            Self::Frozen => return relay.freeze(),
            Self::ReadOnly => postgres(server).read_only(true),
        }
        postgres(server).disconnect_all();
        // Memory is no longer trusted.
        std::thread::sleep(Duration::from_millis(1_200));
    }

    pub(super) fn end(self, server: &TestServer, relay: &Relay) {
        match self {
            Self::Stopped => postgres(server).allow_connections(true),
            Self::Frozen => relay.thaw(),
            Self::ReadOnly => {
                postgres(server).read_only(false);
                postgres(server).disconnect_all();
            }
        }
    }
}

/// Returns the id of the account's only live session.
pub(super) fn session_of(server: &TestServer, name: &str) -> String {
    only_session(server, name).id.0.to_string()
}

/// Returns the account's only live session.
fn only_session(server: &TestServer, name: &str) -> Session {
    let filter = SessionFilter {
        text: Some(name.to_owned()),
        state: SessionListState::Active,
        limit: 10,
        ..SessionFilter::default()
    };
    let list = server.run(sessions::list(&server.ctx, filter)).unwrap();
    list.items[0].row.session.clone()
}

/// Makes this instance forget what it knows of the account's session, as the announcement of a
/// change does.
fn announce_change(server: &TestServer, name: &str) {
    let session = only_session(server, name);
    server.ctx.live.sessions.forget(session.id);
    server.ctx.live.accounts.forget(session.account_id);
}

/// Returns the entries of this event about this account.
pub(super) fn recorded(server: &TestServer, event: &str, account: &str) -> Vec<AuditRecord> {
    let mut rows = server.audit();
    rows.retain(|row| row.event.as_str() == event && row.account.as_deref() == Some(account));
    rows
}

/// Returns who, from where and with which request.
pub(super) fn signature(row: &AuditRecord) -> (&str, bool, bool) {
    (&row.actor, row.ip.is_some(), row.request_id.is_some())
}

#[test]
fn an_end_that_was_answered_503_is_written_when_the_database_is_back() {
    for fault in [Fault::Stopped, Fault::Frozen, Fault::ReadOnly] {
        let (server, relay) = behind_relay();
        let there = TestServer::beside(&server.database)
            .machine(Arc::new(SystemClock))
            .start();
        let (boss, ada, eve) = (server.admin("boss"), server.member("ada"), server.member("eve"));
        // This instance has never seen bob's session.
        let bob = there.member("bob");
        let (eves, bobs) = (session_of(&server, "eve"), session_of(&server, "bob"));
        for client in [&boss, &ada, &eve] {
            client.get("/").expect(200);
        }
        fault.begin(&server, &relay);
        let end = |id: &str| boss.thief().post("/admin/sessions/end", &[("only", id)]);
        for id in [&eves, &bobs] {
            let page = end(id).expect(503).page();
            let promise = "will be ended as soon as the database answers";
            assert!(page.shows(promise), "{fault:?}: {}", page.text());
        }
        let left = ada.thief().header("accept", "application/json").post("/logout", &[]);
        assert_eq!(left.expect(503).json()["code"], "end_held", "{fault:?}");
        for client in [&eve, &ada] {
            assert_ne!(client.thief().get("/").status(), 200, "{fault:?}: refused here at once");
        }
        fault.end(&server, &relay);
        within(RECOVERED, "the ends are written", || {
            there.anyone().get("/readyz").status() == 200
                && [&eve, &ada, &bob].iter().all(|client| {
                    let elsewhere = client.thief().at(&there.base);
                    elsewhere.get("/").status() == 303
                })
        });
        for name in ["eve", "bob"] {
            let ended = recorded(&there, "session.ended", name);
            assert_eq!(ended.len(), 1, "{fault:?} {name}");
            assert_eq!(signature(&ended[0]), ("boss", true, true), "{fault:?} {name}");
            assert_eq!(ended[0].reason.as_deref(), Some("revoked"));
        }
        let signed_out = recorded(&there, "sign_out", "ada");
        assert_eq!(signed_out.len(), 1, "{fault:?}");
        assert_eq!(signature(&signed_out[0]), ("ada", true, true), "{fault:?}");
        assert_eq!(server.ctx.live.sessions.held.len(), 0, "{fault:?}");
        boss.get("/admin").expect(200);
    }
}

#[test]
fn a_locked_or_read_only_file_forgets_no_end_either() {
    let server = super::ready(TestServer::on(Backend::Sqlite));
    let (boss, ada, eve) = (server.admin("boss"), server.member("ada"), server.member("eve"));
    let eves = session_of(&server, "eve");
    let TestDatabase::Sqlite(directory) = &*server.database else {
        panic!("not on SQLite")
    };
    let mut lock = SqliteConnection::establish(directory.path().join("test.db").to_str().unwrap()).unwrap();
    lock.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE;")
        .unwrap();
    boss.post("/admin/sessions/end", &[("only", &eves)]).expect(503);
    ada.thief().post("/logout", &[]).expect(503);
    // They apply here before they are written.
    for client in [&ada, &eve] {
        client.thief().get("/").expect(303);
    }
    lock.batch_execute("ROLLBACK;").unwrap();
    within(RECOVERED, "the ends are written", || {
        server.ctx.live.sessions.held.is_empty()
    });
    assert_eq!(
        signature(&recorded(&server, "session.ended", "eve")[0]),
        ("boss", true, true)
    );
    assert_eq!(signature(&recorded(&server, "sign_out", "ada")[0]), ("ada", true, true));
}

#[test]
fn an_end_that_is_written_late_names_the_person_who_ended_it() {
    let (server, relay) = behind_relay();
    let (boss, ada, eve) = (server.admin("boss"), server.member("ada"), server.member("eve"));
    let eves = session_of(&server, "eve");
    for client in [&boss, &ada] {
        client.get("/").expect(200);
    }
    // The job that writes held ends and the request that ended the sessions run side by side.
    relay.delay(Duration::from_millis(700));
    let (of_boss, of_ada): (&Client, &Client) = (&boss, &ada);
    super::at_once(vec![
        Box::new(|| drop(of_boss.thief().post("/admin/sessions/end", &[("only", &eves)]))),
        Box::new(|| drop(of_ada.thief().post("/logout", &[]))),
    ]);
    relay.delay(Duration::ZERO);
    within(RECOVERED, "the ends are written", || {
        server.anyone().get("/readyz").status() == 200 && server.ctx.live.sessions.held.is_empty()
    });
    within(RECOVERED, "both are on record", || {
        !recorded(&server, "session.ended", "eve").is_empty() && !recorded(&server, "sign_out", "ada").is_empty()
    });
    let ended = recorded(&server, "session.ended", "eve");
    assert_eq!((ended.len(), signature(&ended[0])), (1, ("boss", true, true)));
    let signed_out = recorded(&server, "sign_out", "ada");
    assert_eq!((signed_out.len(), signature(&signed_out[0])), (1, ("ada", true, true)));
    eve.get("/").expect(303);
}

#[test]
fn an_administrator_who_was_signed_out_elsewhere_ends_nothing_from_memory() {
    let (server, relay) = behind_relay();
    let there = TestServer::beside(&server.database)
        .machine(Arc::new(SystemClock))
        .start();
    let (boss, eve) = (server.admin("boss"), server.member("eve"));
    let eves = session_of(&server, "eve");
    boss.get("/admin").expect(200);
    relay.freeze();
    std::thread::sleep(Duration::from_millis(1_200));
    boss.thief().at(&there.base).post("/logout", &[]).expect(303);
    boss.post("/admin/sessions/end", &[("only", &eves)]).expect(503);
    relay.thaw();
    within(RECOVERED, "it is dropped", || server.ctx.live.sessions.held.is_empty());
    within(RECOVERED, "eve is let in again", || eve.get("/").status() == 200);
    assert!(recorded(&there, "session.ended", "eve").is_empty());
}

#[test]
fn a_sign_out_of_a_session_that_this_instance_never_saw_is_kept() {
    let (server, relay) = behind_relay();
    let there = TestServer::beside(&server.database)
        .machine(Arc::new(SystemClock))
        .start();
    let ada = there.member("ada");
    relay.freeze();
    std::thread::sleep(Duration::from_millis(1_200));
    ada.thief().at(&server.base).post("/logout", &[]).expect(503);
    relay.thaw();
    within(RECOVERED, "it is written", || ada.thief().get("/").status() == 303);
    let signed_out = recorded(&there, "sign_out", "ada");
    assert_eq!((signed_out.len(), signature(&signed_out[0])), (1, ("ada", true, true)));
}

#[test]
fn an_administrator_whose_session_changed_right_before_the_fault_still_ends_sessions() {
    let (server, relay) = behind_relay();
    let (boss, ada, eve) = (server.admin("boss"), server.member("ada"), server.member("eve"));
    let stranger = TestServer::beside(&server.database)
        .machine(Arc::new(SystemClock))
        .start()
        .admin("stranger");
    let eves = session_of(&server, "eve");
    let adas = only_session(&server, "ada").account_id.0.to_string();
    for client in [&boss, &ada, &eve] {
        client.get("/").expect(200);
    }
    announce_change(&server, "boss");
    Fault::Stopped.begin(&server, &relay);
    let promise = "will be ended as soon as the database answers";
    let one = boss.thief().post("/admin/sessions/end", &[("only", &eves)]);
    assert!(one.expect(503).page().shows(promise));
    let of_account = format!("/admin/accounts/{adas}");
    let all = boss.thief().post(&of_account, &[("act", "end-sessions")]);
    assert!(all.expect(503).page().shows(promise));
    // Nothing else is done for a visitor whom only memory knows.
    for act in ["force-change", "disable", "invite"] {
        let page = boss.thief().post(&of_account, &[("act", act)]).expect(503).page();
        assert!(!page.shows(promise), "{act}");
    }
    // A server that never saw the administrator says that nothing ended.
    let nobody = stranger
        .thief()
        .at(&server.base)
        .post("/admin/sessions/end", &[("only", &eves)]);
    assert!(nobody.expect(503).page().shows("no session was ended"));
    Fault::Stopped.end(&server, &relay);
    within(RECOVERED, "the ends are written", || {
        server.anyone().get("/readyz").status() == 200 && server.ctx.live.sessions.held.is_empty()
    });
    for (client, name) in [(&eve, "eve"), (&ada, "ada")] {
        client.get("/").expect(303);
        let ended = recorded(&server, "session.ended", name);
        assert_eq!((ended.len(), signature(&ended[0])), (1, ("boss", true, true)), "{name}");
    }
    boss.get("/admin").expect(200);
}

#[test]
fn an_administrator_whose_sign_out_was_announced_here_ends_nothing_from_memory() {
    let (server, relay) = behind_relay();
    let there = TestServer::beside(&server.database)
        .machine(Arc::new(SystemClock))
        .start();
    let (boss, eve) = (server.admin("boss"), server.member("eve"));
    let eves = session_of(&server, "eve");
    boss.get("/admin").expect(200);
    boss.thief().at(&there.base).post("/logout", &[]).expect(303);
    within(RECOVERED, "the sign-out is known here", || {
        boss.thief().get("/admin").status() == 303
    });
    announce_change(&server, "eve");
    Fault::Stopped.begin(&server, &relay);
    boss.thief().post("/admin/sessions/end", &[("only", &eves)]).expect(503);
    Fault::Stopped.end(&server, &relay);
    within(RECOVERED, "it is dropped", || server.ctx.live.sessions.held.is_empty());
    within(RECOVERED, "eve is let in again", || eve.get("/").status() == 200);
    assert!(recorded(&there, "session.ended", "eve").is_empty());
}

/// Everything that an audit entry consists of.
const AUDIT: [&str; 19] = [
    "id",
    "happened_at",
    "event",
    "actor",
    "actor_key",
    "actor_id",
    "account",
    "account_key",
    "account_id",
    "session_id",
    "ip",
    "ip_key",
    "user_agent",
    "application",
    "outcome",
    "reason",
    "detail",
    "request_id",
    "search",
];

#[test]
fn an_end_that_was_written_is_not_answered_as_one_that_was_not() {
    let server = super::ready(TestServer::on(Backend::Sqlite));
    let (boss, eve) = (server.admin("boss"), server.member("eve"));
    let eves = session_of(&server, "eve");
    let TestDatabase::Sqlite(directory) = &*server.database else {
        panic!("not on SQLite")
    };
    let mut file = SqliteConnection::establish(directory.path().join("test.db").to_str().unwrap()).unwrap();
    file.batch_execute("PRAGMA busy_timeout = 5000;").unwrap();
    // The database goes away between the end and the message: entries can be written, not read.
    file.batch_execute(&format!(
        "ALTER TABLE audit RENAME TO kept;
         CREATE VIEW audit AS SELECT * FROM kept WHERE json(detail || '{{') IS NOT NULL;
         CREATE TRIGGER keep INSTEAD OF INSERT ON audit
         BEGIN INSERT INTO kept ({}) VALUES (NEW.{}); END;",
        AUDIT.join(", "),
        AUDIT.join(", NEW."),
    ))
    .unwrap();
    boss.post("/admin/sessions/end", &[("only", &eves)]).expect(303);
    eve.get("/").expect(303);
    file.batch_execute("DROP VIEW audit; ALTER TABLE kept RENAME TO audit;")
        .unwrap();
    assert_eq!(recorded(&server, "session.ended", "eve").len(), 1);
}
