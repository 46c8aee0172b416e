//! Ends of sessions that apply on this instance but may not be written yet, because the database
//! was unavailable. Each contains who ended the sessions and why, so that the later write records
//! exactly that.

use crate::domain::{
    account::{AccountFilter, AccountId},
    audit::Initiator,
    session::{EndReason, Session, SessionFilter, SessionId},
    time::Timestamp,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Maximum number of ends that are held. Each came from a person with a session, or from a rule
/// that applied to one.
const MAX_HELD: usize = 10_000;

/// Which sessions an end covers.
#[derive(Debug, Clone, PartialEq)]
pub enum HeldScope {
    /// These sessions, regardless of their owner.
    Sessions(Vec<SessionId>),
    /// Those of these sessions that the initiator owns.
    OwnSessions(Vec<SessionId>),
    /// All sessions of the initiator except the one that asked.
    OtherSessions,
    /// The session with the token of this digest, whose bearer signs out.
    Token(String),
    /// All sessions of this account.
    Account(AccountId),
    /// All sessions that match, except one.
    Matching {
        /// The filter.
        filter: Box<SessionFilter>,
        /// The session that stays.
        keep: Option<SessionId>,
    },
    /// All sessions of the accounts that match, except the initiator's.
    MatchingAccounts(Box<AccountFilter>),
}

/// An end of sessions: which, why, when and by whom.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldEnd {
    /// Which sessions. Of those that are not listed one by one, only the ones that were signed in
    /// by then.
    pub scope: HeldScope,
    /// Why they end.
    pub reason: EndReason,
    /// When they ended.
    pub at: Timestamp,
    /// The actor who ended them, with the request.
    pub initiator: Initiator,
    /// JSON for the audit event.
    pub detail: serde_json::Value,
    /// Whether the initiator's session could only be judged from memory. It is looked up before the
    /// end is written.
    pub is_unverified: bool,
}

impl HeldEnd {
    /// Returns whether the end covers this session. Only the database can evaluate a filter.
    pub fn covers(&self, session: &Session) -> bool {
        let owner = session.account_id;
        let was_there = session.signed_in_at <= self.at;
        match &self.scope {
            HeldScope::Sessions(ids) => ids.contains(&session.id),
            HeldScope::OwnSessions(ids) => self.initiator.account_id() == Some(owner) && ids.contains(&session.id),
            HeldScope::OtherSessions => {
                was_there && self.initiator.account_id() == Some(owner) && self.initiator.session != Some(session.id)
            }
            HeldScope::Token(digest) => session.tokens.iter().any(|token| token.digest == *digest),
            HeldScope::Account(id) => was_there && *id == owner,
            HeldScope::Matching { filter, keep } => {
                was_there && *keep != Some(session.id) && **filter == SessionFilter::default()
            }
            HeldScope::MatchingAccounts(_) => false,
        }
    }

    /// Returns whether only the database can tell if the end covers this session.
    pub fn may_cover(&self, session: &Session) -> bool {
        let is_meant = match &self.scope {
            HeldScope::Matching { filter, keep } => *keep != Some(session.id) && **filter != SessionFilter::default(),
            HeldScope::MatchingAccounts(_) => self.initiator.account_id() != Some(session.account_id),
            HeldScope::Sessions(_)
            | HeldScope::OwnSessions(_)
            | HeldScope::OtherSessions
            | HeldScope::Token(_)
            | HeldScope::Account(_) => false,
        };
        is_meant && session.signed_in_at <= self.at
    }
}

/// Identifies a held end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldEndId(u64);

/// The held ends, in order of arrival.
#[derive(Debug, Default)]
pub struct HeldEnds {
    list: Mutex<HeldEndList>,
    /// Whether an end waits for the database; read with every request.
    has_delayed: AtomicBool,
}

#[derive(Debug, Default)]
struct HeldEndList {
    next: u64,
    ends: BTreeMap<HeldEndId, Arc<HeldEnd>>,
    /// Those that the database did not take at once.
    delayed: BTreeSet<HeldEndId>,
}

impl HeldEnds {
    /// Holds an end. A repeated one is held once, in the name of the first person who asked.
    /// `None`: too many are held.
    pub(super) fn add(&self, end: HeldEnd) -> Option<HeldEndId> {
        let mut list = self.list();
        let same = |held: &HeldEnd| held.scope == end.scope && held.reason == end.reason;
        if let Some((id, _)) = list.ends.iter().find(|(_, held)| same(held)) {
            return Some(*id);
        }
        if list.ends.len() >= MAX_HELD {
            return None;
        }
        let id = HeldEndId(list.next);
        list.next += 1;
        list.ends.insert(id, Arc::new(end));
        Some(id)
    }

    /// Returns a held end.
    pub fn get(&self, id: HeldEndId) -> Option<Arc<HeldEnd>> {
        self.list().ends.get(&id).cloned()
    }

    /// Drops an end that was written.
    pub fn release(&self, id: HeldEndId) {
        let mut list = self.list();
        list.ends.remove(&id);
        list.delayed.remove(&id);
        self.has_delayed.store(!list.delayed.is_empty(), Ordering::SeqCst);
    }

    /// Notes whether an end waits for the database. The sessions that it may cover then wait too.
    pub fn note_delayed(&self, id: HeldEndId, is_delayed: bool) {
        let mut list = self.list();
        if is_delayed && list.ends.contains_key(&id) {
            list.delayed.insert(id);
        } else {
            list.delayed.remove(&id);
        }
        self.has_delayed.store(!list.delayed.is_empty(), Ordering::SeqCst);
    }

    /// Returns the ends that wait for the database. What they may cover is in doubt until they are
    /// written, so take them before reading a session.
    pub fn delayed(&self) -> Vec<Arc<HeldEnd>> {
        if !self.has_delayed.load(Ordering::SeqCst) {
            return Vec::new();
        }
        let list = self.list();
        let delayed = list.delayed.iter().filter_map(|id| list.ends.get(id));
        delayed.cloned().collect()
    }

    /// Returns all held ends, oldest first.
    pub fn all(&self) -> Vec<(HeldEndId, Arc<HeldEnd>)> {
        self.list().ends.iter().map(|(id, end)| (*id, end.clone())).collect()
    }

    /// Returns how many ends are held.
    pub fn len(&self) -> usize {
        self.list().ends.len()
    }

    /// Returns whether no end is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns why a session has ended here, if a held end covers it.
    pub fn reason_for(&self, session: &Session) -> Option<EndReason> {
        let list = self.list();
        let mut ends = list.ends.values();
        ends.find(|end| end.covers(session)).map(|end| end.reason)
    }

    /// Returns the sessions that are listed one by one: id, reason and instant.
    pub fn named_sessions(&self) -> Vec<(SessionId, EndReason, Timestamp)> {
        let list = self.list();
        let named = list.ends.values().flat_map(|end| {
            let ids = match &end.scope {
                HeldScope::Sessions(ids) => ids.as_slice(),
                HeldScope::OwnSessions(_)
                | HeldScope::OtherSessions
                | HeldScope::Token(_)
                | HeldScope::Account(_)
                | HeldScope::Matching { .. }
                | HeldScope::MatchingAccounts(_) => &[],
            };
            ids.iter().map(|id| (*id, end.reason, end.at))
        });
        named.collect()
    }

    fn list(&self) -> MutexGuard<'_, HeldEndList> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
