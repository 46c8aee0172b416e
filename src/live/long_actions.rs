//! Actions that take long, or that a form may submit twice: this instance performs each once, and
//! every session of the account that knows the key gets its result. An action whose result only the
//! session that began it may have mixes that session into the key. They are forgotten an hour after
//! they began.

use crate::domain::{
    account::AccountId,
    time::{Span, Timestamp},
};
use std::{
    any::Any,
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;
use uuid::Uuid;

/// How long an action and its result are kept.
pub const REMEMBERED: Span = Span::from_secs(3_600);

/// The result of an action, as its performer stored it.
pub type LongActResult = Arc<dyn Any + Send + Sync>;

/// One action of one account.
pub struct LongAction {
    /// Identifies the action; the form that started it contains this key.
    pub key: Uuid,
    /// The title of the action for people, such as `Import accounts`.
    pub title: String,
    begun_at: Timestamp,
    done: AtomicUsize,
    total: AtomicUsize,
    result: watch::Sender<Option<LongActResult>>,
}

impl LongAction {
    /// Returns how many parts are done, and of how many; 0: not known yet.
    pub fn progress(&self) -> (usize, usize) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// Records how many parts are done, and of how many.
    pub fn note_progress(&self, done: usize, total: usize) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
    }

    /// Stores the result for everyone who asks.
    pub fn finish(&self, result: LongActResult) {
        self.result.send_replace(Some(result));
    }

    /// Returns the result, once there is one.
    pub fn result(&self) -> Option<LongActResult> {
        self.result.borrow().clone()
    }

    /// Waits for the result, at most until the limit.
    pub async fn wait(&self, limit: Duration) -> Option<LongActResult> {
        let mut result = self.result.subscribe();
        let finished = tokio::time::timeout(limit, result.wait_for(Option::is_some)).await;
        finished.ok()?.ok()?.clone()
    }
}

/// A requested action.
pub enum StartedAction {
    /// It is new; the caller must perform it.
    New(Arc<LongAction>),
    /// It is in progress or done.
    Known(Arc<LongAction>),
}

/// The actions of the last hour.
#[derive(Default)]
pub struct LongActions(Mutex<HashMap<(AccountId, Uuid), Arc<LongAction>>>);

impl LongActions {
    /// Begins the action with this key, unless the account began it before.
    pub fn begin(&self, owner: AccountId, key: Uuid, title: &str, now: Timestamp) -> StartedAction {
        let mut acts = self.acts();
        Self::forget_old_of(&mut acts, now);
        if let Some(known) = acts.get(&(owner, key)) {
            return StartedAction::Known(known.clone());
        }
        let act = Arc::new(LongAction {
            key,
            title: title.to_owned(),
            begun_at: now,
            done: AtomicUsize::new(0),
            total: AtomicUsize::new(0),
            result: watch::Sender::new(None),
        });
        acts.insert((owner, key), act.clone());
        StartedAction::New(act)
    }

    /// Returns the account's action with this key. `None`: it never began, was forgotten, or
    /// belongs to another account.
    pub fn find(&self, owner: AccountId, key: Uuid, now: Timestamp) -> Option<Arc<LongAction>> {
        let mut acts = self.acts();
        Self::forget_old_of(&mut acts, now);
        acts.get(&(owner, key)).cloned()
    }

    /// Forgets a failed action, so that it can be tried again.
    pub fn forget(&self, owner: AccountId, key: Uuid) {
        self.acts().remove(&(owner, key));
    }

    /// Forgets what began more than an hour ago.
    pub fn forget_old(&self, now: Timestamp) {
        Self::forget_old_of(&mut self.acts(), now);
    }

    fn forget_old_of(acts: &mut HashMap<(AccountId, Uuid), Arc<LongAction>>, now: Timestamp) {
        acts.retain(|_, act| now.since(act.begun_at) <= REMEMBERED);
    }

    fn acts(&self) -> MutexGuard<'_, HashMap<(AccountId, Uuid), Arc<LongAction>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
