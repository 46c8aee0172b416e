//! Live sessions by the digest of their token. Activity is kept in atomics and written in batches;
//! it survives invalidation and eviction because what is not yet written is held apart in `pending`.

use super::Epoch;
use crate::{
    domain::{
        session::{EndReason, LifeFacts, SessionId},
        time::Timestamp,
    },
    store::sessions::{Session, Token},
};
use quick_cache::sync::Cache;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

/// A session as this instance knows it: its row, and what happened since the row was read.
#[derive(Debug)]
pub struct LiveSession {
    pub row: Session,
    active: AtomicI64,
    seen: AtomicI64,
    stored_active: AtomicI64,
    stored_seen: AtomicI64,
    ended: OnceLock<EndReason>,
    /// It stands in `pending`, to be written at the next flush.
    queued: AtomicBool,
    noted: Mutex<Noted>,
}

/// What was noted about a session beside its row; looked at only where it matters.
#[derive(Debug)]
struct Noted {
    /// The address to show, and whether the database has it.
    shown: IpAddr,
    shown_written: bool,
    /// Foreign addresses that a merely recording policy has recorded.
    recorded: Vec<IpAddr>,
    /// Refused pages: minute, and how many in it.
    denied: (i64, u32),
}

/// Foreign addresses recorded of one session at most, and refused pages written a minute: nobody fills the audit by asking.
const RECORDED: usize = 16;
const DENIALS_A_MINUTE: u32 = 5;

impl LiveSession {
    fn new(row: Session) -> Self {
        let (active, seen) = (row.last_active_at.as_micros(), row.last_seen_at.as_micros());
        let ended = OnceLock::new();
        let noted = Mutex::new(Noted {
            shown: row.ip,
            shown_written: true,
            recorded: Vec::new(),
            denied: (0, 0),
        });
        if let Some(reason) = row.end_reason.filter(|_| row.ended_at.is_some()) {
            ended.get_or_init(|| reason);
        }
        Self {
            row,
            active: AtomicI64::new(active),
            seen: AtomicI64::new(seen),
            stored_active: AtomicI64::new(active),
            stored_seen: AtomicI64::new(seen),
            ended,
            queued: AtomicBool::new(false),
            noted,
        }
    }

    /// A row just read, with the activity that this instance already knew of.
    pub fn from_row(row: Session, known: Option<LifeFacts>) -> Self {
        let session = Self::new(row);
        if let Some(life) = known {
            session.raise(life.last_active_at, life.last_seen_at);
        }
        session
    }

    pub fn id(&self) -> SessionId {
        self.row.id
    }

    pub fn life(&self) -> LifeFacts {
        LifeFacts {
            signed_in_at: self.row.signed_in_at,
            last_active_at: Timestamp::from_micros(self.active.load(Ordering::Acquire)),
            last_seen_at: Timestamp::from_micros(self.seen.load(Ordering::Acquire)),
        }
    }

    /// Activity and window life as the database knows them.
    pub fn stored(&self) -> (Timestamp, Timestamp) {
        let stored = |instant: &AtomicI64| Timestamp::from_micros(instant.load(Ordering::Acquire));
        (stored(&self.stored_active), stored(&self.stored_seen))
    }

    pub fn ended(&self) -> Option<EndReason> {
        self.ended.get().copied()
    }

    /// Ends it for this instance, at once and for good. False: it had already ended.
    pub fn end(&self, reason: EndReason) -> bool {
        self.ended.set(reason).is_ok()
    }

    /// Notes the address to show: a move within the accepted network is no change.
    pub fn note_address(&self, ip: IpAddr) {
        let mut noted = self.noted();
        if noted.shown != ip {
            noted.shown = ip;
            noted.shown_written = false;
        }
    }

    /// Whether this foreign address has been recorded already (or enough of them).
    pub fn is_recorded(&self, ip: IpAddr) -> bool {
        let noted = self.noted();
        noted.recorded.contains(&ip) || noted.recorded.len() >= RECORDED
    }

    pub fn note_recorded(&self, ip: IpAddr) {
        self.noted().recorded.push(ip);
    }

    /// Whether another refused page of this session is to be written.
    pub fn may_record_denial(&self, now: Timestamp) -> bool {
        let minute = now.as_micros() / 60_000_000;
        let mut noted = self.noted();
        if noted.denied.0 != minute {
            noted.denied = (minute, 0);
        }
        noted.denied.1 += 1;
        noted.denied.1 <= DENIALS_A_MINUTE
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn token(&self, digest: &str) -> Option<&Token> {
        self.row.tokens.iter().find(|token| token.digest == digest)
    }

    fn raise(&self, active: Timestamp, seen: Timestamp) {
        self.active.fetch_max(active.as_micros(), Ordering::AcqRel);
        self.seen.fetch_max(seen.as_micros(), Ordering::AcqRel);
    }

    fn note_stored(&self, active: Timestamp, seen: Timestamp) {
        self.stored_active.fetch_max(active.as_micros(), Ordering::AcqRel);
        self.stored_seen.fetch_max(seen.as_micros(), Ordering::AcqRel);
    }

    fn is_dirty(&self) -> bool {
        let life = self.life();
        self.stored() != (life.last_active_at, life.last_seen_at)
    }
}

/// One write of activity: instants are only ever raised.
pub type Touch = (SessionId, Timestamp, Timestamp);

pub struct Sessions {
    /// A digest belongs to one session for ever, so this index is never stale.
    ids: Cache<Box<str>, SessionId>,
    by_id: Cache<SessionId, Arc<LiveSession>>,
    pending: Mutex<HashMap<SessionId, Arc<LiveSession>>>,
    /// Endings that hold here but are not in the database yet.
    endings: Mutex<HashMap<SessionId, (Arc<LiveSession>, Timestamp)>>,
    epoch: Epoch,
}

impl Sessions {
    pub(super) fn new(capacity: usize, epoch: Epoch) -> Self {
        Self {
            ids: Cache::new(capacity),
            by_id: Cache::new(capacity),
            pending: Mutex::default(),
            endings: Mutex::default(),
            epoch,
        }
    }

    pub fn get(&self, digest: &str) -> Option<Arc<LiveSession>> {
        self.ids.get(digest).and_then(|id| self.by_id.get(&id))
    }

    pub fn get_by_id(&self, id: SessionId) -> Option<Arc<LiveSession>> {
        self.by_id.get(&id)
    }

    /// Remembers a row that was read after `epoch` was taken, with the activity that is not yet written.
    pub fn remember(&self, row: Session, epoch: u64) -> Arc<LiveSession> {
        let session = Arc::new(LiveSession::new(row));
        if let Some(unwritten) = self.pending().get(&session.id()) {
            let life = unwritten.life();
            session.raise(life.last_active_at, life.last_seen_at);
        }
        if let Some(reason) = self.endings().get(&session.id()).and_then(|(ended, _)| ended.ended()) {
            session.end(reason);
        }
        for token in &session.row.tokens {
            self.ids.insert(token.digest.as_str().into(), session.id());
        }
        self.by_id.insert(session.id(), session.clone());
        if self.epoch.now() != epoch {
            self.by_id.remove(&session.id());
        }
        session
    }

    /// Notes activity (`active`) or mere window life.
    pub fn touch(&self, session: &Arc<LiveSession>, now: Timestamp, active: bool) {
        let life = session.life();
        session.raise(if active { now } else { life.last_active_at }, now);
        if !session.queued.swap(true, Ordering::SeqCst)
            && let Some(earlier) = self.pending().insert(session.id(), session.clone())
        {
            // The same session before its row was read again.
            let life = earlier.life();
            session.raise(life.last_active_at, life.last_seen_at);
        }
    }

    /// The unwritten activity, oldest entries not kept apart: everything is written at each flush.
    pub fn unwritten(&self) -> Vec<Touch> {
        self.pending()
            .values()
            .map(|session| {
                let life = session.life();
                (session.id(), life.last_active_at, life.last_seen_at)
            })
            .collect()
    }

    /// Addresses to show that are not written yet.
    pub fn moved(&self) -> Vec<(SessionId, IpAddr)> {
        let pending = self.pending();
        let unwritten = |session: &Arc<LiveSession>| {
            let noted = session.noted();
            (!noted.shown_written).then_some((session.id(), noted.shown))
        };
        pending.values().filter_map(unwritten).collect()
    }

    /// The addresses are in the database now.
    pub fn moved_written(&self, moved: &[(SessionId, IpAddr)]) {
        let pending = self.pending();
        for (id, ip) in moved {
            if let Some(session) = pending.get(id) {
                let mut noted = session.noted();
                noted.shown_written = noted.shown == *ip;
            }
        }
    }

    /// The touches are in the database now.
    pub fn written(&self, touches: &[Touch]) {
        let mut pending = self.pending();
        for (id, active, seen) in touches {
            if let Some(current) = self.by_id.get(id) {
                current.note_stored(*active, *seen);
            }
            if let Some(session) = pending.get(id) {
                session.note_stored(*active, *seen);
                // In this order: a touch that comes between raises first and asks for its place afterwards.
                session.queued.store(false, Ordering::SeqCst);
                if session.is_dirty() {
                    session.queued.store(true, Ordering::SeqCst);
                } else {
                    pending.remove(id);
                }
            }
        }
    }

    /// The row changed: the next use reads it again. Unwritten activity stays.
    pub fn forget(&self, id: SessionId) {
        self.epoch.advance();
        self.by_id.remove(&id);
    }

    /// Ends it here at once, whatever becomes of the write.
    pub fn end(&self, id: SessionId, reason: EndReason) {
        if let Some(session) = self.by_id.get(&id) {
            session.end(reason);
        }
    }

    /// Keeps an ending that holds here until it is in the database: a row read meanwhile must not revive the session.
    /// `at`: when it ended.
    pub fn keep_until_written(&self, session: &Arc<LiveSession>, at: Timestamp) {
        self.endings().insert(session.id(), (session.clone(), at));
    }

    pub fn ending_written(&self, id: SessionId) {
        self.endings().remove(&id);
    }

    pub fn unwritten_endings(&self) -> Vec<(Arc<LiveSession>, Timestamp)> {
        self.endings().values().cloned().collect()
    }

    pub(super) fn forget_all(&self) {
        self.epoch.advance();
        self.by_id.clear();
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn endings(&self) -> MutexGuard<'_, HashMap<SessionId, (Arc<LiveSession>, Timestamp)>> {
        self.endings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<LiveSession>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
