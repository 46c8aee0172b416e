//! The recorded guesses at passwords, counted again under a draft by `domain::lockout` itself.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
};

use uuid::Uuid;

use super::{Certainty, KEPT};
use crate::domain::{
    lockout::{Counter, CounterKey, CounterKind, ReserveVerdict, counters_of, policy_for},
    network,
    policy::effective::LockoutPolicy,
    time::{Span, Timestamp},
};

/// A network with a completed sign-in within this time is exempt from the account ceiling.
const KNOWN_NETWORK: Span = Span::from_secs(30 * 86_400);

/// What came of the password at that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checked {
    /// It was right, and somebody was signed in.
    Accepted,
    /// It was wrong.
    Wrong,
    /// It was right, and nobody was signed in (account disabled or expired).
    Right,
    /// A lock or too many attempts at once refused it: nobody knows.
    Never,
}

/// One recorded guess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// The name as recorded.
    pub name: String,
    /// The same as counters write it.
    pub name_key: String,
    /// From where.
    pub ip: IpAddr,
    /// With which browser.
    pub user_agent: Option<String>,
    /// What came of it.
    pub checked: Checked,
    /// A sign-in; false: a guess at the present password when changing it, which counts like one.
    pub sign_in: bool,
    /// How many alike ones the record stands for; several only of those that were never checked.
    pub times: u64,
}

/// A counter that somebody released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// When.
    pub at: Timestamp,
    /// The fields that it had.
    pub ip: Option<String>,
    /// Likewise.
    pub account: Option<String>,
}

/// A sign-in that the draft would have refused for a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedOut {
    /// The sign-in.
    pub attempt: Attempt,
    /// The counter that refuses it.
    pub kind: CounterKind,
    /// Possible, when an earlier sign-in that is not recorded would have made the network known.
    pub certainty: Certainty,
}

/// The guesses of the past under a draft; feed them in time order.
#[derive(Debug, Clone)]
pub struct Guesses {
    policy: LockoutPolicy,
    /// Where the records begin.
    since: Timestamp,
    counters: HashMap<CounterKey, Counter>,
    /// When somebody last signed in to an account from a network.
    known_networks: HashMap<(String, String), Timestamp>,
    fed: u32,
    /// Sign-ins looked at.
    pub sign_ins: u64,
    /// Of these, accepted at that time, and locked out under the draft.
    pub locked_out: u64,
    /// Refused at that time for a wrong password, and for a lock under the draft.
    pub refused_earlier: u64,
    /// Refused for a lock at that time, and not under the draft; what would have come of them nobody knows.
    pub let_through: u64,
    /// Locks that begin under the draft.
    pub locks: u64,
    newest: VecDeque<LockedOut>,
}

impl Guesses {
    /// None yet. `since`: where the records begin.
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

    /// The accepted sign-ins that the draft locks out, newest first, as many as are kept.
    pub fn newest(&self) -> impl Iterator<Item = &LockedOut> {
        self.newest.iter().rev()
    }

    /// Counts one guess.
    pub fn attempt(&mut self, attempt: &Attempt) {
        self.fed += 1;
        if attempt.sign_in {
            self.sign_ins += attempt.times;
        }
        let id = Uuid::from_u128(u128::from(self.fed));
        let holding = self.holding(attempt);
        let mut refused_by = None;
        for (key, policy) in &holding {
            let counter = self.counters.entry(key.clone()).or_default();
            match counter.reserve(key.kind, id, policy, attempt.at) {
                ReserveVerdict::Locked(_) => refused_by = refused_by.or(Some(key.kind)),
                // One guess at a time is replayed, so that none is ever busy.
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
        if attempt.checked == Checked::Accepted && attempt.sign_in {
            self.known_networks.insert(place(attempt), attempt.at);
        }
    }

    /// Somebody released counters: those of the draft that are of the same address or account.
    pub fn release(&mut self, release: &Release) {
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

    /// The counters of a guess, each with what holds in it, as a sign-in asks them.
    fn holding(&self, attempt: &Attempt) -> Vec<(CounterKey, LockoutPolicy)> {
        let holding = policy_for(attempt.ip, &self.policy).into_owned();
        let known = self
            .known_networks
            .get(&place(attempt))
            .is_some_and(|at| attempt.at.since(*at) <= KNOWN_NETWORK);
        let keys = counters_of(
            &attempt.name_key,
            attempt.ip,
            attempt.user_agent.as_deref(),
            &self.policy,
        );
        let with_policy = |key: CounterKey| {
            let mut policy = holding.clone();
            if key.kind == CounterKind::AccountCeiling && known {
                policy.account_ceiling = 0;
            }
            (key, policy)
        };
        keys.into_iter().map(with_policy).collect()
    }

    fn refused(&mut self, attempt: &Attempt, kind: CounterKind) {
        if !attempt.sign_in {
            return;
        }
        match attempt.checked {
            Checked::Wrong => self.refused_earlier += 1,
            Checked::Never => {}
            Checked::Accepted | Checked::Right => {
                self.locked_out += 1;
                let records_reach = attempt.at.since(self.since) >= KNOWN_NETWORK;
                let certainty = if kind != CounterKind::AccountCeiling || records_reach {
                    Certainty::Certain
                } else {
                    Certainty::Possible
                };
                self.newest.push_back(LockedOut {
                    attempt: attempt.clone(),
                    kind,
                    certainty,
                });
                if self.newest.len() > KEPT {
                    self.newest.pop_front();
                }
            }
        }
    }

    fn proceeds(&mut self, attempt: &Attempt, holding: &[(CounterKey, LockoutPolicy)], id: Uuid) {
        if attempt.sign_in && attempt.checked == Checked::Never {
            self.let_through += attempt.times;
        }
        let mut locks = false;
        for (key, policy) in holding {
            let counter = self.counters.entry(key.clone()).or_default();
            match attempt.checked {
                Checked::Accepted if attempt.sign_in => counter.succeed(id, key.cleared_by_success()),
                Checked::Wrong => locks |= counter.fail(key.kind, id, policy, attempt.at).is_some(),
                Checked::Accepted | Checked::Right | Checked::Never => counter.give_back(id),
            }
            if counter.is_empty_at(key.kind, policy, attempt.at) {
                self.counters.remove(key);
            }
        }
        self.locks += u64::from(locks);
    }
}

fn place(attempt: &Attempt) -> (String, String) {
    (attempt.name_key.clone(), network::known_network(attempt.ip).to_string())
}
