//! Accounts that expire by a rule: found by the job, at sign-in, and when a request of theirs comes in.

use super::super::{Ctx, FlowError};
use crate::{
    domain::{account::AccountId, session::EndReason},
    store::{
        StoreError,
        accounts::{self, Account},
        sessions,
    },
};
use std::sync::Arc;

impl Ctx {
    /// Expires the account now if a rule says so; the account as it is then.
    pub(in crate::flows) async fn expire_if_due(&self, id: AccountId) -> Result<Arc<Account>, FlowError> {
        let in_force = self.current_policy().await?;
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

/// Expires what is due among all accounts; the job calls it. How many expired.
pub async fn expire_due(ctx: &Ctx) -> Result<usize, FlowError> {
    const BATCH: i64 = 200;
    let in_force = ctx.current_policy().await?;
    let mut after = None;
    let mut expired = 0;
    loop {
        let (flow, policy) = (ctx.clone(), in_force.clone());
        let (due, last) = ctx
            .store
            .read(move |c| {
                let candidates = accounts::expiry_candidates(c, after, BATCH)?;
                let last = candidates.last().map(|account| account.id);
                let mut due = Vec::new();
                for account in candidates {
                    // Those that would be due without the last administrator's protection; the write decides.
                    let (id, ended) = (account.id, account.last_session_ended_at);
                    if flow
                        .account_view(c, &policy, account)?
                        .expires
                        .is_some_and(|(at, _)| flow.now() > at)
                    {
                        due.push((ended, id));
                    }
                }
                Ok::<_, StoreError>((due, last))
            })
            .await?;
        let mut due = due;
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
