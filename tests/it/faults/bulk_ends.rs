//! Ends of many sessions that the database did not accept: they apply here immediately, and are
//! written when it is back, in the name of the person who ended them.

use super::{
    RECOVERED, behind_relay,
    revocations::{Fault, recorded, session_of, signature},
    within,
};
use crate::harness::{
    client::{Answer, Client},
    server::{Backend, TestDatabase, TestServer},
};
use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
use nightlatch::{
    clock::SystemClock,
    domain::{account::AccountId, session::SessionFilter},
    flows::{FlowError, Initiator, sessions},
};
use std::sync::Arc;

const PROMISE: &str = "will be ended as soon as the database answers";
const SESSIONS: &str = "/admin/sessions/end";
const ACCOUNTS: &str = "/admin/accounts/bulk";

/// A confirmed form: its address and fields.
type ConfirmedForm = (&'static str, Vec<(String, String)>);

fn send(client: &Client, (action, fields): &ConfirmedForm) -> Answer {
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    client.thief().post(action, &fields)
}

/// Returns the form that ends all sessions that match, without the administrator's own.
fn end_sessions(boss: &Client, query: &str) -> ConfirmedForm {
    let shown = boss.get(&format!("{SESSIONS}?{query}")).expect(200).page();
    let form = shown.form(SESSIONS);
    let mut fields = form.fields();
    let count = form.field("shown");
    fields.retain(|(name, _)| name != "typed" && name != "yours");
    fields.push(("typed".to_owned(), count));
    fields.push(("yours".to_owned(), "kept".to_owned()));
    (SESSIONS, fields)
}

/// Returns the form that ends the sessions of these accounts, or of all that match.
fn end_accounts(boss: &Client, chosen: &[(&str, &str)]) -> ConfirmedForm {
    let fields: Vec<(&str, &str)> = [("act", "end-sessions")].iter().chain(chosen).copied().collect();
    let shown = boss.post(ACCOUNTS, &fields).expect(200).page();
    (ACCOUNTS, shown.form(ACCOUNTS).fields())
}

fn account(server: &TestServer, name: &str) -> AccountId {
    let found = nightlatch::flows::accounts::find_by_name(&server.ctx, name);
    server.run(found).unwrap().unwrap().id
}

#[test]
fn an_end_of_everybody_that_was_answered_503_is_written_when_the_database_is_back() {
    for fault in [Fault::Stopped, Fault::Frozen] {
        let (server, relay) = behind_relay();
        let there = TestServer::beside(&server.database)
            .machine(Arc::new(SystemClock))
            .start();
        let (boss, ada) = (server.admin("boss"), server.member("ada"));
        // This instance has never seen bob's session.
        let bob = there.member("bob");
        let form = end_sessions(&boss, "");
        ada.get("/").expect(200);
        fault.begin(&server, &relay);
        let page = send(&boss, &form).expect(503).page();
        assert!(page.shows(PROMISE), "{fault:?}: {}", page.text());
        assert_ne!(ada.thief().get("/").status(), 200, "{fault:?}: refused here at once");
        fault.end(&server, &relay);
        within(RECOVERED, "the end is written", || {
            there.anyone().get("/readyz").status() == 200
                && [&ada, &bob]
                    .iter()
                    .all(|client| client.thief().at(&there.base).get("/").status() == 303)
        });
        for name in ["ada", "bob"] {
            let ended = recorded(&there, "session.ended", name);
            assert_eq!(ended.len(), 1, "{fault:?} {name}");
            assert_eq!(signature(&ended[0]), ("boss", true, true), "{fault:?} {name}");
        }
        within(RECOVERED, "the own session was kept", || {
            boss.thief().get("/admin").status() == 200
        });
        assert!(recorded(&there, "session.ended", "boss").is_empty(), "{fault:?}");
    }
}

#[test]
fn ends_of_selected_accounts_and_by_filter_are_written_when_the_database_is_back() {
    let (server, relay) = behind_relay();
    let boss = server.admin("boss");
    let clients: Vec<Client> = ["ada", "bob", "eve", "zoe"].map(|name| server.member(name)).into();
    let ada = account(&server, "ada").0.to_string();
    let forms = [
        end_accounts(&boss, &[("what", "selected"), ("id", &ada)]),
        end_accounts(&boss, &[("what", "matching"), ("back", "q=bob")]),
        end_sessions(&boss, "q=eve"),
    ];
    // What was not confirmed is not held, and nothing else is done for a visitor from memory.
    let mut disable = forms[0].clone();
    for (name, value) in &mut disable.1 {
        if name == "act" {
            *value = "disable".to_owned();
        }
    }
    let mut unconfirmed = forms[2].clone();
    unconfirmed.1.retain(|(name, _)| name != "shown");
    Fault::Stopped.begin(&server, &relay);
    for form in [&disable, &unconfirmed] {
        let page = send(&boss, form).expect(503).page();
        assert!(!page.shows(PROMISE), "{}", page.text());
    }
    assert_eq!(server.ctx.live.sessions.held.len(), 0);
    for form in &forms {
        let page = send(&boss, form).expect(503).page();
        assert!(page.shows(PROMISE), "{}", page.text());
    }
    assert_eq!(server.ctx.live.sessions.held.len(), 3);
    Fault::Stopped.end(&server, &relay);
    within(RECOVERED, "the ends are written", || {
        // Until then nobody is let in whom a filter may cover.
        let is_written = server.ctx.live.sessions.held.is_empty();
        let let_in = clients[..3]
            .iter()
            .any(|client| client.thief().get("/").status() == 200);
        assert!(!let_in);
        is_written && server.anyone().get("/readyz").status() == 200
    });
    for name in ["ada", "bob", "eve"] {
        let ended = recorded(&server, "session.ended", name);
        assert_eq!((ended.len(), signature(&ended[0])), (1, ("boss", true, true)), "{name}");
    }
    within(RECOVERED, "zoe goes on", || clients[3].thief().get("/").status() == 200);
    assert!(recorded(&server, "session.ended", "zoe").is_empty());
}

#[test]
fn nobody_is_let_in_whom_a_delayed_end_by_filter_may_cover() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (ada, eve) = (server.member("ada"), server.member("eve"));
        let filter = SessionFilter {
            text: Some("eve".to_owned()),
            ..SessionFilter::default()
        };
        let held = sessions::hold_matching(&server.ctx, &Initiator::system(), filter, None);
        assert!(matches!(held, FlowError::EndHeld(_)), "{backend:?}: {held}");
        // The job may have written it meanwhile: then it has ended.
        assert_ne!(eve.get("/").status(), 200, "{backend:?}");
        within(RECOVERED, "it is written", || server.ctx.live.sessions.held.is_empty());
        eve.get("/").expect(303);
        ada.get("/").expect(200);
        let ended = recorded(&server, "session.ended", "eve");
        assert_eq!((ended.len(), ended[0].actor.as_str()), (1, "system"), "{backend:?}");
    }
}

#[test]
fn a_locked_file_forgets_no_end_of_everybody() {
    let server = super::ready(TestServer::on(Backend::Sqlite));
    let (boss, ada, eve) = (server.admin("boss"), server.member("ada"), server.member("eve"));
    let id = account(&server, "eve").0.to_string();
    let forms = [
        end_accounts(&boss, &[("what", "selected"), ("id", &id)]),
        end_sessions(&boss, ""),
    ];
    let TestDatabase::Sqlite(directory) = &*server.database else {
        panic!("not on SQLite")
    };
    let mut lock = SqliteConnection::establish(directory.path().join("test.db").to_str().unwrap()).unwrap();
    lock.batch_execute("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE;")
        .unwrap();
    for form in &forms {
        // The file can still be read, so that the act is begun and its page may be left.
        let answer = send(&boss, form);
        assert!([303, 503].contains(&answer.status()), "{}", answer.text());
    }
    // The end of everybody applies here before it is written.
    for client in [&ada, &eve] {
        client.thief().get("/").expect(303);
    }
    lock.batch_execute("ROLLBACK;").unwrap();
    within(RECOVERED, "the ends are written", || {
        server.ctx.live.sessions.held.is_empty() && session_count(&server) == 1
    });
    for name in ["ada", "eve"] {
        let ended = recorded(&server, "session.ended", name);
        assert_eq!((ended.len(), signature(&ended[0])), (1, ("boss", true, true)), "{name}");
    }
    assert!(!session_of(&server, "boss").is_empty());
}

fn session_count(server: &TestServer) -> i64 {
    let count = sessions::count(&server.ctx, SessionFilter::default());
    server.run(count).unwrap()
}
