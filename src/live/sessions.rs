//! Live sessions by the digest of their token. Activity is kept in atomics and written in batches.
//! It survives invalidation and eviction, because unwritten activity is also held in `pending`.

use super::{
    Epoch,
    event_streams::EventStreams,
    held_ends::{HeldEnd, HeldEndId, HeldEnds, HeldScope},
};
use crate::domain::{
    session::{EndReason, LifeFacts, Session, SessionId, SessionToken},
    time::{Span, Timestamp},
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
    /// The session as it was read.
    pub row: Session,
    active: AtomicI64,
    seen: AtomicI64,
    stored_active: AtomicI64,
    stored_seen: AtomicI64,
    ended: OnceLock<EndReason>,
    /// Whether it is in `pending`, to be written at the next flush.
    queued: AtomicBool,
    notes: Mutex<SessionNotes>,
}

/// What is known about a session beside its row.
#[derive(Debug)]
struct SessionNotes {
    /// IP address to show.
    shown_ip: IpAddr,
    /// Whether the database has that address.
    is_shown_ip_written: bool,
    /// Foreign addresses that a policy which only records has recorded.
    recorded: Vec<IpAddr>,
    /// Addresses of requests without a proof of the device that are recorded.
    unproved: Vec<IpAddr>,
    /// The last minute with refused pages, and how many in it.
    denied: (i64, u32),
    /// The token whose cookie was last renewed, and when.
    renewed: Option<(String, Timestamp)>,
}

/// Maximum number of foreign addresses recorded per session, so that nobody can fill the audit log.
const MAX_RECORDED: usize = 16;
/// Maximum number of sessions that are kept as they were before something about them changed.
const MAX_FORMER: usize = 10_000;
/// Minimum time between two renewals of a cookie.
const RENEWAL_PAUSE: Span = Span::from_secs(300);
/// Maximum number of refused pages that are recorded per session and minute, for the same reason.
const MAX_DENIALS_PER_MINUTE: u32 = 5;

impl LiveSession {
    fn new(row: Session) -> Self {
        let (active, seen) = (row.last_active_at.as_micros(), row.last_seen_at.as_micros());
        let ended = OnceLock::new();
        let notes = Mutex::new(SessionNotes {
            shown_ip: row.ip,
            is_shown_ip_written: true,
            recorded: Vec::new(),
            unproved: Vec::new(),
            denied: (0, 0),
            renewed: None,
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
            notes,
        }
    }

    /// Combines a row just read with the activity that this instance already knew of.
    pub fn from_row(row: Session, known: Option<LifeFacts>) -> Self {
        let session = Self::new(row);
        if let Some(life) = known {
            session.raise(life.last_active_at, life.last_seen_at);
        }
        session
    }

    /// Returns the id of the session.
    pub fn id(&self) -> SessionId {
        self.row.id
    }

    /// Returns the times that lifetimes and idle timeouts are measured from.
    pub fn life(&self) -> LifeFacts {
        LifeFacts {
            signed_in_at: self.row.signed_in_at,
            last_active_at: Timestamp::from_micros(self.active.load(Ordering::Acquire)),
            last_seen_at: Timestamp::from_micros(self.seen.load(Ordering::Acquire)),
        }
    }

    /// Returns activity and window life as the database knows them.
    pub fn stored(&self) -> (Timestamp, Timestamp) {
        let stored = |instant: &AtomicI64| Timestamp::from_micros(instant.load(Ordering::Acquire));
        (stored(&self.stored_active), stored(&self.stored_seen))
    }

    /// Returns why the session ended, if it did.
    pub fn ended(&self) -> Option<EndReason> {
        self.ended.get().copied()
    }

    /// Ends the session for this instance, immediately and for good. Returns false if it had
    /// already ended.
    pub fn end(&self, reason: EndReason) -> bool {
        self.ended.set(reason).is_ok()
    }

    /// Remembers the IP address to show. A move within the accepted network does not change the
    /// row.
    pub fn note_address(&self, ip: IpAddr) {
        let mut notes = self.notes();
        if notes.shown_ip != ip {
            notes.shown_ip = ip;
            notes.is_shown_ip_written = false;
        }
    }

    /// Returns whether this foreign address has been recorded already, or enough of them.
    pub fn is_recorded(&self, ip: IpAddr) -> bool {
        let notes = self.notes();
        notes.recorded.contains(&ip) || notes.recorded.len() >= MAX_RECORDED
    }

    /// Remembers that this foreign address has been recorded.
    pub fn note_recorded(&self, ip: IpAddr) {
        self.notes().recorded.push(ip);
    }

    /// Returns whether a request from this address without a proof of the device is to be recorded.
    pub fn may_record_unproved(&self, ip: IpAddr) -> bool {
        let notes = self.notes();
        !notes.unproved.contains(&ip) && notes.unproved.len() < MAX_RECORDED
    }

    /// Remembers that such a request from this address has been recorded.
    pub fn note_unproved(&self, ip: IpAddr) {
        self.notes().unproved.push(ip);
    }

    /// Returns whether another refused page of this session may be recorded, and counts it.
    pub fn may_record_denial(&self, now: Timestamp) -> bool {
        let minute = now.as_micros() / 60_000_000;
        let mut notes = self.notes();
        if notes.denied.0 != minute {
            notes.denied = (minute, 0);
        }
        notes.denied.1 += 1;
        notes.denied.1 <= MAX_DENIALS_PER_MINUTE
    }

    /// Returns whether the browser may be redirected to renew the cookie of this token, and records
    /// it. It is redirected at most once per [`RENEWAL_PAUSE`], so that a browser that does not
    /// keep the cookie is not redirected in a loop.
    pub fn may_renew_cookie(&self, token_digest: &str, now: Timestamp) -> bool {
        let mut notes = self.notes();
        let is_recent = |(digest, at): &(String, Timestamp)| digest == token_digest && now.since(*at) < RENEWAL_PAUSE;
        if notes.renewed.as_ref().is_some_and(is_recent) {
            return false;
        }
        notes.renewed = Some((token_digest.to_owned(), now));
        true
    }

    fn notes(&self) -> MutexGuard<'_, SessionNotes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the token with this digest.
    pub fn token(&self, digest: &str) -> Option<&SessionToken> {
        self.row.tokens.iter().find(|token| token.digest == digest)
    }

    /// Takes over what bounds the records of the session: otherwise each change of its row would
    /// allow all of them once more.
    fn keep_limits_of(&self, earlier: &Self) {
        let (recorded, unproved, denied) = {
            let notes = earlier.notes();
            (notes.recorded.clone(), notes.unproved.clone(), notes.denied)
        };
        let mut notes = self.notes();
        (notes.recorded, notes.unproved, notes.denied) = (recorded, unproved, denied);
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

/// One write of activity: session, last activity, last sign of an open window. Instants are only
/// raised.
pub type Touch = (SessionId, Timestamp, Timestamp);

/// The live sessions of this instance.
pub struct Sessions {
    /// A digest belongs to one session forever, so this index is never out of date.
    ids: Cache<Box<str>, SessionId>,
    by_id: Cache<SessionId, Arc<LiveSession>>,
    /// Sessions that were forgotten because something about them changed, as they were known.
    former: Cache<SessionId, Arc<LiveSession>>,
    pending: Mutex<HashMap<SessionId, Arc<LiveSession>>>,
    /// Ends that apply here but are not written yet.
    pub held: HeldEnds,
    epoch: Epoch,
    streams: Arc<EventStreams>,
}

impl Sessions {
    pub(super) fn new(capacity: usize, epoch: Epoch, streams: Arc<EventStreams>) -> Self {
        Self {
            ids: Cache::new(capacity),
            by_id: Cache::new(capacity),
            former: Cache::new(capacity.min(MAX_FORMER)),
            pending: Mutex::default(),
            held: HeldEnds::default(),
            epoch,
            streams,
        }
    }

    /// Returns the remembered session of a token.
    pub fn get(&self, digest: &str) -> Option<Arc<LiveSession>> {
        self.ids.get(digest).and_then(|id| self.by_id.get(&id))
    }

    /// Returns a remembered session.
    pub fn get_by_id(&self, id: SessionId) -> Option<Arc<LiveSession>> {
        self.by_id.get(&id)
    }

    /// Returns the session of a token as it was last known, even if something about it changed
    /// since: enough to hold an end that is checked before it is written, and for nothing else.
    pub fn last_known(&self, digest: &str) -> Option<Arc<LiveSession>> {
        let id = self.ids.get(digest)?;
        self.by_id.get(&id).or_else(|| self.former.get(&id))
    }

    /// Remembers a row that was read after `epoch` was taken, with the activity that is not yet
    /// written.
    pub fn remember(&self, row: Session, epoch: u64) -> Arc<LiveSession> {
        let session = Arc::new(LiveSession::new(row));
        if let Some(unwritten) = self.pending().get(&session.id()) {
            let life = unwritten.life();
            session.raise(life.last_active_at, life.last_seen_at);
        }
        let id = session.id();
        if let Some(earlier) = self.by_id.get(&id).or_else(|| self.former.get(&id)) {
            session.keep_limits_of(&earlier);
        }
        // A row that is read while its end waits for the database must not revive the session.
        if let Some(reason) = self.held.reason_for(&session.row) {
            session.end(reason);
        }
        for token in &session.row.tokens {
            self.ids.insert(token.digest.as_str().into(), session.id());
        }
        self.by_id.insert(session.id(), session.clone());
        if self.epoch.current() != epoch {
            self.retire(session.id());
        }
        session
    }

    /// Removes a session from what is trusted, and keeps what was known of it.
    fn retire(&self, id: SessionId) {
        if let Some((_, session)) = self.by_id.remove(&id) {
            self.former.insert(id, session);
        }
    }

    /// Records activity (`active`) or only that a window is open.
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
        self.streams.wake_active(session.id());
    }

    /// Returns the unwritten activity. Each flush writes all of it.
    pub fn unwritten(&self) -> Vec<Touch> {
        self.pending()
            .values()
            .map(|session| {
                let life = session.life();
                (session.id(), life.last_active_at, life.last_seen_at)
            })
            .collect()
    }

    /// Returns the IP addresses to show that are not written yet.
    pub fn unwritten_addresses(&self) -> Vec<(SessionId, IpAddr)> {
        let pending = self.pending();
        let unwritten = |session: &Arc<LiveSession>| {
            let notes = session.notes();
            (!notes.is_shown_ip_written).then_some((session.id(), notes.shown_ip))
        };
        pending.values().filter_map(unwritten).collect()
    }

    /// Marks IP addresses as written.
    pub fn mark_addresses_written(&self, addresses: &[(SessionId, IpAddr)]) {
        let pending = self.pending();
        for (id, ip) in addresses {
            if let Some(session) = pending.get(id) {
                let mut notes = session.notes();
                notes.is_shown_ip_written = notes.shown_ip == *ip;
            }
        }
    }

    /// Marks activity as written.
    pub fn mark_written(&self, touches: &[Touch]) {
        let mut pending = self.pending();
        for (id, active, seen) in touches {
            if let Some(current) = self.by_id.get(id) {
                current.note_stored(*active, *seen);
            }
            if let Some(session) = pending.get(id) {
                session.note_stored(*active, *seen);
                // In this order: a concurrent touch raises first and queues itself afterwards.
                session.queued.store(false, Ordering::SeqCst);
                if session.is_dirty() {
                    session.queued.store(true, Ordering::SeqCst);
                } else {
                    pending.remove(id);
                }
            }
        }
    }

    /// Forgets a session whose row changed: the next use reads it again. Unwritten activity is
    /// kept.
    pub fn forget(&self, id: SessionId) {
        self.forget_quietly(&[id]);
        self.streams.wake_session(id);
    }

    /// Forgets sessions whose rows changed; the caller notifies their streams.
    pub(super) fn forget_quietly(&self, ids: &[SessionId]) {
        self.epoch.advance();
        ids.iter().for_each(|id| self.retire(*id));
    }

    /// Ends the session here immediately, whether or not the write succeeds.
    pub fn end(&self, id: SessionId, reason: EndReason) {
        if let Some(session) = self.by_id.get(&id) {
            session.end(reason);
        }
        self.streams.end_session(id);
    }

    /// Ends sessions here immediately, and holds the end until it is written. `None`: too many are
    /// held, so that only what is remembered has ended.
    pub fn hold(&self, end: HeldEnd) -> Option<HeldEndId> {
        // Held first, so that a row that is read meanwhile is compared with it.
        let id = self.held.add(end.clone());
        match &end.scope {
            HeldScope::Sessions(ids) | HeldScope::OwnSessions(ids) => {
                let known = ids.iter().filter_map(|id| self.by_id.get(id));
                known.for_each(|session| self.end_covered(&end, &session));
            }
            HeldScope::Token(digest) => {
                if let Some(session) = self.get(digest) {
                    self.end_covered(&end, &session);
                }
            }
            HeldScope::OtherSessions
            | HeldScope::Account(_)
            | HeldScope::Matching { .. }
            | HeldScope::MatchingAccounts(_) => {
                self.by_id
                    .iter()
                    .for_each(|(_, session)| self.end_covered(&end, &session));
            }
        }
        id
    }

    fn end_covered(&self, end: &HeldEnd, session: &LiveSession) {
        if end.covers(&session.row) {
            session.end(end.reason);
            self.streams.end_session(session.id());
        }
    }

    /// Forgets every cached session, and wakes all streams; the next use of each session reads it
    /// again.
    pub fn forget_all(&self) {
        self.forget_all_quietly();
        self.streams.wake_all();
    }

    /// Forgets every cached session; the caller notifies the streams.
    pub(super) fn forget_all_quietly(&self) {
        let known: Vec<_> = self.by_id.iter().map(|(id, _)| id).collect();
        self.forget_quietly(&known);
    }

    /// Returns the number of remembered sessions.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Returns whether no session is remembered.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<LiveSession>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
