//! How long a password that was typed vouches for whoever sits there (step-up). Which acts ask for it again is `http`'s.

use super::{Span, Timestamp};

/// For acts of an administrator that are critical for others.
pub const ADMINISTRATORS_PROOF: Span = Span::from_secs(600);
/// For what people do to their own sessions and their own account.
pub const OWNERS_PROOF: Span = Span::from_secs(300);

/// Whether the proof of `proved_at` still counts. Inclusive, like every limit: good at exactly `limit`, not a microsecond later.
pub fn proof_holds(proved_at: Timestamp, limit: Span, now: Timestamp) -> bool {
    now.since(proved_at) <= limit
}
