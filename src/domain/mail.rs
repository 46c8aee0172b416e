//! Emails: their kinds, their states, and when a failed one is retried. `mail` renders and sends
//! them.

mod outbox;

pub use outbox::{EmailFilter, NewEmail, OutboxEmail};

use super::time::{Span, Timestamp};

/// How long sending is retried by default. Later, the email would confuse more than help.
pub const MAX_TRYING_TIME: Span = Span::from_secs(2 * 86_400);

/// The first and the longest delay after a failure, in seconds.
const FIRST_WAIT: i64 = 30;
const MAX_WAIT_SECS: i64 = 3600;

/// The kind of an email; its code is used in lists and exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EmailKind {
    /// A test by an administrator.
    Test,
    /// The link for a forgotten password.
    PasswordReset,
    /// Confirmation that the password was reset through such a link.
    PasswordWasReset,
    /// The link to choose a first password.
    Invitation,
    /// A sign-in with a new device or from a new network.
    NewSignIn,
    /// The password was changed or reset.
    PasswordChanged,
    /// The link that confirms a new email address.
    EmailConfirm,
    /// The link that confirms the change at the current address.
    EmailAskedFor,
    /// A request by another account for an address that is already in use.
    EmailTaken,
    /// The email address was changed.
    EmailChanged,
    /// Failures locked the account.
    LockedOut,
    /// The account is about to expire.
    ExpiresSoon,
    /// The account has expired.
    Expired,
    /// The account was reactivated.
    Reactivated,
    /// The digest for administrators.
    Digest,
    /// Kinds of notifications were switched off.
    SwitchedOff,
    /// A second factor was added, removed, renamed, used or reset.
    FactorChanged,
    /// A link to enrol a second factor.
    EnrolmentLink,
}

impl EmailKind {
    /// Returns the code: `test`, `password_reset` …
    pub const fn as_str(self) -> &'static str {
        match self {
            EmailKind::Test => "test",
            EmailKind::PasswordReset => "password_reset",
            EmailKind::PasswordWasReset => "password_was_reset",
            EmailKind::Invitation => "invitation",
            EmailKind::NewSignIn => "new_sign_in",
            EmailKind::PasswordChanged => "password_changed",
            EmailKind::EmailConfirm => "email_confirm",
            EmailKind::EmailAskedFor => "email_asked_for",
            EmailKind::EmailTaken => "email_taken",
            EmailKind::EmailChanged => "email_changed",
            EmailKind::LockedOut => "locked_out",
            EmailKind::ExpiresSoon => "expires_soon",
            EmailKind::Expired => "expired",
            EmailKind::Reactivated => "reactivated",
            EmailKind::Digest => "digest",
            EmailKind::SwitchedOff => "switched_off",
            EmailKind::FactorChanged => "factor_changed",
            EmailKind::EnrolmentLink => "enrolment_link",
        }
    }
}

/// The state of an email.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EmailState {
    /// Waiting for its turn, or for the next attempt.
    Queued,
    /// Accepted by the mail server.
    Sent,
    /// Refused permanently, or not accepted in time.
    GivenUp,
    /// Cancelled by an administrator.
    Discarded,
}

impl EmailState {
    /// Every state, in the order of lists.
    pub const ALL: &[EmailState] = &[
        EmailState::Queued,
        EmailState::GivenUp,
        EmailState::Sent,
        EmailState::Discarded,
    ];

    /// Returns `queued`, `sent`, `given_up` or `discarded`.
    pub const fn as_str(self) -> &'static str {
        match self {
            EmailState::Queued => "queued",
            EmailState::Sent => "sent",
            EmailState::GivenUp => "given_up",
            EmailState::Discarded => "discarded",
        }
    }

    /// Parses a state; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == word)
    }
}

/// Returns when to retry after `attempts` failures; `None`: it would be too late. `spread` (a
/// random byte) moves the instant by up to a fifth, so that emails that failed together are not
/// retried together.
pub fn next_attempt(attempts: i32, spread: u8, now: Timestamp, give_up_at: Timestamp) -> Option<Timestamp> {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(4);
    let wait = FIRST_WAIT.saturating_mul(4_i64.pow(doublings)).min(MAX_WAIT_SECS);
    let spread = wait * i64::from(spread) / (5 * 255);
    let next = now.saturating_add(Span::from_secs(wait + spread));
    (next <= give_up_at).then_some(next)
}

/// Shortens a mail server's answer for storage: one line, bounded, without anything that could be
/// one of our links.
pub fn truncate_words(words: &str) -> String {
    const MAX_LENGTH: usize = 300;
    let words = words
        .split_whitespace()
        .map(|word| match word.contains("://") || word.contains("token") {
            true => "…",
            false => word,
        });
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(MAX_LENGTH).collect()
}
