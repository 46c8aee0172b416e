//! Audit events: their codes, and the entry that records one. The store writes and searches the
//! audit.

use std::net::IpAddr;

mod initiator;
mod record;
pub mod repeated;
pub mod seal;
pub mod shipping;

pub use initiator::Initiator;
pub use record::{AuditFilter, AuditRecord};

use super::{account::AccountId, session::SessionId};

/// Declares each event once: variant, code, sentence.
macro_rules! events {
    ($($variant:ident $code:literal $sentence:literal,)+) => {
        /// Every kind of event, in the order in which lists show them. `as_str` gives the code,
        /// such as `sign_in.accepted`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Event { $(#[doc = $sentence] $variant,)+ }

        impl Event {
            /// All events, in the order in which lists show them.
            pub const ALL: &[Event] = &[$(Event::$variant,)+];

            /// Returns the stable code: a noun and what happened to it, such as `session.ended`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Event::$variant => $code,)+ }
            }

            /// Parses a code; `None` for an unknown one.
            pub fn parse(code: &str) -> Option<Self> {
                match code { $($code => Some(Event::$variant),)+ _ => None }
            }

            /// Returns a short description for screens.
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
    SessionRotated "session.rotated" "Session ID rotated",
    SessionRotatedIdReused "session.rotated_id_reused" "A replaced session ID was used again",
    SessionUserAgentChanged "session.user_agent_changed" "Session used with another browser",
    SessionHandedOver "session.handed_over" "Session handed over to another host",
    DeviceBound "device.bound" "Session bound to a device",
    DeviceProofRefused "device.proof_refused" "Proof of a device refused",
    DeviceLost "device.lost" "Bound session used without its device",
    LockoutBegan "lockout.began" "Lockout began",
    LockoutEnded "lockout.ended" "Lockout ran out",
    LockoutBlocked "lockout.blocked" "Blocked by an administrator",
    LockoutReleased "lockout.released" "Lockout released",
    PasswordChanged "password.changed" "Password changed",
    PasswordResetRequested "password.reset_requested" "Password reset requested",
    PasswordReset "password.reset" "Password reset",
    EmailChangeRequested "email.change_requested" "Email change requested",
    EmailChangeConfirmed "email.change_confirmed" "Email change confirmed by one address",
    EmailChanged "email.changed" "Email address changed",
    EmailChangeCancelled "email.change_cancelled" "Email change cancelled",
    FactorAdded "factor.added" "Second factor added",
    FactorRemoved "factor.removed" "Second factor removed",
    FactorReset "factor.reset" "Second factors reset",
    FactorRenamed "factor.renamed" "Passkey renamed",
    FactorRefused "factor.refused" "Second factor refused",
    FactorProved "factor.proved" "Second factor proved",
    RecoveryCodesMade "recovery_codes.made" "Recovery codes made",
    RecoveryCodeUsed "recovery_code.used" "Recovery code used",
    BrowserTrusted "browser.trusted" "Browser trusted",
    BrowserUntrusted "browser.untrusted" "Browser no longer trusted",
    ProviderSignOut "provider.sign_out" "Signed out at the identity provider",
    ProviderSignOutRefused "provider.sign_out_refused" "Sign-out by an identity provider refused",
    ProviderEvent "provider.event" "Security event from the identity provider",
    ProviderEventRefused "provider.event_refused" "Security event from an identity provider refused",
    SignInReported "sign_in.disowned" "Sign-in reported as not mine",
    AccountCreated "account.created" "Account created",
    AccountUpdated "account.updated" "Account updated",
    AccountDeleted "account.deleted" "Account deleted",
    AccountDisabled "account.disabled" "Account disabled",
    AccountEnabled "account.enabled" "Account enabled",
    AccountExpired "account.expired" "Account expired",
    AccountRoleChanged "account.role_changed" "Role changed",
    SetupCompleted "setup.completed" "Setup completed",
    PolicyChanged "policy.changed" "Policy changed",
    PolicyConfirmed "policy.confirmed" "Policy confirmed",
    PolicyRestored "policy.restored" "Earlier policy restored",
    PolicyReverted "policy.reverted" "Unconfirmed policy reverted",
    ApplicationChanged "application.changed" "Application changed",
    SourceCreated "source.created" "Source created",
    SourceChanged "source.changed" "Source changed",
    SourceDeleted "source.deleted" "Source deleted",
    SourceEnabled "source.enabled" "Source enabled",
    SourceDisabled "source.disabled" "Source disabled",
    AuditExported "audit.exported" "Audit exported",
    AuditPurged "audit.purged" "Old audit entries removed",
    DataExported "data.exported" "Accounts or sessions exported",
    DatabaseRestored "database.restored" "Database restored from a copy",
    AccessDenied "access.denied" "Access denied",
    MailGivenUp "mail.given_up" "Email could not be sent",
    MailRetried "mail.retried" "Email retried",
    MailDiscarded "mail.discarded" "Email discarded",
}

impl Event {
    /// Returns the noun of the code, for grouped filters: `sign_in`, `session`, `policy` ….
    pub fn group(self) -> &'static str {
        let code = self.as_str();
        code.split_once('.').map_or(code, |(noun, _)| noun)
    }

    /// Returns whether the event needs immediate attention: a session ID that is known to be in two
    /// places (docs/policy.md, decision 6).
    pub const fn critical(self) -> bool {
        matches!(self, Event::SessionRotatedIdReused)
    }

    /// Returns whether an event with this reason is critical. Beside [`Event::critical`] events,
    /// this is a passkey whose counter went backwards: it may have been copied.
    pub fn is_critical(self, reason: Option<&str>) -> bool {
        self.critical() || (self == Event::FactorRefused && reason == Some("counter"))
    }
}

impl std::fmt::Display for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether the attempt succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventOutcome {
    /// It succeeded.
    Success,
    /// It was refused or failed.
    Failure,
}

impl EventOutcome {
    /// Returns `success` or `failure`.
    pub const fn as_str(self) -> &'static str {
        match self {
            EventOutcome::Success => "success",
            EventOutcome::Failure => "failure",
        }
    }

    /// Parses an outcome; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "success" => Some(EventOutcome::Success),
            "failure" => Some(EventOutcome::Failure),
            _ => None,
        }
    }
}

/// One audit entry, before it has an ID and a time.
#[derive(Debug, Clone)]
pub struct AuditEntry {
    /// The kind of event.
    pub event: Event,
    /// The actor.
    pub actor: Actor,
    /// The account that the event concerns: the ID if the account exists, and the name as shown or
    /// typed.
    pub account: Option<(Option<AccountId>, String)>,
    /// The session it concerns.
    pub session: Option<SessionId>,
    /// The origin of the request.
    pub origin: RequestOrigin,
    /// The application it concerns, by name.
    pub application: Option<String>,
    /// Whether it succeeded.
    pub outcome: EventOutcome,
    /// A stable reason code (`idle`, `credentials` …).
    pub reason: Option<String>,
    /// JSON for the expand view (old → new, names tried …), never secrets.
    pub detail: serde_json::Value,
}

impl AuditEntry {
    /// Creates an entry for a successful event without further details.
    pub fn new(event: Event, actor: Actor) -> Self {
        Self {
            event,
            actor,
            account: None,
            session: None,
            origin: RequestOrigin::default(),
            application: None,
            outcome: EventOutcome::Success,
            reason: None,
            detail: serde_json::Value::Null,
        }
    }

    /// Names the account that the event concerns.
    pub fn with_account(self, id: AccountId, name: &str) -> Self {
        Self {
            account: Some((Some(id), name.to_owned())),
            ..self
        }
    }

    /// Names an account that may not exist, as typed.
    pub fn about_name(self, name: Option<String>) -> Self {
        Self {
            account: name.map(|name| (None, name)),
            ..self
        }
    }

    /// Names the session that the event concerns.
    pub fn in_session(self, session: SessionId) -> Self {
        Self {
            session: Some(session),
            ..self
        }
    }

    /// Sets the origin.
    pub fn from_origin(self, origin: RequestOrigin) -> Self {
        Self { origin, ..self }
    }

    /// Names the application that the event concerns.
    pub fn at_application(self, name: Option<&str>) -> Self {
        Self {
            application: name.map(str::to_owned),
            ..self
        }
    }

    /// Adds a stable reason code.
    pub fn with_reason(self, reason: &str) -> Self {
        Self {
            reason: Some(reason.to_owned()),
            ..self
        }
    }

    /// Adds JSON for the expand view, never secrets.
    pub fn with_detail(self, detail: serde_json::Value) -> Self {
        Self { detail, ..self }
    }

    /// Marks the event as failed, with a reason.
    pub fn failed(self, reason: &str) -> Self {
        Self {
            outcome: EventOutcome::Failure,
            ..self.with_reason(reason)
        }
    }
}

/// The actor of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in user.
    Account {
        /// The account.
        id: AccountId,
        /// The account's name at that time.
        name: String,
    },
    /// A visitor who is not signed in; [`AuditEntry::account`] has the name they typed.
    Anonymous,
    /// The server itself (sweeps, expiry, reverts).
    System,
    /// A person at the command line.
    Cli {
        /// Their name and number on the machine, as the operating system reports them.
        user: String,
    },
}

impl Actor {
    /// Returns the acting account, if there is one.
    pub fn account_id(&self) -> Option<AccountId> {
        match self {
            Actor::Account { id, .. } => Some(*id),
            Actor::Anonymous | Actor::System | Actor::Cli { .. } => None,
        }
    }
}

/// Writes a name, `anonymous`, `system` or `cli:user`.
impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Actor::Account { name, .. } => f.write_str(name),
            Actor::Anonymous => f.write_str("anonymous"),
            Actor::System => f.write_str("system"),
            Actor::Cli { user } => write!(f, "cli:{user}"),
        }
    }
}

/// The origin of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestOrigin {
    /// The client's IP address.
    pub ip: Option<IpAddr>,
    /// The client's user agent, cut by `agent::cut`.
    pub user_agent: Option<String>,
    /// The ID of the request in the log.
    pub request_id: Option<String>,
}
