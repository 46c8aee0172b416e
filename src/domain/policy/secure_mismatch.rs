//! A drafted `session.secure` that does not match the public URL.

use super::{Key, Scope, Value, diff::Change};

/// How a drafted `session.secure` does not match the public URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecureMismatch {
    /// The console is reached over plain http, and browsers would not send the cookie.
    LocksOut,
    /// The console is reached over https, and the cookie would be sent over plain http too.
    Exposes,
}

impl SecureMismatch {
    /// Finds the mismatch of changed settings with a public URL that is https or not.
    pub fn find(changes: &[Change], https: bool) -> Option<Self> {
        let change = changes
            .iter()
            .find(|change| change.key == Key::SessionSecure && change.scope == Scope::Everyone)?;
        // Unset, it follows the public URL.
        let after = change.new.clone().unwrap_or(Value::Flag(https));
        match (after == Value::Flag(true), https) {
            (true, false) => Some(Self::LocksOut),
            (false, true) => Some(Self::Exposes),
            (true, true) | (false, false) => None,
        }
    }
}
