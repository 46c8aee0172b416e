//! The kinds of changes that are announced to other instances.

/// The kind of a change that is announced to other instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    Session,
    Account,
    Policy,
    Application,
    Source,
    Lockout,
    All,
}

impl ChangeKind {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Session => "session",
            ChangeKind::Account => "account",
            ChangeKind::Policy => "policy",
            ChangeKind::Application => "application",
            ChangeKind::Source => "source",
            ChangeKind::Lockout => "lockout",
            ChangeKind::All => "all",
        }
    }

    /// Parses a kind. An unknown kind was written by a newer program: then everything must be
    /// cleared.
    pub(super) fn parse(text: &str) -> ChangeKind {
        match text {
            "session" => ChangeKind::Session,
            "account" => ChangeKind::Account,
            "policy" => ChangeKind::Policy,
            "application" => ChangeKind::Application,
            "source" => ChangeKind::Source,
            "lockout" => ChangeKind::Lockout,
            _ => ChangeKind::All,
        }
    }
}
