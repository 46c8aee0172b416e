//! Letters that tell people what happened on their account: which kinds there are, and which setting sends them. How they are worded is
//! `mail`'s; what a digest for administrators says stands in `notice/digest`.

use super::policy::Key;

mod digest;

pub use digest::{Happening, LOOKED_AT, digest, locked_words};

/// A kind of letter that can be switched off, by policy and by whoever gets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
    /// A sign-in with a new device or from a new network.
    SignIn,
    /// The password was changed.
    Password,
    /// The e-mail address was changed.
    Email,
    /// The account was locked out.
    Lockout,
    /// The account expires soon, has expired, or is there again.
    Expiry,
    /// What administrators should look at.
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

    /// Its owner cannot switch it off, only policy: whoever got hold of the account must not silence what tells of it.
    pub const fn always(self) -> bool {
        match self {
            Notice::Password | Notice::Email => true,
            Notice::SignIn | Notice::Lockout | Notice::Expiry | Notice::Digest => false,
        }
    }

    /// The stable code.
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

    /// What its owner reads beside the switch.
    pub const fn label(self) -> &'static str {
        match self {
            Notice::SignIn => "A sign-in with a new device or from a new network",
            Notice::Password => "My password was changed",
            Notice::Email => "My e-mail address was changed",
            Notice::Lockout => "My account was locked out",
            Notice::Expiry => "My account expires soon, has expired, or is there again",
            Notice::Digest => "For administrators: lockouts, attacks and policy changes, at most once an hour",
        }
    }

    /// The setting that sends it.
    pub const fn key(self) -> Key {
        match self {
            Notice::SignIn => Key::NoticesSignIn,
            Notice::Password => Key::NoticesPassword,
            Notice::Email => Key::NoticesEmail,
            Notice::Lockout => Key::NoticesLockout,
            Notice::Expiry => Key::NoticesExpiry,
            Notice::Digest => Key::NoticesDigest,
        }
    }
}
