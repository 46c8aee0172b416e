//! The name of a sign-in attempt as it is stored. People type passwords into the username field, so
//! a text that looks like a password and is not the name of an account is not stored in clear,
//! neither in the audit nor in the counters.

use super::Ctx;
use crate::domain::account::{AccountName, looks_like_password, name_key};

/// A typed name as it is stored.
pub(super) struct TypedName {
    /// For records.
    pub(super) shown: String,
    /// For counters: the same for the same name, masked or not.
    pub(super) key: String,
}

impl Ctx {
    /// Returns a typed name as it is stored. `is_account`: an account has this name.
    pub(super) fn typed_name(&self, typed: &str, is_account: bool) -> TypedName {
        // Computed whether or not the account exists, so that the time reveals nothing.
        let key = name_key(typed);
        let mark = self.hasher.mark_of(&key);
        let shown = AccountName::parse(typed).map_or_else(|_| key.clone(), |name| name.shown().to_owned());
        if looks_like_password(typed) && !is_account {
            let masked = format!("(looks like a password, {mark})");
            return TypedName {
                key: masked.clone(),
                shown: masked,
            };
        }
        TypedName { shown, key }
    }
}
