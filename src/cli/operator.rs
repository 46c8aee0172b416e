//! The operator of a command, as the audit log records it. The name comes from the user ID of the
//! process, never from the variable `USER`, which anyone can set. `SUDO_UID` can be set by anyone
//! too; it only adds a name and never replaces the user ID.

use crate::domain::text::is_invisible;

/// Maximum number of characters that are kept of a name.
const MAX_NAME_CHARS: usize = 64;

/// Describes the user of this process with the user ID and, after `sudo`, who ran it:
/// `root (uid 0, sudo by ada)`.
pub fn describe_operator() -> String {
    let sudo_uid = std::env::var("SUDO_UID").ok().and_then(|uid| uid.parse().ok());
    describe(uzers::get_current_uid(), sudo_uid, find_username)
}

/// Finds the name of a user in all name services of the system, directories included.
fn find_username(uid: u32) -> Option<String> {
    let user = uzers::get_user_by_uid(uid)?;
    let name = user.name().to_string_lossy();
    let name: String = name
        .chars()
        .filter(|c| !is_invisible(*c))
        .take(MAX_NAME_CHARS)
        .collect();
    (!name.is_empty()).then_some(name)
}

fn describe(uid: u32, sudo_uid: Option<u32>, find_name: impl Fn(u32) -> Option<String>) -> String {
    let number = format!("uid {uid}");
    let sudo = sudo_uid.map(|by| {
        let name = find_name(by).unwrap_or_else(|| format!("uid {by}"));
        format!("sudo by {name}")
    });
    match (find_name(uid), sudo) {
        (Some(name), None) => format!("{name} ({number})"),
        (Some(name), Some(sudo)) => format!("{name} ({number}, {sudo})"),
        (None, None) => number,
        (None, Some(sudo)) => format!("{number} ({sudo})"),
    }
}

#[cfg(test)]
mod tests;
