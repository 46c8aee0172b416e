//! When a session ends by itself: absolute lifetime, renewal, idle time, closed windows.
//! The judgement, lists, warnings and `explain` all ask the one function [`ends_at`].

use super::{EndReason, LifeFacts};
use crate::domain::{
    policy::effective::{EffectivePolicy, Idle},
    time::{Span, Timestamp},
};

/// The end of a session by its lifetimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The last live instant.
    pub at: Timestamp,
    /// `ttl`, `renewal`, `idle` or `window_closed`.
    pub reason: EndReason,
    /// Index into `policy.lifetimes` of the rule that sets it.
    pub rule: usize,
}

/// Every end that the lifetimes in force set for a session as it stands, rule by rule.
///
/// A sign-in is activity, and activity is a sign of window life, however the facts were written down.
pub fn candidates(life: &LifeFacts, policy: &EffectivePolicy) -> impl Iterator<Item = End> {
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
            Idle::Never => None,
            Idle::After(idle) => Some((active_at.saturating_add(idle), EndReason::Idle)),
            Idle::WindowOpen => Some((
                seen_at.saturating_add(policy.window_close_grace),
                EndReason::WindowClosed,
            )),
        };
        let ends = [ttl, renewal, idle].into_iter().flatten();
        ends.map(move |(at, reason)| End { at, reason, rule })
    })
}

/// The last live instant by lifetimes alone, the rule and the index into `policy.lifetimes` that sets it;
/// None = never. The same code as `judge`.
///
/// The earliest end wins; of several at one instant the first in the order of judgement (ttl, renewal, idle or
/// window), then the first rule.
pub fn ends_at(life: &LifeFacts, policy: &EffectivePolicy) -> Option<End> {
    // EndReason is declared in the order of judgement, and of equals the first is taken.
    candidates(life, policy).min_by_key(|end| (end.at, end.reason))
}

/// The lease that is renewed at its ends, when a renewal period is in force.
pub fn lease(policy: &EffectivePolicy) -> Option<Span> {
    let renewed = policy.lifetimes.iter().any(|lifetime| lifetime.renewal.is_some());
    shortest_idle(policy).filter(|_| renewed)
}

/// The smallest positive idle timeout of all rules in force.
fn shortest_idle(policy: &EffectivePolicy) -> Option<Span> {
    let idles = policy.lifetimes.iter().filter_map(|lifetime| match lifetime.idle {
        Idle::After(idle) if idle > Span::ZERO => Some(idle),
        Idle::After(_) | Idle::Never | Idle::WindowOpen => None,
    });
    idles.min()
}

/// (⌊period / lease⌋ + 1) × lease: the last lease begins at the last lease end within the period. `lease` is positive.
fn renewable(period: Span, lease: Span) -> Span {
    let leases = (period.as_micros() / lease.as_micros()).saturating_add(1);
    Span::from_micros(leases.saturating_mul(lease.as_micros()))
}

/// How long before an idle end the page warns; None when idle never ends the session.
///
/// Automatic is a fifth of the idle timeout between 20 s and 2 min. Nobody gets less than 20 s (WCAG 2.2.1) unless the
/// timeout is shorter than 40 s: then half of it. A closed window is nobody to warn.
pub fn warn_before(policy: &EffectivePolicy) -> Option<Span> {
    const LEAST: Span = Span::from_secs(20);
    const MOST: Span = Span::from_secs(120);
    let idle = shortest_idle(policy)?;
    if idle < Span::from_secs(40) {
        return Some(Span::from_micros(idle.as_micros() / 2));
    }
    let warning = match policy.idle_warning {
        None => Span::from_micros(idle.as_micros() / 5).min(MOST),
        Some(chosen) => chosen.min(idle),
    };
    Some(warning.max(LEAST))
}

/// How long before `end` the page warns. An end that nothing puts off is told two minutes ahead, in a life shorter than four
/// minutes from its half on. None: a closed window is nobody to warn.
pub fn warning(end: &End, life: &LifeFacts, policy: &EffectivePolicy) -> Option<Span> {
    const MOST: Span = Span::from_secs(120);
    if end.reason == EndReason::Idle {
        return warn_before(policy);
    }
    let half = Span::from_micros(end.at.since(life.signed_in_at).as_micros() / 2);
    (end.reason != EndReason::WindowClosed).then_some(half.min(MOST))
}

/// How often the page guard says that a window is open.
pub const HEARTBEAT: Span = Span::from_secs(20);

/// How often an open page must say so under this policy: every [`HEARTBEAT`], twice within a grace that is shorter than two of
/// them. None: nothing ends with the window.
pub fn heartbeat(policy: &EffectivePolicy) -> Option<Span> {
    let bound = policy.lifetimes.iter().any(|rule| rule.idle == Idle::WindowOpen);
    let half = Span::from_micros(policy.window_close_grace.as_micros() / 2);
    bound.then_some(half.min(HEARTBEAT))
}
