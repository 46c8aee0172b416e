//! The work of a refused sign-in, and of a request for a password link, does not depend on the
//! account. (`cargo bench --bench http` shows the times.)

use crate::harness::{
    server::{Backend, PASSWORD, TestDatabase, TestServer, block_on},
    statements::Statements,
};
use nightlatch::{
    domain::{account::Role, client::Client, login::SignInRefusal, secret::Secret},
    flows::{
        Ctx,
        accounts::AccountAction,
        login::{SessionTarget, SignInAttempt, SignInOutcome, sign_in},
        password_reset::{self, PasswordResetRequest},
    },
};
use std::sync::Arc;

fn attempt(name: &str, password: &str) -> SignInAttempt {
    SignInAttempt {
        return_to: String::new(),
        trusted: None,
        username: name.to_owned(),
        password: Secret::new(password.to_owned()),
        client: Client {
            ip: [192, 0, 2, 1].into(),
            user_agent: Some("curl".to_owned()),
            request_id: None,
        },
        target: SessionTarget {
            replaces: None,
            cookie_form: String::new(),
            host: String::new(),
            entering: None,
        },
    }
}

/// Returns the statements, database calls and password hashes of one attempt with a wrong password.
fn work(ctx: &Ctx, asked: &Statements, name: &str) -> (Vec<String>, u64, usize) {
    let (calls, checked) = (ctx.store.calls(), ctx.hasher.checked());
    asked.take();
    let verdict = block_on(sign_in(ctx, attempt(name, "not the password"))).unwrap();
    assert!(
        matches!(verdict, SignInOutcome::Refused(SignInRefusal::Credentials)),
        "{name}"
    );
    let statements = asked.take();
    (statements, ctx.store.calls() - calls, ctx.hasher.checked() - checked)
}

/// Returns the statements and database calls of one request for a password link.
fn asking(ctx: &Ctx, asked: &Statements, name: &str) -> (Vec<String>, u64) {
    let calls = ctx.store.calls();
    asked.take();
    let request = PasswordResetRequest {
        username: name.to_owned(),
        client: Client {
            ip: [192, 0, 2, 1].into(),
            user_agent: None,
            request_id: None,
        },
    };
    block_on(password_reset::request(ctx, request)).unwrap();
    let statements = asked.take();
    (statements, ctx.store.calls() - calls)
}

#[test]
fn a_wrong_password_costs_the_same_work_whatever_account_was_named() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = Arc::new(TestDatabase::fresh(backend));
        let server = TestServer::beside(&database).start();
        server.account("boss", Role::Administrator);
        server.account("known", Role::Member);
        let disabled = server.account("disabled", Role::Member);
        server.act(disabled, AccountAction::Disable);
        let expired = server.account("expired", Role::Member);
        server.act(expired, AccountAction::ExpireNow);
        let elsewhere = server.member("elsewhere");
        elsewhere.get("/").expect(200);
        server.stop();
        let asked = Statements::of(&database);
        let ctx = TestServer::beside(&database).context();
        // The first attempt from an address finds no counter; the next ones count in it.
        work(&ctx, &asked, "whoever was first");
        let known = work(&ctx, &asked, "known");
        let (statements, calls, hashes) = &known;
        assert_eq!(*hashes, 1, "{backend:?}");
        assert!(*calls >= 3, "{backend:?}: {calls}");
        assert!(statements.len() >= 6, "{backend:?}: {statements:?}");
        for name in ["unknown", "disabled", "expired", "elsewhere", "boss", "another unknown"] {
            assert_eq!(work(&ctx, &asked, name), known, "{backend:?}: {name}");
        }
        // An accepted sign-in: on Postgres each statement is a round trip.
        asked.take();
        let accepted = block_on(sign_in(&ctx, attempt("elsewhere", PASSWORD))).unwrap();
        assert!(matches!(accepted, SignInOutcome::Accepted(_)), "{backend:?}");
        let statements = asked.take();
        // The policy and the sources are read again, because nothing listens to their changes here.
        // SQLite needs a statement for each counter, so only Postgres has a limit.
        let is_memory = |words: &str| {
            ["policies", "sources", "change_counter"]
                .iter()
                .any(|table| words.contains(table))
        };
        let journeys = statements.iter().filter(|words| !is_memory(words)).count();
        assert!(matches!(backend, Backend::Sqlite) || journeys <= 12, "{statements:#?}");
        let known = asking(&ctx, &asked, "known");
        assert!(known.0.len() >= 5, "{backend:?}: {known:?}");
        for name in ["unknown", "disabled", "expired", "boss"] {
            assert_eq!(asking(&ctx, &asked, name), known, "{backend:?}: {name}");
        }
    }
}
