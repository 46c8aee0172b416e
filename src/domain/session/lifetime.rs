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

/// The last live instant by lifetimes alone, the rule and the index into `policy.lifetimes` that sets it;
/// None = never. The same code as `judge`.
///
/// The earliest end wins; of several at one instant the first in the order of judgement (ttl, renewal, idle or
/// window), then the first rule. A sign-in is activity, and activity is a sign of window life, however the facts
/// were written down.
pub fn ends_at(life: &LifeFacts, policy: &EffectivePolicy) -> Option<End> {
    let active_at = life.last_active_at.max(life.signed_in_at);
    let seen_at = life.last_seen_at.max(active_at);
    let lease = shortest_idle(policy);

    let mut first: Option<End> = None;
    let mut consider = |at: Timestamp, reason: EndReason, rule: usize| {
        // EndReason is declared in the order of judgement.
        let earlier = first.is_none_or(|first| at < first.at || (at == first.at && reason < first.reason));
        if earlier {
            first = Some(End { at, reason, rule });
        }
    };
    for (rule, lifetime) in policy.lifetimes.iter().enumerate() {
        consider(life.signed_in_at.saturating_add(lifetime.ttl), EndReason::Ttl, rule);
        if let (Some(period), Some(lease)) = (lifetime.renewal, lease) {
            consider(
                life.signed_in_at.saturating_add(renewable(period, lease)),
                EndReason::Renewal,
                rule,
            );
        }
        match lifetime.idle {
            Idle::Never => {}
            Idle::After(idle) => consider(active_at.saturating_add(idle), EndReason::Idle, rule),
            Idle::WindowOpen => {
                consider(
                    seen_at.saturating_add(policy.window_close_grace),
                    EndReason::WindowClosed,
                    rule,
                );
            }
        }
    }
    first
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
