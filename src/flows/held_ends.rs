//! Ends of sessions that a database failure cannot delay: they apply on this instance immediately
//! and are written as soon as the database is available, in the name of the person who ended them.

use super::{Ctx, FlowError, Write, patience::with_long_patience, session_ends::SessionEnd};
use crate::{
    domain::{
        account::{Account, AccountFilter, Role},
        audit::{Actor, AuditEntry, Event, Initiator},
        session::{EndReason, Session, SessionFilter, SessionId, ends_at},
    },
    live::held_ends::{HeldEnd, HeldEndId, HeldScope},
    store::{StoreError, accounts, sessions},
};

/// Maximum number of sessions that one write of an end by filter ends.
const BATCH: i64 = 500;

/// The outcome of writing a held end.
enum WrittenEnd {
    /// The number of sessions that it ended.
    Ended(usize),
    /// The initiator was not allowed to: their session was over, or the account is not an
    /// administrator.
    Refused,
}

impl Ctx {
    /// Returns an end of sessions as of now, in the name of the initiator.
    pub(super) fn new_end(&self, initiator: &Initiator, scope: HeldScope, reason: EndReason) -> HeldEnd {
        HeldEnd {
            scope,
            reason,
            at: self.now(),
            initiator: initiator.clone(),
            detail: serde_json::Value::Null,
            is_unverified: initiator.session.is_some_and(|id| !self.is_current(id)),
        }
    }

    /// Returns whether memory may be trusted about a session, and knows it as live.
    fn is_current(&self, id: SessionId) -> bool {
        let known = self.live.sessions.get_by_id(id);
        self.live.freshness.is_fresh() && known.is_some_and(|known| known.ended().is_none())
    }

    /// Ends sessions here immediately and writes the end; returns how many were live.
    /// [`FlowError::EndHeld`]: the database is unavailable, and the end is written later.
    pub(super) async fn end_now(&self, end: HeldEnd) -> Result<usize, FlowError> {
        let held = self.live.sessions.hold(end.clone());
        // The same end may have been asked for before; then it is written in that person's name.
        let end = held
            .and_then(|id| self.live.sessions.held.get(id))
            .map_or(end, |held| (*held).clone());
        self.write_held(held, &end).await.map_err(|error| match (error, held) {
            (FlowError::Unavailable(words), Some(id)) => {
                self.live.sessions.held.note_delayed(id, true);
                FlowError::EndHeld(words)
            }
            (error, _) => error,
        })
    }

    /// Does the same as [`Ctx::end_now`], with the form that asked for the end, if there is one.
    /// The claim of its key does not delay the end here.
    pub(super) async fn end_with_form(&self, end: HeldEnd) -> Result<usize, FlowError> {
        self.live.sessions.hold(end.clone());
        let (act, held) = (end.clone(), end);
        let done = self.perform_form(async move |ctx: Ctx| ctx.end_now(act).await).await;
        self.hold_on_failure(done, || vec![held])
    }

    /// Holds ends whose write failed because the database is unavailable.
    pub(super) fn hold_on_failure<T>(
        &self,
        result: Result<T, FlowError>,
        ends: impl FnOnce() -> Vec<HeldEnd>,
    ) -> Result<T, FlowError> {
        match result {
            Err(FlowError::Unavailable(words) | FlowError::EndHeld(words)) => Err(self.hold_all(ends(), words)),
            other => other,
        }
    }

    /// Holds ends that the database did not take, for this reason.
    pub(super) fn hold_all(&self, ends: Vec<HeldEnd>, words: String) -> FlowError {
        let held: Vec<_> = ends.into_iter().map(|end| self.live.sessions.hold(end)).collect();
        for id in held.iter().flatten() {
            self.live.sessions.held.note_delayed(*id, true);
        }
        if !held.is_empty() && held.iter().all(Option::is_some) {
            FlowError::EndHeld(words)
        } else {
            FlowError::Unavailable(words)
        }
    }

    /// Writes all held ends, oldest first, and returns how many. Stops at the first that the
    /// database does not accept.
    pub(super) async fn write_held_ends(&self) -> Result<usize, FlowError> {
        let mut failed = None;
        let mut written = 0;
        for (id, end) in self.live.sessions.held.all() {
            match self.write_held(Some(id), &end).await {
                Ok(_) => written += 1,
                Err(error @ FlowError::Unavailable(_)) => return Err(error),
                // An end that cannot be written does not delay the others.
                Err(error) => {
                    self.live.sessions.held.note_delayed(id, false);
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(written), Err)
    }

    async fn write_held(&self, id: Option<HeldEndId>, end: &HeldEnd) -> Result<usize, FlowError> {
        let written = match &end.scope {
            HeldScope::Matching { filter, keep } => self.write_matching(end, filter, *keep).await?,
            HeldScope::MatchingAccounts(filter) => self.write_matching_accounts(end, filter).await?,
            HeldScope::Sessions(_)
            | HeldScope::OwnSessions(_)
            | HeldScope::OtherSessions
            | HeldScope::Token(_)
            | HeldScope::Account(_) => {
                let written = end.clone();
                self.write(&end.initiator, move |w| w.write_held(&written)).await?
            }
        };
        if let Some(id) = id {
            self.live.sessions.held.release(id);
        }
        match written {
            WrittenEnd::Ended(ended) => {
                if let HeldScope::Sessions(ids) = &end.scope {
                    ids.iter().for_each(|id| self.forget_ended(*id, end.reason));
                }
                Ok(ended)
            }
            WrittenEnd::Refused => {
                let actor = end.initiator.name();
                tracing::warn!(%actor, "an end of sessions was dropped: its initiator had already been signed out");
                // Sessions that ended only here are read again.
                self.live.sessions.forget_all();
                Ok(0)
            }
        }
    }

    /// Ends the sessions that match a filter and existed when the end was asked for, page by page.
    async fn write_matching(
        &self,
        end: &HeldEnd,
        filter: &SessionFilter,
        keep: Option<SessionId>,
    ) -> Result<WrittenEnd, FlowError> {
        let mut filter = SessionFilter {
            limit: BATCH,
            ..filter.clone()
        };
        let mut all_ended = 0;
        loop {
            let page = filter.clone();
            let found = self.read(move |r| Ok(sessions::list(r.connection, &page)?)).await?;
            let due = found.items.iter().map(|row| &row.session);
            let due = due.filter(|session| Some(session.id) != keep && session.signed_in_at <= end.at);
            let part = HeldEnd {
                scope: HeldScope::Sessions(due.map(|session| session.id).collect()),
                ..end.clone()
            };
            let written = with_long_patience(self.write(&end.initiator, move |w| w.write_held(&part))).await?;
            match written {
                WrittenEnd::Ended(ended) => all_ended += ended,
                WrittenEnd::Refused => return Ok(WrittenEnd::Refused),
            }
            filter.after = found.items.last().map(|row| row.cursor(filter.state));
            if !found.older || filter.after.is_none() {
                return Ok(WrittenEnd::Ended(all_ended));
            }
        }
    }
}

impl Ctx {
    /// Ends the sessions of the accounts that match a filter, account by account.
    async fn write_matching_accounts(&self, end: &HeldEnd, filter: &AccountFilter) -> Result<WrittenEnd, FlowError> {
        let filter = filter.clone();
        let ids = self
            .read(move |r| Ok(accounts::list_ids(r.connection, &filter)?))
            .await?;
        let mut all_ended = 0;
        for id in ids.into_iter().filter(|id| end.initiator.account_id() != Some(*id)) {
            let part = HeldEnd {
                scope: HeldScope::Account(id),
                ..end.clone()
            };
            let written = with_long_patience(self.write(&end.initiator, move |w| w.write_held(&part))).await?;
            match written {
                WrittenEnd::Ended(ended) => all_ended += ended,
                WrittenEnd::Refused => return Ok(WrittenEnd::Refused),
            }
        }
        Ok(WrittenEnd::Ended(all_ended))
    }
}

impl Write<'_> {
    fn write_held(&mut self, end: &HeldEnd) -> Result<WrittenEnd, FlowError> {
        if end.is_unverified && !self.was_permitted(end)? {
            return Ok(WrittenEnd::Refused);
        }
        let ids = self.sessions_of(end)?;
        let mut ended = 0;
        for (session, account) in self.hold_sessions(ids)? {
            if matches!(end.scope, HeldScope::OwnSessions(_)) && end.initiator.account_id() != Some(account.id) {
                continue;
            }
            ended += usize::from(self.write_one(end, &session, &account)?);
        }
        Ok(WrittenEnd::Ended(ended))
    }

    /// Returns whether the initiator's session was live when the end was asked for, and whether it
    /// may end those sessions.
    fn was_permitted(&mut self, end: &HeldEnd) -> Result<bool, StoreError> {
        let Some(session) = end.initiator.session else {
            return Ok(true);
        };
        let Some(session) = sessions::find(self.connection, session)? else {
            return Ok(false);
        };
        let Some(account) = accounts::find(self.connection, session.account_id)? else {
            return Ok(false);
        };
        let before = |instant: Option<_>| instant.is_some_and(|at| at < end.at);
        let policy = self.ctx.in_force().effective(account.role, &session.applications, None);
        let over = ends_at(&self.ctx.life_of(&session), &policy).is_some_and(|rule| rule.at < end.at);
        let is_own = match end.scope {
            HeldScope::OwnSessions(_) | HeldScope::OtherSessions | HeldScope::Token(_) => true,
            // Signing out.
            HeldScope::Sessions(_) if end.reason == EndReason::SignedOut => true,
            HeldScope::Sessions(_)
            | HeldScope::Account(_)
            | HeldScope::Matching { .. }
            | HeldScope::MatchingAccounts(_) => false,
        };
        Ok(!before(session.ended_at)
            && !before(account.disabled_at)
            && !before(account.expired_at)
            && !over
            && (is_own || account.role == Role::Administrator))
    }

    fn sessions_of(&mut self, end: &HeldEnd) -> Result<Vec<SessionId>, StoreError> {
        let of_account = |w: &mut Self, account| -> Result<Vec<SessionId>, StoreError> {
            let live = sessions::list_live_of_account(w.connection, account)?;
            let due = live.iter().filter(|session| end.covers(session));
            Ok(due.map(|session| session.id).collect())
        };
        Ok(match &end.scope {
            HeldScope::Sessions(ids) | HeldScope::OwnSessions(ids) => ids.clone(),
            HeldScope::OtherSessions => match end.initiator.account_id() {
                Some(account) => of_account(self, account)?,
                None => Vec::new(),
            },
            HeldScope::Account(account) => of_account(self, *account)?,
            HeldScope::Token(digest) => {
                let found = sessions::find_by_digest(self.connection, digest)?;
                found.into_iter().map(|session| session.id).collect()
            }
            // In parts, as `Sessions` or `Account`.
            HeldScope::Matching { .. } | HeldScope::MatchingAccounts(_) => Vec::new(),
        })
    }

    /// Writes the end of one session, in the name of the person who ended it. Returns true if this
    /// write ended it.
    fn write_one(&mut self, end: &HeldEnd, session: &Session, account: &Account) -> Result<bool, StoreError> {
        let initiator = match &end.scope {
            HeldScope::Token(_) => Initiator {
                actor: Actor::Account {
                    id: account.id,
                    name: account.name.clone(),
                },
                session: Some(session.id),
                ..end.initiator.clone()
            },
            HeldScope::Sessions(_)
            | HeldScope::OwnSessions(_)
            | HeldScope::OtherSessions
            | HeldScope::Account(_)
            | HeldScope::Matching { .. }
            | HeldScope::MatchingAccounts(_) => end.initiator.clone(),
        };
        // The job that writes held ends may already have written this very end.
        let is_this = session.ended_at == Some(end.at) && session.end_reason == Some(end.reason);
        self.on_behalf_of(initiator, |w| {
            let ended = w.write_session_end(&SessionEnd {
                session,
                account_name: &account.name,
                reason: end.reason,
                at: end.at,
                detail: end.detail.clone(),
            })?;
            if ended {
                w.record_beside(end, session, account)?;
            }
            Ok(ended || is_this)
        })
    }

    /// Writes the event that belongs to an end, beside the end itself.
    fn record_beside(&mut self, end: &HeldEnd, session: &Session, account: &Account) -> Result<(), StoreError> {
        let seen = |event| {
            let entry = AuditEntry::new(event, Actor::Anonymous).with_account(account.id, &account.name);
            let entry = entry.in_session(session.id).from_origin(end.initiator.origin.clone());
            entry.failed(end.reason.as_str())
        };
        let entry = match end.reason {
            EndReason::SignedOut => self.entry(Event::SignOut).with_account(account.id, &account.name),
            EndReason::RotatedReuse => seen(Event::SessionRotatedIdReused),
            EndReason::UserAgent => seen(Event::SessionUserAgentChanged),
            EndReason::Revoked
            | EndReason::AccountDisabled
            | EndReason::Directory
            | EndReason::AccountExpired
            | EndReason::Ttl
            | EndReason::Renewal
            | EndReason::Idle
            | EndReason::WindowClosed
            | EndReason::Network
            | EndReason::NetworkAllowance
            | EndReason::PasswordChanged
            | EndReason::IdentityProvider
            | EndReason::SessionLimit => return Ok(()),
        };
        self.record(&entry)
    }
}
