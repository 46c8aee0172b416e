//! Texts that were typed as a username and are not the name of an account.

use crate::text::is_invisible;

/// Minimum length of a text that looks like a password, in characters.
const MIN_CHARS: usize = 8;
/// Maximum length of a part of a name that consists of letters only, in characters.
const MAX_NAME_PART: usize = 16;
/// Maximum number of digits that end a part of a name of several parts (`backup-01`).
const MAX_NAME_DIGITS: usize = 2;
/// Maximum number of parts of a name with separators; more are a passphrase.
const MAX_NAME_PARTS: usize = 3;
/// Words that occur in passwords: the usual ones, and neighbors on keyboards.
const PASSWORD_WORDS: [&str; 14] = [
    "passw", "kennwort", "letmein", "iloveyou", "welcome", "changeme", "qwert", "azert", "asdf", "yxcv", "zxcv",
    "qazwsx", "1q2w", "12345",
];
/// Names that attackers try, with or without digits after them (`admin2024`): they are not secrets.
const USUAL_NAMES: [&str; 12] = [
    "admin",
    "administrator",
    "backup",
    "guest",
    "info",
    "nobody",
    "oracle",
    "postgres",
    "root",
    "service",
    "test",
    "user",
];

/// Returns whether a text looks like a password that was typed into the username field. If in
/// doubt, it does, because a name that is wrongly masked costs less than a password in the audit
/// log: texts of fewer than eight characters are names, and so are email addresses, one or two
/// words, and up to three parts of letters between separators (`.`, `-`, `_`, `/`, `\`), which may
/// end in two digits.
pub fn looks_like_password(text: &str) -> bool {
    let text = text.trim();
    if text.chars().count() < MIN_CHARS || text.chars().any(is_invisible) || is_email(text) {
        return false;
    }
    let folded = text.to_lowercase();
    if PASSWORD_WORDS.iter().any(|word| folded.contains(word)) {
        return true;
    }
    if text.contains(char::is_whitespace) {
        return is_passphrase(text);
    }
    let usual = folded.trim_end_matches(|c: char| c.is_ascii_digit());
    if USUAL_NAMES.contains(&usual) {
        return false;
    }
    let parts: Vec<&str> = text
        .split(['.', '-', '_', '/', '\\'])
        .filter(|part| !part.is_empty())
        .collect();
    parts.len() > MAX_NAME_PARTS || !parts.iter().all(|part| is_name_part(part, parts.len() > 1))
}

/// Returns whether words between blanks are a passphrase: at least three, or one that is not part
/// of a name.
fn is_passphrase(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let long = words.iter().filter(|word| word.chars().count() >= 3).count();
    let is_named = |word: &&str| word.split(['.', '-']).all(|part| is_name_part(part, true));
    long >= 3 || !words.iter().all(is_named)
}

/// Returns whether a part of a text may be part of a name. `several`: the text has other parts.
fn is_name_part(part: &str, several: bool) -> bool {
    let letters = part.trim_end_matches(char::is_numeric);
    let digits = part[letters.len()..].chars().count();
    let changes_case = letters.chars().skip(1).any(char::is_uppercase) && letters.chars().any(char::is_lowercase);
    letters.chars().all(|c| c.is_alphabetic() || matches!(c, '\'' | '’'))
        && letters.chars().count() <= MAX_NAME_PART
        && !(changes_case && digits > 0)
        && digits <= if several { MAX_NAME_DIGITS } else { 0 }
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
