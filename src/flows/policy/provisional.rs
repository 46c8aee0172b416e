//! Provisional saves: confirmed in time by any administrator, reverted immediately, or reverted
//! when their time is over. A lapsed one stops applying without a write: see
//! [`crate::live::policy::PolicyInForce::at`].

use super::standing;
use crate::{
    domain::audit::Event,
    flows::{Ctx, FlowError, Initiator, Write},
    store::{StoreError, policies},
};

/// The result of a confirmation, or of reverting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmationOutcome {
    /// The revision was confirmed or reverted.
    Done,
    /// It was settled before: confirmed, reverted, or its time was over.
    TooLate,
}

/// Confirms the provisional revision. The caller's session is live under it, because it was judged
/// by it.
pub async fn confirm(ctx: &Ctx, initiator: &Initiator, revision: i64) -> Result<ConfirmationOutcome, FlowError> {
    let done = ctx.write(initiator, move |w| {
        if !policies::confirm(w.connection, revision, w.now)? {
            return Ok(ConfirmationOutcome::TooLate);
        }
        let entry = w.entry(Event::PolicyConfirmed);
        w.record(&entry.with_detail(serde_json::json!({ "revision": revision })))?;
        Ok(ConfirmationOutcome::Done)
    });
    let done = done.await?;
    ctx.reload_policy().await?;
    Ok(done)
}

/// Reverts the provisional revision immediately.
pub async fn undo(ctx: &Ctx, initiator: &Initiator, revision: i64) -> Result<ConfirmationOutcome, FlowError> {
    let done = ctx.write(initiator, move |w| {
        let newest = standing(w.connection, w.now)?;
        let waits = newest.lapsed.is_none() && newest.in_force.provisional_until().is_some();
        if !waits || newest.in_force.revision != revision {
            return Ok(ConfirmationOutcome::TooLate);
        }
        let before = policies::find_before(w.connection, &newest.in_force)?;
        match w.revert_policy(&newest.in_force, before) {
            Ok(_) => Ok(ConfirmationOutcome::Done),
            Err(StoreError::Conflict(_)) => Ok(ConfirmationOutcome::TooLate),
            Err(error) => Err(error.into()),
        }
    });
    let done = done.await?;
    ctx.reload_policy().await?;
    Ok(done)
}

/// Writes that the time of an unconfirmed revision is over. Returns whether there was one.
pub async fn settle(ctx: &Ctx) -> Result<bool, FlowError> {
    // The usual case costs nothing: this instance knows of no provisional revision.
    if ctx.live.newest_policy().provisional.is_none() && ctx.live.freshness.is_fresh() {
        return Ok(false);
    }
    let undone = ctx.write_as_system(|w| Ok(w.settle_provisional()?)).await?;
    if undone {
        tracing::warn!("the newest policy was not confirmed in time and was reverted");
        ctx.reload_policy().await?;
    }
    Ok(undone)
}

impl Write<'_> {
    fn settle_provisional(&mut self) -> Result<bool, StoreError> {
        let newest = standing(self.connection, self.now)?;
        let Some(lapsed) = newest.lapsed else {
            return Ok(false);
        };
        match self.revert_policy(&lapsed, newest.in_force) {
            Ok(_) => Ok(true),
            // Another instance was first.
            Err(StoreError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
