//! Ending sessions inside a write: row, the account's times, audit event and announcement together.
//! `domain::session` decides when sessions end.

use super::{Ctx, Write};
use crate::{
    domain::{
        account::{Account, AccountId, Role},
        agent,
        audit::{Event, RequestOrigin},
        network,
        session::{EndCause, EndReason, LifeFacts, Session, SessionId, ends_at},
        time::Timestamp,
    },
    live::policy::PolicyInForce,
    store::{StoreError, accounts, sessions},
};
use std::collections::BTreeMap;

/// The end of one session, to be written.
pub(super) struct SessionEnd<'a> {
    pub(super) session: &'a Session,
    pub(super) account_name: &'a str,
    pub(super) reason: EndReason,
    /// When it ended; a rule may have ended it before anyone noticed.
    pub(super) at: Timestamp,
    /// JSON for the audit event.
    pub(super) detail: serde_json::Value,
}

impl Write<'_> {
    /// Ends a session now. Returns false if it had ended before.
    pub(super) fn end_session(
        &mut self,
        session: &Session,
        account_name: &str,
        reason: EndReason,
    ) -> Result<bool, StoreError> {
        self.write_session_end(&SessionEnd {
            session,
            account_name,
            reason,
            at: self.now,
            detail: serde_json::Value::Null,
        })
    }

    /// Writes a session's end: row, account's times, audit event, announcement. Returns false if it
    /// had ended before.
    pub(super) fn write_session_end(&mut self, end: &SessionEnd<'_>) -> Result<bool, StoreError> {
        let session = end.session;
        // The order of all writes: the account before its sessions.
        sessions::lock_account_sessions(self.connection, session.account_id)?;
        let ended_by = self.initiator.is_person().then(|| self.initiator.name());
        let cause = self.end_cause(session, end.reason)?;
        let ended = sessions::end(
            self.connection,
            session.id,
            end.reason,
            end.at,
            ended_by.as_deref(),
            Some(&cause),
        )?;
        if !ended {
            return Ok(false);
        }
        accounts::set_last_session_ended(self.connection, session.account_id, end.at)?;
        let entry = self
            .entry(Event::SessionEnded)
            .with_account(session.account_id, end.account_name)
            .in_session(session.id)
            .with_reason(end.reason.as_str())
            .with_detail(self.end_detail(end, &cause));
        self.record(&entry)?;
        self.note_ended(session.id, end.reason);
        Ok(true)
    }

    /// The sessions that are there, by id, their owners' rows held: administrators, accounts by id,
    /// sessions by id, as all writes do.
    pub(super) fn hold_sessions(&mut self, mut ids: Vec<SessionId>) -> Result<Vec<(Session, Account)>, StoreError> {
        accounts::lock_administrators(self.connection)?;
        ids.sort();
        ids.dedup();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(sessions::find(self.connection, id)?);
        }
        let mut owners: Vec<AccountId> = found.iter().map(|session| session.account_id).collect();
        owners.sort();
        owners.dedup();
        let mut held = BTreeMap::new();
        for owner in owners {
            sessions::lock_account_sessions(self.connection, owner)?;
            held.extend(accounts::find(self.connection, owner)?.map(|account| (owner, account)));
        }
        let with_owner = |session: Session| held.get(&session.account_id).cloned().map(|account| (session, account));
        Ok(found.into_iter().filter_map(with_owner).collect())
    }

    /// Returns the audit detail of an ended session: why it ended, what the action adds, and when
    /// it ended if that is written later.
    fn end_detail(&self, end: &SessionEnd<'_>, cause: &EndCause) -> serde_json::Value {
        let mut whole = cause.to_json();
        if let Some(whole) = whole.as_object_mut() {
            whole.extend(end.detail.as_object().cloned().unwrap_or_default());
            if cause.due_at.is_none() && end.at != self.now {
                whole.insert("ended_at".to_owned(), end.at.to_rfc3339().into());
            }
        }
        whole
    }
    /// Finds the rule, its limit and the policy that end a session. They are stored, so that a
    /// later policy does not change them.
    fn end_cause(&mut self, session: &Session, reason: EndReason) -> Result<EndCause, StoreError> {
        let role = accounts::find(self.connection, session.account_id)?.map_or(Role::Member, |account| account.role);
        let life = self.ctx.life_of(session);
        let in_force = self.ctx.in_force();
        let cause = EndCause::new(reason, &life, role, &session.applications, &in_force.policy);
        Ok(EndCause {
            refused_client: refused_client(&self.initiator.origin, reason),
            ..cause
        })
    }

    /// Ends these sessions of an account; returns how many had not ended before.
    pub(super) fn end_sessions(
        &mut self,
        account: &Account,
        sessions: &[Session],
        reason: EndReason,
    ) -> Result<usize, StoreError> {
        let mut ended = 0;
        for session in sessions {
            ended += usize::from(self.end_session(session, &account.name, reason)?);
        }
        Ok(ended)
    }

    /// Ends every live session of an account; returns their number.
    pub(super) fn end_account_sessions(&mut self, account: &Account, reason: EndReason) -> Result<usize, StoreError> {
        let live = sessions::list_live_of_account(self.connection, account.id)?;
        self.end_sessions(account, &live, reason)
    }
}

/// Returns what distinguishes the client whose request ended a session: its address, or its
/// browser.
fn refused_client(origin: &RequestOrigin, reason: EndReason) -> Option<String> {
    match reason {
        EndReason::Network | EndReason::NetworkAllowance | EndReason::RotatedReuse => {
            origin.ip.map(|ip| network::canonical(ip).to_string())
        }
        EndReason::UserAgent => Some(agent::describe(origin.user_agent.as_deref())),
        _ => None,
    }
}

impl Ctx {
    /// Updates this instance's memory after the write that ended a session.
    pub(super) fn forget_ended(&self, id: SessionId, reason: EndReason) {
        self.live.sessions.end(id, reason);
        self.live.sessions.forget(id);
    }

    /// Returns when and why a rule ended a session that has not been marked as ended; `None` while
    /// it is live. The end is never before the save that introduced the rule.
    pub(super) fn ended_by_rule(
        &self,
        in_force: &PolicyInForce,
        account: &Account,
        session: &Session,
        now: Timestamp,
    ) -> Option<(Timestamp, EndReason)> {
        let policy = in_force.effective(account.role, &session.applications, None);
        let life = self.life_of(session);
        let end = ends_at(&life, &policy)?;
        (now > end.at).then(|| (end.at.max(in_force.since.min(now)), end.reason))
    }

    /// Returns whether no rule has ended the session.
    pub(super) fn is_live(
        &self,
        in_force: &PolicyInForce,
        account: &Account,
        session: &Session,
        now: Timestamp,
    ) -> bool {
        self.ended_by_rule(in_force, account, session, now).is_none()
    }

    /// Returns the row's times, with the activity that this instance has not written yet.
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
