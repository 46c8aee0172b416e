//! Text from users and strangers: the list of invisible characters, the form in which texts are
//! compared, and safe ways to show a text that must not forge a line.

use std::borrow::Cow;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizerBorrowed;

/// Returns whether a character is invisible or reverses the line: control, bidi-control, zero-width
/// and line-separating characters.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
            | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// Names a character for an error message; an invisible one by its code point.
pub fn describe_char(c: char) -> String {
    if is_invisible(c) {
        format!("U+{:04X}", u32::from(c))
    } else {
        format!("“{c}”")
    }
}

/// Converts a text to Unicode normal form KC (UAX #15).
pub fn normalize(text: &str) -> Cow<'_, str> {
    const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();
    if text.is_ascii() {
        Cow::Borrowed(text)
    } else {
        NFKC.normalize(text)
    }
}

/// Folds a text for comparisons without case: NFKC, full case folding, NFKC again.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let folded = CaseMapper::new().fold_string(&normalize(text)).into_owned();
    normalize(&folded).into_owned()
}

/// Replaces invisible characters by their code points (`\u{202e}`), so that the text stays on its
/// line and cannot control a terminal.
pub fn escape_invisible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Maximum number of characters of a stranger's text that other people see.
const QUOTED_CHARS: usize = 60;

/// Quotes a text that a stranger chose, for other readers: on one line, shortened, without links,
/// in quotation marks.
pub fn quote_stranger(text: &str) -> String {
    let mut cut: String = text.trim().chars().take(QUOTED_CHARS).collect();
    if text.trim().chars().nth(QUOTED_CHARS).is_some() {
        cut.push('…');
    }
    // Mail programs turn anything that looks like an address into a link. Closing marks are
    // replaced so that the quotation cannot end early.
    let shown = escape_invisible(&cut)
        .replace(['“', '”', '"'], "'")
        .replace("://", "[:]//");
    format!("“{shown}”")
}

/// Escapes invisible characters in JSON. They occur only in strings, where an escape means the
/// same; line feeds between values stay.
pub fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_invisible(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
