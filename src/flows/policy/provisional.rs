//! Saves that undo themselves: confirmed in time by any administrator, undone at once, or undone when their time is over.
//! That nobody obeys a lapsed one any more needs no write: see [`crate::live::policy::InForce::at`].

use super::{
    super::{Acting, Ctx, FlowError},
    standing,
};
use crate::{
    domain::{audit::Event, time::Timestamp},
    store::{Conn, StoreError, policies},
};

/// What became of a confirmation, or of an undoing by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    Done,
    /// It was settled before: confirmed, undone, or its time was over.
    TooLate,
}

/// The provisional revision stays. The caller's session is live under it: it was judged by it.
pub async fn confirm(ctx: &Ctx, acting: &Acting, revision: i64) -> Result<Confirmed, FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    let done = ctx
        .store
        .write(move |c| {
            if !policies::confirm(c, revision, now)? {
                return Ok(Confirmed::TooLate);
            }
            let detail = serde_json::json!({ "revision": revision });
            flow.record(c, now, &flow.entry_of(&acting, Event::PolicyConfirmed, None, detail))?;
            Ok::<_, StoreError>(Confirmed::Done)
        })
        .await?;
    ctx.reload_policy().await?;
    Ok(done)
}

/// The provisional revision goes at once.
pub async fn undo(ctx: &Ctx, acting: &Acting, revision: i64) -> Result<Confirmed, FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    let done = ctx
        .store
        .write(move |c| {
            let newest = standing(c, now)?;
            let waits = newest.lapsed.is_none() && newest.in_force.provisional_until().is_some();
            if !waits || newest.in_force.revision != revision {
                return Ok(Confirmed::TooLate);
            }
            let before = policies::before(c, &newest.in_force)?;
            match flow.revert_in(c, now, &acting, &newest.in_force, before) {
                Ok(_) => Ok(Confirmed::Done),
                Err(StoreError::Conflict(_)) => Ok(Confirmed::TooLate),
                Err(error) => Err(error),
            }
        })
        .await?;
    ctx.reload_policy().await?;
    Ok(done)
}

/// Writes down that an unconfirmed revision is over; true if there was one.
pub async fn settle(ctx: &Ctx) -> Result<bool, FlowError> {
    // The common case costs nothing: this instance knows of no provisional revision.
    if ctx.live.newest().provisional.is_none() && ctx.live.freshness.is_fresh() {
        return Ok(false);
    }
    let (flow, now) = (ctx.clone(), ctx.now());
    let undone = ctx.store.write(move |c| flow.settle_provisional_in(c, now)).await?;
    if undone {
        tracing::warn!("the newest policy was not confirmed in time and has been undone");
        ctx.reload_policy().await?;
    }
    Ok(undone)
}

impl Ctx {
    fn settle_provisional_in(&self, c: &mut Conn, now: Timestamp) -> Result<bool, StoreError> {
        let newest = standing(c, now)?;
        let Some(lapsed) = newest.lapsed else {
            return Ok(false);
        };
        match self.revert_in(c, now, &Acting::system(), &lapsed, newest.in_force) {
            Ok(_) => Ok(true),
            // Another instance was faster.
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
