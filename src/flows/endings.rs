//! How sessions and accounts end inside a write: row, clocks, audit event and announcement together. When they end is `domain`.

use super::{Acting, Ctx};
use crate::{
    domain::{
        account::{self, ExpiryFacts, ExpiryRule},
        audit::{Actor, Entry, Event, Origin, Outcome},
        policy::effective::{AccountPolicy, ExpireSuperusers},
        session::{EndReason, LifeFacts, SessionId, ends_at},
        time::Timestamp,
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        accounts::{self, Account, ExpiryBounds, count_usable_administrators},
        changes::{self, ChangeKind},
        sessions::{self, Session},
    },
};

/// One session's end, as it is written.
pub(super) struct Ending<'a> {
    pub(super) session: &'a Session,
    pub(super) account_name: &'a str,
    pub(super) reason: EndReason,
    pub(super) at: Timestamp,
    pub(super) acting: &'a Acting,
    pub(super) detail: serde_json::Value,
}

impl Ctx {
    /// Ends one session inside a write: row, account's clock, audit, announcement. False: it had ended before.
    pub(super) fn end_in(&self, c: &mut Conn, now: Timestamp, end: &Ending<'_>) -> Result<bool, StoreError> {
        let session = end.session;
        // The order that all writes keep: the account before its sessions.
        sessions::lock_account_sessions(c, session.account_id)?;
        let by = end.acting.account_id().is_some().then(|| end.acting.name());
        if !sessions::end(c, session.id, end.reason, end.at, by.as_deref())? {
            return Ok(false);
        }
        accounts::set_last_session_ended(c, session.account_id, end.at)?;
        changes::announce(c, ChangeKind::Session, &session.id.0.to_string())?;
        let entry = Entry {
            event: Event::SessionEnded,
            actor: end.acting.actor.clone(),
            account: Some((Some(session.account_id), end.account_name.to_owned())),
            session: Some(session.id),
            origin: end.acting.origin.clone(),
            application: None,
            outcome: Outcome::Success,
            reason: Some(end.reason.as_str().to_owned()),
            detail: end.detail.clone(),
        };
        self.record(c, now, &entry)?;
        Ok(true)
    }

    /// Ends these sessions of an account; the ids of those that had not ended before.
    pub(super) fn end_each_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: &Account,
        sessions: &[Session],
        reason: EndReason,
        acting: &Acting,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut ended = Vec::new();
        for session in sessions {
            let ending = Ending {
                session,
                account_name: &account.name,
                reason,
                at: now,
                acting,
                detail: serde_json::Value::Null,
            };
            if self.end_in(c, now, &ending)? {
                ended.push(session.id);
            }
        }
        Ok(ended)
    }

    /// Ends every live session of an account.
    pub(super) fn end_all_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: &Account,
        reason: EndReason,
        acting: &Acting,
    ) -> Result<Vec<SessionId>, StoreError> {
        let live = sessions::live_of_account(c, account.id)?;
        self.end_each_in(c, now, account, &live, reason, acting)
    }

    /// Before the write that ends sessions: they end here at once, and are kept to be written later if this write fails.
    pub(super) fn hold_endings(&self, ids: &[SessionId], reason: EndReason, at: Timestamp) {
        for session in ids.iter().filter_map(|id| self.live.sessions.get_by_id(*id)) {
            if session.end(reason) {
                self.live.sessions.keep_until_written(&session, at);
            }
        }
    }

    /// After the write that ended sessions: this instance's memory follows.
    pub(super) fn forget_ended(&self, ended: &[SessionId], reason: EndReason) {
        for id in ended {
            self.live.sessions.end(*id, reason);
            self.live.sessions.ending_written(*id);
            self.live.sessions.forget(*id);
        }
    }

    /// Whether an account has expired, decided inside a write or read.
    pub(super) fn expiry_facts(
        &self,
        c: &mut Conn,
        account: &Account,
        has_live_session: bool,
    ) -> Result<ExpiryFacts, StoreError> {
        let is_last_administrator = account.role == account::Role::Administrator
            && account.disabled_at.is_none()
            && account.expired_at.is_none()
            && count_usable_administrators(c, Some(account.id), self.now())? == 0;
        Ok(ExpiryFacts {
            role: account.role,
            created_at: account.created_at,
            activated_at: account.activated_at,
            has_live_session,
            last_sign_in_at: account.last_sign_in_at,
            last_session_ended_at: account.last_session_ended_at,
            expires_at: account.expires_at,
            is_last_administrator,
        })
    }

    /// Expires the account if a rule says so: row, its sessions, audit, announcement. Inside a write that holds the administrators' lock.
    pub(super) fn expire_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: &mut Account,
        policy: &AccountPolicy,
    ) -> Result<Option<ExpiryRule>, StoreError> {
        if account.expired_at.is_some() || account.disabled_at.is_some() || !concerned(account, policy) {
            return Ok(None);
        }
        let in_force = self.in_force();
        let sessions = sessions::live_of_account(c, account.id)?;
        let live: Vec<&Session> = sessions
            .iter()
            .filter(|session| self.is_live(&in_force, account, session, now))
            .collect();
        let facts = self.expiry_facts(c, account, !live.is_empty())?;
        let facts = self.with_unswept_end(facts, &in_force, account, &sessions, now);
        let Some(rule) = account::expired_at(&facts, policy, now) else {
            return Ok(None);
        };
        account.expired_at = Some(now);
        account.expired_by = Some(rule.code().to_owned());
        accounts::update(c, account)?;
        self.end_each_in(c, now, account, &sessions, EndReason::AccountExpired, &Acting::system())?;
        let entry = Entry {
            event: Event::AccountExpired,
            actor: Actor::System,
            account: Some((Some(account.id), account.name.clone())),
            session: None,
            origin: Origin::default(),
            application: None,
            outcome: Outcome::Success,
            reason: Some(rule.code().to_owned()),
            detail: serde_json::Value::Null,
        };
        self.record(c, now, &entry)?;
        self.tell_expired_in(c, now, account)?;
        Ok(Some(rule))
    }

    /// A session that its rule ended, but that no sweep has marked yet, counts as ended at that instant.
    pub(super) fn with_unswept_end(
        &self,
        mut facts: ExpiryFacts,
        in_force: &InForce,
        account: &Account,
        sessions: &[Session],
        now: Timestamp,
    ) -> ExpiryFacts {
        let unswept = sessions
            .iter()
            .filter_map(|session| self.ended_by_rule(in_force, account, session, now))
            .map(|(at, _)| at)
            .max();
        facts.last_session_ended_at = facts.last_session_ended_at.max(unswept);
        facts
    }

    /// When and why a rule ended a session that no one has marked as ended, `None` while it lives.
    /// Never before the save that brought the rule.
    pub(super) fn ended_by_rule(
        &self,
        in_force: &InForce,
        account: &Account,
        session: &Session,
        now: Timestamp,
    ) -> Option<(Timestamp, EndReason)> {
        let policy = in_force.effective(account.role, &session.applications, None);
        let life = self.life_of(session);
        let end = ends_at(&life, &policy)?;
        (now > end.at).then(|| (end.at.max(in_force.since.min(now)), end.reason))
    }

    pub(super) fn is_live(&self, in_force: &InForce, account: &Account, session: &Session, now: Timestamp) -> bool {
        self.ended_by_rule(in_force, account, session, now).is_none()
    }

    /// The row's clock facts, with the activity that this instance has not written yet.
    pub(super) fn life_of(&self, session: &Session) -> LifeFacts {
        let stored = session.life();
        match self.live.sessions.get_by_id(session.id) {
            Some(known) => {
                let known = known.life();
                LifeFacts {
                    signed_in_at: stored.signed_in_at,
                    last_active_at: stored.last_active_at.max(known.last_active_at),
                    last_seen_at: stored.last_seen_at.max(known.last_seen_at),
                }
            }
            None => stored,
        }
    }
}

/// Whether any rule could expire the account: most installations have none, and then its sessions need not be looked at.
pub(super) fn concerned(account: &Account, policy: &AccountPolicy) -> bool {
    account.expires_at.is_some()
        || policy.expires_after.is_some()
        || policy.expire_unused_after.is_some()
        || matches!(policy.expire_superusers, ExpireSuperusers::After(_))
}

/// Instants before which an account may be due under any rule in force, `by` then.
pub(super) fn expiry_bounds(policy: &AccountPolicy, by: Timestamp) -> ExpiryBounds {
    let superusers = match policy.expire_superusers {
        ExpireSuperusers::After(span) => Some(span),
        ExpireSuperusers::LikeEveryone | ExpireSuperusers::Never => None,
    };
    let shortest = [policy.expires_after, superusers].into_iter().flatten().min();
    ExpiryBounds {
        dated_before: by,
        ended_before: shortest.map(|span| by.saturating_sub(span)),
        unused_before: policy.expire_unused_after.map(|span| by.saturating_sub(span)),
    }
}
