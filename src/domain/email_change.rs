//! Changing an e-mail address: whose confirmation it takes, how long the mailed links work, and how often one may ask.

use super::time::{Span, Timestamp};

/// How long both links work, inclusive.
pub const LIFE: Span = Span::from_secs(86_400);

/// Between two requests of one account.
const PAUSE: Span = Span::from_secs(60);
const HOUR: Span = Span::from_secs(3600);
/// Requests of one account within an hour, and within a day.
const AN_HOUR: usize = 5;
const A_DAY: usize = 20;

/// Whose link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The address that is to be used.
    New,
    /// The address of today.
    Old,
}

impl Side {
    /// `new` or `old`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Side::New => "new",
            Side::Old => "old",
        }
    }

    /// The one across.
    pub const fn other(self) -> Side {
        match self {
            Side::New => Side::Old,
            Side::Old => Side::New,
        }
    }
}

/// Who has confirmed so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmations {
    pub new: bool,
    pub old: bool,
    /// The account has an address: it must confirm too.
    pub has_old: bool,
}

impl Confirmations {
    /// Whether that side must still confirm. The change takes effect once neither must.
    pub const fn awaits(self, side: Side) -> bool {
        match side {
            Side::New => !self.new,
            Side::Old => self.has_old && !self.old,
        }
    }
}

/// Whether one may ask now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    Allowed,
    /// Within a minute of the one before.
    TooSoon,
    /// As often as it may be within an hour or a day.
    TooOften,
}

/// `asked`: when the account asked before; what is older than a day does not matter.
pub fn may_ask(asked: &[Timestamp], now: Timestamp) -> Asking {
    let within = |span: Span| asked.iter().filter(|at| now.since(**at) < span).count();
    if within(PAUSE) > 0 {
        Asking::TooSoon
    } else if within(HOUR) >= AN_HOUR || within(LIFE) >= A_DAY {
        Asking::TooOften
    } else {
        Asking::Allowed
    }
}
