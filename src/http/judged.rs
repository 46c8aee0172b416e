//! The judged request: the results of the gate, for extractors and outer middleware.

use crate::{
    domain::{
        account::Role,
        client::Client,
        session::{DeviceFault, EndReason},
        time::Timestamp,
    },
    flows::{access::AdmittedSession, login::OpenedSession},
};
use std::rc::Rc;

/// The results of the gate, for extractors.
#[derive(Debug, Clone)]
pub struct JudgedRequest {
    pub client: Client,
    pub state: JudgedSession,
    /// Whether the account has access to the application of the page; always true on our own pages.
    pub may_enter: bool,
    /// Whether there were two different session cookies of one name; the sign-in page expires them.
    pub ambiguous: bool,
}

#[derive(Debug, Clone)]
/// The session of a request's cookie.
pub enum JudgedSession {
    Anonymous,
    /// The cookie belongs to a session that has ended. The digest is that of its token.
    Ended(EndReason, String),
    /// The session is live, but the request did not prove its device.
    Unproved(DeviceFault),
    Admitted(Rc<AdmittedSession>),
    /// The token of this digest could not be looked up in the database, and memory does not know
    /// it. It allows only signing out.
    Unjudged(String),
}

/// The request ID that `headers::apply` set.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// The account for which the handler just made a token.
#[derive(Debug, Clone, Copy)]
pub struct TokenRecipient {
    pub role: Role,
    pub signed_in_at: Timestamp,
}

impl TokenRecipient {
    /// Returns the facts of a session that was just opened.
    pub fn from_opened(opened: &OpenedSession) -> Self {
        Self {
            role: opened.account.role,
            signed_in_at: opened.signed_in_at,
        }
    }
}
