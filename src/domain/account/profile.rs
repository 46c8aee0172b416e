//! Validation of an account's fields, for pages, the command line and files.

use super::check_email;
use crate::text::is_invisible;

/// A field and its error message.
pub type FieldFault = (&'static str, String);

/// The fields as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Trimmed; empty if there is none.
    pub display_name: String,
    /// `None`: empty.
    pub email: Option<String>,
    /// In the given order, without duplicates.
    pub groups: Vec<String>,
}

/// Checks and trims the fields; adds errors to `faults`. Identity headers carry these values, so
/// invisible characters are refused.
pub fn check_profile(display_name: &str, email: &str, groups: &[String], faults: &mut Vec<FieldFault>) -> Profile {
    let display_name = display_name.trim().to_owned();
    if display_name.chars().count() > 128 || display_name.chars().any(is_invisible) {
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
        if group.contains(',') || group.chars().any(is_invisible) || group.chars().count() > 64 {
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

/// Splits groups that are written on one line, separated by commas.
pub fn split_groups(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(str::to_owned)
        .collect()
}
