//! Writing what `live::refusals` counted: one audit entry for each sum. The minute job calls it, and the end of the server.

use super::{Ctx, FlowError};
use crate::{domain::audit::Entry, live::refusals::Sum};

/// Writes the sums of the minutes that are over.
pub async fn write_over(ctx: &Ctx) -> Result<(), FlowError> {
    let sums = ctx.live.refusals.take_over(ctx.now());
    write(ctx, sums).await
}

/// Writes every sum.
pub async fn write_all(ctx: &Ctx) -> Result<(), FlowError> {
    let sums = ctx.live.refusals.take_all();
    write(ctx, sums).await
}

/// What could not be written is kept.
async fn write(ctx: &Ctx, sums: Vec<Sum>) -> Result<(), FlowError> {
    if sums.is_empty() {
        return Ok(());
    }
    let (flow, now) = (ctx.clone(), ctx.now());
    let entries: Vec<Entry> = sums.iter().map(Sum::entry).collect();
    let written = ctx.store.write(move |c| flow.record_all(c, now, &entries)).await;
    if written.is_err() {
        ctx.live.refusals.put_back(sums);
    }
    Ok(written?)
}
