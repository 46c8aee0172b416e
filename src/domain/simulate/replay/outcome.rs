//! An end that a draft would have caused, and its certainty.

use crate::{policy::Scope, session::EndReason, time::Timestamp};

/// Maximum number of sessions, and of sign-ins, that a replay lists.
pub const MAX_LISTED: usize = 50;

/// The certainty of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Certainty {
    /// The session would have ended at that instant or before, whatever else happened.
    Certain,
    /// The session would have ended only if there was no unrecorded request in between.
    Possible,
}

impl Certainty {
    /// Returns `certain` or `possible`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Certainty::Certain => "certain",
            Certainty::Possible => "possible",
        }
    }
}

/// An end under the draft that differs from the recorded one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedEnd {
    /// The latest possible instant if certain; the earliest if possible.
    pub at: Timestamp,
    /// The rule.
    pub reason: EndReason,
    /// The scope that sets it.
    pub scope: Scope,
    /// Its certainty.
    pub certainty: Certainty,
}
