//! The end of the server: what is held in memory is written, within a bounded time.

use super::error::StartError;
use crate::{flows, flows::Ctx, jobs::Jobs, store::notify::ListenerHandle};
use std::time::Duration;
use tokio::time::timeout;

/// Time for writing what is held in memory. With the time for open requests it stays below the 20 s
/// that container runtimes and the shipped unit allow.
const WRITE_TIMEOUT: Duration = Duration::from_secs(6);

/// Stops the jobs, writes what is held in memory and closes the connection for notifications. A
/// database that does not answer ends this after [`WRITE_TIMEOUT`], with what could not be written.
pub async fn write_and_close(ctx: &Ctx, jobs: Jobs, listener: ListenerHandle) -> Result<(), StartError> {
    match timeout(WRITE_TIMEOUT, write_all(ctx, jobs)).await {
        Ok(Ok(())) => {
            drop(listener);
            return Ok(());
        }
        Ok(Err(error)) => tracing::error!(%error, "data held in memory could not be written"),
        Err(_) => tracing::error!("the database did not answer within {} s", WRITE_TIMEOUT.as_secs()),
    }
    // Closing it would wait for the same database.
    std::mem::forget(listener);
    Err(StartError::Unwritten(describe_unwritten(ctx)))
}

async fn write_all(ctx: &Ctx, jobs: Jobs) -> Result<(), StartError> {
    // A job that waits for another system gives up.
    ctx.live.mark_stopping();
    jobs.stop().await;
    let activity = flows::access::flush_activity(ctx).await;
    let forwarded = flows::applications::flush_seen(ctx).await;
    let refusals = flows::refusals::write_all(ctx).await;
    let endings = flows::access::write_kept_ends(ctx).await;
    let pins = flows::policy::withdraw_pins(ctx).await;
    activity?;
    forwarded?;
    refusals?;
    endings?;
    Ok(pins?)
}

/// Lists what is still held in memory, for the log.
fn describe_unwritten(ctx: &Ctx) -> String {
    let sessions = &ctx.live.sessions;
    let held = [
        (sessions.held.len(), "end(s) of sessions"),
        (sessions.unwritten().len(), "record(s) of activity"),
        (ctx.live.refusals.take_all().len(), "count(s) of refused sign-ins"),
        (
            ctx.live.forwarded.take_unwritten().len(),
            "record(s) of forwarded requests",
        ),
    ];
    let held: Vec<String> = held
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    if held.is_empty() {
        "this server's pins and the state of its jobs".to_owned()
    } else {
        held.join(", ")
    }
}
