//! The columns of the account CSV.

/// A column of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountColumn {
    /// The username, which identifies the account.
    Name,
    /// The name that is shown.
    DisplayName,
    /// The email address.
    Email,
    /// Member or administrator.
    Role,
    /// The groups, separated by commas.
    Groups,
    /// The account's own expiry date.
    ExpiresAt,
    /// Whether the password must be changed at the next sign-in.
    MustChange,
    /// Whether an administrator disabled the account.
    Disabled,
}

impl AccountColumn {
    /// All columns, in the order in which they are written.
    pub const ALL: [AccountColumn; 8] = [
        AccountColumn::Name,
        AccountColumn::DisplayName,
        AccountColumn::Email,
        AccountColumn::Role,
        AccountColumn::Groups,
        AccountColumn::ExpiresAt,
        AccountColumn::MustChange,
        AccountColumn::Disabled,
    ];

    /// Returns the heading.
    pub const fn name(self) -> &'static str {
        match self {
            AccountColumn::Name => "name",
            AccountColumn::DisplayName => "display_name",
            AccountColumn::Email => "email",
            AccountColumn::Role => "role",
            AccountColumn::Groups => "groups",
            AccountColumn::ExpiresAt => "expires_at",
            AccountColumn::MustChange => "must_change",
            AccountColumn::Disabled => "disabled",
        }
    }

    /// Describes the accepted values for users.
    pub const fn accepts(self) -> &'static str {
        match self {
            AccountColumn::Name => "the username: 1 to 128 characters, no commas; the only required column",
            AccountColumn::DisplayName => "up to 128 characters; empty removes it",
            AccountColumn::Email => "an address like name@example.org; empty removes it",
            AccountColumn::Role => "member or administrator; empty leaves it unchanged, new accounts are members",
            AccountColumn::Groups => "groups separated by commas, up to 64 characters each; empty removes all",
            AccountColumn::ExpiresAt => {
                "2026-12-31 (when that day begins, 00:00 UTC), 2026-12-31 18:00 (UTC) or 2026-12-31T18:00:00Z, in the \
                     future; empty removes it"
            }
            AccountColumn::MustChange => {
                "yes: the password must be changed at the next sign-in; no or empty leaves it \
                unchanged"
            }
            AccountColumn::Disabled => "yes or no; empty leaves it unchanged",
        }
    }
}

/// Read-only columns of the list's export, which an import ignores.
pub const READ_ONLY_COLUMNS: [&str; 13] = [
    "id",
    "state",
    "live_sessions",
    "created_at",
    "last_sign_in_at",
    "password_changed_at",
    "due_at",
    "due_by",
    "expired_at",
    "disabled_at",
    "second_factors",
    "source",
    "external_id",
];
