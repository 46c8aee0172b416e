//! The timeline of a session up to its end.

use crate::{
    policy::{Key, Scope},
    session::EndReason,
    time::Timestamp,
};

/// The timeline of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// When the user signed in.
    pub signed_in_at: Timestamp,
    /// When the simulation starts.
    pub begin: Timestamp,
    /// Active and idle periods in order, without gaps, from `begin` to the end.
    pub segments: Vec<Segment>,
    /// Until when a window is open; `None`: until the end.
    pub window_until: Option<Timestamp>,
    /// Events on the way, in order.
    pub marks: Vec<Mark>,
    /// The end; `None`: the simulation stopped earlier, see `followed_until`.
    pub end: Option<TimelineEnd>,
    /// The other ends that would have applied at that time, earliest first.
    pub others: Vec<TimelineEnd>,
    /// The end that comes even with constant activity.
    pub latest: Option<TimelineEnd>,
    /// Where the simulation stopped because it took too many steps.
    pub followed_until: Option<Timestamp>,
}

/// A period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// Whether there are requests.
    pub active: bool,
}

/// An event on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The time.
    pub at: Timestamp,
    /// The kind of event.
    pub kind: MarkKind,
    /// A sentence for users, without the time.
    pub sentence: String,
}

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MarkKind {
    /// The user signed in.
    SignedIn,
    /// The current state of a real session.
    Now,
    /// A lease ended and was renewed.
    LeaseRenewed,
    /// An application was entered.
    Entered,
    /// A change of network was accepted.
    NetworkAccepted,
    /// Another network was recorded, without effect.
    NetworkRecorded,
    /// Another address or browser that counts as the same.
    Unnoticed,
    /// The last window was closed.
    WindowClosed,
    /// Requests that do not count as activity.
    NotCounted,
    /// The last activity of an ended session.
    LastActive,
    /// The page started to warn.
    Warned,
    /// The first request after the end.
    Refused,
}

impl MarkKind {
    /// Returns the stable word for JSON and for the chart.
    pub const fn as_str(self) -> &'static str {
        match self {
            MarkKind::SignedIn => "signed_in",
            MarkKind::Now => "now",
            MarkKind::LeaseRenewed => "lease_renewed",
            MarkKind::Entered => "entered",
            MarkKind::NetworkAccepted => "network_accepted",
            MarkKind::NetworkRecorded => "network_recorded",
            MarkKind::Unnoticed => "unnoticed",
            MarkKind::WindowClosed => "window_closed",
            MarkKind::NotCounted => "not_counted",
            MarkKind::LastActive => "last_active",
            MarkKind::Warned => "warned",
            MarkKind::Refused => "refused",
        }
    }
}

/// An end and its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEnd {
    /// The last live instant; for a security check, the request that was refused.
    pub at: Timestamp,
    /// The reason.
    pub reason: EndReason,
    /// The setting of the rule; `None`: the account's own expiry date.
    pub key: Option<Key>,
    /// The scope of the rule.
    pub scope: Scope,
    /// A sentence for users, without the time.
    pub sentence: String,
}
