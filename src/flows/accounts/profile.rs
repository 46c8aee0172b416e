//! Whether a password that somebody sets for an account is one. Its other fields are `domain::account::profile`'s.

use crate::{
    domain::{
        account::profile::FieldFault,
        password::{self, NewPasswordFacts, Reuse},
        secret::Secret,
    },
    live::policy::InForce,
};

pub(super) fn password_faults(password: &Secret, own_words: &[&str], in_force: &InForce) -> Vec<FieldFault> {
    let facts = NewPasswordFacts {
        new: password.expose(),
        again: None,
        own_words,
        reused: Reuse::No,
    };
    password::decide(&facts, &in_force.everyone().password)
        .into_iter()
        .map(|fault| ("password", fault.message()))
        .collect()
}
