//! The stored counter of failed sign-in attempts, and the filter of lockout lists.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use uuid::Uuid;

use super::{super::time::Timestamp, Counter, CounterKey};

/// Maximum number of names stored per counter; the latest ones stay.
pub const MAX_NAMES: usize = 20;

/// A stored counter of failed sign-in attempts, locked or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lockout {
    /// The first half of the key's digest.
    pub id: Uuid,
    /// The subject that it counts for.
    pub key: CounterKey,
    /// Its state: failures, reservations, lock and block.
    pub counter: Counter,
    /// The latest attempt that it counted.
    pub last_attempt_at: Timestamp,
    /// The IP address of the latest attempt.
    pub last_ip: Option<IpAddr>,
    /// At most [`MAX_NAMES`] names as typed, latest last, for display.
    pub names_tried: Vec<String>,
    /// Attempts refused while locked that are not in the audit yet.
    pub refused: i64,
    /// The minute since 1970 to which `refused` belongs.
    pub refused_minute: i64,
}

/// The states of the lockout list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockoutListState {
    /// Locked, or with a failure that is not forgotten.
    #[default]
    All,
    /// Locked.
    Locked,
    /// Not locked, with a failure that is not forgotten.
    Counting,
}

/// Conditions that every counter of a list meets, and where its page starts.
#[derive(Debug, Clone, Default)]
pub struct LockoutFilter {
    /// Counters in this state.
    pub state: LockoutListState,
    /// Text within account, address, user agent or the names tried, in any case.
    pub text: Option<String>,
    /// Network of the counter's address, or of the latest attempt's if the counter has none.
    pub ip: Option<IpNetwork>,
    /// Only counters of this name key.
    pub account_key: Option<String>,
    /// Minimum number of failures of unlocked ceilings: of an address, of an account. Below it they
    /// add little to the other counters.
    pub ceilings_from: Option<(i32, i32)>,
    /// `last_attempt_at` and ID after which the page starts.
    pub after: Option<(Timestamp, Uuid)>,
    /// `last_attempt_at` and ID before which the page ends.
    pub before: Option<(Timestamp, Uuid)>,
    /// Maximum number of counters on one page.
    pub limit: i64,
}
