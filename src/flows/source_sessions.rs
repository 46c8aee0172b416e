//! The live sessions of a source's accounts. They outlive a change of its rules, and its being
//! switched off.

use super::{Ctx, FlowError, Initiator};
use crate::{
    domain::{
        account::{Account, AccountId, Role},
        session::EndReason,
        source::SourceId,
    },
    store::{accounts, sessions},
};

/// Accounts per database query.
const BATCH: i64 = 200;

/// How many sessions of a source's accounts are live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceSessions {
    /// All of them.
    pub sessions: usize,
    /// Those of administrators.
    pub administrators: usize,
}

/// Counts the live sessions of a source's accounts. `FlowError::NotFound`: there is no source with
/// this name.
pub async fn count_source_sessions(ctx: &Ctx, name: &str) -> Result<SourceSessions, FlowError> {
    let mut count = SourceSessions::default();
    for (account, live) in ctx.accounts_of_source(name).await? {
        count.sessions += live;
        if account.role == Role::Administrator {
            count.administrators += live;
        }
    }
    Ok(count)
}

/// Ends the live sessions of a source's accounts and returns their number. `FlowError::NotFound`:
/// there is no source with this name.
pub async fn end_source_sessions(ctx: &Ctx, initiator: &Initiator, name: &str) -> Result<usize, FlowError> {
    let mut ended = 0;
    for (account, _) in ctx.accounts_of_source(name).await? {
        ended += ctx
            .write(initiator, move |w| {
                sessions::lock_account_sessions(w.connection, account.id)?;
                Ok(w.end_account_sessions(&account, EndReason::Revoked)?)
            })
            .await?;
    }
    Ok(ended)
}

impl Ctx {
    /// Returns the accounts of a source that have live sessions, and how many.
    async fn accounts_of_source(&self, name: &str) -> Result<Vec<(Account, usize)>, FlowError> {
        let sources = self.current_sources().await?;
        let source: SourceId = sources.by_name(name).ok_or(FlowError::NotFound)?.source.id;
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let batch = self.read(move |r| {
                let accounts = accounts::list_of_source(r.connection, source, after, BATCH)?;
                let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
                let live = sessions::list_live_of_accounts(r.connection, &ids)?;
                let with_sessions: Vec<(Account, usize)> = accounts
                    .into_iter()
                    .map(|account| {
                        let number = live.iter().filter(|session| session.account_id == account.id).count();
                        (account, number)
                    })
                    .filter(|(_, number)| *number > 0)
                    .collect();
                Ok((ids.last().copied(), with_sessions))
            });
            let (last, with_sessions) = batch.await?;
            found.extend(with_sessions);
            if last.is_none() {
                return Ok(found);
            }
            after = last;
        }
    }
}
