//! How text is made searchable alike on both databases: folded here (neither folds like the other), LIKE wildcards
//! escaped, sort keys that no collation bends, and the one character that Postgres refuses replaced.
use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;
use std::borrow::Cow;

/// Longest name that sorts exactly; what follows it only breaks ties.
const SORT_BYTES: usize = 256;

/// NFKC and case-folded.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return clean(text).to_ascii_lowercase();
    }
    let composer = ComposingNormalizer::new_nfkc();
    let folded = CaseMapper::new().fold_string(&composer.normalize(text)).into_owned();
    clean(&composer.normalize(&folded)).into_owned()
}

/// The text without NUL, which Postgres cannot hold.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Several fields as one searchable text; a search cannot match across fields.
pub(super) fn searchable<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let mut search = String::new();
    for field in fields {
        if !search.is_empty() {
            search.push('\n');
        }
        search.push_str(&fold(field));
    }
    search
}

/// `%text%` with the wildcards of `text` escaped by a backslash (`LIKE … ESCAPE '\'`); folded, to match [`searchable`].
pub(super) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in fold(text.trim()).chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Hexadecimal of the name's bytes: sorts by code point under every collation.
pub(super) fn sort_key(name: &str) -> String {
    name.bytes().take(SORT_BYTES).fold(String::new(), |mut hex, byte| {
        for nibble in [byte >> 4, byte & 15] {
            // A nibble is below 16, so it always is a digit.
            hex.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        hex
    })
}
