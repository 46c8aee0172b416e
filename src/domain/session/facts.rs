//! The facts that the judgement of a session uses, and its verdicts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use uuid::Uuid;

use super::device::{DeviceEvidence, DeviceFault};
use crate::{
    activity::RequestKind,
    agent,
    factor::{EnrolledFactors, FactorDuty, Proofs},
    network,
    time::Timestamp,
};

/// The identity of a session; its tokens change, the identity does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub Uuid);

/// Declares each reason once: variant, code, sentence.
macro_rules! end_reasons {
    ($($variant:ident $code:literal $sentence:literal,)+) => {
        /// The reason why a session ended, with the codes of docs/policy.md in the order of
        /// judgement.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EndReason { $(#[doc = $sentence] $variant,)+ }

        impl EndReason {
            /// All reasons.
            pub const ALL: &[EndReason] = &[$(EndReason::$variant,)+];

            /// Returns the stable code for audit, metrics, JSON and `?reason=`.
            pub const fn as_str(self) -> &'static str {
                match self { $(EndReason::$variant => $code,)+ }
            }

            /// Parses a code; `None` for an unknown one.
            pub fn parse(code: &str) -> Option<Self> {
                match code { $($code => Some(EndReason::$variant),)+ _ => None }
            }

            /// Returns the sentence of the banner on the sign-in page.
            pub const fn sentence(self) -> &'static str {
                match self { $(EndReason::$variant => $sentence,)+ }
            }
        }
    };
}

end_reasons! {
    SignedOut "signed_out" "You have signed out.",
    Revoked "revoked" "An administrator or another of your sessions ended this session.",
    AccountDisabled "account_disabled" "Your account has been disabled.",
    Directory "directory" "Your account was closed or changed in the directory of your organization.",
    AccountExpired "account_expired" "Your account has expired.",
    Ttl "ttl" "Your session reached its maximum length.",
    Renewal "renewal" "Your session could not be renewed any further.",
    Idle "idle" "You were signed out after a period of inactivity.",
    WindowClosed "window_closed" "You were signed out after the last window was closed.",
    UserAgent "user_agent" "A security check ended your session: it was used with another browser.",
    Network "network" "A security check ended your session: it was used from another network.",
    NetworkAllowance "network_allowance" "A security check ended your session: it changed networks too often.",
    RotatedReuse "rotated_reuse" "A security check ended your session: a replaced session id was used again.",
    PasswordChanged "password_changed" "Your password was changed. Sign in with the new one.",
    IdentityProvider "identity_provider" "You were signed out at your identity provider.",
    SessionLimit "session_limit" "You were signed out here because you signed in on too many devices.",
}

impl std::fmt::Display for EndReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The times that determine the end of a session (`ends_at`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LifeFacts {
    /// The sign-in.
    pub signed_in_at: Timestamp,
    /// The last request that counted as activity.
    pub last_active_at: Timestamp,
    /// The last sign of an open window.
    pub last_seen_at: Timestamp,
}

/// What the session is bound to (docs/policy.md, decisions 1–3): the agent of the sign-in, the
/// accepted network per address family, and the changes so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The user agent of the sign-in, cut by [`agent::cut`]; never replaced.
    pub user_agent: Option<String>,
    /// A full address in the accepted IPv4 network; the current setting decides how many bits
    /// count.
    pub accepted_v4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub accepted_v6: Option<Ipv6Addr>,
    /// Changes of network accepted so far.
    pub changes: u32,
    /// The first change, which starts the grace period.
    pub first_change_at: Option<Timestamp>,
}

impl Binding {
    /// Returns the binding of a new session.
    pub fn at_sign_in(ip: IpAddr, user_agent: Option<&str>) -> Self {
        let unbound = Self {
            user_agent: user_agent.map(|agent| agent::cut(agent).to_owned()),
            accepted_v4: None,
            accepted_v6: None,
            changes: 0,
            first_change_at: None,
        };
        unbound.accepting(ip)
    }

    /// Returns the binding with the network of `ip` as the accepted one of its family.
    pub(super) fn accepting(mut self, ip: IpAddr) -> Self {
        match network::canonical(ip) {
            IpAddr::V4(ip) => self.accepted_v4 = Some(ip),
            IpAddr::V6(ip) => self.accepted_v6 = Some(ip),
        }
        self
    }
}

/// The token that the request presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFacts {
    /// The current token.
    Current,
    /// A token that a rotation replaced.
    Rotated {
        /// When it was replaced.
        at: Timestamp,
        /// The address whose network was accepted before.
        from: IpAddr,
        /// The address whose network has been accepted since.
        to: IpAddr,
    },
}

/// The state of the session's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// The account can be used.
    Enabled,
    /// Disabled by an administrator.
    Disabled,
    /// Expired.
    Expired,
}

impl AccountState {
    /// Combines both facts. Disabled takes precedence, because an administrator decided it.
    pub const fn from_flags(disabled: bool, expired: bool) -> Self {
        match (disabled, expired) {
            (true, _) => AccountState::Disabled,
            (false, true) => AccountState::Expired,
            (false, false) => AccountState::Enabled,
        }
    }
}

/// Facts about the session.
#[derive(Debug, Clone, Copy)]
pub struct SessionFacts<'a> {
    /// The reason, if it has already ended.
    pub ended: Option<EndReason>,
    /// The state of its account.
    pub account: AccountState,
    /// Whether the password must be changed before anything else.
    pub must_change_password: bool,
    /// The proofs of this session.
    pub proofs: Proofs,
    /// The factors of its account.
    pub factors: EnrolledFactors,
    /// When a second factor was first required of its account; `None`: not recorded.
    pub grace_from: Option<Timestamp>,
    /// The times that determine its end.
    pub life: LifeFacts,
    /// What it is bound to.
    pub binding: &'a Binding,
    /// The token that was presented.
    pub token: TokenFacts,
    /// The device of the request.
    pub device: DeviceEvidence,
}

/// Facts about the request.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// The client's address, found behind trusted proxies.
    pub ip: IpAddr,
    /// The header as received; `None`: missing.
    pub user_agent: Option<&'a str>,
    /// The kind of request, which decides whether it refreshes idle time.
    pub kind: RequestKind<'a>,
}

/// The verdict on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionVerdict {
    /// The session is live.
    Live(LiveEffect),
    /// Live, but only the pages of the duty are available.
    Duty {
        /// The duty.
        what: Duty,
        /// The effects, as for a live session.
        live: LiveEffect,
    },
    /// Refused: the session is over and must be ended in the store.
    Ended {
        /// The reason.
        reason: EndReason,
    },
}

/// A duty before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Choosing a new password.
    PasswordChange,
    /// A second factor.
    Factor(FactorDuty),
    /// A proof of the device key. The request has no effect on the session.
    DeviceProof(DeviceFault),
}

impl Duty {
    /// Returns the stable code of JSON and of headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Duty::PasswordChange => "password_change",
            Duty::Factor(_) => "factor",
            Duty::DeviceProof(fault) => fault.as_str(),
        }
    }

    /// Returns a sentence that says what to do.
    pub const fn sentence(self) -> &'static str {
        match self {
            Duty::PasswordChange => "You must choose a new password first.",
            Duty::Factor(FactorDuty::Prove) => "You must prove your second factor first.",
            Duty::Factor(FactorDuty::Enrol) => "You must set up a second factor first.",
            Duty::DeviceProof(fault) => fault.sentence(),
        }
    }
}

/// The effects of a request on a live session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveEffect {
    /// Whether it refreshes idle time.
    pub touch: bool,
    /// Whether it is a sign of an open window (every request except a status check).
    pub seen: bool,
    /// The new binding after an accepted network change; `None`: unchanged.
    pub rebind: Option<Binding>,
    /// Whether the session gets a new token.
    pub rotate: bool,
    /// An event for the audit (permissive mismatch, accepted change …).
    pub record: Option<NetworkEvent>,
    /// Until when the enrolment of a missing factor may be skipped.
    pub enrol_by: Option<Timestamp>,
}

/// An event of a live session for the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkEvent {
    /// An accepted network change; reported once, with its `rebind`.
    NetworkChanged,
    /// Another network under `permissive`, without effect. It is reported with **every** such
    /// request, because nothing changes: write each session and address once.
    NetworkMismatch,
    /// Another browser, without effect because the device proved its key. It is reported like
    /// [`NetworkEvent::NetworkMismatch`].
    AgentMismatch,
}
