//! The filter of session lists. The page, the export and the command line share it.

use ipnetwork::IpNetwork;

use super::{
    super::{
        account::{AccountId, Role},
        time::Timestamp,
    },
    AccountSession, EndReason, SessionId,
};

/// A place in the session list: last activity (in a list of ended sessions: the end) and ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCursor {
    /// The instant by which the list is ordered.
    pub at: Timestamp,
    /// Distinguishes sessions with the same instant.
    pub id: SessionId,
}

/// States of the session list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionListState {
    /// Not ended, latest activity first.
    #[default]
    Active,
    /// Ended, latest end first.
    Ended,
    /// Live, and its network changed.
    Flagged,
    /// Live and ended, latest activity first.
    All,
}

/// Conditions that every session of a list meets, and where its page starts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SessionFilter {
    /// Only sessions of this account.
    pub account: Option<AccountId>,
    /// Text within the account's name, display name or email address, in any case.
    pub text: Option<String>,
    /// Only sessions whose latest address is in this network.
    pub network: Option<IpNetwork>,
    /// Only sessions that entered this application.
    pub application: Option<String>,
    /// Only sessions of accounts with this role.
    pub role: Option<Role>,
    /// Only sessions of accounts of the source with this name, or only of local ones for `local`
    /// ([`crate::source::LOCAL`]).
    pub source: Option<String>,
    /// Sessions in this state.
    pub state: SessionListState,
    /// Only sessions that were last active before this instant.
    pub idle_longer_than: Option<Timestamp>,
    /// Only sessions that ended for this reason.
    pub end_reason: Option<EndReason>,
    /// Only sessions that ended at or after this instant.
    pub ended_since: Option<Timestamp>,
    /// Only sessions that ended at or before this instant.
    pub ended_until: Option<Timestamp>,
    /// Place after which the page starts.
    pub after: Option<SessionCursor>,
    /// Place before which the page ends.
    pub before: Option<SessionCursor>,
    /// Maximum number of sessions on one page.
    pub limit: i64,
}

impl AccountSession {
    /// Returns its place in a list of `state`.
    pub fn cursor(&self, state: SessionListState) -> SessionCursor {
        let at = match state {
            SessionListState::Ended => self.session.ended_at.unwrap_or(self.session.last_active_at),
            SessionListState::Active | SessionListState::Flagged | SessionListState::All => self.session.last_active_at,
        };
        SessionCursor {
            at,
            id: self.session.id,
        }
    }
}

/// Instants before which a live session may be due to end; `None`: there is no such rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepBounds {
    /// It was signed in earlier.
    pub signed_in_before: Option<Timestamp>,
    /// It was last active earlier.
    pub active_before: Option<Timestamp>,
    /// Its window was last seen earlier.
    pub seen_before: Option<Timestamp>,
}
