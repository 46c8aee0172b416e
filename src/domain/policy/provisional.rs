//! Provisional saves: how long they last without confirmation, and which risks make a save
//! provisional (docs/policy.md, "Provisional saves"). The flows revert and confirm them.

use super::{effective::Policy, *};
use crate::{
    factor::FactorDuty,
    session::{Duty, EndReason, SessionVerdict},
    time::{Span, Timestamp},
};

/// How long a provisional revision applies without being confirmed.
pub const CONFIRM_WITHIN: Span = Span::from_secs(60);

/// Returns whether the time for confirming a provisional revision is over at `now`. INVARIANT:
/// inclusive; it still applies at `confirm_by`.
pub fn lapsed_at(confirm_by: Timestamp, now: Timestamp) -> bool {
    now > confirm_by
}

/// A risk that makes a save provisional.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Risk {
    /// The author's own session would end within the next minutes.
    OwnSessionEnds {
        /// When; `None`: at its next request.
        within: Option<Span>,
        /// The rule that ends it.
        reason: EndReason,
    },
    /// `session.secure` changes: browsers may stop sending the cookie.
    SecureFlips {
        /// The new value.
        on: bool,
    },
    /// A lockout would refuse the author's address or name at the next sign-in.
    SaverLockedOut,
    /// The author's own session would have to enrol a second factor, and could not.
    FactorOutOfReach,
    /// The author's own session would have to enrol a passkey, and passkeys do not work under the
    /// address of the request that saves.
    PasskeyOutOfReach,
    /// The author's own session would be refused, because it is not bound to a device.
    DeviceUnbound,
}

impl Risk {
    /// Returns the code in the audit.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Risk::OwnSessionEnds { .. } => "own_session_ends",
            Risk::SecureFlips { .. } => "secure_flips",
            Risk::SaverLockedOut => "saver_locked_out",
            Risk::FactorOutOfReach => "factor_out_of_reach",
            Risk::PasskeyOutOfReach => "passkey_out_of_reach",
            Risk::DeviceUnbound => "device_unbound",
        }
    }
}

/// Whether the author's own session can enrol a factor that a draft requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorReach {
    /// It can.
    Reachable,
    /// The author may not enrol one, or this installation offers no such kind.
    Refused,
    /// Only passkeys would do, and they do not work under the address of the request.
    NoPasskeysHere,
}

/// The author's own session under the draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSession {
    /// The verdict on the request that saves, under the draft.
    pub verdict: SessionVerdict,
    /// Whether it can enrol a factor that the draft requires.
    pub factor_reach: FactorReach,
    /// When it ends without further activity, under the draft.
    pub ends_at: Option<(Timestamp, EndReason)>,
    /// When it ends without further activity, under the policy in force.
    pub ends_at_now: Option<Timestamp>,
}

/// Facts about the author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaverFacts {
    /// The session; `None`: not saved from a session.
    pub session: Option<OwnSession>,
    /// Whether a counter of the author's address or name locks under the draft, but not now.
    pub newly_locked: bool,
}

/// A later end leaves enough time to return and undo the change.
const SOON: Span = Span::from_secs(5 * 60);

/// Returns the risks of this save; empty: none.
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
        SessionVerdict::Ended { reason } => Some(Risk::OwnSessionEnds {
            within: None,
            reason: *reason,
        }),
        SessionVerdict::Duty {
            what: Duty::Factor(FactorDuty::Enrol),
            ..
        } if own.factor_reach != FactorReach::Reachable => Some(match own.factor_reach {
            FactorReach::NoPasskeysHere => Risk::PasskeyOutOfReach,
            FactorReach::Reachable | FactorReach::Refused => Risk::FactorOutOfReach,
        }),
        SessionVerdict::Duty {
            what: Duty::DeviceProof(_),
            ..
        } => Some(Risk::DeviceUnbound),
        SessionVerdict::Live(_) | SessionVerdict::Duty { .. } => {
            let (at, reason) = own.ends_at?;
            let sooner = own.ends_at_now.is_none_or(|today| at < today);
            // Activity postpones an idle end, and confirming is activity; the other ends come in
            // any case.
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
