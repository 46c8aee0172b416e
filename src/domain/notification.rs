//! Kinds of notifications: emails to users about their account. `mail` renders them; `digest`
//! writes the digest for administrators.

/// A kind of notification that the policy or its recipient can switch off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationKind {
    /// A sign-in with a new device or from a new network.
    SignIn,
    /// The password was changed.
    Password,
    /// The email address was changed.
    Email,
    /// The account was locked out.
    Lockout,
    /// The account is about to expire, has expired, or was reactivated.
    Expiry,
    /// The digest for administrators.
    Digest,
}

impl NotificationKind {
    /// Every kind, in the order of lists.
    pub const ALL: &[NotificationKind] = &[
        NotificationKind::SignIn,
        NotificationKind::Password,
        NotificationKind::Email,
        NotificationKind::Lockout,
        NotificationKind::Expiry,
        NotificationKind::Digest,
    ];

    /// Returns whether only the policy can switch it off: an attacker who uses the account must not
    /// silence the emails that reveal it.
    pub const fn always(self) -> bool {
        match self {
            NotificationKind::Password | NotificationKind::Email => true,
            NotificationKind::SignIn
            | NotificationKind::Lockout
            | NotificationKind::Expiry
            | NotificationKind::Digest => false,
        }
    }

    /// Returns the stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            NotificationKind::SignIn => "sign_in",
            NotificationKind::Password => "password",
            NotificationKind::Email => "email",
            NotificationKind::Lockout => "lockout",
            NotificationKind::Expiry => "expiry",
            NotificationKind::Digest => "digest",
        }
    }

    /// Returns the label beside the switch.
    pub const fn label(self) -> &'static str {
        match self {
            NotificationKind::SignIn => "A sign-in with a new device or from a new network",
            NotificationKind::Password => "My password was changed",
            NotificationKind::Email => "My email address was changed",
            NotificationKind::Lockout => "My account was locked out",
            NotificationKind::Expiry => "My account is about to expire, has expired or was reactivated",
            NotificationKind::Digest => {
                "For administrators: lockouts, attacks and policy changes, at most once an hour"
            }
        }
    }
}
