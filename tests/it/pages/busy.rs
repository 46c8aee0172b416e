//! More passwords than can be checked: who waits, who is sent away, and who does not notice.

use crate::harness::server::{Backend, PASSWORD, TestServer, eventually};
use nightlatch::{
    domain::{account::Role, lockout::LockoutFilter, secret::Secret},
    flows,
    hashing::{ComparisonHash, Hasher, HashingBusyError, HashingClient, HashingPurpose},
};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

/// A hash of ten seconds: the queue does not move during the test.
const SLOW: &str = "$argon2id$v=19$m=19456,t=800,p=1$c29tZXNhbHRzb21lc2FsdA$\
                    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

type Check = Pin<Box<dyn Future<Output = Result<bool, HashingBusyError>>>>;

/// Asks for a check that takes long; `None`: the purpose's share of the queue is full.
fn slow_check(hasher: &Hasher, purpose: HashingPurpose) -> Option<Check> {
    let hasher = hasher.clone();
    let mut check: Check = Box::pin(async move {
        let password = Secret::new("anything".to_owned());
        let client = HashingClient::new(purpose, None);
        hasher
            .verify(&client, password, ComparisonHash::Stored(SLOW.to_owned()))
            .await
    });
    match check.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Some(check),
        Poll::Ready(Err(_)) => None,
        Poll::Ready(Ok(_)) => panic!("it takes long"),
    }
}

/// Every thread at work, and every place taken that sign-ins and step-ups may take: as long as the
/// checks are kept.
fn fill(hasher: &Hasher) -> Vec<Check> {
    let before = hasher.checked();
    let threads = std::thread::available_parallelism().unwrap().get();
    let mut checks: Vec<Check> = (0..threads)
        .map(|_| slow_check(hasher, HashingPurpose::SignIn).unwrap())
        .collect();
    eventually("every thread is at work", || hasher.checked() - before == threads);
    for purpose in [HashingPurpose::SignIn, HashingPurpose::OwnPassword] {
        checks.extend(std::iter::from_fn(|| slow_check(hasher, purpose)));
    }
    checks
}

#[test]
fn a_full_queue_sends_sign_ins_away_counts_nothing_and_holds_nobody_else_up() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.policy(&[
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_failure_limit", "1"),
        ]);
        let ada = server.member("ada");
        server.account("eve", Role::Member);
        let boss = server.admin("boss");
        server.advance(601);
        let asked = boss.post("/admin/applications", &[("name", "wiki")]).expect(403);
        let events = server.events();
        let checks = fill(&server.ctx.hasher);
        let page = server.anyone().sign_in("eve", PASSWORD).expect(503);
        assert_eq!(page.header("retry-after"), Some("2"), "{backend:?}");
        assert!(page.header("content-type").unwrap().starts_with("text/html"));
        assert!(page.cookies().is_empty());
        let program = server.anyone().header("accept", "application/json");
        // A wrong one: it would have locked had it been counted.
        let problem = program.sign_in("eve", "wrong").expect(503);
        assert_eq!(problem.header("retry-after"), Some("2"));
        assert_eq!(problem.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem.json()["code"], "busy");
        program.sign_in("eve", "wrong").expect(503);
        boss.confirm(&asked, "wrong").expect(503);
        // Signed-in users do not wait behind passwords.
        ada.get("/").expect(200);
        let everything = LockoutFilter {
            limit: 9,
            ..LockoutFilter::default()
        };
        let counters = server.run(flows::lockouts::list(&server.ctx, everything)).unwrap();
        assert_eq!(counters.items.len(), 0, "{backend:?}: every place was given back");
        assert_eq!(
            server.events(),
            events,
            "{backend:?}: nothing was refused for its password"
        );
        drop(checks);
        // Each minute's refusals are written once the minute is over, equal ones together.
        server.advance(60);
        server.run(flows::refusals::write_over(&server.ctx)).unwrap();
        eventually("both are written", || server.audit().len() == events.len() + 2);
        let written = server.audit().split_off(events.len());
        for (event, actor, account, refusals) in [
            ("sign_in.refused", "anonymous", "eve", 3),
            ("step_up.refused", "boss", "boss", 1),
        ] {
            let row = written.iter().find(|row| row.event.as_str() == event).unwrap();
            assert_eq!((row.actor.as_str(), row.account.as_deref()), (actor, Some(account)));
            assert_eq!(row.reason.as_deref(), Some("busy"), "{backend:?}");
            assert_eq!(row.detail["refusals"], refusals, "{backend:?}");
            assert_eq!(row.ip, Some([127, 0, 0, 1].into()));
            assert_eq!(row.session_id.is_some(), event == "step_up.refused");
        }
    }
}
