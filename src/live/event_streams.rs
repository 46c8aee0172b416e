//! The open event streams of page guards, and the line that wakes them. A stream waits until the
//! row of its session or account changes, the policy changes, or the next instant comes at which
//! its session warns or ends. Nothing is polled.
//!
//! A stream that is notified of the end of its session asks nothing. Streams that must read a row
//! take turns: thousands that wake together would otherwise wait for the database until they give
//! up, and requests would wait behind them.

use crate::domain::{account::AccountId, session::SessionId, time::Timestamp};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// Maximum number of streams of one session. A browser has one per host; when a page is left, its
/// stream is noticed as closed only later.
pub const MAX_PER_SESSION: usize = 12;
/// Maximum number of streams of one instance.
pub const MAX_OPEN: usize = 20_000;

/// Maximum number of streams that read the database at the same time.
const MAX_READING: usize = 4;

const CHANGED: u8 = 1;
const POLICY: u8 = 2;
const CLOSE: u8 = 4;
const ENDED: u8 = 8;

/// What woke a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WakeReason {
    /// The policy changed.
    pub policy: bool,
    /// The session is over.
    pub ended: bool,
    /// The stream must end.
    pub close: bool,
}

#[derive(Default)]
struct Signal {
    flags: AtomicU8,
    notify: Notify,
}

impl Signal {
    fn raise(&self, flag: u8) {
        self.flags.fetch_or(flag, Ordering::SeqCst);
        self.notify.notify_one();
    }
}

struct Entry {
    signal: Arc<Signal>,
    account: AccountId,
}

/// The open streams of this instance.
pub struct EventStreams {
    by_session: Mutex<HashMap<SessionId, Vec<Entry>>>,
    open: AtomicUsize,
    /// Streams whose session warns: only these must be woken by activity.
    warned: AtomicUsize,
    due: Mutex<BinaryHeap<Reverse<(Timestamp, SessionId)>>>,
    closed: AtomicBool,
    reading: Semaphore,
}

impl Default for EventStreams {
    fn default() -> Self {
        Self {
            by_session: Mutex::default(),
            open: AtomicUsize::default(),
            warned: AtomicUsize::default(),
            due: Mutex::default(),
            closed: AtomicBool::default(),
            reading: Semaphore::new(MAX_READING),
        }
    }
}

impl EventStreams {
    /// Opens a stream. `None`: there are too many, or the server stops. The oldest stream of a
    /// session that has too many is closed.
    pub fn open(self: &Arc<Self>, session: SessionId, account: AccountId) -> Option<OpenStream> {
        let counted = self.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |open| {
            (open < MAX_OPEN).then_some(open + 1)
        });
        if counted.is_err() {
            return None;
        }
        let signal = Arc::new(Signal::default());
        let entry = Entry {
            signal: signal.clone(),
            account,
        };
        {
            let mut by_session = lock(&self.by_session);
            let entries = by_session.entry(session).or_default();
            if entries.len() >= MAX_PER_SESSION {
                entries.remove(0).signal.raise(CLOSE);
            }
            entries.push(entry);
        }
        let stream = OpenStream {
            streams: self.clone(),
            session,
            signal,
            is_warned: false,
            scheduled: None,
        };
        // Checked last: code that closes all streams either sees this one or has set the flag
        // already.
        (!self.closed.load(Ordering::SeqCst)).then_some(stream)
    }

    /// Returns the number of open streams.
    pub fn count(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Waits for the turn of a stream that must read the database.
    pub async fn reading_turn(&self) -> Option<SemaphorePermit<'_>> {
        // It fails only if the semaphore is closed, which nothing does.
        self.reading.acquire().await.ok()
    }

    /// Returns those of these sessions that have a stream; `None`: every session that has one.
    pub fn watched(&self, among: Option<&[SessionId]>) -> Vec<SessionId> {
        if self.count() == 0 {
            return Vec::new();
        }
        let by_session = lock(&self.by_session);
        match among {
            Some(ids) => ids.iter().filter(|id| by_session.contains_key(id)).copied().collect(),
            None => by_session.keys().copied().collect(),
        }
    }

    /// Wakes the streams of a session whose row changed.
    pub fn wake_session(&self, id: SessionId) {
        self.raise_for_session(CHANGED, id);
    }

    /// Tells the streams of a session that it is over.
    pub fn end_session(&self, id: SessionId) {
        self.raise_for_session(ENDED, id);
    }

    fn raise_for_session(&self, flag: u8, id: SessionId) {
        if self.count() == 0 {
            return;
        }
        for entry in lock(&self.by_session).get(&id).into_iter().flatten() {
            entry.signal.raise(flag);
        }
    }

    /// Wakes the streams of a session that was active, if any stream has announced its coming end.
    pub fn wake_active(&self, id: SessionId) {
        if self.warned.load(Ordering::SeqCst) > 0 {
            self.wake_session(id);
        }
    }

    /// Wakes the streams of accounts whose rows changed.
    pub fn wake_accounts(&self, ids: &HashSet<AccountId>) {
        if !ids.is_empty() {
            self.raise(CHANGED, |entry| ids.contains(&entry.account));
        }
    }

    /// Wakes every stream: many rows changed.
    pub fn wake_all(&self) {
        self.raise(CHANGED, |_| true);
    }

    /// Wakes every stream because of a new policy.
    pub fn wake_for_policy(&self) {
        self.raise(POLICY, |_| true);
    }

    /// Wakes the streams whose next instant has come.
    pub fn wake_due(&self, now: Timestamp) {
        let mut due = lock(&self.due);
        while due.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((_, session))) = due.pop() {
                self.wake_session(session);
            }
        }
    }

    /// Closes every stream, and opens no more.
    pub fn close_all(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.raise(CLOSE, |_| true);
    }

    fn raise(&self, flag: u8, concerns: impl Fn(&Entry) -> bool) {
        if self.count() == 0 {
            return;
        }
        for entry in lock(&self.by_session)
            .values()
            .flatten()
            .filter(|entry| concerns(entry))
        {
            entry.signal.raise(flag);
        }
    }

    fn remove(&self, session: SessionId, signal: &Arc<Signal>) {
        let mut by_session = lock(&self.by_session);
        if let Some(entries) = by_session.get_mut(&session) {
            entries.retain(|entry| !Arc::ptr_eq(&entry.signal, signal));
            if entries.is_empty() {
                by_session.remove(&session);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One open stream; it is closed when this is dropped.
pub struct OpenStream {
    streams: Arc<EventStreams>,
    session: SessionId,
    signal: Arc<Signal>,
    is_warned: bool,
    scheduled: Option<Timestamp>,
}

impl OpenStream {
    /// Waits until something happened to the session.
    pub async fn woken(&self) -> WakeReason {
        loop {
            self.signal.notify.notified().await;
            let flags = self.signal.flags.swap(0, Ordering::SeqCst);
            if flags != 0 {
                return WakeReason {
                    policy: flags & POLICY != 0,
                    ended: flags & ENDED != 0,
                    close: flags & CLOSE != 0,
                };
            }
        }
    }

    /// Remembers whether the session warns, so that activity wakes the stream.
    pub fn set_warned(&mut self, is_warned: bool) {
        if is_warned && !self.is_warned {
            self.streams.warned.fetch_add(1, Ordering::SeqCst);
        } else if !is_warned && self.is_warned {
            self.streams.warned.fetch_sub(1, Ordering::SeqCst);
        }
        self.is_warned = is_warned;
    }

    /// Wakes the stream at an instant, unless it is woken before.
    pub fn wake_at(&mut self, at: Timestamp, now: Timestamp) {
        if self
            .scheduled
            .is_some_and(|scheduled| scheduled > now && scheduled <= at)
        {
            return;
        }
        self.scheduled = Some(at);
        lock(&self.streams.due).push(Reverse((at, self.session)));
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.set_warned(false);
        self.streams.remove(self.session, &self.signal);
        self.streams.open.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
