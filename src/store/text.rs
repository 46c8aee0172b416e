//! Searchable text that behaves the same on both databases: folded here (the databases fold
//! differently), with LIKE wildcards escaped, sort keys independent of collations, and the one
//! character replaced that Postgres refuses.
use crate::domain::text;
use std::borrow::Cow;

/// Maximum length of a name that sorts exactly; the rest of a longer name is ignored in the key.
const SORT_BYTES: usize = 256;

/// Returns the folded form of a text (see [`text::fold`]), without NUL.
pub(super) fn fold(text: &str) -> String {
    text::fold(&clean(text))
}

/// Returns the text without NUL, which Postgres cannot store.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Joins several fields to one searchable text; a search cannot match across fields.
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

/// Returns `%text%`, folded to match [`searchable`], with the wildcards of `text` escaped by a
/// backslash (`LIKE … ESCAPE '\'`).
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

/// Returns the hexadecimal digits of the name's bytes, which sort by code point under every
/// collation.
pub(super) fn sort_key(name: &str) -> String {
    name.bytes().take(SORT_BYTES).fold(String::new(), |mut hex, byte| {
        for nibble in [byte >> 4, byte & 15] {
            // A nibble is below 16, so it is always a digit.
            hex.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        hex
    })
}
