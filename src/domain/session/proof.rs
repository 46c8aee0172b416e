//! How long an entered password confirms the identity of the user (step-up). `http::step_up`
//! decides which actions require it.

use crate::time::{Span, Timestamp};

/// Validity for critical actions of an administrator.
pub const ADMINISTRATORS_PROOF: Span = Span::from_secs(600);
/// Validity for actions of users on their own sessions and their own account.
pub const OWNERS_PROOF: Span = Span::from_secs(300);

/// Returns whether the proof of `proved_at` is still valid. The limit is inclusive, like every
/// limit: valid at exactly `limit`, not a microsecond later.
pub fn proof_holds(proved_at: Timestamp, limit: Span, now: Timestamp) -> bool {
    now.since(proved_at) <= limit
}
