//! The answers of a page, a sign-in, a forward-auth request and a revocation while something is
//! broken: their time, and the recovery.

mod bulk_ends;
mod clock;
mod cluster;
mod crashes;
mod instances;
mod memory;
mod revocations;
mod silent;

use crate::harness::{
    client::{Answer, Client},
    relay::Relay,
    server::{Backend, Start, TestServer, operator},
};
use nightlatch::{
    clock::SystemClock,
    flows::applications::{self, ApplicationChange, ApplicationOutcome},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Maximum time of every answer, whatever the database does.
const IN_TIME: Duration = Duration::from_secs(5);
/// Maximum time until a hanging connection is replaced.
const RECOVERED: Duration = Duration::from_secs(15);

/// Starts a server that reaches PostgreSQL through a relay.
fn behind_relay() -> (TestServer, Relay) {
    let start = TestServer::on(Backend::Postgres);
    let relay = Relay::before(start.config().database_url.expose());
    let url = relay.url(start.config().database_url.expose());
    (ready(start.database_url(&url)), relay)
}

/// Starts a server with the system's clock and one protected application.
fn ready(start: Start) -> TestServer {
    let server = start
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .machine(Arc::new(SystemClock))
        .start();
    let wiki = ApplicationChange {
        hosts: Some(vec!["wiki.example.org".to_owned()]),
        ..ApplicationChange::default()
    };
    let operator = operator();
    let created = applications::create(&server.ctx, &operator, "wiki", wiki);
    assert_eq!(server.run(created).unwrap(), ApplicationOutcome::Done);
    server
}

/// Sends nginx's auth request for a page of the application.
fn verify(client: &Client) -> Answer {
    let asked = [
        ("x-original-url", "https://wiki.example.org/page"),
        ("x-original-method", "GET"),
    ];
    client.send(reqwest::Method::GET, "/api/authz/auth-request", None, &asked)
}

/// Runs `act` and returns its result with the time that it took.
fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    (act(), began.elapsed())
}

/// Runs all actions in parallel; a panic in one of them fails the test.
fn at_once<'a>(acts: Vec<Box<dyn FnOnce() + Send + 'a>>) {
    std::thread::scope(|scope| {
        let started: Vec<_> = acts.into_iter().map(|act| scope.spawn(act)).collect();
        for act in started {
            if let Err(panic) = act.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

/// Waits until `is_so` returns true, and fails after `limit`.
fn within(limit: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
