//! Which requests count as activity (`activity.counts`, `activity.ignored_paths`).
//! Window life (any request, any heartbeat) is another thing; the judgement keeps the two apart.

use super::policy::effective::{ActivityPolicy, Counts};

/// What kind of request it is, as the http layer reads it from path and headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestKind<'a> {
    /// The original request's path, without query.
    pub path: &'a str,
    /// `Sec-Fetch-Mode: navigate`
    pub navigation: bool,
    /// `X-Nightlatch-Background: 1`
    pub background: bool,
    /// The page guard's report of real input.
    pub interaction: bool,
    /// The page guard's heartbeat: a sign of window life, never activity.
    pub heartbeat: bool,
    /// A status check: refreshes nothing.
    pub check: bool,
}

/// Whether the request refreshes idle time.
///
/// The page guard's report counts in every mode and on every path: it is also the *Stay signed in* button, and people
/// must be able to extend in one action (WCAG 2.2.1). Whatever says "background" only ever makes a request count less.
pub fn counts(kind: &RequestKind, policy: &ActivityPolicy) -> bool {
    if kind.background || kind.heartbeat || kind.check {
        return false;
    }
    if kind.interaction {
        return true;
    }
    let by_mode = match policy.counts {
        Counts::EveryRequest => true,
        Counts::Navigation => kind.navigation,
        Counts::Interaction => false,
    };
    by_mode && !policy.ignored.iter().any(|glob| glob.matches(kind.path))
}
