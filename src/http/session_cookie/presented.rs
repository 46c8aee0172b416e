//! The session cookie of a request.

use super::{
    keys::{CookieKeys, SignedValue},
    scope::{CookieScope, issued_secure},
};
use crate::domain::policy::effective::EffectivePolicy;
use actix_web::{
    cookie::Cookie,
    http::header::{COOKIE, HeaderMap, HeaderValue},
};
use std::borrow::Cow;

/// The session cookies of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PresentedCookie {
    /// The token, if there is exactly one that we signed.
    pub token: Option<String>,
    /// Whether it had the plain name.
    pub plain: bool,
    /// Whether two cookies of one name that we signed differ, so that it is unclear which one is
    /// valid.
    pub ambiguous: bool,
    /// Whether the request already has exactly what actix-session expects.
    canonical: bool,
    /// Whether any cookie has one of our names.
    pub any: bool,
}

/// The cookies with one of our names. Values that none of our keys signed are ignored: a neighbor
/// on a parent domain may have set them (docs/policy.md, "The session cookie").
#[derive(Default)]
struct SentValues {
    /// The number of cookies with this name, signed or not.
    count: usize,
    signed: Option<SignedValue>,
    /// Whether there is another value that we signed.
    is_differing: bool,
}

impl SentValues {
    fn add(&mut self, value: &str, keys: &CookieKeys) {
        self.count += 1;
        let Some(signed) = keys.verify(value) else { return };
        match &self.signed {
            None => self.signed = Some(signed),
            Some(known) if known.token == signed.token => {}
            Some(_) => self.is_differing = true,
        }
    }
}

/// Removes spaces and tabs around the text, and nothing else: to a browser a name that begins with
/// any other kind of space has no prefix, so that every neighboring host may set it.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Reads the session cookie; the prefixed name takes precedence.
pub fn read(headers: &HeaderMap, scope: CookieScope<'_>, keys: &CookieKeys) -> PresentedCookie {
    let (mut prefixed, mut plain) = (SentValues::default(), SentValues::default());
    let mut lines = 0;
    for line in headers.get_all(COOKIE) {
        lines += 1;
        for pair in line.as_bytes().split(|byte| *byte == b';') {
            // The check of whole words is faster than the lossy conversion by character.
            let pair = match std::str::from_utf8(pair) {
                Ok(pair) => Cow::Borrowed(pair),
                Err(_) => String::from_utf8_lossy(pair),
            };
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            let name = trimmed(name);
            let sent = if name.strip_prefix(scope.prefix()) == Some(scope.unprefixed()) {
                &mut prefixed
            } else if name == scope.unprefixed() {
                &mut plain
            } else {
                continue;
            };
            let decoded = plainly_decoded(value).or_else(|| {
                let cookie = Cookie::parse_encoded(trimmed(&pair)).ok()?;
                Some(cookie.value().to_owned())
            });
            sent.add(decoded.as_deref().unwrap_or(value), keys);
        }
    }
    let any = prefixed.count + plain.count > 0;
    let is_alone = prefixed.count == 0 && plain.count == 1 && lines == 1;
    for (sent, is_plain) in [(prefixed, false), (plain, true)] {
        if sent.is_differing {
            return PresentedCookie {
                ambiguous: true,
                any,
                ..PresentedCookie::default()
            };
        }
        if let Some(signed) = sent.signed {
            return PresentedCookie {
                token: Some(signed.token),
                plain: is_plain,
                ambiguous: false,
                canonical: is_plain && is_alone && signed.is_newest_key,
                any,
            };
        }
    }
    PresentedCookie {
        any,
        ..PresentedCookie::default()
    }
}

/// Decodes a value like [`Cookie::parse_encoded`], but faster, if it has only the characters of our
/// own values: letters and digits, Base64 symbols, and escapes of ASCII. `None`: there are others.
fn plainly_decoded(value: &str) -> Option<String> {
    let mut bytes = value.bytes();
    let mut decoded = String::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        let plain = match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            _ if byte.is_ascii_alphanumeric() || b"+/=-_.~".contains(&byte) => byte,
            _ => return None,
        };
        if !plain.is_ascii_graphic() {
            return None;
        }
        decoded.push(char::from(plain));
    }
    Some(decoded)
}

impl PresentedCookie {
    /// Returns whether a token whose cookie was issued in this form is valid: under https-only
    /// cookies the plain name is valid only for tokens that were issued before the switch.
    pub fn counts(&self, policy: &EffectivePolicy, form: &str) -> bool {
        !(self.plain && policy.cookie.secure && issued_secure(form))
    }
}

/// Leaves exactly the judged token for actix-session, or none.
pub fn pass_on_token(
    headers: &mut HeaderMap,
    presented: &PresentedCookie,
    admitted: bool,
    scope: CookieScope<'_>,
    keys: &CookieKeys,
) {
    if !presented.any || (admitted && presented.canonical) {
        return;
    }
    let names = [scope.unprefixed().to_owned(), scope.prefixed()];
    let mut kept: Vec<String> = Vec::new();
    for line in headers.get_all(COOKIE) {
        for pair in line.to_str().unwrap_or_default().split(';') {
            let name = trimmed(pair.split_once('=').map_or(pair, |(name, _)| name));
            if !name.is_empty() && !names.iter().any(|ours| ours == name) {
                kept.push(trimmed(pair).to_owned());
            }
        }
    }
    if let (true, Some(token)) = (admitted, &presented.token) {
        let value = keys.sign(scope.unprefixed(), token);
        kept.push(Cookie::new(scope.unprefixed(), value).encoded().stripped().to_string());
    }
    headers.remove(COOKIE);
    if let Ok(line) = HeaderValue::from_str(&kept.join("; "))
        && !kept.is_empty()
    {
        headers.insert(COOKIE, line);
    }
}

#[cfg(test)]
mod tests;
