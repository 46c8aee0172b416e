//! When accounts would expire, and the job that expires those that are due.

use crate::{
    domain::{
        account::AccountId,
        expiry::{ExpiryRule, expires_at},
        policy::effective::Policy,
        time::Timestamp,
    },
    flows::{Ctx, FlowError, expiry::expiry_bounds},
    store::{accounts, sessions},
};

/// Returns when the account would expire under `policy`.
pub async fn expires_under(
    ctx: &Ctx,
    id: AccountId,
    policy: Policy,
) -> Result<Option<(Timestamp, ExpiryRule)>, FlowError> {
    let in_force = ctx.current_policy().await?;
    ctx.read(move |r| {
        let account = accounts::find(r.connection, id)?.ok_or(FlowError::NotFound)?;
        let sessions = sessions::list_live_of_account(r.connection, id)?;
        let facts = r.expiry_facts(&in_force, &account, &sessions)?;
        Ok(expires_at(&facts, &policy.effective(account.role, &[], None).accounts))
    })
    .await
}

/// Expires all accounts that are due and returns their number. Called by a job.
pub async fn expire_due(ctx: &Ctx) -> Result<usize, FlowError> {
    const BATCH: i64 = 200;
    // The time counts from the end of the account's last session, so ends that no sweep has marked
    // yet are written first.
    ctx.sweep_sessions().await?;
    let in_force = ctx.current_policy().await?;
    let bounds = expiry_bounds(&in_force.everyone().accounts, ctx.now());
    let mut after = None;
    let mut expired = 0;
    loop {
        let policy = in_force.clone();
        let page = ctx.read(move |r| {
            let candidates = accounts::list_expiry_candidates(r.connection, &bounds, after, BATCH)?;
            let last = candidates.last().map(|account| account.id);
            let mut due = Vec::new();
            for account in candidates {
                if r.is_expiry_due(&policy, &account)? {
                    due.push((account.last_session_ended_at, account.id));
                }
            }
            Ok((due, last))
        });
        let (mut due, last) = page.await?;
        // If several administrators would expire together, the one whose session ended last stays.
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
