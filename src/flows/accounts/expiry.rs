//! Accounts that expire by a rule: found by the job, at sign-in, and when a request of theirs comes in.

use super::super::{Ctx, FlowError, endings::expiry_bounds};
use crate::{
    domain::{
        account::{AccountId, ExpiryFacts, ExpiryRule, expired_at, expires_at},
        policy::effective::Policy,
        session::EndReason,
        time::Timestamp,
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        sessions::{self, Session},
    },
};
use std::sync::Arc;

impl Ctx {
    /// Whether a rule has expired the account; the last administrator's protection included.
    fn is_due(&self, c: &mut Conn, in_force: &InForce, account: &Account) -> Result<bool, StoreError> {
        if account.disabled_at.is_some() || account.expired_at.is_some() {
            return Ok(false);
        }
        let sessions = sessions::live_of_account(c, account.id)?;
        let (facts, _) = self.expiry_facts_now(c, in_force, account, &sessions)?;
        Ok(expired_at(&facts, &in_force.everyone().accounts, self.now()).is_some())
    }

    /// What expiry is decided from, the ends that nobody has marked yet included; and how many of its `sessions` live.
    pub(super) fn expiry_facts_now(
        &self,
        c: &mut Conn,
        in_force: &InForce,
        account: &Account,
        sessions: &[Session],
    ) -> Result<(ExpiryFacts, usize), StoreError> {
        let now = self.now();
        let live = sessions
            .iter()
            .filter(|session| self.is_live(in_force, account, session, now))
            .count();
        let facts = self.expiry_facts(c, account, live > 0)?;
        Ok((self.with_unswept_end(facts, in_force, account, sessions, now), live))
    }

    /// Expires the account now if a rule says so; the account as it is then. Nothing is written when none does.
    pub(in crate::flows) async fn expire_if_due(&self, id: AccountId) -> Result<Arc<Account>, FlowError> {
        let in_force = self.current_policy().await?;
        let (flow, policy) = (self.clone(), in_force.clone());
        let seen = self
            .store
            .read(move |c| {
                let account = accounts::find(c, id)?.ok_or(StoreError::NotFound("account"))?;
                let due = flow.is_due(c, &policy, &account)?;
                Ok::<_, StoreError>((account, due))
            })
            .await?;
        if let (account, false) = seen {
            return Ok(Arc::new(account));
        }
        let (flow, now) = (self.clone(), self.now());
        let (account, sessions) = self
            .store
            .write(move |c| {
                accounts::lock_administrators(c)?;
                sessions::lock_account_sessions(c, id)?;
                let mut account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
                let live = sessions::live_of_account(c, id)?;
                let expired = flow.expire_in(c, now, &mut account, &in_force.everyone().accounts)?;
                let ended = if expired.is_some() {
                    live.into_iter().map(|session| session.id).collect()
                } else {
                    Vec::new()
                };
                Ok::<_, FlowError>((account, ended))
            })
            .await?;
        self.forget_ended(&sessions, EndReason::AccountExpired);
        self.live.accounts.forget(id);
        Ok(Arc::new(account))
    }
}

/// When the account would expire if `policy` were in force, as things are.
pub async fn expires_under(
    ctx: &Ctx,
    id: AccountId,
    policy: Policy,
) -> Result<Option<(Timestamp, ExpiryRule)>, FlowError> {
    let (flow, in_force) = (ctx.clone(), ctx.current_policy().await?);
    Ok(ctx
        .store
        .read(move |c| {
            let account = accounts::find(c, id)?.ok_or(StoreError::NotFound("account"))?;
            let sessions = sessions::live_of_account(c, id)?;
            let (facts, _) = flow.expiry_facts_now(c, &in_force, &account, &sessions)?;
            Ok::<_, StoreError>(expires_at(&facts, &policy.effective(account.role, &[], None).accounts))
        })
        .await?)
}

/// Expires what is due among all accounts; the job calls it. How many expired.
pub async fn expire_due(ctx: &Ctx) -> Result<usize, FlowError> {
    const BATCH: i64 = 200;
    // An account's clock starts when its last session ended: the ends that no sweep has marked yet come first.
    ctx.sweep_sessions().await?;
    let in_force = ctx.current_policy().await?;
    let bounds = expiry_bounds(&in_force.everyone().accounts, ctx.now());
    let mut after = None;
    let mut expired = 0;
    loop {
        let (flow, policy) = (ctx.clone(), in_force.clone());
        let (mut due, last) = ctx
            .store
            .read(move |c| {
                let candidates = accounts::expiry_candidates(c, &bounds, after, BATCH)?;
                let last = candidates.last().map(|account| account.id);
                let mut due = Vec::new();
                for account in candidates {
                    if flow.is_due(c, &policy, &account)? {
                        due.push((account.last_session_ended_at, account.id));
                    }
                }
                Ok::<_, StoreError>((due, last))
            })
            .await?;
        // When several administrators would expire together, the one whose session ended last stays.
        due.sort();
        for (_, id) in due {
            expired += usize::from(ctx.expire_if_due(id).await?.expired_at.is_some());
        }
        match last {
            Some(id) => after = Some(id),
            None => return Ok(expired),
        }
    }
}
