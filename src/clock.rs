//! The only caller of the system clock; other code receives an instant.

use crate::domain::{
    skew,
    time::{Span, Timestamp},
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

/// A source of the current instant (UTC, whole microseconds).
pub trait Clock: Send + Sync + 'static {
    /// Returns the instant that all decisions use.
    fn now(&self) -> Timestamp;

    /// Returns the time of the machine's own clock, right or wrong.
    fn machine_now(&self) -> Timestamp {
        self.now()
    }

    /// Records that the database reported the time `told`, in response to a query that took `took`.
    fn learn_database_time(&self, told: Timestamp, took: Duration) {
        let _ = (told, took);
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The machine's clock, while it can be trusted. If it disagrees with the database's clock, this
/// follows the database's: all instances use one time, and a wrong clock ends no session. If the
/// machine's clock is set back, this continues from where it was: locks, idle sessions and the
/// order of the audit log last as long as they should.
pub struct SteadyClock {
    machine: Arc<dyn Clock>,
    anchor: Mutex<Anchor>,
}

/// An instant at which the time was known, and the correction of the machine's clock since then.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    /// The reading of the monotonic clock.
    measured: Instant,
    /// The time at that moment, in microseconds.
    at: i64,
    /// The correction of the machine's clock, in microseconds.
    added: i64,
    /// Whether the database provides the time; a jump of the machine's clock then does not change
    /// it.
    database: bool,
}

/// Maximum age of an anchor, because the two clocks of a machine may drift apart.
const ANCHORED_FOR: Duration = Duration::from_secs(10);

impl SteadyClock {
    /// Follows the machine's clock until something is wrong with it.
    pub fn new(machine: Arc<dyn Clock>) -> Self {
        let anchor = Mutex::new(Anchor {
            measured: Instant::now(),
            at: machine.now().as_micros(),
            added: 0,
            database: false,
        });
        Self { machine, anchor }
    }
}

impl Default for SteadyClock {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock))
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let measured = Instant::now();
        let reported = self.machine.now().as_micros().saturating_add(anchor.added);
        let passed = measured.saturating_duration_since(anchor.measured);
        let expected = anchor.at.saturating_add(micros(passed));
        let jump = reported.saturating_sub(expected);
        if !skew::is_too_much(Span::from_micros(jump)) {
            if passed > ANCHORED_FOR {
                (anchor.measured, anchor.at) = (measured, reported);
            }
            return Timestamp::from_micros(reported);
        }
        // A jump ahead is accepted if no database contradicts it: the machine slept, or its clock
        // was corrected.
        let followed = match anchor.database {
            true => 0,
            false => jump.saturating_sub(anchor.added.max(0)).max(0),
        };
        let at = expected.saturating_add(followed);
        let added = anchor.added.saturating_sub(jump).saturating_add(followed);
        tracing::warn!(
            jumped_ms = jump / 1000,
            followed_ms = followed / 1000,
            "this machine's clock was set"
        );
        *anchor = Anchor {
            measured,
            at,
            added,
            ..*anchor
        };
        Timestamp::from_micros(at)
    }

    fn machine_now(&self) -> Timestamp {
        self.machine.now()
    }

    fn learn_database_time(&self, told: Timestamp, took: Duration) {
        let after = self.machine.now();
        let before = after.saturating_sub(Span::from_micros(micros(took)));
        let added = match skew::measure(before, told, after) {
            ahead if skew::is_too_much(ahead) => told.since(before).as_micros().saturating_sub(micros(took) / 2),
            _ => 0,
        };
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        match (anchor.added, added) {
            (0, 0) | (1.., 1..) | (..0, ..0) => {}
            (_, 0) => tracing::info!("this machine's clock agrees with the database's again"),
            (_, added) => tracing::warn!(
                database_ahead_ms = added / 1000,
                "this machine's clock differs from the database's: the database's time is used until they agree"
            ),
        }
        *anchor = Anchor {
            measured: Instant::now(),
            at: after.as_micros().saturating_add(added),
            added,
            database: true,
        };
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// A clock that stands still until it is moved, so that tests never sleep for a rule.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// Creates a clock that stands at `now`.
    pub fn starting_at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_micros()))
    }

    /// Sets the clock.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Span) {
        self.0.fetch_add(span.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}
