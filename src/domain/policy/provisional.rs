//! A save that must be confirmed: how long it stands on its own, and what makes a save one. policy.md §4, "Confirmed save".
//! Undoing it in the store and telling who confirmed it is not here.

use super::{effective::Policy, *};
use crate::domain::{
    session::{EndReason, Verdict},
    time::{Span, Timestamp},
};

/// A provisional revision holds this long without being confirmed.
pub const CONFIRM_WITHIN: Span = Span::from_secs(60);

/// Whether a provisional revision is over at `now`. INVARIANT: inclusive, at `confirm_by` it still holds.
pub fn lapsed_at(confirm_by: Timestamp, now: Timestamp) -> bool {
    now > confirm_by
}

/// Why a save should be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Risk {
    /// The saver's own session would not live through the next minutes.
    OwnSessionEnds {
        /// `None`: at its next request.
        within: Option<Span>,
        /// By which rule.
        reason: EndReason,
    },
    /// `session.secure` changes: browsers may stop sending the cookie.
    SecureFlips {
        /// To what.
        on: bool,
    },
    /// The saver's address or name would be locked out of signing in.
    SaverLockedOut,
}

impl Risk {
    /// The code in the audit.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Risk::OwnSessionEnds { .. } => "own_session_ends",
            Risk::SecureFlips { .. } => "secure_flips",
            Risk::SaverLockedOut => "saver_locked_out",
        }
    }
}

/// The saver's own session under the draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSession {
    /// Of the very request that saves, under the draft.
    pub verdict: Verdict,
    /// When it ends without further activity, under the draft.
    pub ends_at: Option<(Timestamp, EndReason)>,
    /// The same under the policy in force.
    pub ends_at_now: Option<Timestamp>,
}

/// What is known of the saver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaverFacts {
    /// `None`: not saved from a session.
    pub session: Option<OwnSession>,
    /// A counter of the saver's address or name locks under the draft, and not today.
    pub newly_locked: bool,
}

/// An end later than this leaves time to come back and change one's mind.
const SOON: Span = Span::from_secs(5 * 60);

/// What makes this save risky; empty: nothing does.
pub fn risks(old: &Policy, new: &Policy, saver: &SaverFacts, now: Timestamp) -> Vec<Risk> {
    let own = saver.session.as_ref().and_then(|own| own_session(own, now));
    let secure = |policy: &Policy| policy.value_in(&Scope::Everyone, Key::SessionSecure).0;
    let on = secure(new) == Value::Flag(true);
    let flips = (secure(old) != secure(new)).then_some(Risk::SecureFlips { on });
    let locked = saver.newly_locked.then_some(Risk::SaverLockedOut);
    [own, flips, locked].into_iter().flatten().collect()
}

fn own_session(own: &OwnSession, now: Timestamp) -> Option<Risk> {
    match &own.verdict {
        Verdict::Ended { reason } => Some(Risk::OwnSessionEnds {
            within: None,
            reason: *reason,
        }),
        Verdict::Live(_) | Verdict::Duty { .. } => {
            let (at, reason) = own.ends_at?;
            let sooner = own.ends_at_now.is_none_or(|today| at < today);
            // Activity puts an idle end off, confirming among it; the others come whatever one does.
            let soon = if matches!(reason, EndReason::Idle | EndReason::WindowClosed) {
                CONFIRM_WITHIN
            } else {
                SOON
            };
            (sooner && at <= now.saturating_add(soon)).then(|| Risk::OwnSessionEnds {
                within: Some(at.since(now)),
                reason,
            })
        }
    }
}
