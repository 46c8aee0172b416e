//! Does the work of a refused sign-in, or of asking for a link, tell what kind of account was named? (`cargo bench --bench http` shows the times.)

use crate::harness::server::{On, PASSWORD, TestDatabase, TestServer, block_on};
use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use nightlatch::{
    clock::{Clock, FixedClock, SystemClock},
    domain::{account::Role, login::Refusal, secret::Secret},
    flows::{
        Ctx,
        accounts::Act,
        login::{Attempt, SignIn, sign_in},
        password_reset::{self, Request},
    },
    random::OsRandom,
};
use std::sync::{Arc, Mutex};

/// A part of the address of the database that is listened to; other tests of the process have theirs.
static WATCHED: Mutex<String> = Mutex::new(String::new());
static STATEMENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Writes down the words of every statement of the watched database, without the values.
#[derive(Default)]
struct Recorder {
    url: String,
}

impl Instrumentation for Recorder {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => url.clone_into(&mut self.url),
            InstrumentationEvent::StartQuery { query, .. } => {
                let watched = WATCHED.lock().unwrap();
                let text = query.to_string();
                let words = text.split(" -- binds").next().unwrap_or_default();
                let asks = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH "];
                // What sets up a connection or asks whether it lives belongs to no attempt.
                if !watched.is_empty()
                    && self.url.contains(watched.as_str())
                    && asks.iter().any(|verb| words.starts_with(verb))
                    && words != "SELECT 1"
                {
                    STATEMENTS.lock().unwrap().push(words.to_owned());
                }
            }
            _ => {}
        }
    }
}

fn attempt(name: &str, password: &str) -> Attempt {
    Attempt {
        username: name.to_owned(),
        password: Secret::new(password.to_owned()),
        ip: [192, 0, 2, 1].into(),
        user_agent: Some("curl".to_owned()),
        request_id: None,
        replaces: None,
        cookie_form: String::new(),
        host: String::new(),
        entering: None,
    }
}

/// Statements, calls and hashes of one attempt with a wrong password.
fn work(ctx: &Ctx, name: &str) -> (Vec<String>, u64, usize) {
    let (calls, checked) = (ctx.store.calls(), ctx.hasher.checked());
    STATEMENTS.lock().unwrap().clear();
    let verdict = block_on(sign_in(ctx, attempt(name, "not the password"))).unwrap();
    assert!(matches!(verdict, SignIn::Refused(Refusal::Credentials)), "{name}");
    let statements = std::mem::take(&mut *STATEMENTS.lock().unwrap());
    (statements, ctx.store.calls() - calls, ctx.hasher.checked() - checked)
}

/// Statements and calls of one request for a link.
fn asking(ctx: &Ctx, name: &str) -> (Vec<String>, u64) {
    let calls = ctx.store.calls();
    STATEMENTS.lock().unwrap().clear();
    let request = Request {
        username: name.to_owned(),
        ip: [192, 0, 2, 1].into(),
        user_agent: None,
        request_id: None,
    };
    block_on(password_reset::request(ctx, request)).unwrap();
    let statements = std::mem::take(&mut *STATEMENTS.lock().unwrap());
    (statements, ctx.store.calls() - calls)
}

#[test]
fn a_wrong_password_costs_the_same_work_whatever_account_was_named() {
    set_default_instrumentation(|| Some(Box::new(Recorder::default()))).unwrap();
    for on in [On::Sqlite, On::Postgres] {
        let database = Arc::new(TestDatabase::fresh(on));
        let server = TestServer::beside(&database).start();
        server.account("boss", Role::Administrator);
        server.account("known", Role::Member);
        let disabled = server.account("disabled", Role::Member);
        server.act(disabled, Act::Disable);
        let expired = server.account("expired", Role::Member);
        server.act(expired, Act::ExpireNow);
        let elsewhere = server.member("elsewhere");
        elsewhere.get("/").expect(200);
        server.stop();
        let url = database.url();
        url.rsplit_once(':').unwrap().1.clone_into(&mut WATCHED.lock().unwrap());
        // Without the server's jobs, which ask the database too.
        let config = TestServer::beside(&database).config();
        let clock = Arc::new(FixedClock::at(SystemClock.now()));
        let ctx = nightlatch::server::context(config, clock, Arc::new(OsRandom), false).unwrap();
        // The first guess from an address finds no counter; the next ones count in it.
        work(&ctx, "whoever was first");
        let known = work(&ctx, "known");
        let (statements, calls, hashes) = &known;
        assert_eq!(*hashes, 1, "{on:?}");
        assert!(*calls >= 3, "{on:?}: {calls}");
        assert!(statements.len() >= 6, "{on:?}: {statements:?}");
        for name in ["unknown", "disabled", "expired", "elsewhere", "boss", "another unknown"] {
            assert_eq!(work(&ctx, name), known, "{on:?}: {name}");
        }
        // One that is accepted: on Postgres each statement is a journey.
        STATEMENTS.lock().unwrap().clear();
        let accepted = block_on(sign_in(&ctx, attempt("elsewhere", PASSWORD))).unwrap();
        assert!(matches!(accepted, SignIn::Accepted(_)), "{on:?}");
        let statements = std::mem::take(&mut *STATEMENTS.lock().unwrap());
        // (The policy is read anew, for nobody listens to its changes here; SQLite takes a statement a counter.)
        let journeys = statements.iter().filter(|words| !words.contains("policies")).count();
        assert!(matches!(on, On::Sqlite) || journeys <= 12, "{statements:#?}");
        let known = asking(&ctx, "known");
        assert!(known.0.len() >= 5, "{on:?}: {known:?}");
        for name in ["unknown", "disabled", "expired", "boss"] {
            assert_eq!(asking(&ctx, name), known, "{on:?}: {name}");
        }
        WATCHED.lock().unwrap().clear();
    }
}
