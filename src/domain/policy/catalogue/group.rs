//! The sections of the editor and of the reference.

/// A section of the editor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Lifetimes of sessions.
    Lifetimes,
    /// What counts as activity.
    Activity,
    /// Expiry of accounts.
    Accounts,
    /// Requirements on passwords.
    Passwords,
    /// Protection against guessed passwords.
    SignIn,
    /// Proofs besides the password.
    SecondFactors,
    /// The session cookie's attributes.
    Cookie,
    /// What a session is bound to.
    Validation,
    /// How long data is kept.
    Retention,
    /// Which emails are sent.
    Notices,
}

impl Group {
    /// All groups, in the order of the editor.
    pub const ALL: &[Group] = &[
        Group::Lifetimes,
        Group::Activity,
        Group::Accounts,
        Group::Passwords,
        Group::SignIn,
        Group::SecondFactors,
        Group::Cookie,
        Group::Validation,
        Group::Retention,
        Group::Notices,
    ];

    /// Returns the heading.
    pub const fn title(self) -> &'static str {
        match self {
            Group::Lifetimes => "Lifetimes",
            Group::Activity => "Activity",
            Group::Accounts => "Accounts",
            Group::Passwords => "Passwords",
            Group::SignIn => "Sign-in protection",
            Group::SecondFactors => "Second factors",
            Group::Cookie => "Cookie",
            Group::Validation => "Session validation",
            Group::Retention => "Retention",
            Group::Notices => "Emails",
        }
    }

    /// Returns the heading's anchor in the page.
    pub const fn anchor(self) -> &'static str {
        match self {
            Group::Lifetimes => "lifetimes",
            Group::Activity => "activity",
            Group::Accounts => "accounts",
            Group::Passwords => "passwords",
            Group::SignIn => "sign-in",
            Group::SecondFactors => "factors",
            Group::Cookie => "cookie",
            Group::Validation => "validation",
            Group::Retention => "retention",
            Group::Notices => "notices",
        }
    }
}
