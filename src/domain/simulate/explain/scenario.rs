//! The scenario of an explanation: sign-in, requests, applications entered, changes of network and
//! browser.

use std::net::IpAddr;

use crate::{
    account::Role,
    session::{Binding, DeviceEvidence, LifeFacts},
    time::{Span, Timestamp},
};

/// The client that uses the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScenarioClient {
    /// Its IP address.
    pub ip: IpAddr,
    /// Its user agent; `None`: none is sent.
    pub user_agent: Option<String>,
}

/// The kind of requests that activity consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ActivityKind {
    /// Page loads.
    #[default]
    Pages,
    /// Requests of scripts.
    Requests,
    /// The page guard's reports of real input.
    Input,
    /// Requests marked as background.
    Background,
}

/// Requests at regular intervals, the first at `from`, none after `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// The first request.
    pub from: Timestamp,
    /// No request after this.
    pub until: Timestamp,
    /// The interval.
    pub every: Span,
}

/// An application that is entered with a page load; later requests go there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationEntry {
    /// Its name.
    pub application: String,
    /// The time.
    pub at: Timestamp,
}

/// A change of the client from a time on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientMove {
    /// The time.
    pub at: Timestamp,
    /// The change.
    pub to: ClientChange,
}

/// What a change affects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientChange {
    /// The IP address.
    Ip(IpAddr),
    /// The browser.
    UserAgent(String),
}

/// The use of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityPattern {
    /// The client until the first change.
    pub client: ScenarioClient,
    /// Applications that are entered, in any order.
    pub entering: Vec<ApplicationEntry>,
    /// When there are requests.
    pub activity: Vec<Activity>,
    /// The kind of requests.
    pub manner: ActivityKind,
    /// The path of the requests.
    pub path: String,
    /// Pauses: no activity from the first instant to the second.
    pub pauses: Vec<(Timestamp, Timestamp)>,
    /// Until when a window with the page guard stays open.
    pub window_until: Option<Timestamp>,
    /// Changes of network and browser.
    pub moves: Vec<ClientMove>,
}

impl ActivityPattern {
    /// Creates a pattern without any activity.
    pub fn quiet(client: ScenarioClient) -> Self {
        Self {
            client,
            entering: Vec::new(),
            activity: Vec::new(),
            manner: ActivityKind::default(),
            path: "/".into(),
            pauses: Vec::new(),
            window_until: None,
            moves: Vec::new(),
        }
    }
}

/// A session and its use from a time on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Its account's role.
    pub role: Role,
    /// The expiry date of its account.
    pub expires_at: Option<Timestamp>,
    /// When the pattern starts.
    pub begin: Timestamp,
    /// The times that determine its end, at the start.
    pub life: LifeFacts,
    /// Its binding at the start.
    pub binding: Binding,
    /// Whether it is bound to a device, which then proves itself with every request.
    pub is_device_bound: bool,
    /// The applications that it entered earlier.
    pub entered: Vec<String>,
    /// Its use.
    pub pattern: ActivityPattern,
}

impl Scenario {
    /// Creates a scenario that begins with a sign-in.
    pub fn signed_in(role: Role, at: Timestamp, pattern: ActivityPattern) -> Self {
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
            is_device_bound: false,
            entered: Vec::new(),
            pattern,
        }
    }

    /// Returns the device of a request at `at`. A requirement to bind a device ends no session.
    pub(super) fn device(&self, at: Timestamp) -> DeviceEvidence {
        match self.is_device_bound {
            true => DeviceEvidence::Bound { proved_until: Some(at) },
            false => DeviceEvidence::Unbound { registrable_until: at },
        }
    }
}
