//! Kinds of notifications: emails to users about their account. `mail` renders them; `digest`
//! writes the digest for administrators.

/// A kind of notification that the policy or its recipient can switch off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
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

impl Notice {
    /// Every kind, in the order of lists.
    pub const ALL: &[Notice] = &[
        Notice::SignIn,
        Notice::Password,
        Notice::Email,
        Notice::Lockout,
        Notice::Expiry,
        Notice::Digest,
    ];

    /// Returns whether only the policy can switch it off: an attacker who uses the account must not
    /// silence the emails that reveal it.
    pub const fn always(self) -> bool {
        match self {
            Notice::Password | Notice::Email => true,
            Notice::SignIn | Notice::Lockout | Notice::Expiry | Notice::Digest => false,
        }
    }

    /// Returns the stable code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Notice::SignIn => "sign_in",
            Notice::Password => "password",
            Notice::Email => "email",
            Notice::Lockout => "lockout",
            Notice::Expiry => "expiry",
            Notice::Digest => "digest",
        }
    }

    /// Returns the label beside the switch.
    pub const fn label(self) -> &'static str {
        match self {
            Notice::SignIn => "A sign-in with a new device or from a new network",
            Notice::Password => "My password was changed",
            Notice::Email => "My email address was changed",
            Notice::Lockout => "My account was locked out",
            Notice::Expiry => "My account is about to expire, has expired or was reactivated",
            Notice::Digest => "For administrators: lockouts, attacks and policy changes, at most once an hour",
        }
    }
}
