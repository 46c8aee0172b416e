//! The vocabulary of audit events: codes of http.md, and the entry that records one.
//! Writing and searching the audit is the store's.

use std::net::IpAddr;

pub mod repeated;
pub mod seal;

use super::{account::AccountId, session::SessionId};

/// Declares each event once: variant, code, sentence.
macro_rules! events {
    ($($variant:ident $code:literal $sentence:literal,)+) => {
        /// Every event code of http.md, in its order: `as_str` gives `sign_in.accepted` ….
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Event { $(#[doc = $sentence] $variant,)+ }

        impl Event {
            /// All events, in the order of http.md.
            pub const ALL: &[Event] = &[$(Event::$variant,)+];

            /// The stable code, `noun.happening`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Event::$variant => $code,)+ }
            }

            /// The event of a code; `None`: no such code.
            pub fn parse(code: &str) -> Option<Self> {
                match code { $($code => Some(Event::$variant),)+ _ => None }
            }

            /// A few words for people: what happened.
            pub const fn sentence(self) -> &'static str {
                match self { $(Event::$variant => $sentence,)+ }
            }
        }
    };
}

events! {
    SignInAccepted "sign_in.accepted" "Signed in",
    SignInRefused "sign_in.refused" "Sign-in refused",
    SignOut "sign_out" "Signed out",
    StepUpAccepted "step_up.accepted" "Password confirmed",
    StepUpRefused "step_up.refused" "Password confirmation refused",
    SessionOpened "session.opened" "Session opened",
    SessionEnded "session.ended" "Session ended",
    SessionNetworkChanged "session.network_changed" "Session moved to another network",
    SessionRotated "session.rotated" "Session id replaced",
    SessionRotatedIdReused "session.rotated_id_reused" "A replaced session id was used again",
    SessionUserAgentChanged "session.user_agent_changed" "Session used with another browser",
    SessionHandedOver "session.handed_over" "Session handed over to another host",
    LockoutBegan "lockout.began" "Lockout began",
    LockoutEnded "lockout.ended" "Lockout ran out",
    LockoutBlocked "lockout.blocked" "Blocked by an administrator",
    LockoutReleased "lockout.released" "Lockout released",
    PasswordChanged "password.changed" "Password changed",
    PasswordResetRequested "password.reset_requested" "Password reset requested",
    PasswordReset "password.reset" "Password reset",
    EmailChangeRequested "email.change_requested" "Another e-mail address asked for",
    EmailChangeConfirmed "email.change_confirmed" "Another e-mail address confirmed by one of the two",
    EmailChanged "email.changed" "E-mail address changed",
    EmailChangeCancelled "email.change_cancelled" "Change of the e-mail address refused",
    SignInDisowned "sign_in.disowned" "A sign-in was disowned",
    AccountCreated "account.created" "Account created",
    AccountUpdated "account.updated" "Account updated",
    AccountDeleted "account.deleted" "Account deleted",
    AccountDisabled "account.disabled" "Account disabled",
    AccountEnabled "account.enabled" "Account enabled",
    AccountExpired "account.expired" "Account expired",
    AccountRoleChanged "account.role_changed" "Role changed",
    SetupCompleted "setup.completed" "Set-up completed",
    PolicyChanged "policy.changed" "Policy changed",
    PolicyConfirmed "policy.confirmed" "Policy confirmed",
    PolicyRestored "policy.restored" "Earlier policy restored",
    PolicyReverted "policy.reverted" "Unconfirmed policy undone",
    ApplicationChanged "application.changed" "Application changed",
    AuditExported "audit.exported" "Audit exported",
    AuditPurged "audit.purged" "Old audit entries removed",
    DataExported "data.exported" "Accounts or sessions exported",
    DatabaseRestored "database.restored" "Database restored from a copy",
    AccessDenied "access.denied" "Access denied",
    MailGivenUp "mail.given_up" "A letter could not be sent",
    MailRetried "mail.retried" "A letter was sent for again",
    MailDiscarded "mail.discarded" "A letter was discarded",
}

impl Event {
    /// The noun of the code, for grouped filters: `sign_in`, `session`, `policy` ….
    pub fn group(self) -> &'static str {
        let code = self.as_str();
        code.split_once('.').map_or(code, |(noun, _)| noun)
    }

    /// Worth waking somebody: a session id known to be in two places (policy.md, decision 6).
    pub const fn critical(self) -> bool {
        matches!(self, Event::SessionRotatedIdReused)
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether what was tried came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It did.
    Success,
    /// It was refused or went wrong.
    Failure,
}

impl Outcome {
    /// `success` or `failure`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
        }
    }

    /// The outcome of a word; `None`: neither of the two.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "success" => Some(Outcome::Success),
            "failure" => Some(Outcome::Failure),
            _ => None,
        }
    }
}

/// One happening, before it has an id and a time.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// Who did it.
    pub actor: Actor,
    /// Whom it concerns: the id when there is such an account, and the name as shown or typed.
    pub account: Option<(Option<AccountId>, String)>,
    /// The session it concerns.
    pub session: Option<SessionId>,
    /// Where it came from.
    pub origin: Origin,
    /// The application it concerns, by name.
    pub application: Option<String>,
    /// Whether it came about.
    pub outcome: Outcome,
    /// A stable reason code (`idle`, `credentials` …).
    pub reason: Option<String>,
    /// JSON for the expand view (old → new, names tried …), never secrets.
    pub detail: serde_json::Value,
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Somebody signed in.
    Account {
        /// The account.
        id: AccountId,
        /// Its name at that time.
        name: String,
    },
    /// Somebody not signed in; what they typed stands in [`Entry::account`].
    Anonymous,
    /// The server by itself (sweeps, expiry, reverts).
    System,
    /// A person at the command line.
    Cli {
        /// Their name and number on the machine.
        user: String,
    },
}

/// Where it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The client's user agent, cut as in `agent::cut`.
    pub user_agent: Option<String>,
    /// The request's id in the log.
    pub request_id: Option<String>,
}
