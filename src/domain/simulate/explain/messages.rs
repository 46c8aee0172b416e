//! The sentences of a timeline, and the setting behind each end.

use super::{
    requests::ClientState,
    scenario::{ActivityKind, ActivityPattern},
    timeline::TimelineEnd,
};
use std::net::IpAddr;

use crate::{
    agent, duration,
    network::same_session_network,
    network_groups::NetworkGroup,
    policy::{
        Key, Scope,
        effective::{ActivityMeasure, ActivityPolicy, EffectivePolicy, IdleTimeout, ValidationPolicy},
    },
    session::{Binding, EndReason, LifetimeEnd, LiveEffect, NetworkEvent, accepted_group},
    time::{Span, Timestamp},
};

/// Creates an end by lifetimes.
pub(super) fn timeline_end(end: &LifetimeEnd, rules: &EffectivePolicy) -> TimelineEnd {
    let rule = rules.lifetimes.get(end.rule);
    TimelineEnd {
        at: end.at,
        reason: end.reason,
        key: end.reason.setting(),
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
                IdleTimeout::After(idle) => format!("No activity for {}.", length(idle)),
                IdleTimeout::Never | IdleTimeout::WindowOpen => end.reason.sentence().to_owned(),
            },
            (reason, _) => reason.sentence().to_owned(),
        },
    }
}

/// Creates the end by the account's expiry date.
pub(super) fn account_expiry(at: Timestamp) -> TimelineEnd {
    TimelineEnd {
        at,
        reason: EndReason::AccountExpired,
        key: None,
        scope: Scope::Everyone,
        sentence: "The account reaches its expiry date.".into(),
    }
}

/// Creates the end by a check that refused a request.
pub(super) fn refusal(
    reason: EndReason,
    at: Timestamp,
    place: ClientState,
    binding: &Binding,
    validation: &ValidationPolicy,
) -> TimelineEnd {
    let exhausted = validation
        .allow_ip_changes
        .is_some_and(|allowed| binding.changes >= allowed);
    let grace = length(validation.grace);
    let (key, sentence) = match reason {
        EndReason::UserAgent => (
            reason.setting(),
            format!("Used with another browser: {}.", agent::describe(place.user_agent)),
        ),
        EndReason::Network => (
            reason.setting(),
            format!("Used from {}, another network; no network change is allowed.", place.ip),
        ),
        EndReason::NetworkAllowance if exhausted => (
            reason.setting(),
            format!("Used from {}: no network changes are left.", place.ip),
        ),
        EndReason::NetworkAllowance => (
            Some(Key::SessionSessionIpChangeGracePeriod),
            format!(
                "Used from {}, more than {grace} after the first network change.",
                place.ip
            ),
        ),
        other => (other.setting(), other.sentence().to_owned()),
    };
    TimelineEnd {
        at,
        reason,
        key,
        scope: Scope::Everyone,
        sentence,
    }
}

/// Explains why requests did not count as activity.
pub(super) fn not_counted(pattern: &ActivityPattern, policy: &ActivityPolicy) -> String {
    if pattern.manner == ActivityKind::Background {
        return "These requests are marked as background and do not count as activity.".into();
    }
    if policy.ignored.iter().any(|glob| glob.matches(&pattern.path)) {
        return format!(
            "Requests to {} do not count as activity: the path is ignored.",
            pattern.path
        );
    }
    match policy.counts {
        ActivityMeasure::EveryRequest => "These requests do not count as activity.".into(),
        ActivityMeasure::Navigation => "These requests do not count as activity: only page loads count.".into(),
        ActivityMeasure::Interaction => "These requests do not count as activity: only real input counts.".into(),
    }
}

/// Describes an accepted change of network.
pub(super) fn accepted(ip: IpAddr, live: &LiveEffect) -> String {
    debug_assert_eq!(live.record, Some(NetworkEvent::NetworkChanged));
    let id = if live.rotate { "; the session got a new ID" } else { "" };
    match &live.rebind {
        Some(binding) => format!("Network change {} accepted: {ip}{id}.", binding.changes),
        None => format!("Network change accepted: {ip}{id}."),
    }
}

/// Describes a change of network that does not count because the device proved its key.
pub(super) fn excused_network(ip: std::net::IpAddr, live: &LiveEffect) -> String {
    let id = if live.rotate { "; the session got a new ID" } else { "" };
    format!("Used from {ip}: another network, not counted because the device proved its key{id}.")
}

/// Describes another browser that does not count because the device proved its key.
pub(super) fn excused_agent(place: ClientState) -> String {
    let device = agent::describe(place.user_agent);
    format!("Used with {device}: not counted because the device proved its key.")
}

/// Describes a change that no check objects to.
pub(super) fn unnoticed(place: ClientState, binding: &Binding, validation: &ValidationPolicy) -> String {
    let device = agent::describe(place.user_agent);
    if validation.ip
        && let Some(group) = group_of_move(place.ip, binding, validation)
    {
        let browser = if validation.user_agent {
            "the browser is the accepted one"
        } else {
            "browsers are not compared"
        };
        return format!(
            "Used from {} with {device}: no change, because it is in one network group with the accepted network \
             ({group}); {browser}.",
            place.ip
        );
    }
    let compared = match (validation.ip, validation.user_agent) {
        (true, true) => "within the accepted network and browser",
        (true, false) => "within the accepted network; browsers are not compared",
        (false, true) => "same browser as at sign-in; networks are not compared",
        (false, false) => "neither networks nor browsers are compared",
    };
    format!("Used from {} with {device}: {compared}.", place.ip)
}

/// Returns the group that alone makes an address the accepted network.
fn group_of_move<'a>(ip: IpAddr, binding: &Binding, validation: &'a ValidationPolicy) -> Option<&'a NetworkGroup> {
    let accepted = [binding.accepted_v4.map(IpAddr::V4), binding.accepted_v6.map(IpAddr::V6)];
    let mut accepted = accepted.into_iter().flatten();
    if accepted.any(|accepted| same_session_network(ip, accepted, validation.subnet_bits)) {
        return None;
    }
    accepted_group(binding, ip, validation)
}

pub(super) fn warned(before: Span) -> String {
    format!("The page warns {} before the idle end.", length(before))
}

pub(super) fn renewed(lease: Span) -> String {
    format!("The lease of {} ends and is renewed.", length(lease))
}

fn length(span: Span) -> String {
    duration::humanize(span.as_secs().max(0))
}
