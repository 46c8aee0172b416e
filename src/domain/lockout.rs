//! The counters of sign-in failures (lock key, IP ceiling, account ceilings) and when they refuse.
//! Attempts are reserved before a password is hashed; the store holds each counter under a row
//! lock.

mod pattern;
mod record;

pub use pattern::{AttackPattern, find_patterns};
pub use record::{Lockout, LockoutFilter, LockoutListState, MAX_NAMES};

use std::{borrow::Cow, net::IpAddr};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    agent, network,
    policy::effective::LockoutPolicy,
    secret, skew,
    time::{Span, Timestamp},
};

/// The identity of a counter. Screens show its text fields as chips.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CounterKey {
    /// The kind of counter.
    pub kind: CounterKind,
    /// An IPv4 address or an IPv6 /64.
    pub ip: Option<String>,
    /// The key of a name, whether or not the account exists.
    pub account: Option<String>,
    /// The user agent, cut; empty: the header was missing.
    pub user_agent: Option<String>,
}

/// The kind of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CounterKind {
    /// The lock key of the policy: IP address, or user and IP address, with or without user agent.
    Key,
    /// All failures from one IP address.
    IpCeiling,
    /// All failures on one account from networks that its owner has not signed in from recently.
    AccountCeiling,
    /// All failures on one account from networks that its owner has signed in from recently.
    KnownCeiling,
    /// Wrong codes of a second factor for one account from one network.
    Factor,
}

impl CounterKind {
    /// All kinds.
    pub const ALL: &[CounterKind] = &[
        CounterKind::Key,
        CounterKind::IpCeiling,
        CounterKind::AccountCeiling,
        CounterKind::KnownCeiling,
        CounterKind::Factor,
    ];

    /// Returns `key`, `ip_ceiling`, `account_ceiling`, `known_ceiling` or `factor`.
    pub const fn as_str(self) -> &'static str {
        match self {
            CounterKind::Key => "key",
            CounterKind::IpCeiling => "ip_ceiling",
            CounterKind::AccountCeiling => "account_ceiling",
            CounterKind::KnownCeiling => "known_ceiling",
            CounterKind::Factor => "factor",
        }
    }

    /// Parses a kind; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        CounterKind::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

impl CounterKey {
    /// Returns the SHA-256 in hex over kind and fields, without ambiguity; it is the unique column.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.kind.as_str());
        for field in [&self.ip, &self.account, &self.user_agent] {
            // Presence and length come first, so that no field can run into the next.
            hash.update([u8::from(field.is_some())]);
            let text = field.as_deref().unwrap_or_default();
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        secret::hex(&hash.finalize())
    }

    /// Returns whether a successful sign-in clears the counter: only counters that contain the
    /// user. Counters of an address alone stay, or an attacker with one valid account could reset a
    /// spray.
    pub fn cleared_by_success(&self) -> bool {
        match self.kind {
            CounterKind::Key => self.account.is_some(),
            CounterKind::IpCeiling => false,
            CounterKind::AccountCeiling | CounterKind::KnownCeiling | CounterKind::Factor => true,
        }
    }
}

/// Returns an address as counters store it: IPv4 itself, IPv6 its /64.
pub fn address_key(ip: IpAddr) -> String {
    match network::lock_network(ip) {
        ipnetwork::IpNetwork::V4(network) => network.ip().to_string(),
        ipnetwork::IpNetwork::V6(network) => network.to_string(),
    }
}

/// Returns the counters that an attempt belongs to under the current policy (1…3: ceilings may be
/// off), the key lock first. An empty name has no account ceiling, which would be one counter for
/// everyone.
pub fn counters_of(name_key: &str, ip: IpAddr, user_agent: Option<&str>, policy: &LockoutPolicy) -> Vec<CounterKey> {
    let ip = address_key(ip);
    let name = || Some(name_key.to_owned());
    let agent = || Some(agent::cut(user_agent.unwrap_or_default()).to_owned());
    let mut keys = vec![CounterKey {
        kind: CounterKind::Key,
        ip: Some(ip.clone()),
        account: policy.by_user_and_ip.then(name).flatten(),
        user_agent: policy.by_user_agent.then(agent).flatten(),
    }];
    if policy.ip_ceiling > 0 {
        keys.push(CounterKey {
            kind: CounterKind::IpCeiling,
            ip: Some(ip),
            account: None,
            user_agent: None,
        });
    }
    if policy.account_ceiling > 0 && !name_key.is_empty() {
        keys.push(CounterKey {
            kind: CounterKind::AccountCeiling,
            ip: None,
            account: name(),
            user_agent: None,
        });
    }
    keys
}

/// Returns the counter of wrong codes for one account from one network (IPv4 /24, IPv6 /64).
pub fn factor_key(name_key: &str, ip: IpAddr) -> CounterKey {
    CounterKey {
        kind: CounterKind::Factor,
        ip: Some(network::known_network(ip).to_string()),
        account: Some(name_key.to_owned()),
        user_agent: None,
    }
}

/// Returns the key that an administrator blocks: a name, an address, or the name from that address
/// only. `None`: neither is given.
pub fn key_of(name_key: Option<String>, ip: Option<IpAddr>) -> Option<CounterKey> {
    let name_key = name_key.filter(|name| !name.is_empty());
    let kind = match (&name_key, ip) {
        (Some(_), Some(_)) => CounterKind::Key,
        (Some(_), None) => CounterKind::AccountCeiling,
        (None, Some(_)) => CounterKind::IpCeiling,
        (None, None) => return None,
    };
    Some(CounterKey {
        kind,
        ip: ip.map(address_key),
        account: name_key,
        user_agent: None,
    })
}

/// Returns the policy for attempts from `ip`: for an address on the allow list nothing locks, but
/// everything is counted. Call [`counters_of`] with the complete policy, and the counters' methods
/// with this one.
pub fn policy_for(ip: IpAddr, policy: &LockoutPolicy) -> Cow<'_, LockoutPolicy> {
    if !allow_listed(ip, policy) {
        return Cow::Borrowed(policy);
    }
    Cow::Owned(LockoutPolicy {
        lock_out: false,
        ip_ceiling: 0,
        account_ceiling: 0,
        ..policy.clone()
    })
}

/// Returns whether the address is on the allow list: counted and audited, never refused by a lock.
pub fn allow_listed(ip: IpAddr, policy: &LockoutPolicy) -> bool {
    let ip = network::canonical(ip);
    policy.allow_list.iter().any(|network| network.contains(ip))
}

/// Most consecutive failures before an account locks in any way, for strangers' networks and for
/// those that its owner signs in from (NIST SP 800-63B, 3.2.2).
const MAX_CONSECUTIVE: u32 = 100;

/// Returns the counters of an attempt from a network that the owner has signed in from recently. It
/// has a separate account ceiling, so that strangers cannot lock the owner out.
pub fn from_known_network(mut keys: Vec<CounterKey>) -> Vec<CounterKey> {
    for key in &mut keys {
        if key.kind == CounterKind::AccountCeiling {
            key.kind = CounterKind::KnownCeiling;
        }
    }
    keys
}

/// Returns how many failures lock a counter of this kind: `login_failure_limit` or a ceiling.
/// `None`: it never locks, because the lock is switched off or the ceiling is 0. Wrong codes always
/// lock, because six digits can be guessed quickly.
pub fn limit(kind: CounterKind, policy: &LockoutPolicy) -> Option<u32> {
    match kind {
        CounterKind::Key => policy.lock_out.then_some(policy.failure_limit),
        CounterKind::Factor => Some(policy.factor_failure_limit.max(1)),
        CounterKind::IpCeiling => Some(policy.ip_ceiling).filter(|limit| *limit > 0),
        CounterKind::AccountCeiling | CounterKind::KnownCeiling => {
            Some(policy.account_ceiling.min(MAX_CONSECUTIVE)).filter(|limit| *limit > 0)
        }
    }
}

/// The state of a counter, as stored (serde JSON in the store).
///
/// Every method settles first, so that no result depends on the last run of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counter {
    /// Instants of failures (µs), oldest first, bounded.
    pub failures: Vec<i64>,
    /// Attempts in flight: ID and instant of the reservation. One older than
    /// [`RESERVATION_LIFE_SECS`] counts as a failure (there was a crash).
    pub reservations: Vec<(Uuid, i64)>,
    /// The failure that began the lock (µs).
    pub locked_at: Option<i64>,
    /// An administrator's block, permanent ([`Counter::FOR_EVER`]) or until an instant (µs).
    pub blocked_until: Option<i64>,
    /// The administrator's reason; empty if none was given.
    #[serde(default)]
    pub block_reason: String,
}

/// How long an attempt may stay in flight, in seconds.
pub const RESERVATION_LIFE_SECS: i64 = 60;

/// Maximum number of stored failures and attempts in flight, unless the limit is higher.
const MEMORY: usize = 1_000;

/// How long attempts are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockDuration {
    /// Up to and including this instant.
    Until(Timestamp),
    /// Until an administrator unlocks.
    UntilUnlocked,
}

impl LockDuration {
    /// Returns the seconds for `Retry-After`, at least 1. `None`: waiting does not help.
    pub fn retry_after(self, now: Timestamp) -> Option<i64> {
        match self {
            LockDuration::Until(until) => Some(until.since(now).as_secs_ceil().max(1)),
            LockDuration::UntilUnlocked => None,
        }
    }

    /// Returns the longer of two locks, because an attempt depends on several counters.
    pub fn longer(self, other: LockDuration) -> LockDuration {
        match (self, other) {
            (LockDuration::Until(a), LockDuration::Until(b)) => LockDuration::Until(a.max(b)),
            (LockDuration::UntilUnlocked, _) | (_, LockDuration::UntilUnlocked) => LockDuration::UntilUnlocked,
        }
    }
}

/// The decision about an attempt, before a password is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReserveVerdict {
    /// Reserved: the attempt may go ahead.
    Proceed,
    /// Failures and attempts in flight reach the limit.
    Busy,
    /// Locked: the attempt neither counts nor extends the lock.
    Locked(LockDuration),
}

impl Counter {
    /// The value of [`Counter::blocked_until`] for a permanent block.
    pub const FOR_EVER: i64 = i64::MAX;

    /// Forgets failures older than the cool-off, turns expired reservations into failures, and
    /// releases a lock that has ended. Returns true if it released one; the caller then audits
    /// `lockout.ended`.
    ///
    /// If the failures already reach the limit (after a crash, a lowered limit or a switch turned
    /// on), a lock begins here from the newest of them. Otherwise the counter would answer Busy and
    /// never lock.
    pub fn settle(&mut self, kind: CounterKind, policy: &LockoutPolicy, now: Timestamp) -> bool {
        self.clamp_to_now(now);
        let ended = self.release_expired_lock(policy, now);
        let dead = now.saturating_sub(Span::from_secs(RESERVATION_LIFE_SECS)).as_micros();
        let crashed: Vec<i64> = self
            .reservations
            .iter()
            .map(|(_, at)| *at)
            .filter(|at| *at < dead)
            .collect();
        self.reservations.retain(|(_, at)| *at >= dead);
        for at in crashed {
            self.remember(at);
        }
        if self.locked_at.is_none() {
            self.forget(policy, now);
            if limit(kind, policy).is_some_and(|limit| self.failures.len() >= limit as usize) {
                self.locked_at = self.failures.last().copied();
            }
        }
        self.failures
            .drain(..self.failures.len().saturating_sub(memory(kind, policy)));
        ended
    }

    /// Moves instants from a clock that ran ahead back to now. Otherwise a lock of 15 minutes would
    /// last longer by the time that the clock was ahead.
    fn clamp_to_now(&mut self, now: Timestamp) {
        let (latest, now) = (now.saturating_add(skew::MAX_SKEW).as_micros(), now.as_micros());
        let reserved = self.reservations.iter_mut().map(|(_, at)| at);
        let instants = self.failures.iter_mut().chain(reserved).chain(&mut self.locked_at);
        instants.filter(|at| **at > latest).for_each(|at| *at = now);
        // A failure that was moved may now precede one within the tolerance.
        self.failures.sort_unstable();
    }

    /// Releases a block or lock that has ended; the counter then starts at zero.
    fn release_expired_lock(&mut self, policy: &LockoutPolicy, now: Timestamp) -> bool {
        let has_passed = |until: Option<i64>| until.is_some_and(|until| now.as_micros() > until);
        let lock_until = self
            .locked_at
            .map(|at| cool_off_end(at, policy).map_or(Self::FOR_EVER, Timestamp::as_micros));
        if !has_passed(self.blocked_until) && !has_passed(lock_until) {
            return false;
        }
        if has_passed(self.blocked_until) {
            self.blocked_until = None;
            self.block_reason.clear();
        }
        if has_passed(lock_until) {
            self.locked_at = None;
        }
        // Of a block and a lock the longer one counts.
        let ended = self.blocked_until.is_none() && self.locked_at.is_none();
        if ended {
            self.failures.clear();
        }
        ended
    }

    fn forget(&mut self, policy: &LockoutPolicy, now: Timestamp) {
        self.failures
            .retain(|at| cool_off_end(*at, policy).is_none_or(|until| now <= until));
    }

    /// Stores a failure in order, even if the clock went backwards.
    fn remember(&mut self, at: i64) {
        let place = self.failures.partition_point(|failure| *failure <= at);
        self.failures.insert(place, at);
    }

    /// Returns whether and how long attempts are refused at `now`. The result includes what
    /// [`Counter::settle`] would do.
    pub fn locked_at(&self, kind: CounterKind, policy: &LockoutPolicy, now: Timestamp) -> Option<LockDuration> {
        let mut settled = self.clone();
        settled.settle(kind, policy, now);
        settled.lock(kind, policy)
    }

    /// Returns the lock of a settled counter. A block is an administrator's decision and applies
    /// regardless of the policy.
    fn lock(&self, kind: CounterKind, policy: &LockoutPolicy) -> Option<LockDuration> {
        let blocked = self.blocked_until.map(|until| match until {
            Self::FOR_EVER => LockDuration::UntilUnlocked,
            until => LockDuration::Until(Timestamp::from_micros(until)),
        });
        let enforced = self.locked_at.filter(|_| limit(kind, policy).is_some());
        let locked =
            enforced.map(|at| cool_off_end(at, policy).map_or(LockDuration::UntilUnlocked, LockDuration::Until));
        match (blocked, locked) {
            (Some(blocked), Some(locked)) => Some(blocked.longer(locked)),
            (one, other) => one.or(other),
        }
    }

    /// Returns whether nothing is left to store at `now`, so that the row can be deleted.
    pub fn is_empty_at(&self, kind: CounterKind, policy: &LockoutPolicy, now: Timestamp) -> bool {
        let mut settled = self.clone();
        settled.settle(kind, policy, now);
        settled == Counter::default()
    }

    /// Reserves one attempt before the password is checked. Call [`Counter::settle`] first to learn
    /// of a lock that has ended.
    pub fn reserve(&mut self, kind: CounterKind, id: Uuid, policy: &LockoutPolicy, now: Timestamp) -> ReserveVerdict {
        self.settle(kind, policy, now);
        if let Some(locked) = self.lock(kind, policy) {
            return ReserveVerdict::Locked(locked);
        }
        let taken = self.failures.len() + self.reservations.len();
        if limit(kind, policy).is_some_and(|limit| taken >= limit as usize) {
            return ReserveVerdict::Busy;
        }
        // Without a limit the hashing queue bounds the attempts in flight; this bounds the effect
        // of a defect there.
        if self.reservations.len() < memory(kind, policy) {
            self.reservations.push((id, now.as_micros()));
        }
        ReserveVerdict::Proceed
    }

    /// Turns the reservation of a failed attempt into a failure. `Some`: this failure began a lock.
    /// A failure without a reservation (the counter was not reserved) counts too.
    pub fn fail(
        &mut self,
        kind: CounterKind,
        id: Uuid,
        policy: &LockoutPolicy,
        now: Timestamp,
    ) -> Option<LockDuration> {
        // Done before settling: the reservation of a slow attempt must not count twice, as a crash
        // and as a failure.
        self.give_back(id);
        self.settle(kind, policy, now);
        let before = self.locked_at;
        self.remember(now.as_micros());
        self.settle(kind, policy, now);
        if before.is_none() && self.locked_at.is_some() {
            self.lock(kind, policy)
        } else {
            None
        }
    }

    /// Removes the reservation of a successful attempt. `clears` also forgets failures (the user's
    /// own key, account ceiling). A lock that others began in the meantime stays.
    pub fn succeed(&mut self, id: Uuid, clears: bool) {
        self.give_back(id);
        if clears {
            self.failures.clear();
        }
    }

    /// Removes the reservation of an attempt without a result (the queue was full, nothing was
    /// checked).
    pub fn give_back(&mut self, id: Uuid) {
        self.reservations.retain(|(reserved, _)| *reserved != id);
    }

    /// Refuses every attempt up to and including `until`, or permanently, regardless of the policy.
    /// Replaces an earlier block.
    pub fn block(&mut self, until: Option<Timestamp>, reason: &str) {
        self.blocked_until = Some(until.map_or(Self::FOR_EVER, Timestamp::as_micros));
        self.block_reason = reason.to_owned();
    }

    /// Unlocks and starts at zero (console, CLI, completed password reset). Attempts in flight stay
    /// reserved.
    pub fn release(&mut self) {
        *self = Counter {
            reservations: std::mem::take(&mut self.reservations),
            ..Counter::default()
        };
    }
}

/// Returns how many failures a counter stores, never fewer than its limit needs.
fn memory(kind: CounterKind, policy: &LockoutPolicy) -> usize {
    limit(kind, policy).map_or(MEMORY, |limit| MEMORY.max(limit as usize))
}

/// Returns the last instant at which a failure still counts and its lock still applies; `None`:
/// forever.
fn cool_off_end(failed_at: i64, policy: &LockoutPolicy) -> Option<Timestamp> {
    policy
        .cooloff
        .map(|cooloff| Timestamp::from_micros(failed_at).saturating_add(cooloff))
}
