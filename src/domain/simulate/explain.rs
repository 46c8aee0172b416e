//! Which rule ends a session when: a sign-in and a pattern of activity, lived through under a policy by stepping the judgement.
//! Where each value comes from is `explain/provenance`'s; how people write a pattern, `explain/typed`'s.

use std::net::IpAddr;

use super::super::{
    account::Role,
    policy::{Key, Scope, effective::Policy},
    session::{Binding, EndReason, LifeFacts},
    time::{Span, Timestamp},
};

mod provenance;
mod requests;
mod typed;
mod walk;
mod words;

pub use provenance::{Provenance, provenance};
pub use typed::{Typed, TypedFault, entries, lines};
pub use words::end_key;

/// From where the session is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address.
    pub ip: IpAddr,
    /// Its browser's words; None: none are sent.
    pub user_agent: Option<String>,
}

/// What kind of requests activity makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// Page loads.
    #[default]
    Pages,
    /// What pages fetch by themselves.
    Requests,
    /// The page guard's reports of real input.
    Input,
    /// Requests that call themselves background.
    Background,
}

/// Requests at even distances, the first at `from`, none after `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// The first request.
    pub from: Timestamp,
    /// No request after this.
    pub until: Timestamp,
    /// From one to the next.
    pub every: Span,
}

/// An application entered, which is a page load of its own; later requests go there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entering {
    /// Its name.
    pub application: String,
    /// When.
    pub at: Timestamp,
}

/// From then on requests come from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// From when on.
    pub at: Timestamp,
    /// What is different.
    pub to: Elsewhere,
}

/// What a move changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// Another address.
    Ip(IpAddr),
    /// Another browser.
    UserAgent(String),
}

/// What is done with a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// From where, until something moves.
    pub client: Client,
    /// Applications, in any order.
    pub entering: Vec<Entering>,
    /// When there are requests.
    pub activity: Vec<Activity>,
    /// Of what kind they are.
    pub manner: Manner,
    /// And of which path.
    pub path: String,
    /// No activity between these; it resumes at the second.
    pub pauses: Vec<(Timestamp, Timestamp)>,
    /// A window with the page guard stays open until then.
    pub window_until: Option<Timestamp>,
    /// Changes of network and browser.
    pub moves: Vec<Move>,
}

impl Pattern {
    /// Nothing at all is done.
    pub fn quiet(client: Client) -> Self {
        Self {
            client,
            entering: Vec::new(),
            activity: Vec::new(),
            manner: Manner::default(),
            path: "/".into(),
            pauses: Vec::new(),
            window_until: None,
            moves: Vec::new(),
        }
    }
}

/// A session as it stands, and what is done with it from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Its account's role.
    pub role: Role,
    /// The date on which its account expires.
    pub expires_at: Option<Timestamp>,
    /// From when on the pattern holds.
    pub begin: Timestamp,
    /// Its clock facts at that time.
    pub life: LifeFacts,
    /// What it is bound to at that time.
    pub binding: Binding,
    /// The applications that it entered before.
    pub entered: Vec<String>,
    /// What is done with it.
    pub pattern: Pattern,
}

impl Scenario {
    /// A session that begins with a sign-in.
    pub fn signed_in(role: Role, at: Timestamp, pattern: Pattern) -> Self {
        Self {
            role,
            expires_at: None,
            begin: at,
            life: LifeFacts {
                signed_in_at: at,
                last_active_at: at,
                last_seen_at: at,
            },
            binding: Binding::at_sign_in(pattern.client.ip, pattern.client.user_agent.as_deref()),
            entered: Vec::new(),
            pattern,
        }
    }
}

/// What becomes of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// When it was signed in.
    pub signed_in_at: Timestamp,
    /// From when on it was followed.
    pub begin: Timestamp,
    /// Active and quiet stretches in order, without gaps, from `begin` to the end.
    pub segments: Vec<Segment>,
    /// A window is open until then, or until the end.
    pub window_until: Option<Timestamp>,
    /// What happens on the way, in order.
    pub marks: Vec<Mark>,
    /// What ends it; None: it was not followed to its end, see `followed_until`.
    pub end: Option<Ending>,
    /// The other ends that stood at that time, earliest first.
    pub others: Vec<Ending>,
    /// What ends it at the latest, however active it is.
    pub latest: Option<Ending>,
    /// It was followed this far only: too many steps.
    pub followed_until: Option<Timestamp>,
}

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// Requests come.
    pub active: bool,
}

/// Something that happens on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: MarkKind,
    /// A sentence for people, without the time.
    pub sentence: String,
}

/// What happens on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MarkKind {
    /// The session begins.
    SignedIn,
    /// A real session as it stands.
    Now,
    /// A lease ended and was renewed.
    LeaseRenewed,
    /// An application was entered.
    Entered,
    /// A change of network was accepted.
    NetworkAccepted,
    /// Another network, only recorded.
    NetworkRecorded,
    /// Another address or browser, within what counts as the same.
    Unnoticed,
    /// The last window was closed.
    WindowClosed,
    /// Requests that are no activity.
    NotCounted,
    /// The page began to warn.
    Warned,
    /// The first request after the end.
    Refused,
}

impl MarkKind {
    /// Stable word for JSON and for the picture.
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
            MarkKind::Warned => "warned",
            MarkKind::Refused => "refused",
        }
    }
}

/// An end, and what sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The last live instant; of a security check, the request that was refused.
    pub at: Timestamp,
    /// Why.
    pub reason: EndReason,
    /// The setting behind it; None: no setting, but the account's own date.
    pub key: Option<Key>,
    /// Whose rule it is.
    pub scope: Scope,
    /// A sentence for people, without the time.
    pub sentence: String,
}

/// Lives a scenario through under a policy.
pub fn explain(policy: &Policy, scenario: &Scenario) -> Timeline {
    walk::Walk::new(policy, scenario).timeline()
}
