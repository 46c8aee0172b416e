//! The sentences of a timeline, and which setting stands behind an end.

use super::{Ending, Manner, Pattern, requests::Place};
use crate::domain::{
    agent, duration,
    policy::{
        Key, Scope,
        effective::{ActivityPolicy, Counts, EffectivePolicy, Idle, ValidationPolicy},
    },
    session::{Binding, End, EndReason, Live, Record},
    time::{Span, Timestamp},
};

/// The setting behind a reason; None: an act of somebody, or the account's own date.
pub const fn end_key(reason: EndReason) -> Option<Key> {
    match reason {
        EndReason::Ttl => Some(Key::SessionTtl),
        EndReason::Renewal => Some(Key::SessionRenewalPeriod),
        // 0 of the same setting: while a window is open.
        EndReason::Idle | EndReason::WindowClosed => Some(Key::AuthIdleSessionTimeout),
        EndReason::UserAgent => Some(Key::SessionSessionUserAgentValidation),
        EndReason::Network | EndReason::NetworkAllowance => Some(Key::SessionSessionAllowIpChanges),
        EndReason::RotatedReuse => Some(Key::SessionSessionRotationOnIpChange),
        EndReason::SessionLimit => Some(Key::SessionConcurrentUserSessionLimit),
        EndReason::SignedOut
        | EndReason::Revoked
        | EndReason::AccountDisabled
        | EndReason::AccountExpired
        | EndReason::PasswordChanged => None,
    }
}

/// An end by lifetimes.
pub(super) fn ending(end: &End, rules: &EffectivePolicy) -> Ending {
    let rule = rules.lifetimes.get(end.rule);
    Ending {
        at: end.at,
        reason: end.reason,
        key: end_key(end.reason),
        scope: rule.map_or(Scope::Everyone, |rule| rule.scope.clone()),
        sentence: match (end.reason, rule) {
            (EndReason::Ttl, Some(rule)) => format!(
                "The absolute lifetime of {} is over; activity does not extend it.",
                length(rule.ttl)
            ),
            (EndReason::Renewal, Some(rule)) => format!(
                "The last lease ran out: leases are renewed only within {} of sign-in.",
                length(rule.renewal.unwrap_or(Span::ZERO))
            ),
            (EndReason::WindowClosed, Some(_)) => {
                format!("No sign of an open window for {}.", length(rules.window_close_grace))
            }
            (EndReason::Idle, Some(rule)) => match rule.idle {
                Idle::After(idle) => format!("No activity for {}.", length(idle)),
                Idle::Never | Idle::WindowOpen => end.reason.sentence().to_owned(),
            },
            (reason, _) => reason.sentence().to_owned(),
        },
    }
}

/// The end by the account's own date.
pub(super) fn account_expiry(at: Timestamp) -> Ending {
    Ending {
        at,
        reason: EndReason::AccountExpired,
        key: None,
        scope: Scope::Everyone,
        sentence: "The account expires on its own date.".into(),
    }
}

/// A request that a check refused.
pub(super) fn refusal(
    reason: EndReason,
    at: Timestamp,
    place: Place,
    binding: &Binding,
    validation: &ValidationPolicy,
) -> Ending {
    let exhausted = validation
        .allow_ip_changes
        .is_some_and(|allowed| binding.changes >= allowed);
    let grace = length(validation.grace);
    let (key, sentence) = match reason {
        EndReason::UserAgent => (
            end_key(reason),
            format!("Used with another browser: {}.", agent::describe(place.user_agent)),
        ),
        EndReason::Network => (
            end_key(reason),
            format!("Used from {}, another network; no change is allowed.", place.ip),
        ),
        EndReason::NetworkAllowance if exhausted => (
            end_key(reason),
            format!("Used from {}: all allowed changes of network were used up.", place.ip),
        ),
        EndReason::NetworkAllowance => (
            Some(Key::SessionSessionIpChangeGracePeriod),
            format!(
                "Used from {}, more than {grace} after the first change of network.",
                place.ip
            ),
        ),
        other => (end_key(other), other.sentence().to_owned()),
    };
    Ending {
        at,
        reason,
        key,
        scope: Scope::Everyone,
        sentence,
    }
}

/// Why activity was none.
pub(super) fn not_counted(pattern: &Pattern, policy: &ActivityPolicy) -> String {
    if pattern.manner == Manner::Background {
        return "These requests call themselves background and are no activity.".into();
    }
    if policy.ignored.iter().any(|glob| glob.matches(&pattern.path)) {
        return format!("Requests to {} are no activity: the path is ignored.", pattern.path);
    }
    match policy.counts {
        Counts::EveryRequest => "These requests are no activity.".into(),
        Counts::Navigation => "These requests are no activity: only page loads count.".into(),
        Counts::Interaction => "These requests are no activity: only real input counts.".into(),
    }
}

/// A change of network that passed.
pub(super) fn accepted(ip: std::net::IpAddr, live: &Live) -> String {
    debug_assert_eq!(live.record, Some(Record::NetworkChanged));
    let id = if live.rotate { "; the session got a new id" } else { "" };
    match &live.rebind {
        Some(binding) => format!("Change of network {} accepted: {ip}{id}.", binding.changes),
        None => format!("Change of network accepted: {ip}{id}."),
    }
}

/// A move that no check objects to.
pub(super) fn unnoticed(place: Place, validation: &ValidationPolicy) -> String {
    let device = agent::describe(place.user_agent);
    let compared = match (validation.ip, validation.user_agent) {
        (true, true) => "the network and browser that are accepted",
        (true, false) => "the network that is accepted; browsers are not compared",
        (false, true) => "the browser of the sign-in; networks are not compared",
        (false, false) => "neither networks nor browsers are compared",
    };
    format!("Used from {} with {device}: {compared}.", place.ip)
}

pub(super) fn warned(before: Span) -> String {
    format!("The page warns, {} before the idle end.", length(before))
}

pub(super) fn renewed(lease: Span) -> String {
    format!("The lease of {} ends and is renewed.", length(lease))
}

fn length(span: Span) -> String {
    duration::humanize(span.as_secs().max(0))
}
