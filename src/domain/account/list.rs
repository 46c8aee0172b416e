//! The filter of account lists. The page, the export and the command line share it.

use super::{super::time::Timestamp, Role};

/// The states of the account list; an account that is disabled *and* expired is in both lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountListState {
    /// Neither disabled nor expired.
    Active,
    /// Active, and the next sign-in requires another password.
    MustChange,
    /// Active, with an unused invitation, valid or expired.
    Invited,
    /// Marked as expired.
    Expired,
    /// Disabled by an administrator.
    Disabled,
}

impl AccountListState {
    /// Every state, in the order of the screen.
    pub const ALL: [Self; 5] = [
        Self::Active,
        Self::MustChange,
        Self::Invited,
        Self::Expired,
        Self::Disabled,
    ];

    /// Returns the name in URLs and scripts.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::MustChange => "password_change",
            Self::Invited => "invited",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
        }
    }

    /// Parses a code; `None` for an unknown one.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }
}

/// Conditions that every account of a list meets, and where its page starts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFilter {
    /// Text within name, display name or email address, in any case.
    pub text: Option<String>,
    /// Only accounts with this role.
    pub role: Option<Role>,
    /// Only accounts in this state.
    pub state: Option<AccountListState>,
    /// Only accounts in this group, compared exactly.
    pub group: Option<String>,
    /// Only accounts with a second factor (an authenticator app or a passkey), or only those
    /// without.
    pub second_factor: Option<bool>,
    /// Only accounts of the source with this name, or only local ones for `local`
    /// ([`crate::source::LOCAL`]).
    pub source: Option<String>,
    /// Name key after which the page starts.
    pub after: Option<String>,
    /// Name key before which the page ends.
    pub before: Option<String>,
    /// Maximum number of accounts on one page.
    pub limit: i64,
}

/// Instants before which an account may be due to expire; `None`: there is no such rule.
#[derive(Debug, Clone, Copy)]
pub struct ExpiryBounds {
    /// The account's own expiry date is earlier.
    pub dated_before: Timestamp,
    /// Its last session ended earlier.
    pub ended_before: Option<Timestamp>,
    /// It never signed in and was activated earlier.
    pub unused_before: Option<Timestamp>,
}
