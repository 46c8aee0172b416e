//! Does the work of a refused sign-in, or of asking for a link, tell what kind of account was named? (`cargo bench --bench http` shows the times.)

use crate::harness::{
    server::{On, PASSWORD, TestDatabase, TestServer, block_on},
    statements::Statements,
};
use nightlatch::{
    domain::{account::Role, login::Refusal, secret::Secret},
    flows::{
        Ctx,
        accounts::Act,
        login::{Attempt, SignIn, sign_in},
        password_reset::{self, Request},
    },
};
use std::sync::Arc;

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
fn work(ctx: &Ctx, asked: &Statements, name: &str) -> (Vec<String>, u64, usize) {
    let (calls, checked) = (ctx.store.calls(), ctx.hasher.checked());
    asked.take();
    let verdict = block_on(sign_in(ctx, attempt(name, "not the password"))).unwrap();
    assert!(matches!(verdict, SignIn::Refused(Refusal::Credentials)), "{name}");
    let statements = asked.take();
    (statements, ctx.store.calls() - calls, ctx.hasher.checked() - checked)
}

/// Statements and calls of one request for a link.
fn asking(ctx: &Ctx, asked: &Statements, name: &str) -> (Vec<String>, u64) {
    let calls = ctx.store.calls();
    asked.take();
    let request = Request {
        username: name.to_owned(),
        ip: [192, 0, 2, 1].into(),
        user_agent: None,
        request_id: None,
    };
    block_on(password_reset::request(ctx, request)).unwrap();
    let statements = asked.take();
    (statements, ctx.store.calls() - calls)
}

#[test]
fn a_wrong_password_costs_the_same_work_whatever_account_was_named() {
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
        let asked = Statements::of(&database);
        let ctx = TestServer::beside(&database).context();
        // The first guess from an address finds no counter; the next ones count in it.
        work(&ctx, &asked, "whoever was first");
        let known = work(&ctx, &asked, "known");
        let (statements, calls, hashes) = &known;
        assert_eq!(*hashes, 1, "{on:?}");
        assert!(*calls >= 3, "{on:?}: {calls}");
        assert!(statements.len() >= 6, "{on:?}: {statements:?}");
        for name in ["unknown", "disabled", "expired", "elsewhere", "boss", "another unknown"] {
            assert_eq!(work(&ctx, &asked, name), known, "{on:?}: {name}");
        }
        // One that is accepted: on Postgres each statement is a journey.
        asked.take();
        let accepted = block_on(sign_in(&ctx, attempt("elsewhere", PASSWORD))).unwrap();
        assert!(matches!(accepted, SignIn::Accepted(_)), "{on:?}");
        let statements = asked.take();
        // (The policy is read anew, for nobody listens to its changes here; SQLite takes a statement a counter.)
        let journeys = statements.iter().filter(|words| !words.contains("policies")).count();
        assert!(matches!(on, On::Sqlite) || journeys <= 12, "{statements:#?}");
        let known = asking(&ctx, &asked, "known");
        assert!(known.0.len() >= 5, "{on:?}: {known:?}");
        for name in ["unknown", "disabled", "expired", "boss"] {
            assert_eq!(asking(&ctx, &asked, name), known, "{on:?}: {name}");
        }
    }
}
