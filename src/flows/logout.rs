//! Signing out: the session ends immediately, with all its tokens.

use super::{Ctx, FlowError, Initiator};
use crate::{
    domain::session::{EndReason, SessionId},
    live::held_ends::HeldScope,
};

/// Ends the initiator's session. Returns whether it was live until now.
pub async fn sign_out(ctx: &Ctx, initiator: &Initiator, id: SessionId) -> Result<bool, FlowError> {
    let end = ctx.new_end(initiator, HeldScope::Sessions(vec![id]), EndReason::SignedOut);
    Ok(ctx.end_now(end).await? == 1)
}

/// Ends the session whose token has this digest and could not be looked up. Returns true if it was
/// live until now.
pub async fn sign_out_bearer(ctx: &Ctx, initiator: &Initiator, digest: String) -> Result<bool, FlowError> {
    let end = ctx.new_end(initiator, HeldScope::Token(digest), EndReason::SignedOut);
    Ok(ctx.end_now(end).await? == 1)
}
