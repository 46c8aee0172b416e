//! A silent or slow database: every answer comes in time, none of them grants access, and hanging
//! connections are replaced.

use super::{IN_TIME, RECOVERED, at_once, behind_relay, timed, verify, within};
use crate::harness::{
    client::Client,
    server::{PASSWORD, TestServer},
};
use nightlatch::{clock::SystemClock, domain::account::Role};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Sends a page, an auth request, a sign-in, a revocation and `/readyz` in parallel: each answers
/// in time, with 503 if `silent`.
pub(super) fn all_answer_in_time(server: &TestServer, member: &Client, silent: bool) {
    let anyone = server.anyone();
    let check = |what: &str, limit: Duration, ask: &dyn Fn() -> u16| {
        let (status, took) = timed(ask);
        assert!(took < limit, "{what} took {took:?}");
        assert!(!silent || status == 503, "{what}: {status}");
    };
    let check = &check;
    at_once(vec![
        Box::new(move || check("a page", IN_TIME, &|| member.get("/").status())),
        Box::new(move || check("a verify", IN_TIME, &|| verify(member).status())),
        Box::new(move || check("a sign-out", IN_TIME, &|| member.thief().post("/logout", &[]).status())),
        Box::new(|| {
            check("a sign-in", IN_TIME, &|| {
                server.anyone().sign_in("bob", PASSWORD).status()
            })
        }),
        Box::new(move || check("readyz", Duration::from_secs(2), &|| anyone.get("/readyz").status())),
    ]);
}

#[test]
fn connections_that_hang_for_good_are_replaced_by_themselves() {
    let (server, relay) = behind_relay();
    let there = TestServer::beside(&server.database)
        .machine(Arc::new(SystemClock))
        .start();
    let (ada, boss) = (server.member("ada"), server.admin("boss"));
    server.account("bob", Role::Member);
    // Every connection of the pool is open and was used.
    let all: Vec<Client> = (0..16).map(|_| ada.thief()).collect();
    at_once(
        all.iter()
            .map(|client| Box::new(move || drop(client.get("/"))) as Box<dyn FnOnce() + Send>)
            .collect(),
    );
    verify(&ada).expect(200);
    relay.hold_open_ones();
    let began = Instant::now();
    let works = |what: &str, ask: &dyn Fn() -> bool| {
        // A response may be in doubt until then, but it comes in time.
        while !{
            let (is_so, took) = timed(ask);
            assert!(took < IN_TIME, "{what} took {took:?}");
            is_so
        } {
            assert!(began.elapsed() < RECOVERED, "not within {RECOVERED:?}: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let works = &works;
    // All of it within 15 seconds, not one after the other.
    at_once(vec![
        Box::new(|| {
            works("readyz", &|| {
                let answer = server.anyone().get("/readyz");
                println!("{:?} {} {}", began.elapsed(), answer.status(), answer.text());
                answer.status() == 200
            })
        }),
        Box::new(|| works("a verify", &|| verify(&ada).status() == 200)),
        Box::new(|| works("a page", &|| ada.thief().get("/").status() == 200)),
        Box::new(|| {
            works("a page of an administrator", &|| {
                boss.thief().get("/admin").status() == 200
            })
        }),
        Box::new(|| {
            works("a sign-in", &|| {
                server.anyone().sign_in("bob", PASSWORD).status() == 303
            })
        }),
        Box::new(|| works("the listener", &|| server.ctx.live.freshness.is_fresh())),
    ]);
    let took = began.elapsed();
    assert!(took < RECOVERED, "{took:?}");
    // Nothing is left of the connections that hang: everything works, many times at once.
    let (all_pages, began) = (&all, Instant::now());
    at_once(
        all_pages
            .iter()
            .map(|client| {
                Box::new(move || {
                    for _ in 0..5 {
                        verify(client).expect(200);
                        client.get("/").expect(200);
                    }
                }) as Box<dyn FnOnce() + Send>
            })
            .collect(),
    );
    assert!(began.elapsed() < RECOVERED, "{:?}", began.elapsed());
    for _ in 0..5 {
        server.signed_in("bob");
    }
    // The listener's new connection delivers the changes of other instances.
    ada.thief().at(&there.base).post("/logout", &[]).expect(303);
    within(Duration::from_secs(1), "the sign-out elsewhere arrives", || {
        verify(&ada).status() == 401
    });
}

#[test]
fn whatever_a_frozen_database_holds_every_answer_comes_in_time() {
    let (server, relay) = behind_relay();
    let ada = server.member("ada");
    server.member("bob");
    verify(&ada).expect(200);
    relay.freeze();
    // Until then memory is trusted.
    std::thread::sleep(Duration::from_millis(1_100));
    all_answer_in_time(&server, &ada, true);
    all_answer_in_time(&server, &ada, true);
    relay.thaw();
    within(RECOVERED, "ready again", || {
        server.anyone().get("/readyz").status() == 200
    });
    server.signed_in("bob");
}

#[test]
fn a_slow_database_makes_no_answer_late() {
    let (server, relay) = behind_relay();
    let ada = server.member("ada");
    server.member("bob");
    verify(&ada).expect(200);
    relay.delay(Duration::from_secs(2));
    std::thread::sleep(Duration::from_secs(2));
    all_answer_in_time(&server, &ada, false);
    all_answer_in_time(&server, &ada, false);
    relay.delay(Duration::ZERO);
    within(RECOVERED, "ready again", || {
        server.anyone().get("/readyz").status() == 200
    });
    server.signed_in("bob");
}
