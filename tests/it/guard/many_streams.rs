//! Many open event streams at once, and streams whose session cannot be read for a while.

use super::events::Events;
use crate::harness::{
    client::Client,
    server::{Backend, PASSWORD, TestDatabase, TestServer, eventually, operator},
};
use futures_util::FutureExt;
use nightlatch::{
    domain::{
        account::{AccountId, Role},
        session::{Session, SessionFilter, SessionId},
    },
    flows::accounts::{self, AccountAction},
    live::event_streams::OpenStream,
    store::StoreError,
};
use std::{sync::Arc, time::Duration};

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];
/// More than are announced one by one.
const MANY: u128 = 600;

fn only_session(server: &TestServer) -> Session {
    let (store, filter) = (&server.ctx.store, SessionFilter::default());
    let ids = store.read_now(|c| nightlatch::store::sessions::list_ids(c, &filter, 2));
    let [id] = ids.unwrap()[..] else { panic!("one session") };
    let found = store.read_now(|c| nightlatch::store::sessions::find(c, id));
    found.unwrap().expect("it is there")
}

/// Writes copies of a session, and opens a stream for each.
fn open_many(server: &TestServer, session: &Session, account: AccountId, many: u128) -> Vec<OpenStream> {
    let ids: Vec<SessionId> = (1..=many)
        .map(|number| SessionId(uuid::Uuid::from_u128(number << 64)))
        .collect();
    server
        .ctx
        .store
        .write_now(|c| {
            ids.iter().try_for_each(|id| {
                let copy = Session {
                    id: *id,
                    tokens: Vec::new(),
                    ..session.clone()
                };
                nightlatch::store::sessions::insert(c, &copy)
            })?;
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let streams = &server.ctx.live.streams;
    ids.into_iter()
        .map(|id| streams.open(id, account).expect("there is room"))
        .collect()
}

/// Counts the streams that are notified of the end of their session, and waits until all are.
fn all_are_told(streams: &[OpenStream]) {
    let mut waiting: Vec<&OpenStream> = streams.iter().collect();
    eventually("every stream is told the end", || {
        waiting.retain(|stream| !stream.woken().now_or_never().is_some_and(|woken| woken.ended));
        waiting.is_empty()
    });
}

#[test]
fn the_end_of_many_sessions_is_told_to_every_stream_wherever_it_was_written() {
    for backend in BOTH {
        for many in [20, MANY] {
            let database = Arc::new(TestDatabase::fresh(backend));
            let server = TestServer::beside(&database).start();
            let id = server.account("ada", Role::Member);
            let ada = server.signed_in("ada");
            let own = open_many(&server, &only_session(&server), id, many);
            let mut events = Events::of(&server, &ada);
            // As the command line does, beside the server.
            let beside = TestServer::beside(&database).clock(&server.clock).context();
            let operator = operator();
            server
                .run(accounts::act(&beside, &operator, id, AccountAction::EndSessions))
                .unwrap();
            all_are_told(&own);
            events.wait_for("event: ended");
            events.closes();
        }
    }
}

#[test]
fn a_changed_session_that_lives_is_not_told_an_end() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        let session = only_session(&server);
        let others = open_many(&server, &session, id, 3);
        let mut events = Events::of(&server, &ada);
        server.act(id, AccountAction::ForceChange);
        events.wait_for("event: duty");
        assert!(!events.text.contains("ended"), "{backend:?}: {}", events.text);
        eventually("the others are woken", || {
            others.iter().any(|stream| {
                let woken = stream.woken().now_or_never();
                assert!(!woken.is_some_and(|woken| woken.ended), "{backend:?}: {woken:?}");
                woken.is_some()
            })
        });
    }
}

#[test]
fn a_stream_that_cannot_read_its_session_looks_again() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let ada: Client = server.member("ada");
        let mut events = Events::of(&server, &ada);
        let session = only_session(&server);
        server.database.sql("ALTER TABLE sessions RENAME TO elsewhere");
        server.ctx.live.sessions.forget(session.id);
        assert!(events.is_quiet(), "{backend:?}: {}", events.text);
        // Nothing announces this.
        server.database.sql(&format!(
            "UPDATE elsewhere SET ended_at = signed_in_at, end_reason = 'revoked' WHERE id = '{}'; \
             ALTER TABLE elsewhere RENAME TO sessions",
            session.id.0
        ));
        events.wait_for("event: ended");
        events.closes();
    }
}

#[test]
fn every_stream_of_a_browser_closes_with_the_end_of_its_session() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        let browsers: Vec<Client> = (0..4).map(|_| server.anyone()).collect();
        let mut streams = Vec::new();
        for browser in &browsers {
            browser.sign_in("ada", PASSWORD).expect(303);
            streams.extend((0..10).map(|_| Events::of(&server, browser)));
        }
        let before = server.ctx.store.calls();
        server.act(id, AccountAction::EndSessions);
        for events in &mut streams {
            let took = events.wait_for("event: ended\ndata: {}\n\n");
            assert!(took < Duration::from_secs(10), "{backend:?}: {took:?}");
            events.closes();
        }
        // The streams ask nothing: these are the end itself, and jobs.
        let calls = server.ctx.store.calls() - before;
        let asking = streams.len() as u64;
        assert!(calls < asking || backend == Backend::Postgres, "{backend:?}: {calls}");
        eventually("all are counted as closed", || server.ctx.live.streams.count() == 0);
    }
}
