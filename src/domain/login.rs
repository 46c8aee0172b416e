//! The sign-in decision, once the password has been checked.
//! The caller verifies a password always (a decoy's, when there is no account), so that the answer takes the same time.

use super::{
    lockout::Locked,
    password::{ChangeReason, works_at},
    time::Timestamp,
};

/// Audit reason of [`LoginVerdict::OneTimeOver`].
pub const ONE_TIME_OVER: &str = "one_time_password_over";

/// What a sign-in is decided from.
#[derive(Debug, Clone)]
pub struct LoginFacts {
    /// None: no such account (the decoy hash was verified).
    pub account: Option<LoginAccount>,
    /// Whether the password is the account's.
    pub password_matches: bool,
    /// A counter refused the attempt (then nothing was hashed).
    pub locked: Option<Locked>,
    /// A counter had no place for one more attempt in flight (then nothing was hashed).
    pub busy: bool,
}

/// The account behind the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginAccount {
    /// Switched off by an administrator.
    pub disabled: bool,
    /// Expired by a rule or a date.
    pub expired: bool,
    /// Why the password must be changed first.
    pub must_change: Option<ChangeReason>,
    /// Last instant at which a password works that its owner did not choose; `None`: no limit.
    pub password_good_until: Option<Timestamp>,
}

/// What becomes of the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginVerdict {
    /// Signed in.
    Accepted {
        /// A duty that comes before anything else.
        must_change: Option<ChangeReason>,
    },
    /// Not signed in.
    Refused(Refusal),
    /// The right one-time password, too late: counted and answered as a wrong one. Only the audit knows better.
    OneTimeOver,
}

/// Why nobody was signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Wrong name or password; nobody learns which.
    Credentials,
    /// The right password of a disabled account.
    Disabled,
    /// The right password of an expired account.
    Expired,
    /// Too many failures.
    Locked(Locked),
    /// Too many attempts in flight.
    Busy,
}

impl Refusal {
    /// Audit reason: credentials, account_disabled, account_expired, locked, busy.
    pub const fn code(&self) -> &'static str {
        match self {
            Refusal::Credentials => "credentials",
            Refusal::Disabled => "account_disabled",
            Refusal::Expired => "account_expired",
            Refusal::Locked(_) => "locked",
            Refusal::Busy => "busy",
        }
    }
}

/// Decides a sign-in. A lock refuses the right password too; only the right password learns of the account's state.
pub fn decide(facts: &LoginFacts, now: Timestamp) -> LoginVerdict {
    let refusal = match (facts.locked, facts.busy, facts.account) {
        (Some(locked), _, _) => Refusal::Locked(locked),
        (None, true, _) => Refusal::Busy,
        (None, false, None) => Refusal::Credentials,
        (None, false, Some(_)) if !facts.password_matches => Refusal::Credentials,
        (None, false, Some(account)) if !works_at(account.password_good_until, now) => {
            return LoginVerdict::OneTimeOver;
        }
        (None, false, Some(account)) if account.disabled => Refusal::Disabled,
        (None, false, Some(account)) if account.expired => Refusal::Expired,
        (None, false, Some(account)) => {
            return LoginVerdict::Accepted {
                must_change: account.must_change,
            };
        }
    };
    LoginVerdict::Refused(refusal)
}
