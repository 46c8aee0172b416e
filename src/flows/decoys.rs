//! Keeps the cost of password checks for unknown names equal to the cost for accounts
//! (`hashing::DecoyCosts`).

use super::{Ctx, FlowError};
use crate::{
    domain::secret,
    hashing::{DecoyCosts, HashCost},
    live::LiveState,
    store::{accounts, meta},
};
use std::time::Duration;

/// The row with the installation's key.
const KEY: &str = "hashing.decoy_key";
/// The row with every cost that was configured so far: `19456,2;65536,3`.
const COSTS: &str = "hashing.costs";

/// Maximum time between two counts.
const MAX_AGE: Duration = Duration::from_secs(60);
/// Minimum time between two counts, so that a wave of changes costs one count each time.
const SHORTEST: Duration = Duration::from_millis(250);

/// Waits until the accounts must be counted again: one of them changed, here or in another
/// instance, which may have given it a hash of another cost. Otherwise a name that costs more than
/// every unknown one would be an account's, until the next minute.
pub async fn next_refresh(live: &LiveState) {
    tokio::time::sleep(SHORTEST).await;
    tokio::select! {
        () = tokio::time::sleep(MAX_AGE) => {}
        () = live.accounts_changed.notified() => {}
    }
}

/// Counts the accounts of each cost, so that unknown names cost the same. Called at start and by a
/// job.
pub async fn refresh(ctx: &Ctx) -> Result<(), FlowError> {
    let configured = ctx.hasher.cost();
    let fresh_key = secret::token(ctx.random_bytes());
    let (key, known) = ctx
        .read(|r| Ok((meta::get(r.connection, KEY)?, meta::get(r.connection, COSTS)?)))
        .await?;
    let mut costs = parse(known.as_deref().unwrap_or_default());
    let key = match key.filter(|_| costs.contains(&configured)) {
        Some(key) => key,
        None => {
            costs.push(configured);
            costs.push(HashCost::FLOOR);
            costs.sort_unstable();
            costs.dedup();
            let written = format(&costs);
            let write = ctx.store.write(move |connection| {
                meta::set(connection, COSTS, &written)?;
                meta::set_once(connection, KEY, fresh_key.expose())
            });
            write.await?
        }
    };
    let counted = ctx.read(move |r| {
        let mut counted = Vec::with_capacity(costs.len());
        for cost in costs {
            let accounts = accounts::count_hashed(r.connection, &cost.phc_prefix())?;
            counted.push((cost, u64::try_from(accounts).unwrap_or_default()));
        }
        Ok(counted)
    });
    ctx.hasher
        .set_decoy_costs(DecoyCosts::new(key, counted.await?, configured));
    Ok(())
}

fn parse(costs: &str) -> Vec<HashCost> {
    let cost = |text: &str| {
        let (memory_kib, iterations) = text.split_once(',')?;
        Some(HashCost {
            memory_kib: memory_kib.parse().ok()?,
            iterations: iterations.parse().ok()?,
        })
    };
    costs.split(';').filter_map(cost).collect()
}

fn format(costs: &[HashCost]) -> String {
    let costs = costs
        .iter()
        .map(|cost| format!("{},{}", cost.memory_kib, cost.iterations));
    costs.collect::<Vec<_>>().join(";")
}
