//! The names that people give their passkeys.

use crate::domain::text::is_invisible;

/// Longest name of a passkey, in characters.
const NAME_CHARS: usize = 64;
/// Name of a passkey whose owner gave it none.
const DEFAULT_NAME: &str = "Passkey";

/// Normalizes the name of a passkey: trims it, limits its length, and drops characters that hide
/// text or break lines.
pub(super) fn passkey_name(typed: &str) -> String {
    let visible: String = typed.chars().filter(|c| !is_invisible(*c)).collect();
    let name: String = visible.trim().chars().take(NAME_CHARS).collect();
    match name.trim() {
        "" => DEFAULT_NAME.to_owned(),
        name => name.to_owned(),
    }
}
