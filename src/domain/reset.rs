//! Links to choose a password: how long they work, and how often they may be requested.

use super::time::{Span, Timestamp};

/// The purpose of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// Reset of a forgotten password.
    Reset,
    /// The first password of an invited account.
    Invitation,
}

impl LinkKind {
    /// All kinds.
    pub const ALL: &[LinkKind] = &[LinkKind::Reset, LinkKind::Invitation];

    /// Returns `reset` or `invitation`.
    pub const fn as_str(self) -> &'static str {
        match self {
            LinkKind::Reset => "reset",
            LinkKind::Invitation => "invitation",
        }
    }

    /// Parses a kind; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "reset" => Some(LinkKind::Reset),
            "invitation" => Some(LinkKind::Invitation),
            _ => None,
        }
    }

    /// Returns how long such a link works; inclusive.
    pub const fn lifetime(self) -> Span {
        match self {
            LinkKind::Reset => Span::from_secs(30 * 60),
            LinkKind::Invitation => Span::from_secs(72 * 3600),
        }
    }
}

/// Time within which requests are counted.
pub const WINDOW: Span = Span::from_secs(3600);

/// The requests for one username or from one network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecentRequests(pub Vec<i64>);

impl RecentRequests {
    /// Returns whether another request gets an email under `auth.reset_limit`, and forgets requests
    /// that are more than an hour old.
    pub fn allows(&mut self, limit: usize, now: Timestamp) -> bool {
        let since = now.saturating_sub(WINDOW).as_micros();
        self.0.retain(|at| *at >= since);
        self.0.len() < limit
    }

    /// Counts a request.
    pub fn note(&mut self, now: Timestamp) {
        self.0.push(now.as_micros());
    }
}

/// Facts that decide whether a link works.
#[derive(Debug, Clone, Copy)]
pub struct LinkFacts<'a> {
    /// The last instant at which it works.
    pub expires_at: Timestamp,
    /// The address that it was sent to, and the account's current address.
    pub sent_to: &'a str,
    /// The account's email address now.
    pub email: Option<&'a str>,
    /// When the password that was current at its creation was set, and when the current one was
    /// set.
    pub made_for: Timestamp,
    /// When the account's password was set last.
    pub password_changed_at: Timestamp,
    /// Whether an administrator disabled the account.
    pub disabled: bool,
    /// Whether the account has expired.
    pub expired: bool,
}

/// Returns whether the link works.
pub fn is_valid(facts: &LinkFacts<'_>, now: Timestamp) -> bool {
    now <= facts.expires_at
        && facts.email == Some(facts.sent_to)
        && facts.made_for == facts.password_changed_at
        && !facts.disabled
        && !facts.expired
}
