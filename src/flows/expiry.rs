//! Expiring accounts inside a write, and the facts for it. `domain::expiry` contains the rules;
//! `accounts::expiry` is the job that finds accounts that are due.

use super::{Ctx, FlowError, Initiator, Read, Write};
use crate::{
    domain::{
        account::{Account, AccountId, ExpiryBounds, Role},
        audit::Event,
        expiry::{ExpiryFacts, expired_at},
        policy::effective::{AccountPolicy, ExpireSuperusers},
        session::{EndReason, Session},
        time::Timestamp,
    },
    live::policy::PolicyInForce,
    store::{
        StoreError,
        accounts::{self, count_usable_administrators},
        sessions,
    },
};
use std::sync::Arc;

impl Read<'_> {
    /// Reads the facts that decide the account's expiry, except for ends of sessions that no sweep
    /// has marked yet.
    pub(super) fn stored_expiry_facts(
        &mut self,
        account: &Account,
        has_live_session: bool,
    ) -> Result<ExpiryFacts, StoreError> {
        let is_last_administrator = account.role == Role::Administrator
            && account.is_enabled()
            && count_usable_administrators(self.connection, Some(account.id), self.now)? == 0;
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

    /// Reads the facts that decide the account's expiry. A session that its rule ended, but that no
    /// sweep has marked yet, counts as ended at that instant.
    pub(super) fn expiry_facts(
        &mut self,
        in_force: &PolicyInForce,
        account: &Account,
        sessions: &[Session],
    ) -> Result<ExpiryFacts, StoreError> {
        let ends = |session| self.ctx.ended_by_rule(in_force, account, session, self.now);
        let ends: Vec<Option<Timestamp>> = sessions.iter().map(|session| ends(session).map(|(at, _)| at)).collect();
        let has_live_session = ends.iter().any(Option::is_none);
        let mut facts = self.stored_expiry_facts(account, has_live_session)?;
        let unswept = ends.into_iter().flatten().max();
        facts.last_session_ended_at = facts.last_session_ended_at.max(unswept);
        Ok(facts)
    }

    /// Returns whether a rule has expired the account, including the protection of the last
    /// administrator.
    pub(super) fn is_expiry_due(&mut self, in_force: &PolicyInForce, account: &Account) -> Result<bool, StoreError> {
        if !account.is_enabled() {
            return Ok(false);
        }
        let sessions = sessions::list_live_of_account(self.connection, account.id)?;
        let facts = self.expiry_facts(in_force, account, &sessions)?;
        Ok(expired_at(&facts, &in_force.everyone().accounts, self.now).is_some())
    }
}

impl Write<'_> {
    /// Expires the account if a rule says so: row, sessions, audit event, announcement. Returns
    /// false if no rule does. The write holds the administrators' lock.
    pub(super) fn expire_account(&mut self, account: &mut Account, policy: &AccountPolicy) -> Result<bool, StoreError> {
        if !account.is_enabled() || !may_expire(account, policy) {
            return Ok(false);
        }
        let in_force = self.ctx.in_force();
        let sessions = sessions::list_live_of_account(self.connection, account.id)?;
        let facts = self.as_read().expiry_facts(&in_force, account, &sessions)?;
        let Some(rule) = expired_at(&facts, policy, self.now) else {
            return Ok(false);
        };
        account.expired_at = Some(self.now);
        account.expired_by = Some(rule.code().to_owned());
        accounts::update(self.connection, account)?;
        self.forget_account(account.id);
        self.on_behalf_of(Initiator::system(), |w| {
            w.end_sessions(account, &sessions, EndReason::AccountExpired)?;
            let entry = w.entry(Event::AccountExpired).with_account(account.id, &account.name);
            w.record(&entry.with_reason(rule.code()))?;
            w.notify_expired(account)
        })?;
        Ok(true)
    }
}

impl Ctx {
    /// Expires the account now if a rule says so, and returns the account afterwards. Writes
    /// nothing if no rule does.
    pub(super) async fn expire_if_due(&self, id: AccountId) -> Result<Arc<Account>, FlowError> {
        let in_force = self.current_policy().await?;
        let policy = in_force.clone();
        let found = self.read(move |r| {
            let account = accounts::find(r.connection, id)?.ok_or(FlowError::NotFound)?;
            let due = r.is_expiry_due(&policy, &account)?;
            Ok((account, due))
        });
        if let (account, false) = found.await? {
            return Ok(Arc::new(account));
        }
        let account = self.write_as_system(move |w| {
            accounts::lock_administrators(w.connection)?;
            sessions::lock_account_sessions(w.connection, id)?;
            let mut account = accounts::find(w.connection, id)?.ok_or(FlowError::NotFound)?;
            w.expire_account(&mut account, &in_force.everyone().accounts)?;
            w.forget_account(id);
            Ok(account)
        });
        Ok(Arc::new(account.await?))
    }
}

/// Returns whether any rule could expire the account. Most installations have none; their sessions
/// need not be read.
pub(super) fn may_expire(account: &Account, policy: &AccountPolicy) -> bool {
    account.expires_at.is_some()
        || policy.expires_after.is_some()
        || policy.expire_unused_after.is_some()
        || matches!(policy.expire_superusers, ExpireSuperusers::After(_))
}

/// Returns instants before which an account may be due at `at`, under any rule in force.
pub(super) fn expiry_bounds(policy: &AccountPolicy, at: Timestamp) -> ExpiryBounds {
    let superusers = match policy.expire_superusers {
        ExpireSuperusers::After(span) => Some(span),
        ExpireSuperusers::LikeEveryone | ExpireSuperusers::Never => None,
    };
    let shortest = [policy.expires_after, superusers].into_iter().flatten().min();
    ExpiryBounds {
        dated_before: at,
        ended_before: shortest.map(|span| at.saturating_sub(span)),
        unused_before: policy.expire_unused_after.map(|span| at.saturating_sub(span)),
    }
}
