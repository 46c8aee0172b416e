//! The cost of a password check for an unknown name: the same as for an account, even after the
//! cost was raised.

use crate::harness::server::{Backend, PASSWORD, TestServer, block_on, eventually};
use nightlatch::{
    clock::SystemClock,
    domain::{account::Role, client::Client, secret::Secret},
    flows::{
        Ctx, decoys,
        login::{SessionTarget, SignInAttempt, SignInOutcome, sign_in},
    },
    hashing::{DecoyCosts, HashCost},
};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

const OLD: HashCost = HashCost::FLOOR;
const NEW: HashCost = HashCost {
    memory_kib: 65_536,
    iterations: 3,
};

fn names() -> impl Iterator<Item = String> {
    (0..2_000).map(|number| format!("name{number}"))
}

fn costs(of: &DecoyCosts) -> BTreeMap<HashCost, usize> {
    let mut counted = BTreeMap::new();
    for name in names() {
        *counted.entry(of.cost_for(&name)).or_default() += 1;
    }
    counted
}

#[test]
fn names_without_an_account_cost_what_accounts_cost() {
    let all_old = DecoyCosts::new("key".to_owned(), vec![(OLD, 7), (NEW, 0)], NEW);
    assert_eq!(costs(&all_old), BTreeMap::from([(OLD, 2_000)]));
    let three_quarters = DecoyCosts::new("key".to_owned(), vec![(NEW, 10), (OLD, 30)], NEW);
    let counted = costs(&three_quarters);
    assert!((1_400..1_600).contains(&counted[&OLD]), "{counted:?}");
    assert_eq!(counted[&OLD] + counted[&NEW], 2_000);
    let nobody_yet = DecoyCosts::new("key".to_owned(), Vec::new(), NEW);
    assert_eq!(costs(&nobody_yet), BTreeMap::from([(NEW, 2_000)]));
}

#[test]
fn a_name_costs_the_same_each_time_and_moves_to_the_new_cost_once() {
    let at = |old: u64| DecoyCosts::new("key".to_owned(), vec![(OLD, old), (NEW, 40 - old)], NEW);
    for name in names() {
        let mut before = OLD;
        for old in (0..=40).rev() {
            let cost = at(old).cost_for(&name);
            assert!(cost >= before, "{name} went back");
            before = cost;
        }
        assert_eq!(before, NEW);
    }
    // Only the installation's key determines which names.
    let other = DecoyCosts::new("another".to_owned(), vec![(OLD, 20), (NEW, 20)], NEW);
    assert!(names().any(|name| other.cost_for(&name) != at(20).cost_for(&name)));
}

fn attempt(name: &str, password: &str) -> SignInAttempt {
    SignInAttempt {
        return_to: String::new(),
        trusted: None,
        username: name.to_owned(),
        password: Secret::new(password.to_owned()),
        client: Client {
            ip: [192, 0, 2, 1].into(),
            user_agent: None,
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

/// Memory that one sign-in with a wrong password fills, in KiB.
fn work(ctx: &Ctx, name: &str) -> u64 {
    let before = ctx.hasher.work();
    let outcome = block_on(sign_in(ctx, attempt(name, "not the password"))).unwrap();
    assert!(matches!(outcome, SignInOutcome::Refused(_)), "{name}");
    ctx.hasher.work() - before
}

#[test]
fn after_the_cost_was_raised_unknown_names_cost_as_much_as_known_ones() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("ada", Role::Member);
        let database = server.database.clone();
        server.stop();
        let ctx = TestServer::beside(&database)
            .env("NIGHTLATCH_ARGON2_ITERATIONS", "3")
            .context();
        block_on(decoys::refresh(&ctx)).unwrap();
        let known = work(&ctx, "ada");
        for name in ["nobody", "no one", "eve", "mallory"] {
            assert_eq!(work(&ctx, name), known, "{backend:?} {name}");
        }
    }
}

#[test]
fn other_instances_follow_a_raised_cost_at_once() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).machine(Arc::new(SystemClock)).start();
        server.account("ada", Role::Member);
        let before = work(&server.ctx, "ada");
        assert_eq!(work(&server.ctx, "nobody"), before, "{backend:?}");
        // Another instance is configured with a higher cost, and ada signs in there.
        let there = TestServer::beside(&server.database)
            .env("NIGHTLATCH_ARGON2_ITERATIONS", "3")
            .context();
        block_on(decoys::refresh(&there)).unwrap();
        let signed_in = block_on(sign_in(&there, attempt("ada", PASSWORD))).unwrap();
        assert!(matches!(signed_in, SignInOutcome::Accepted(_)), "{backend:?}");
        let known = work(&server.ctx, "ada");
        assert!(known > before, "{backend:?}");
        let began = Instant::now();
        eventually("unknown names cost as much", || work(&server.ctx, "nobody") == known);
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{backend:?}: {:?}",
            began.elapsed()
        );
        for name in ["no one", "eve", "mallory"] {
            assert_eq!(work(&server.ctx, name), known, "{backend:?} {name}");
        }
    }
}
