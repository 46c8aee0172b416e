//! When a session ends automatically: absolute lifetime, renewal, idle time, closed windows. The
//! judgement, lists, warnings and `explain` all use the function [`ends_at`].

use super::facts::{EndReason, LifeFacts};
use crate::{
    policy::effective::{EffectivePolicy, IdleTimeout},
    time::{Span, Timestamp},
};

/// The end of a session by its lifetimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifetimeEnd {
    /// The last live instant.
    pub at: Timestamp,
    /// `ttl`, `renewal`, `idle` or `window_closed`.
    pub reason: EndReason,
    /// Index of the rule in `policy.lifetimes`.
    pub rule: usize,
}

/// Returns every end that the lifetimes in force set for a session, rule by rule.
///
/// A sign-in counts as activity, and activity counts as a sign of an open window, whatever the
/// stored facts are.
pub fn candidates(life: &LifeFacts, policy: &EffectivePolicy) -> impl Iterator<Item = LifetimeEnd> {
    let signed_in_at = life.signed_in_at;
    let active_at = life.last_active_at.max(signed_in_at);
    let seen_at = life.last_seen_at.max(active_at);
    let lease = shortest_idle(policy);
    let rules = policy.lifetimes.iter().enumerate();
    rules.flat_map(move |(rule, lifetime)| {
        let ttl = Some((signed_in_at.saturating_add(lifetime.ttl), EndReason::Ttl));
        let renewal = lifetime.renewal.zip(lease).map(|(period, lease)| {
            let longest = renewable(period, lease);
            (signed_in_at.saturating_add(longest), EndReason::Renewal)
        });
        let idle = match lifetime.idle {
            IdleTimeout::Never => None,
            IdleTimeout::After(idle) => Some((active_at.saturating_add(idle), EndReason::Idle)),
            IdleTimeout::WindowOpen => Some((
                seen_at.saturating_add(policy.window_close_grace),
                EndReason::WindowClosed,
            )),
        };
        let ends = [ttl, renewal, idle].into_iter().flatten();
        ends.map(move |(at, reason)| LifetimeEnd { at, reason, rule })
    })
}

/// Returns the last live instant by lifetimes alone, with its reason and rule; `None`: never.
/// `judge` uses the same code.
///
/// The earliest end wins. Of several at one instant it is the first in the order of judgement (ttl,
/// renewal, idle or window), then the first rule.
pub fn ends_at(life: &LifeFacts, policy: &EffectivePolicy) -> Option<LifetimeEnd> {
    // EndReason is declared in the order of judgement, and `min_by_key` returns the first of equal
    // ends.
    candidates(life, policy).min_by_key(|end| (end.at, end.reason))
}

/// Returns the length of the lease that is renewed at its ends, if a renewal period is in force.
pub fn lease(policy: &EffectivePolicy) -> Option<Span> {
    let renewed = policy.lifetimes.iter().any(|lifetime| lifetime.renewal.is_some());
    shortest_idle(policy).filter(|_| renewed)
}

/// Returns the smallest positive idle timeout of all rules in force.
fn shortest_idle(policy: &EffectivePolicy) -> Option<Span> {
    let idles = policy.lifetimes.iter().filter_map(|lifetime| match lifetime.idle {
        IdleTimeout::After(idle) if idle > Span::ZERO => Some(idle),
        IdleTimeout::After(_) | IdleTimeout::Never | IdleTimeout::WindowOpen => None,
    });
    idles.min()
}

/// Returns (⌊period / lease⌋ + 1) × lease: the last lease begins at the last lease end within the
/// period. `lease` is positive.
fn renewable(period: Span, lease: Span) -> Span {
    let leases = (period.as_micros() / lease.as_micros()).saturating_add(1);
    Span::from_micros(leases.saturating_mul(lease.as_micros()))
}

/// Returns how long before an idle end the page warns; `None`: there is no idle end.
///
/// Automatic is a fifth of the idle timeout, between 20 s and 2 min. The minimum is 20 s (WCAG
/// 2.2.1), unless the timeout is shorter than 40 s: then it is half of the timeout. A closed window
/// gets no warning.
pub fn warn_before(policy: &EffectivePolicy) -> Option<Span> {
    const MIN_WARNING: Span = Span::from_secs(20);
    const MAX_WARNING: Span = Span::from_secs(120);
    let idle = shortest_idle(policy)?;
    if idle < Span::from_secs(40) {
        return Some(Span::from_micros(idle.as_micros() / 2));
    }
    let warning = match policy.idle_warning {
        None => Span::from_micros(idle.as_micros() / 5).min(MAX_WARNING),
        Some(chosen) => chosen.min(idle),
    };
    Some(warning.max(MIN_WARNING))
}

/// Returns how long before `end` the page warns. An end that cannot be postponed has a warning of
/// two minutes, or of half the lifetime if that is shorter than four minutes. `None`: a closed
/// window gets no warning.
pub fn warning(end: &LifetimeEnd, life: &LifeFacts, policy: &EffectivePolicy) -> Option<Span> {
    const MAX_WARNING: Span = Span::from_secs(120);
    if end.reason == EndReason::Idle {
        return warn_before(policy);
    }
    let half = Span::from_micros(end.at.since(life.signed_in_at).as_micros() / 2);
    (end.reason != EndReason::WindowClosed).then_some(half.min(MAX_WARNING))
}

/// How often the page guard reports an open window.
pub const HEARTBEAT: Span = Span::from_secs(20);

/// Returns how often an open page must report it under this policy: every [`HEARTBEAT`], or twice
/// within a grace period shorter than two of them. `None`: nothing ends with the window.
pub fn heartbeat(policy: &EffectivePolicy) -> Option<Span> {
    let bound = policy.lifetimes.iter().any(|rule| rule.idle == IdleTimeout::WindowOpen);
    let half = Span::from_micros(policy.window_close_grace.as_micros() / 2);
    bound.then_some(half.min(HEARTBEAT))
}
