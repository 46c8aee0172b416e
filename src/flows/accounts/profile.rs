//! What may stand in an account's fields, for making and for changing it.

use crate::{
    domain::{
        account::check_email,
        password::{self, NewPasswordFacts, Reuse},
        secret::Secret,
    },
    live::policy::InForce,
};

/// A field and what is wrong with it.
pub type FieldFault = (&'static str, String);

pub(super) struct Profile {
    pub display_name: String,
    pub email: Option<String>,
    pub groups: Vec<String>,
}

pub(super) fn check_profile(
    display_name: &str,
    email: &str,
    groups: &[String],
    faults: &mut Vec<FieldFault>,
) -> Profile {
    let display_name = display_name.trim().to_owned();
    if display_name.chars().count() > 128 || has_forbidden(&display_name) {
        faults.push((
            "display_name",
            "At most 128 characters, without control characters.".to_owned(),
        ));
    }
    let email = match email.trim() {
        "" => None,
        text => check_email(text).map_err(|why| faults.push(("email", why))).ok(),
    };
    let mut kept: Vec<String> = Vec::new();
    for group in groups
        .iter()
        .map(|group| group.trim())
        .filter(|group| !group.is_empty())
    {
        if group.contains(',') || has_forbidden(group) || group.chars().count() > 64 {
            faults.push((
                "groups",
                format!("{group:?}: at most 64 characters, no commas or control characters."),
            ));
        } else if !kept.iter().any(|known| known == group) {
            kept.push(group.to_owned());
        }
    }
    Profile {
        display_name,
        email,
        groups: kept,
    }
}

/// Identity headers carry these values: control and bidi characters do not exist in them.
fn has_forbidden(text: &str) -> bool {
    text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    })
}

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
