//! Writing the refusals that `live::refusals` counted, with one audit entry for each sum. Called by
//! the minute job and by a server that stops.

use super::{Ctx, FlowError, Write};
use crate::{domain::audit::AuditEntry, live::refusals::RefusalCount};

/// Writes the sums of past minutes.
pub async fn write_over(ctx: &Ctx) -> Result<(), FlowError> {
    let sums = ctx.live.refusals.take_past(ctx.now());
    write(ctx, sums).await
}

/// Writes every sum.
pub async fn write_all(ctx: &Ctx) -> Result<(), FlowError> {
    let sums = ctx.live.refusals.take_all();
    write(ctx, sums).await
}

/// Writes sums; those that could not be written are counted again.
async fn write(ctx: &Ctx, sums: Vec<RefusalCount>) -> Result<(), FlowError> {
    if sums.is_empty() {
        return Ok(());
    }
    let entries: Vec<AuditEntry> = sums.iter().map(RefusalCount::to_entry).collect();
    let record = move |w: &mut Write<'_>| Ok(w.record_all(&entries)?);
    let written = ctx.write_as_system(record).await;
    if written.is_err() {
        ctx.live.refusals.put_back(sums);
    }
    written
}
