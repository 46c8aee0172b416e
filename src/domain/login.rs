//! The decision about a sign-in, after the password has been checked. The caller always verifies a
//! password (a decoy's if there is no account), so that the answer takes the same time.

use super::{
    lockout::LockDuration,
    password::{ChangeReason, is_valid_at},
    time::Timestamp,
};

/// The audit reason of [`LoginVerdict::OneTimeOver`].
pub const ONE_TIME_OVER: &str = "one_time_password_over";

/// Facts that decide a sign-in.
#[derive(Debug, Clone)]
pub struct LoginFacts {
    /// The account; `None`: there is no such account (a decoy hash was verified).
    pub account: Option<LoginAccount>,
    /// Whether the password matches the account's.
    pub password_matches: bool,
}

/// Facts about the account behind the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginAccount {
    /// Whether an administrator disabled it.
    pub disabled: bool,
    /// Whether it expired by a rule or a date.
    pub expired: bool,
    /// Why the password must be changed first.
    pub must_change: Option<ChangeReason>,
    /// The last instant at which a password works that its owner did not choose; `None`: no limit.
    pub password_good_until: Option<Timestamp>,
}

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginVerdict {
    /// Signed in.
    Accepted {
        /// The reason why the password must be changed before anything else.
        must_change: Option<ChangeReason>,
    },
    /// Refused.
    Refused(SignInRefusal),
    /// The right one-time password after it expired. It is counted and answered as a wrong one;
    /// only the audit shows the difference.
    OneTimeOver,
}

/// The reason for a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInRefusal {
    /// Wrong username or password; the answer does not say which.
    Credentials,
    /// The correct password for a disabled account.
    Disabled,
    /// The correct password for an expired account.
    Expired,
    /// Too many failures.
    Locked(LockDuration),
    /// Too many attempts in flight.
    Busy,
}

impl SignInRefusal {
    /// Returns the audit reason: credentials, account_disabled, account_expired, locked or busy.
    pub const fn code(&self) -> &'static str {
        match self {
            SignInRefusal::Credentials => "credentials",
            SignInRefusal::Disabled => "account_disabled",
            SignInRefusal::Expired => "account_expired",
            SignInRefusal::Locked(_) => "locked",
            SignInRefusal::Busy => "busy",
        }
    }
}

/// Decides a sign-in that no counter refused; counters refuse before the password is checked. Only
/// the correct password reveals the account's state.
pub fn decide(facts: &LoginFacts, now: Timestamp) -> LoginVerdict {
    let refusal = match facts.account {
        None => SignInRefusal::Credentials,
        Some(_) if !facts.password_matches => SignInRefusal::Credentials,
        Some(account) if !is_valid_at(account.password_good_until, now) => return LoginVerdict::OneTimeOver,
        Some(account) if account.disabled => SignInRefusal::Disabled,
        Some(account) if account.expired => SignInRefusal::Expired,
        Some(account) => {
            return LoginVerdict::Accepted {
                must_change: account.must_change,
            };
        }
    };
    LoginVerdict::Refused(refusal)
}
