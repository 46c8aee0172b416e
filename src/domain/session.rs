//! The judgement of a session: is it live for this request, and if not, why. policy.md §2 and §3.
//! Lifetimes stand in `session/lifetime`, networks in `session/network`; who writes the verdict down is not here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use uuid::Uuid;

use super::{
    activity::{self, RequestKind},
    agent,
    policy::effective::EffectivePolicy,
    time::{Span, Timestamp},
};

mod lifetime;
mod network;
mod proof;

pub use lifetime::{End, HEARTBEAT, candidates, ends_at, heartbeat, lease, warn_before, warning};
pub use proof::{ADMINISTRATORS_PROOF, OWNERS_PROOF, proof_holds};

/// The identity of a session; its tokens change, this does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub Uuid);

/// Declares each reason once: variant, code, sentence.
macro_rules! end_reasons {
    ($($variant:ident $code:literal $sentence:literal,)+) => {
        /// Why a session ended; the codes of policy.md §3, in its order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EndReason { $(#[doc = $sentence] $variant,)+ }

        impl EndReason {
            /// All reasons.
            pub const ALL: &[EndReason] = &[$(EndReason::$variant,)+];

            /// The stable code of audit, metrics, JSON and `?reason=`.
            pub const fn as_str(self) -> &'static str {
                match self { $(EndReason::$variant => $code,)+ }
            }

            /// The reason of a code; `None`: no such code.
            pub fn parse(code: &str) -> Option<Self> {
                match code { $($code => Some(EndReason::$variant),)+ _ => None }
            }

            /// The sentence of the sign-in banner.
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
    AccountExpired "account_expired" "Your account has expired.",
    Ttl "ttl" "Your session has reached its greatest length.",
    Renewal "renewal" "Your session could not be renewed any further.",
    Idle "idle" "You were signed out after a time without activity.",
    WindowClosed "window_closed" "You were signed out after the last window was closed.",
    UserAgent "user_agent" "A security check ended your session: it was used with another browser.",
    Network "network" "A security check ended your session: it was used from another network.",
    NetworkAllowance "network_allowance" "A security check ended your session: it changed networks too often.",
    RotatedReuse "rotated_reuse" "A security check ended your session: a replaced session id was used again.",
    PasswordChanged "password_changed" "Your password was changed. Sign in with the new one.",
    SessionLimit "session_limit" "You signed in elsewhere and had too many sessions.",
}

impl std::fmt::Display for EndReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The clock facts: enough for `ends_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LifeFacts {
    /// Sign-in.
    pub signed_in_at: Timestamp,
    /// Last request that counted as activity.
    pub last_active_at: Timestamp,
    /// last sign of window life
    pub last_seen_at: Timestamp,
}

/// What the session is bound to (decision 1–3): agent of the sign-in, accepted network per address family, changes used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Of the sign-in, cut as in [`agent::cut`]; never replaced.
    pub user_agent: Option<String>,
    /// An address of the accepted IPv4 network, whole: the current bits say how much of it counts.
    pub accepted_v4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub accepted_v6: Option<Ipv6Addr>,
    /// Changes of network accepted so far.
    pub changes: u32,
    /// opens the grace window
    pub first_change_at: Option<Timestamp>,
}

impl Binding {
    /// The binding of a new session.
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

    /// The same, with the network of `ip` as the accepted one of its family.
    fn accepting(mut self, ip: IpAddr) -> Self {
        match super::network::canonical(ip) {
            IpAddr::V4(ip) => self.accepted_v4 = Some(ip),
            IpAddr::V6(ip) => self.accepted_v6 = Some(ip),
        }
        self
    }
}

/// The id that the request presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFacts {
    /// The one that counts.
    Current,
    /// replaced by rotation
    Rotated {
        /// When.
        at: Timestamp,
        /// The address whose network was accepted before.
        from: IpAddr,
        /// The address whose network is accepted since.
        to: IpAddr,
    },
}

/// The standing of the session's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountState {
    /// In good order.
    Enabled,
    /// Switched off by an administrator.
    Disabled,
    /// Expired.
    Expired,
}

impl AccountState {
    /// Whoever is both is disabled: that is what somebody decided.
    pub const fn of(disabled: bool, expired: bool) -> Self {
        match (disabled, expired) {
            (true, _) => AccountState::Disabled,
            (false, true) => AccountState::Expired,
            (false, false) => AccountState::Enabled,
        }
    }
}

/// What is known of the session.
#[derive(Debug, Clone, Copy)]
pub struct SessionFacts<'a> {
    /// Ended already, and why.
    pub ended: Option<EndReason>,
    /// Its account's standing.
    pub account: AccountState,
    /// The password must be changed before anything else.
    pub must_change_password: bool,
    /// The clock facts.
    pub life: LifeFacts,
    /// What it is bound to.
    pub binding: &'a Binding,
    /// The id that was presented.
    pub token: TokenFacts,
}

/// What is known of the request.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'a> {
    /// The client's address, behind trusted proxies.
    pub ip: IpAddr,
    /// The header as it came; None: absent.
    pub user_agent: Option<&'a str>,
    /// What may refresh idle time.
    pub kind: RequestKind<'a>,
}

/// What becomes of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Answer it.
    Live(Live),
    /// Live, but only the duty's own pages answer. Carries what a live verdict would.
    Duty {
        /// What comes first.
        what: Duty,
        /// What a live verdict would say.
        live: Live,
    },
    /// Refuse it; the session is over and is to be ended in the store.
    Ended {
        /// Why.
        reason: EndReason,
    },
}

/// What comes before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// A new password.
    PasswordChange,
}

/// What a live session's request brings about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Live {
    /// Refreshes idle time.
    pub touch: bool,
    /// A sign of window life (every request that is not a mere check).
    pub seen: bool,
    /// An accepted network change: the binding that now holds. None = unchanged.
    pub rebind: Option<Binding>,
    /// Give the session a new id.
    pub rotate: bool,
    /// What belongs into the audit (permissive mismatch, accepted change …).
    pub record: Option<Record>,
}

/// Something worth recording about a live session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Record {
    /// An accepted change of network; comes once, with its `rebind`.
    NetworkChanged,
    /// `permissive`: another network, nothing done about it. Comes with **every** such request, since nothing changes:
    /// write each session and address once.
    NetworkMismatch,
}

/// Rotation overlap: the old id keeps working this long.
pub const ROTATION_OVERLAP_SECS: i64 = 10;

/// [`ROTATION_OVERLAP_SECS`] as a span.
const ROTATION_OVERLAP: Span = Span::from_secs(ROTATION_OVERLAP_SECS);

/// Judges one request of a session. Order: revoked → account → lifetimes (the earliest end, see [`ends_at`]) → reuse of
/// a replaced id → user agent → network → duty. No allocation, and no user agent parsed, while nothing has changed since the sign-in.
pub fn judge(session: &SessionFacts, request: &RequestFacts, policy: &EffectivePolicy, now: Timestamp) -> Verdict {
    match live(session, request, policy, now) {
        Err(reason) => Verdict::Ended { reason },
        Ok(live) if session.must_change_password => Verdict::Duty {
            what: Duty::PasswordChange,
            live,
        },
        Ok(live) => Verdict::Live(live),
    }
}

fn live(
    session: &SessionFacts,
    request: &RequestFacts,
    policy: &EffectivePolicy,
    now: Timestamp,
) -> Result<Live, EndReason> {
    if let Some(reason) = session.ended {
        return Err(reason);
    }
    match session.account {
        AccountState::Enabled => {}
        AccountState::Disabled => return Err(EndReason::AccountDisabled),
        AccountState::Expired => return Err(EndReason::AccountExpired),
    }
    // INVARIANT: limits are inclusive; `end.at` is the last live instant.
    if let Some(end) = ends_at(&session.life, policy).filter(|end| now > end.at) {
        return Err(end.reason);
    }
    // Before the agent: whoever uses a replaced id, with whatever browser, it must be known as that.
    network::judge_token(session.token, now)?;
    judge_agent(session.binding, request, policy)?;
    let network = network::judge(session, request.ip, &policy.validation, now)?;
    Ok(Live {
        touch: activity::counts(&request.kind, &policy.activity),
        seen: !request.kind.check,
        rotate: network.rebind.is_some() && policy.validation.rotate_on_ip_change,
        record: network.record,
        rebind: network.rebind,
    })
}

/// Decision 5: a mismatch has no allowance. Within the family there is no mismatch and nothing to record, just as a move
/// within the network is no change.
fn judge_agent(binding: &Binding, request: &RequestFacts, policy: &EffectivePolicy) -> Result<(), EndReason> {
    let validation = &policy.validation;
    if validation.user_agent && !agent::same(binding.user_agent.as_deref(), request.user_agent, validation.family) {
        return Err(EndReason::UserAgent);
    }
    Ok(())
}

/// Sessions to end so that a new one fits (`session.concurrent_user_session_limit`): least recently active first.
/// `live` are the account's sessions with their last activity, the new one not among them; 0 = no limit.
pub fn surplus(live: &[(SessionId, Timestamp)], limit: u32) -> Vec<SessionId> {
    let Some(others) = limit.checked_sub(1) else {
        return Vec::new();
    };
    let surplus = live.len().saturating_sub(others as usize);
    let mut by_activity = live.to_vec();
    by_activity.sort_by_key(|(id, last_active_at)| (*last_active_at, *id));
    by_activity.into_iter().take(surplus).map(|(id, _)| id).collect()
}
