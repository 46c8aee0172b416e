//! The three counters of sign-in failures (key lock, IP ceiling, account ceiling) and when they refuse.
//! Attempts are reserved before a password is hashed; the store keeps each counter under a row lock.

use std::{borrow::Cow, net::IpAddr};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    agent, network,
    policy::effective::LockoutPolicy,
    secret,
    time::{Span, Timestamp},
};

/// One counter's identity. Text fields are what the screen shows as chips.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CounterKey {
    /// Which of the three.
    pub kind: CounterKind,
    /// An IPv4 address or an IPv6 /64.
    pub ip: Option<String>,
    /// A name key, of an existing account or not.
    pub account: Option<String>,
    /// The user agent, cut; empty = the header was absent.
    pub user_agent: Option<String>,
}

/// Which of the three counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CounterKind {
    /// The lock key of the policy: address, user and address, with or without user agent.
    Key,
    /// All failures from one address.
    IpCeiling,
    /// All failures on one account.
    AccountCeiling,
}

impl CounterKind {
    /// All kinds.
    pub const ALL: &[CounterKind] = &[CounterKind::Key, CounterKind::IpCeiling, CounterKind::AccountCeiling];

    /// `key`, `ip_ceiling`, `account_ceiling`.
    pub const fn as_str(self) -> &'static str {
        match self {
            CounterKind::Key => "key",
            CounterKind::IpCeiling => "ip_ceiling",
            CounterKind::AccountCeiling => "account_ceiling",
        }
    }

    /// The kind of a word; `None`: none of the three.
    pub fn parse(word: &str) -> Option<Self> {
        CounterKind::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }
}

impl CounterKey {
    /// SHA-256 hex over kind and fields, unambiguous: the unique column.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.kind.as_str());
        for field in [&self.ip, &self.account, &self.user_agent] {
            // Presence and length first: no field can run into the next.
            hash.update([u8::from(field.is_some())]);
            let text = field.as_deref().unwrap_or_default();
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        secret::hex(&hash.finalize())
    }

    /// Whether a successful sign-in forgets its failures: those that contain the user. An address alone keeps them,
    /// or a spray with one valid account would reset itself.
    pub fn cleared_by_success(&self) -> bool {
        match self.kind {
            CounterKind::Key => self.account.is_some(),
            CounterKind::IpCeiling => false,
            CounterKind::AccountCeiling => true,
        }
    }
}

/// An address as counters write it: IPv4 itself, IPv6 its /64.
pub fn address_key(ip: IpAddr) -> String {
    match network::lock_network(ip) {
        ipnetwork::IpNetwork::V4(network) => network.ip().to_string(),
        ipnetwork::IpNetwork::V6(network) => network.to_string(),
    }
}

/// The counters an attempt belongs to under today's policy (1…3: ceilings may be off), key lock first.
/// No name typed has no account ceiling: it would be one counter for the whole world.
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

/// The key that an administrator blocks by hand: a name, an address, or the name from that address alone. `None`: neither is given.
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

/// The policy that holds for attempts from `ip`: on the allow list nothing locks, though everything is counted.
/// Ask [`counters_of`] with the whole policy, and the counters' methods with this one.
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

/// On the allow list: counted and audited, never refused for a lock.
pub fn allow_listed(ip: IpAddr, policy: &LockoutPolicy) -> bool {
    let ip = network::canonical(ip);
    policy.allow_list.iter().any(|network| network.contains(ip))
}

/// Failures that lock, for a counter kind: `login_failure_limit`, the ceilings; None = never locks (switch off, ceiling 0).
pub fn limit(kind: CounterKind, policy: &LockoutPolicy) -> Option<u32> {
    match kind {
        CounterKind::Key => policy.lock_out.then_some(policy.failure_limit),
        CounterKind::IpCeiling => Some(policy.ip_ceiling).filter(|limit| *limit > 0),
        CounterKind::AccountCeiling => Some(policy.account_ceiling).filter(|limit| *limit > 0),
    }
}

/// One counter's memory, as stored (serde JSON in the store).
///
/// Every method settles first, so none depends on when a sweep last ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counter {
    /// Instants of failures (µs), oldest first, bounded.
    pub failures: Vec<i64>,
    /// Attempts in flight: id and instant reserved. One older than [`RESERVATION_LIFE_SECS`] counts as a failure (a crash in between).
    pub reservations: Vec<(Uuid, i64)>,
    /// The failure that began the lock (µs).
    pub locked_at: Option<i64>,
    /// An administrator's permanent block ([`Counter::FOR_EVER`]) or extension (µs): locked at least until then.
    pub blocked_until: Option<i64>,
    /// Why, in the administrator's words; blank when none were given.
    #[serde(default)]
    pub block_reason: String,
}

/// How long an attempt may stay in flight.
pub const RESERVATION_LIFE_SECS: i64 = 60;

/// Failures and attempts in flight remembered at most, unless the limit is higher.
const MEMORY: usize = 1_000;

/// How long an attempt is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locked {
    /// Up to and including this instant.
    Until(Timestamp),
    /// Until an administrator unlocks.
    UntilUnlocked,
}

impl Locked {
    /// Seconds for `Retry-After`, at least 1; None: waiting does not help.
    pub fn retry_after(self, now: Timestamp) -> Option<i64> {
        match self {
            Locked::Until(until) => Some(until.since(now).as_secs_ceil().max(1)),
            Locked::UntilUnlocked => None,
        }
    }

    /// The longer of two: an attempt asks several counters.
    pub fn longer(self, other: Locked) -> Locked {
        match (self, other) {
            (Locked::Until(a), Locked::Until(b)) => Locked::Until(a.max(b)),
            (Locked::UntilUnlocked, _) | (_, Locked::UntilUnlocked) => Locked::UntilUnlocked,
        }
    }
}

/// The answer to an attempt, before anything is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReserveVerdict {
    /// reserved
    Proceed,
    /// failures + in flight ≥ limit
    Busy,
    /// Locked: counts nothing, extends nothing.
    Locked(Locked),
}

impl Counter {
    /// [`Counter::blocked_until`] of a block without end.
    pub const FOR_EVER: i64 = i64::MAX;

    /// Forget what is older than the cool-off, turn dead reservations into failures, release a lock that ran out
    /// (returns true then: the caller audits `lockout.ended`).
    ///
    /// Failures that already reach the limit (a crash, a lowered limit, a switch turned on) begin a lock here, from
    /// the newest of them: else the counter would answer Busy and never lock.
    pub fn settle(&mut self, kind: CounterKind, policy: &LockoutPolicy, now: Timestamp) -> bool {
        let ended = self.release_what_ran_out(policy, now);
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

    /// A block or lock whose last instant is over; "when a lock ends its counter starts at zero".
    fn release_what_ran_out(&mut self, policy: &LockoutPolicy, now: Timestamp) -> bool {
        let over = |until: Option<i64>| until.is_some_and(|until| now.as_micros() > until);
        let lock_until = self
            .locked_at
            .map(|at| cooled_off(at, policy).map_or(Self::FOR_EVER, Timestamp::as_micros));
        if !over(self.blocked_until) && !over(lock_until) {
            return false;
        }
        if over(self.blocked_until) {
            self.blocked_until = None;
            self.block_reason.clear();
        }
        if over(lock_until) {
            self.locked_at = None;
        }
        // Of two locks the longer one counts.
        let ended = self.blocked_until.is_none() && self.locked_at.is_none();
        if ended {
            self.failures.clear();
        }
        ended
    }

    fn forget(&mut self, policy: &LockoutPolicy, now: Timestamp) {
        self.failures
            .retain(|at| cooled_off(*at, policy).is_none_or(|until| now <= until));
    }

    /// Keeps the failures in order even when the clock went backwards.
    fn remember(&mut self, at: i64) {
        let place = self.failures.partition_point(|failure| *failure <= at);
        self.failures.insert(place, at);
    }

    /// Whether attempts are refused at `now`, and how long. The answer counts what [`Counter::settle`] would do.
    pub fn locked_at(&self, kind: CounterKind, policy: &LockoutPolicy, now: Timestamp) -> Option<Locked> {
        let mut settled = self.clone();
        settled.settle(kind, policy, now);
        settled.lock(kind, policy)
    }

    /// The lock of a settled counter. A block is an administrator's act and holds whatever the switches say.
    fn lock(&self, kind: CounterKind, policy: &LockoutPolicy) -> Option<Locked> {
        let blocked = self.blocked_until.map(|until| match until {
            Self::FOR_EVER => Locked::UntilUnlocked,
            until => Locked::Until(Timestamp::from_micros(until)),
        });
        let enforced = self.locked_at.filter(|_| limit(kind, policy).is_some());
        let locked = enforced.map(|at| cooled_off(at, policy).map_or(Locked::UntilUnlocked, Locked::Until));
        match (blocked, locked) {
            (Some(blocked), Some(locked)) => Some(blocked.longer(locked)),
            (one, other) => one.or(other),
        }
    }

    /// Whether nothing is left to remember at `now`: the row can go.
    pub fn is_empty_at(&self, kind: CounterKind, policy: &LockoutPolicy, now: Timestamp) -> bool {
        let mut settled = self.clone();
        settled.settle(kind, policy, now);
        settled == Counter::default()
    }

    /// Asks for one attempt, before the password is checked. Call [`Counter::settle`] first to learn of a lock that
    /// ran out.
    pub fn reserve(&mut self, kind: CounterKind, id: Uuid, policy: &LockoutPolicy, now: Timestamp) -> ReserveVerdict {
        self.settle(kind, policy, now);
        if let Some(locked) = self.lock(kind, policy) {
            return ReserveVerdict::Locked(locked);
        }
        let taken = self.failures.len() + self.reservations.len();
        if limit(kind, policy).is_some_and(|limit| taken >= limit as usize) {
            return ReserveVerdict::Busy;
        }
        // Without a limit the queue of the hasher bounds what is in flight; this bounds what a defect there could do.
        if self.reservations.len() < memory(kind, policy) {
            self.reservations.push((id, now.as_micros()));
        }
        ReserveVerdict::Proceed
    }

    /// The attempt failed: its reservation becomes a failure. Some = this failure began a lock.
    /// A failure without a reservation (a counter that was not asked) counts all the same.
    pub fn fail(&mut self, kind: CounterKind, id: Uuid, policy: &LockoutPolicy, now: Timestamp) -> Option<Locked> {
        // Before settling: a slow attempt's reservation must not count as a crash and a failure.
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

    /// The attempt succeeded: reservation returned; `clears` also forgets failures (own key with the user in it, account ceiling).
    /// A lock that others began meanwhile stays.
    pub fn succeed(&mut self, id: Uuid, clears: bool) {
        self.give_back(id);
        if clears {
            self.failures.clear();
        }
    }

    /// Attempt given back without an outcome (queue full: nothing was checked).
    pub fn give_back(&mut self, id: Uuid) {
        self.reservations.retain(|(reserved, _)| *reserved != id);
    }

    /// Refuses every attempt up to and including `until`, or for ever, whatever policy says; in place of an earlier block.
    pub fn block(&mut self, until: Option<Timestamp>, reason: &str) {
        self.blocked_until = Some(until.map_or(Self::FOR_EVER, Timestamp::as_micros));
        self.block_reason = reason.to_owned();
    }

    /// Unlocks and starts at zero (screen, CLI, completed password reset); attempts in flight stay so.
    pub fn release(&mut self) {
        *self = Counter {
            reservations: std::mem::take(&mut self.reservations),
            ..Counter::default()
        };
    }
}

/// How much a counter remembers: never less than its limit needs.
fn memory(kind: CounterKind, policy: &LockoutPolicy) -> usize {
    limit(kind, policy).map_or(MEMORY, |limit| MEMORY.max(limit as usize))
}

/// The last instant at which a failure still counts and its lock still holds; None = for ever.
fn cooled_off(failed_at: i64, policy: &LockoutPolicy) -> Option<Timestamp> {
    policy
        .cooloff
        .map(|cooloff| Timestamp::from_micros(failed_at).saturating_add(cooloff))
}
