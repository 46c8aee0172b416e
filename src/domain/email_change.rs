//! Changing an email address: whose confirmation is needed, how long the links work, and how often
//! a change may be requested.

use super::time::{Span, Timestamp};

/// Lifetime of both links, inclusive.
pub const LIFE: Span = Span::from_secs(86_400);

/// Minimum time between two requests of one account.
const PAUSE: Span = Span::from_secs(60);
const HOUR: Span = Span::from_secs(3600);
/// Maximum number of requests of one account within an hour, and within a day.
const AN_HOUR: usize = 5;
const A_DAY: usize = 20;

/// The owner of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxSide {
    /// The new address.
    New,
    /// The current address.
    Old,
}

impl MailboxSide {
    /// Returns `new` or `old`.
    pub const fn as_str(self) -> &'static str {
        match self {
            MailboxSide::New => "new",
            MailboxSide::Old => "old",
        }
    }

    /// Returns the other side.
    pub const fn opposite(self) -> MailboxSide {
        match self {
            MailboxSide::New => MailboxSide::Old,
            MailboxSide::Old => MailboxSide::New,
        }
    }
}

/// The confirmations so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmations {
    /// Whether the new address has confirmed.
    pub new: bool,
    /// Whether the current address has confirmed.
    pub old: bool,
    /// Whether the account has an address; that address must confirm too.
    pub has_old: bool,
}

impl Confirmations {
    /// Returns whether that side must still confirm. The change takes effect once neither must.
    pub const fn awaits(self, side: MailboxSide) -> bool {
        match side {
            MailboxSide::New => !self.new,
            MailboxSide::Old => self.has_old && !self.old,
        }
    }
}

/// Whether a change may be requested now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailChangeLimit {
    /// It may be requested.
    Allowed,
    /// Refused: less than a minute after the previous request.
    TooSoon,
    /// Refused: too many requests within an hour or a day.
    TooOften,
}

/// Decides whether a change may be requested. `asked`: the account's earlier requests; those older
/// than a day do not matter.
pub fn may_ask(asked: &[Timestamp], now: Timestamp) -> EmailChangeLimit {
    let within = |span: Span| asked.iter().filter(|at| now.since(**at) < span).count();
    if within(PAUSE) > 0 {
        EmailChangeLimit::TooSoon
    } else if within(HOUR) >= AN_HOUR || within(LIFE) >= A_DAY {
        EmailChangeLimit::TooOften
    } else {
        EmailChangeLimit::Allowed
    }
}
