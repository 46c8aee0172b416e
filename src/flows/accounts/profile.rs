//! Checks a password that is set for an account. `domain::account::profile` checks its other
//! fields.

use crate::domain::{
    account::profile::FieldFault,
    password::{self, NewPasswordFacts, Reuse},
    policy::effective::PasswordPolicy,
    secret::Secret,
};

/// Returns the faults of a password under these rules; it must not be built around `account_words`.
pub(super) fn password_faults(password: &Secret, account_words: &[&str], rules: &PasswordPolicy) -> Vec<FieldFault> {
    let facts = NewPasswordFacts {
        new: password.expose(),
        again: None,
        account_words,
        reused: Reuse::No,
    };
    password::decide(&facts, rules)
        .into_iter()
        .map(|fault| ("password", fault.message()))
        .collect()
}
