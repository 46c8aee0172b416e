//! Which requests count as activity (`activity.counts`, `activity.ignored_paths`). Signs of an open
//! window (any request, any heartbeat) are separate; the judgement keeps the two apart.

use super::policy::effective::{ActivityMeasure, ActivityPolicy};

/// The kind of a request, which the http layer derives from path and headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestKind<'a> {
    /// The original request's path, without query.
    pub path: &'a str,
    /// `Sec-Fetch-Mode: navigate`.
    pub navigation: bool,
    /// `X-Nightlatch-Background: 1`.
    pub background: bool,
    /// The page guard's report of real input.
    pub interaction: bool,
    /// The page guard's heartbeat: a sign of an open window, never activity.
    pub heartbeat: bool,
    /// A status check: refreshes nothing.
    pub check: bool,
}

/// Returns whether the request refreshes idle time.
///
/// The page guard's report counts in every mode and on every path: it is also the *Stay signed in*
/// button, and users must be able to extend a session in one action (WCAG 2.2.1). The `background`
/// mark only ever makes a request count less.
pub fn counts(kind: &RequestKind, policy: &ActivityPolicy) -> bool {
    if kind.background || kind.heartbeat || kind.check {
        return false;
    }
    if kind.interaction {
        return true;
    }
    let by_mode = match policy.counts {
        ActivityMeasure::EveryRequest => true,
        ActivityMeasure::Navigation => kind.navigation,
        ActivityMeasure::Interaction => false,
    };
    by_mode && !policy.ignored.iter().any(|glob| glob.matches(kind.path))
}
