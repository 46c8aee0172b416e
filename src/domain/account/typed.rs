//! Texts that were typed as a username and are not the name of an account.

use crate::text::is_invisible;

/// Shortest text that looks like a password, in characters.
const MIN_CHARS: usize = 8;

/// Returns whether a text looks like a password that was typed into the username field: a
/// passphrase of at least three words, or at least eight characters of which three kinds occur:
/// lower case, upper case, digits, others. Separators in names (`.`, `-`, `_`) do not count as a
/// kind, and an email address is not a password.
pub fn looks_like_password(text: &str) -> bool {
    let text = text.trim();
    if text.chars().count() < MIN_CHARS || text.chars().any(is_invisible) || is_email(text) {
        return false;
    }
    let words = text.split_whitespace();
    if text.contains(' ') {
        return words.filter(|word| word.chars().count() >= 3).count() >= 3;
    }
    let has = |kind: &dyn Fn(char) -> bool| usize::from(text.chars().any(kind));
    let kinds = has(&char::is_lowercase)
        + has(&char::is_uppercase)
        + has(&char::is_numeric)
        + has(&|c| !c.is_alphanumeric() && !matches!(c, '.' | '-' | '_' | '\\' | '/'));
    kinds >= 3
}

fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let labels: Vec<&str> = domain.split('.').collect();
    let is_label = |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    let ends_in_letters = labels
        .last()
        .is_some_and(|last| last.len() >= 2 && last.chars().all(char::is_alphabetic));
    !name.is_empty()
        && !name.contains(char::is_whitespace)
        && labels.len() >= 2
        && labels.iter().all(is_label)
        && ends_in_letters
}
