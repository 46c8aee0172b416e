//! Everything that one server process remembers.

use super::{
    Epoch,
    accounts::AccountCache,
    applications::ApplicationSnapshot,
    awaited_cookies::PendingCookies,
    directories::DirectoryClients,
    event_streams::EventStreams,
    forwarded::ForwardedRequests,
    freshness::Freshness,
    long_actions::LongActions,
    policy::PolicyInForce,
    providers::ProviderCache,
    refusals::RefusalCounts,
    request_limit::RequestLimit,
    sessions::Sessions,
    sources::{SourceSnapshot, Sources},
    submissions::Submissions,
};
use crate::domain::{
    application::Applications,
    policy::effective::PolicyEnvironment,
    time::{Span, Timestamp},
};
use arc_swap::ArcSwap;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};
use tokio::sync::Notify;

/// The remembered state of one server process.
pub struct LiveState {
    /// Live sessions.
    pub sessions: Sessions,
    /// Accounts of live sessions.
    pub accounts: AccountCache,
    /// Whether the remembered state may be trusted.
    pub freshness: Freshness,
    /// Requests of proxies that are not written yet.
    pub forwarded: ForwardedRequests,
    /// Refused attempts that are counted instead of written one by one.
    pub refusals: RefusalCounts,
    /// Long actions, and actions that a form may submit twice.
    pub long_actions: LongActions,
    /// Sign-ins whose cookie has not come back yet.
    pub awaited_cookies: PendingCookies,
    /// Checks of a password's strength while it is typed.
    pub strength_checks: RequestLimit,
    /// Forms in progress.
    pub submissions: Submissions,
    /// The identity providers, with their metadata and keys.
    pub providers: ProviderCache,
    /// The clients of directories.
    pub directories: DirectoryClients,
    /// The open event streams of page guards.
    pub streams: Arc<EventStreams>,
    /// Wakes the tasks that follow the accounts: one changed, here or on another instance.
    pub accounts_changed: Notify,
    policy: ArcSwap<PolicyInForce>,
    applications: ArcSwap<ApplicationSnapshot>,
    sources: ArcSwap<SourceSnapshot>,
    /// Newest `changes.seq` that was applied.
    seq: AtomicI64,
    /// Changes were announced that could not be read yet.
    behind: AtomicBool,
    /// Setup is known to be over. It never starts again.
    set_up: AtomicBool,
    /// The server was told to stop.
    stopping: AtomicBool,
    /// When the last entry under the newest audit seal was made, in microseconds.
    sealed_until: AtomicI64,
    epoch: Epoch,
}

impl LiveState {
    /// Creates the state. `capacity` is the maximum number of remembered sessions (and of
    /// accounts), `seq` the newest change before the rest was read.
    pub fn new(
        capacity: usize,
        policy: PolicyInForce,
        tables: (ApplicationSnapshot, SourceSnapshot),
        seq: i64,
    ) -> Self {
        let (applications, sources) = tables;
        let epoch = Epoch::default();
        let streams = Arc::new(EventStreams::default());
        Self {
            sessions: Sessions::new(capacity, epoch.clone(), streams.clone()),
            accounts: AccountCache::new(capacity, epoch.clone(), streams.clone()),
            freshness: Freshness::new(),
            forwarded: ForwardedRequests::default(),
            refusals: RefusalCounts::default(),
            long_actions: LongActions::default(),
            awaited_cookies: PendingCookies::default(),
            strength_checks: RequestLimit::default(),
            submissions: Submissions::default(),
            providers: ProviderCache::default(),
            directories: DirectoryClients::default(),
            streams,
            accounts_changed: Notify::new(),
            policy: ArcSwap::from_pointee(policy),
            applications: ArcSwap::from_pointee(applications),
            sources: ArcSwap::from_pointee(sources),
            seq: AtomicI64::new(seq),
            behind: AtomicBool::new(false),
            set_up: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            sealed_until: AtomicI64::new(0),
            epoch,
        }
    }

    /// Records that the audit log is sealed up to an entry of that instant.
    pub fn note_sealed(&self, until: Timestamp) {
        self.sealed_until.fetch_max(until.as_micros(), Ordering::SeqCst);
    }

    /// Returns the instant for the id of an audit entry that is made now. It is never below the
    /// newest seal, even if the clock was set back: an entry below a seal would look like a
    /// forgery.
    pub fn after_seal(&self, now: Timestamp) -> Timestamp {
        let sealed = Timestamp::from_micros(self.sealed_until.load(Ordering::SeqCst));
        now.max(sealed.saturating_add(Span::from_micros(1_000)))
    }

    /// Returns the policy in force at `now`, as last learned. [`crate::flows::Ctx::current_policy`]
    /// asks the database when notifications are silent.
    pub fn policy_at(&self, now: Timestamp) -> Arc<PolicyInForce> {
        self.policy.load_full().in_force_at(now)
    }

    /// Returns the newest revision as last learned, provisional or not.
    pub fn newest_policy(&self) -> Arc<PolicyInForce> {
        self.policy.load_full()
    }

    /// Returns what this process decides about every policy. It does not change with the revision.
    pub fn environment(&self) -> PolicyEnvironment {
        self.policy.load().policy.environment().clone()
    }

    /// Puts a policy in force here, unless a newer one already is. Of one revision the confirmed
    /// form is newer.
    pub fn set_policy(&self, policy: PolicyInForce) {
        let policy = Arc::new(policy);
        let before = self.policy.rcu(|current| {
            let order = policy.policy.revision().cmp(&current.policy.revision());
            let changed = policy.policy.pins() != current.policy.pins()
                || (current.provisional.is_some() && policy.provisional.is_none());
            if order.is_gt() || (order.is_eq() && changed) {
                policy.clone()
            } else {
                current.clone()
            }
        });
        if !Arc::ptr_eq(&before, &self.policy.load_full()) {
            self.streams.wake_for_policy();
        }
    }

    /// Returns the applications as last learned. [`crate::flows::Ctx::current_applications`] asks
    /// the database when notifications are silent.
    pub fn applications(&self) -> Arc<Applications> {
        self.applications.load().applications().clone()
    }

    /// Remembers the applications as read, unless a newer reading already is remembered.
    pub fn set_applications(&self, snapshot: ApplicationSnapshot) {
        let snapshot = Arc::new(snapshot);
        self.applications.rcu(|current| {
            if snapshot.seq() >= current.seq() {
                snapshot.clone()
            } else {
                current.clone()
            }
        });
    }

    /// Returns the sources of identities as last learned. [`crate::flows::Ctx::current_sources`]
    /// asks the database when notifications are silent.
    pub fn sources(&self) -> Arc<Sources> {
        self.sources.load().sources().clone()
    }

    /// Remembers the sources as read, unless a newer reading already is remembered.
    pub fn set_sources(&self, snapshot: SourceSnapshot) {
        let snapshot = Arc::new(snapshot);
        self.sources.rcu(|current| {
            if snapshot.seq() >= current.seq() {
                snapshot.clone()
            } else {
                current.clone()
            }
        });
    }

    /// Returns whether setup is known to be over.
    pub fn is_set_up(&self) -> bool {
        self.set_up.load(Ordering::SeqCst)
    }

    /// Remembers that setup is over.
    pub fn mark_set_up(&self) {
        self.set_up.store(true, Ordering::SeqCst);
    }

    /// Returns whether the server was told to stop. It still answers, but should get no new
    /// requests.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Records that the server was told to stop.
    pub fn mark_stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Open streams would be waited for.
        self.streams.close_all();
    }

    /// Returns the newest change that was applied.
    pub(super) fn applied_seq(&self) -> i64 {
        self.seq.load(Ordering::SeqCst)
    }

    /// Remembers that all changes up to `seq` were applied.
    pub(super) fn mark_applied(&self, seq: i64) {
        self.seq.fetch_max(seq, Ordering::SeqCst);
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::SeqCst)
    }

    pub(super) fn set_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::SeqCst);
    }

    /// Marks the start of a read whose result may be remembered.
    pub fn epoch(&self) -> u64 {
        self.epoch.current()
    }
}
