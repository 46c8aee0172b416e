//! Letters: which there are, what becomes of one, and when a failed one is tried again. How one is worded and sent is in `mail`.

use super::time::{Span, Timestamp};

/// A letter that says nothing else is given up after two days: older news confuses more than it helps.
pub const KEPT_TRYING: Span = Span::from_secs(2 * 86_400);

/// The first wait after a failure, and the longest.
const FIRST_WAIT: i64 = 30;
const LONGEST_WAIT: i64 = 3600;

/// What a letter is about; its code stands in lists and exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LetterKind {
    /// An administrator looks whether mail arrives.
    Test,
    /// The link for a forgotten password.
    PasswordReset,
    /// The password was set anew through such a link.
    PasswordWasReset,
    /// The link to choose a first password.
    Invitation,
    /// A sign-in with a new device or from a new network.
    NewSignIn,
    /// The password was changed or reset.
    PasswordChanged,
    /// The link that confirms a new e-mail address.
    EmailConfirm,
    /// The link that confirms it from the old one.
    EmailAskedFor,
    /// Somebody else asked for an address that has its account.
    EmailTaken,
    /// The e-mail address was changed.
    EmailChanged,
    /// Failures locked the account.
    LockedOut,
    /// The account expires soon.
    ExpiresSoon,
    /// The account has expired.
    Expired,
    /// The account was re-activated.
    Reactivated,
    /// What administrators should look at.
    Digest,
    /// Kinds of letters were switched off.
    SwitchedOff,
}

impl LetterKind {
    /// `test`, `password_reset` …
    pub const fn as_str(self) -> &'static str {
        match self {
            LetterKind::Test => "test",
            LetterKind::PasswordReset => "password_reset",
            LetterKind::PasswordWasReset => "password_was_reset",
            LetterKind::Invitation => "invitation",
            LetterKind::NewSignIn => "new_sign_in",
            LetterKind::PasswordChanged => "password_changed",
            LetterKind::EmailConfirm => "email_confirm",
            LetterKind::EmailAskedFor => "email_asked_for",
            LetterKind::EmailTaken => "email_taken",
            LetterKind::EmailChanged => "email_changed",
            LetterKind::LockedOut => "locked_out",
            LetterKind::ExpiresSoon => "expires_soon",
            LetterKind::Expired => "expired",
            LetterKind::Reactivated => "reactivated",
            LetterKind::Digest => "digest",
            LetterKind::SwitchedOff => "switched_off",
        }
    }
}

/// What has become of a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LetterState {
    /// It waits for its turn, or for the next attempt.
    Queued,
    /// The mail server took it.
    Sent,
    /// Refused for good, or not taken in time.
    GivenUp,
    /// An administrator took it back.
    Discarded,
}

impl LetterState {
    /// Every state, in the order of lists.
    pub const ALL: &[LetterState] = &[
        LetterState::Queued,
        LetterState::GivenUp,
        LetterState::Sent,
        LetterState::Discarded,
    ];

    /// `queued`, `sent`, `given_up`, `discarded`.
    pub const fn as_str(self) -> &'static str {
        match self {
            LetterState::Queued => "queued",
            LetterState::Sent => "sent",
            LetterState::GivenUp => "given_up",
            LetterState::Discarded => "discarded",
        }
    }

    /// The state of a word; `None`: no such state.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == word)
    }
}

/// When to try again after `attempts` failures; `None`: it would be too late. `spread` (a random byte) moves the instant
/// by up to a fifth, so that what failed together does not come back together.
pub fn next_attempt(attempts: i32, spread: u8, now: Timestamp, give_up_at: Timestamp) -> Option<Timestamp> {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(0).min(4);
    let wait = FIRST_WAIT.saturating_mul(4_i64.pow(doublings)).min(LONGEST_WAIT);
    let spread = wait * i64::from(spread) / (5 * 255);
    let next = now.saturating_add(Span::from_secs(wait + spread));
    (next <= give_up_at).then_some(next)
}

/// A server's words as they may be kept: one line, bounded, without anything that could be a link of ours.
pub fn kept_words(words: &str) -> String {
    const LONGEST: usize = 300;
    let words = words
        .split_whitespace()
        .map(|word| match word.contains("://") || word.contains("token") {
            true => "…",
            false => word,
        });
    let line = words.collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}
