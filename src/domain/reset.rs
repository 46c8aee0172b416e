//! Links to choose a password with: how long they work, and how often one may be asked for.

use super::time::{Span, Timestamp};

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// A forgotten password.
    Reset,
    /// The first password of somebody invited.
    Invitation,
}

impl LinkKind {
    /// Both.
    pub const ALL: &[LinkKind] = &[LinkKind::Reset, LinkKind::Invitation];

    /// `reset` or `invitation`.
    pub const fn as_str(self) -> &'static str {
        match self {
            LinkKind::Reset => "reset",
            LinkKind::Invitation => "invitation",
        }
    }

    /// The kind of a word; `None`: neither.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "reset" => Some(LinkKind::Reset),
            "invitation" => Some(LinkKind::Invitation),
            _ => None,
        }
    }

    /// How long such a link works; inclusive.
    pub const fn lifetime(self) -> Span {
        match self {
            LinkKind::Reset => Span::from_secs(30 * 60),
            LinkKind::Invitation => Span::from_secs(72 * 3600),
        }
    }
}

/// Requests are counted for so long.
pub const WINDOW: Span = Span::from_secs(3600);

/// The requests of one name or one network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecentRequests(pub Vec<i64>);

impl RecentRequests {
    /// Whether one more is answered with a letter under `auth.reset_limit`; forgets those of more than an hour ago.
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

/// What a link is judged by.
#[derive(Debug, Clone, Copy)]
pub struct LinkFacts<'a> {
    /// Last instant at which it works.
    pub expires_at: Timestamp,
    /// The address it was sent to, and the account's now.
    pub sent_to: &'a str,
    pub email: Option<&'a str>,
    /// When the password was set that stood as it was made, and the one that stands now.
    pub made_for: Timestamp,
    pub password_changed_at: Timestamp,
    pub disabled: bool,
    pub expired: bool,
}

/// Whether the link opens anything.
pub fn works(facts: &LinkFacts<'_>, now: Timestamp) -> bool {
    now <= facts.expires_at
        && facts.email == Some(facts.sent_to)
        && facts.made_for == facts.password_changed_at
        && !facts.disabled
        && !facts.expired
}
