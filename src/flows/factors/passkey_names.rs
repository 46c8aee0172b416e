//! The names that people give their passkeys.

use crate::domain::text::is_invisible;

/// Longest name of a passkey, in characters.
const NAME_CHARS: usize = 64;
/// Name of a passkey whose owner gave it none.
const DEFAULT_NAME: &str = "Passkey";

/// Normalizes the name of a new passkey, which its device may have suggested: trims it, limits its
/// length, and drops characters that hide text or break lines.
pub(super) fn passkey_name(typed: &str) -> String {
    let name: String = visible_name(typed).chars().take(NAME_CHARS).collect();
    match name.trim() {
        "" => DEFAULT_NAME.to_owned(),
        name => name.to_owned(),
    }
}

/// Reads the new name of a passkey, trimmed and without characters that hide text or break lines.
/// `None`: it is empty or too long.
pub(super) fn new_passkey_name(typed: &str) -> Option<String> {
    let name = visible_name(typed);
    (!name.is_empty() && name.chars().count() <= NAME_CHARS).then_some(name)
}

fn visible_name(typed: &str) -> String {
    let visible: String = typed.chars().filter(|c| !is_invisible(*c)).collect();
    visible.trim().to_owned()
}
