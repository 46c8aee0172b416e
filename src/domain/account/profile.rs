//! What may stand in an account's fields, whoever fills them in: a page, the command line, a file.

use super::check_email;

/// A field and what is wrong with it.
pub type FieldFault = (&'static str, String);

/// The fields as they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Trimmed; empty when there is none.
    pub display_name: String,
    /// `None`: blank, or no address.
    pub email: Option<String>,
    /// Each once, in the order given.
    pub groups: Vec<String>,
}

/// Checks and trims the fields; what is wrong goes into `faults`.
pub fn check_profile(display_name: &str, email: &str, groups: &[String], faults: &mut Vec<FieldFault>) -> Profile {
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

/// Groups as people write them in one line, separated by commas.
pub fn split_groups(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|group| !group.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Identity headers carry these values: control and bidi characters do not exist in them.
fn has_forbidden(text: &str) -> bool {
    text.chars().any(|c| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    })
}
