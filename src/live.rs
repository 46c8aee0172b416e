//! What this instance remembers of the database, and how it learns that it is stale.
//! The database stays the truth: nothing here is used while the line to it is silent (see [`freshness`]).

pub mod accounts;
pub mod applications;
pub mod forwarded;
pub mod freshness;
pub mod invalidation;
pub mod policy;
pub mod refusals;
pub mod session_store;
pub mod sessions;

use crate::domain::{policy::Pins, time::Timestamp};
use accounts::Accounts;
use applications::Known;
use forwarded::Forwarded;
use freshness::Freshness;
use policy::InForce;
use refusals::Refusals;
use sessions::Sessions;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

/// The remembered state of one server process.
pub struct Live {
    pub sessions: Sessions,
    pub accounts: Accounts,
    pub freshness: Freshness,
    /// What proxies asked, until it is written down.
    pub forwarded: Forwarded,
    /// Refused guesses at passwords that are not written one by one.
    pub refusals: Refusals,
    policy: arc_swap::ArcSwap<InForce>,
    applications: arc_swap::ArcSwap<Known>,
    /// The newest `changes.seq` that was taken in.
    seq: AtomicI64,
    /// Changes were announced that could not be read yet.
    behind: AtomicBool,
    /// Set-up is known to be over: it never begins again.
    set_up: AtomicBool,
    epoch: Epoch,
}

/// Counts invalidations, so that a row read before one is never remembered after it.
#[derive(Debug, Clone, Default)]
pub struct Epoch(Arc<AtomicU64>);

impl Epoch {
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn advance(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Live {
    /// `capacity`: sessions (and accounts) remembered at most. `seq`: where the changes stood before the rest was read.
    pub fn new(capacity: usize, policy: InForce, applications: Known, seq: i64) -> Self {
        let epoch = Epoch::default();
        Self {
            sessions: Sessions::new(capacity, epoch.clone()),
            accounts: Accounts::new(capacity, epoch.clone()),
            freshness: Freshness::new(),
            forwarded: Forwarded::default(),
            refusals: Refusals::default(),
            policy: arc_swap::ArcSwap::from_pointee(policy),
            applications: arc_swap::ArcSwap::from_pointee(applications),
            seq: AtomicI64::new(seq),
            behind: AtomicBool::new(false),
            set_up: AtomicBool::new(false),
            epoch,
        }
    }

    /// The policy that holds at `now`, as last learned; [`crate::flows::Ctx::current_policy`] asks the database when the line is silent.
    pub fn policy_at(&self, now: Timestamp) -> Arc<InForce> {
        self.policy.load_full().at(now)
    }

    /// The newest revision as last learned, provisional or not.
    pub fn newest(&self) -> Arc<InForce> {
        self.policy.load_full()
    }

    /// What this process pins and whether it develops: the same whatever the revision.
    pub fn environment(&self) -> (Pins, bool) {
        let known = self.policy.load();
        (known.policy.pins().clone(), known.policy.dev())
    }

    /// Puts a policy in force here, unless a newer one already is. Of one revision the confirmed form is the newer.
    pub fn set_policy(&self, policy: InForce) {
        let policy = Arc::new(policy);
        self.policy.rcu(|current| {
            let order = policy.policy.revision().cmp(&current.policy.revision());
            let changed = policy.policy.pins() != current.policy.pins()
                || (current.provisional.is_some() && policy.provisional.is_none());
            if order.is_gt() || (order.is_eq() && changed) {
                policy.clone()
            } else {
                current.clone()
            }
        });
    }

    pub fn is_set_up(&self) -> bool {
        self.set_up.load(Ordering::SeqCst)
    }

    /// Remembers that set-up is over.
    pub fn set_up(&self) {
        self.set_up.store(true, Ordering::SeqCst);
    }

    fn is_behind(&self) -> bool {
        self.behind.load(Ordering::SeqCst)
    }

    fn set_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::SeqCst);
    }

    /// Marks the start of a read whose result may be remembered.
    pub fn epoch(&self) -> u64 {
        self.epoch.now()
    }
}
