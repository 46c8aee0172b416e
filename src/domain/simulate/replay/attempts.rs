//! The recorded sign-in attempts, counted again under a draft by `domain::lockout` itself.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
};

use ipnetwork::IpNetwork;
use uuid::Uuid;

use super::outcome::{Certainty, MAX_LISTED};
use crate::{
    lockout::{Counter, CounterKey, CounterKind, ReserveVerdict, counters_of, from_known_network, policy_for},
    network,
    policy::effective::LockoutPolicy,
    time::{Span, Timestamp},
};

/// A network with a completed sign-in within this time is exempt from the account ceiling.
const KNOWN_NETWORK: Span = Span::from_secs(30 * 86_400);

/// The recorded result of the password check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordedCheck {
    /// Correct password; the user was signed in.
    Accepted,
    /// Wrong password.
    Wrong,
    /// Correct password, but the sign-in was refused (account disabled or expired).
    Correct,
    /// A lock or too many parallel attempts refused it, so the result is unknown.
    Never,
}

/// One recorded attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAttempt {
    /// The time.
    pub at: Timestamp,
    /// The name as recorded.
    pub name: String,
    /// The name as counters store it.
    pub name_key: String,
    /// The IP address.
    pub ip: IpAddr,
    /// The user agent.
    pub user_agent: Option<String>,
    /// The result.
    pub checked: RecordedCheck,
    /// Whether it is a sign-in; false: an attempt at the current password when changing it, which
    /// counts in the same way.
    pub sign_in: bool,
    /// The number of equal attempts in the record; more than one only if they were never checked.
    pub times: u64,
}

/// A counter that an administrator released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterRelease {
    /// The time.
    pub at: Timestamp,
    /// The counter's address.
    pub ip: Option<String>,
    /// The counter's account.
    pub account: Option<String>,
}

/// A sign-in that a lock under the draft would have refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedSignIn {
    /// The sign-in.
    pub attempt: RecordedAttempt,
    /// The counter that refuses it.
    pub kind: CounterKind,
    /// Possible if an earlier, unrecorded sign-in would have made the network known.
    pub certainty: Certainty,
}

/// The past attempts under a draft; add them in order of time.
#[derive(Debug, Clone)]
pub struct AttemptReplay {
    policy: LockoutPolicy,
    /// The start of the records.
    since: Timestamp,
    counters: HashMap<CounterKey, Counter>,
    /// The last sign-in to each account, by its name, from each network.
    known_networks: HashMap<String, HashMap<IpNetwork, Timestamp>>,
    fed: u32,
    /// The number of sign-ins.
    pub sign_ins: u64,
    /// Accepted sign-ins that the draft would have locked out.
    pub locked_out: u64,
    /// Sign-ins with a wrong password that a lock under the draft would have refused.
    pub refused_earlier: u64,
    /// Sign-ins that a lock refused and that the draft would have let through; their result is
    /// unknown.
    pub let_through: u64,
    /// Locks that begin under the draft.
    pub locks: u64,
    newest: VecDeque<LockedSignIn>,
}

impl AttemptReplay {
    /// Creates an empty replay. `since`: the start of the records.
    pub fn new(policy: LockoutPolicy, since: Timestamp) -> Self {
        Self {
            policy,
            since,
            counters: HashMap::new(),
            known_networks: HashMap::new(),
            fed: 0,
            sign_ins: 0,
            locked_out: 0,
            refused_earlier: 0,
            let_through: 0,
            locks: 0,
            newest: VecDeque::new(),
        }
    }

    /// Returns the accepted sign-ins that the draft locks out, newest first, as many as are kept.
    pub fn newest(&self) -> impl Iterator<Item = &LockedSignIn> {
        self.newest.iter().rev()
    }

    /// Adds one attempt.
    pub fn attempt(&mut self, attempt: &RecordedAttempt) {
        self.fed += 1;
        if attempt.sign_in {
            self.sign_ins += attempt.times;
        }
        let id = Uuid::from_u128(u128::from(self.fed));
        let holding = self.holding_counters(attempt);
        let mut refused_by = None;
        for (key, policy) in &holding {
            let counter = self.counters.entry(key.clone()).or_default();
            match counter.reserve(key.kind, id, policy, attempt.at) {
                ReserveVerdict::Locked(_) => refused_by = refused_by.or(Some(key.kind)),
                // Attempts are replayed one at a time, so that none is ever busy.
                ReserveVerdict::Proceed | ReserveVerdict::Busy => {}
            }
        }
        match refused_by {
            Some(kind) => {
                for (key, _) in &holding {
                    self.counters.entry(key.clone()).or_default().give_back(id);
                }
                self.refused(attempt, kind);
            }
            None => self.proceeds(attempt, &holding, id),
        }
        if attempt.checked == RecordedCheck::Accepted && attempt.sign_in {
            let known = self.known_networks.entry(attempt.name_key.clone()).or_default();
            known.insert(network::known_network(attempt.ip), attempt.at);
        }
    }

    /// Releases the draft's counters with the same address or account.
    pub fn release(&mut self, release: &CounterRelease) {
        let same =
            |ours: &Option<String>, theirs: &Option<String>| ours.is_none() || theirs.is_none() || ours == theirs;
        for (key, counter) in &mut self.counters {
            let shared =
                (key.ip.is_some() && release.ip.is_some()) || (key.account.is_some() && release.account.is_some());
            if shared && same(&key.ip, &release.ip) && same(&key.account, &release.account) {
                counter.release();
            }
        }
    }

    /// Returns the counters of an attempt with the policy that applies to each, as a sign-in uses
    /// them.
    fn holding_counters(&self, attempt: &RecordedAttempt) -> Vec<(CounterKey, LockoutPolicy)> {
        let holding = policy_for(attempt.ip, &self.policy).into_owned();
        let known = self.known_networks.get(&attempt.name_key).is_some_and(|known| {
            known.iter().any(|(network, at)| {
                attempt.at.since(*at) <= KNOWN_NETWORK && self.policy.network_groups.is_known(attempt.ip, *network)
            })
        });
        let keys = counters_of(
            &attempt.name_key,
            attempt.ip,
            attempt.user_agent.as_deref(),
            &self.policy,
        );
        let keys = if known { from_known_network(keys) } else { keys };
        keys.into_iter().map(|key| (key, holding.clone())).collect()
    }

    fn refused(&mut self, attempt: &RecordedAttempt, kind: CounterKind) {
        if !attempt.sign_in {
            return;
        }
        match attempt.checked {
            RecordedCheck::Wrong => self.refused_earlier += 1,
            RecordedCheck::Never => {}
            RecordedCheck::Accepted | RecordedCheck::Correct => {
                self.locked_out += 1;
                let records_reach = attempt.at.since(self.since) >= KNOWN_NETWORK;
                let certainty = if kind != CounterKind::AccountCeiling || records_reach {
                    Certainty::Certain
                } else {
                    Certainty::Possible
                };
                self.newest.push_back(LockedSignIn {
                    attempt: attempt.clone(),
                    kind,
                    certainty,
                });
                if self.newest.len() > MAX_LISTED {
                    self.newest.pop_front();
                }
            }
        }
    }

    fn proceeds(&mut self, attempt: &RecordedAttempt, holding: &[(CounterKey, LockoutPolicy)], id: Uuid) {
        if attempt.sign_in && attempt.checked == RecordedCheck::Never {
            self.let_through += attempt.times;
        }
        let mut locks = false;
        for (key, policy) in holding {
            let counter = self.counters.entry(key.clone()).or_default();
            match attempt.checked {
                RecordedCheck::Accepted if attempt.sign_in => counter.succeed(id, key.cleared_by_success()),
                RecordedCheck::Wrong => locks |= counter.fail(key.kind, id, policy, attempt.at).is_some(),
                RecordedCheck::Accepted | RecordedCheck::Correct | RecordedCheck::Never => counter.give_back(id),
            }
            if counter.is_empty_at(key.kind, policy, attempt.at) {
                self.counters.remove(key);
            }
        }
        self.locks += u64::from(locks);
    }
}
