//! One instance with a wrong clock, and clocks that are changed: no session ends because of it, no
//! lock lasts longer, and nothing looks like tampering.

use super::{ready, verify, within};
use crate::harness::server::{Backend, PASSWORD, TestServer, eventually};
use nightlatch::{
    clock::{Clock, FixedClock, SteadyClock, SystemClock},
    domain::time::{Span, Timestamp},
    flows::{audit::seals, lockouts},
};
use std::{sync::Arc, time::Duration};

const HOUR: Span = Span::from_secs(3600);

/// A machine's clock that is wrong by this much.
struct SkewedClock(Span);

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().saturating_add(self.0)
    }
}

#[test]
fn an_instance_with_a_wrong_clock_judges_by_the_databases_time() {
    for wrong in [HOUR, Span::from_micros(-HOUR.as_micros())] {
        let server = ready(TestServer::on(Backend::Postgres));
        server.policy(&[("auth.idle_session_timeout", "15m"), ("session.ttl", "30m")]);
        let ada = server.member("ada");
        let wrong = TestServer::beside(&server.database)
            .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
            .machine(Arc::new(SkewedClock(wrong)))
            .start();
        let there = ada.thief().at(&wrong.base);
        verify(&there).expect(200);
        there.get("/").expect(200);
        // Sessions that the sweep of the wrong clock would have ended.
        wrong.run(nightlatch::flows::sessions::sweep(&wrong.ctx)).unwrap();
        ada.get("/").expect(200);
        assert_eq!(wrong.anyone().get("/readyz").status(), 503, "it says so itself");
        let bob = wrong.member("bob");
        bob.thief().at(&server.base).get("/").expect(200);
        let apart = |server: &TestServer| server.ctx.now().since(SystemClock.now()).as_micros().abs();
        assert!(apart(&wrong) < 1_000_000 && apart(&server) < 1_000_000);
    }
}

#[test]
fn an_instance_whose_clock_is_set_ahead_ends_nobodys_session() {
    let machine = Arc::new(SettableClock(std::sync::Mutex::new(Span::ZERO)));
    let server = TestServer::on(Backend::Postgres).machine(machine.clone()).start();
    server.policy(&[("auth.idle_session_timeout", "15m")]);
    let ada = server.member("ada");
    ada.get("/").expect(200);
    for by in [HOUR, Span::ZERO, Span::from_micros(-HOUR.as_micros()), Span::ZERO] {
        *machine.0.lock().unwrap() = by;
        ada.get("/").expect(200);
        server.run(nightlatch::flows::sessions::sweep(&server.ctx)).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        ada.get("/").expect(200);
    }
}

/// A machine's clock that the test sets.
struct SettableClock(std::sync::Mutex<Span>);

impl Clock for SettableClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().saturating_add(*self.0.lock().unwrap())
    }
}

#[test]
fn a_lock_lasts_its_time_though_the_clock_went_back_an_hour() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let clock = Arc::new(FixedClock::starting_at(SystemClock.now()));
        let server = TestServer::on(backend).clock(&clock).start();
        server.policy(&[
            ("auth.login_lock_out_at_failure", "true"),
            ("auth.login_cooloff_time", "15m"),
        ]);
        server.member("ada");
        for _ in 0..3 {
            server.anyone().sign_in("ada", "wrong");
        }
        server.anyone().sign_in("ada", PASSWORD).expect(429);
        clock.set(clock.now().saturating_sub(HOUR));
        server.run(lockouts::settle_due(&server.ctx)).unwrap();
        let locked = server.anyone().sign_in("ada", PASSWORD);
        assert_eq!(locked.status(), 429, "{backend:?}: it is still locked");
        server.advance(15 * 60 + 2);
        server.signed_in("ada");
    }
}

#[test]
fn a_clock_that_went_back_is_no_tampering() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let clock = Arc::new(FixedClock::starting_at(SystemClock.now()));
        let server = TestServer::on(backend).clock(&clock).start();
        server.member("ada");
        server.advance(61);
        server.run(seals::seal_due(&server.ctx)).unwrap();
        clock.set(clock.now().saturating_sub(Span::from_secs(600)));
        server.member("bob");
        // A start with the clock set back recognizes it too.
        let again = TestServer::beside(&server.database).clock(&clock);
        let again = match backend {
            Backend::Postgres => Some(again.start()),
            Backend::Sqlite => None,
        };
        again.iter().for_each(|again| drop(again.member("eve")));
        for _ in 0..2 {
            server.advance(661);
            server.run(seals::seal_due(&server.ctx)).unwrap();
        }
        let verified = server.run(seals::verify(&server.ctx, None)).unwrap();
        assert!(verified.faults.is_empty(), "{backend:?}: {verified:?}");
        assert_eq!(verified.unsealed, 0, "{backend:?}");
    }
}

#[test]
fn the_listener_brings_the_databases_time() {
    let machine = Arc::new(SettableClock(std::sync::Mutex::new(Span::ZERO)));
    let server = TestServer::on(Backend::Postgres).machine(machine.clone()).start();
    *machine.0.lock().unwrap() = HOUR;
    eventually("it is told that it is wrong", || {
        server.anyone().get("/readyz").status() == 503
    });
    *machine.0.lock().unwrap() = Span::ZERO;
    within(Duration::from_secs(5), "it is right again", || {
        server.anyone().get("/readyz").status() == 200
    });
}

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn machine_at_noon() -> (Arc<FixedClock>, SteadyClock) {
    let machine = Arc::new(FixedClock::starting_at(NOON));
    (machine.clone(), SteadyClock::new(machine))
}

/// Returns how far the clock is from an instant, in whole seconds, because the monotonic clock
/// continues meanwhile.
fn secs_after(clock: &SteadyClock, at: Timestamp) -> i64 {
    (clock.now().since(at).as_micros() as f64 / 1e6).round() as i64
}

#[test]
fn a_clock_that_is_set_back_goes_on_from_where_it_was() {
    let (machine, clock) = machine_at_noon();
    machine.set(NOON.saturating_sub(HOUR));
    assert_eq!(secs_after(&clock, NOON), 0);
    machine.advance(Span::from_secs(1));
    assert!((0..=2).contains(&secs_after(&clock, NOON)));
    machine.advance(HOUR);
    assert!(
        (0..=2).contains(&secs_after(&clock, NOON)),
        "put right again, it is the time"
    );
    assert_eq!(machine.now(), clock.machine_now());
}

#[test]
fn a_clock_that_is_set_ahead_is_believed_where_no_database_tells_the_time() {
    let (machine, clock) = machine_at_noon();
    machine.advance(HOUR);
    assert_eq!(secs_after(&clock, NOON), 3600);
}

#[test]
fn the_database_tells_the_time_to_a_clock_that_disagrees() {
    let (machine, clock) = machine_at_noon();
    for wrong in [HOUR, Span::from_micros(-HOUR.as_micros())] {
        machine.set(NOON.saturating_add(wrong));
        clock.learn_database_time(NOON, Duration::from_millis(2));
        assert_eq!(secs_after(&clock, NOON), 0, "{wrong:?}");
        assert_eq!(clock.machine_now(), NOON.saturating_add(wrong));
    }
    machine.set(NOON);
    clock.learn_database_time(NOON, Duration::from_millis(2));
    assert_eq!(clock.now(), NOON, "in agreement it is the machine's own");
}

#[test]
fn a_jump_between_two_words_of_the_database_is_none() {
    let (machine, clock) = machine_at_noon();
    clock.learn_database_time(NOON, Duration::ZERO);
    for jump in [HOUR, Span::from_micros(-2 * HOUR.as_micros())] {
        machine.advance(jump);
        assert_eq!(secs_after(&clock, NOON), 0, "{jump:?}");
    }
}
