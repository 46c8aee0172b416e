//! Settings with secrets. No part of a secret ever shows, however malformed its setting is.

use secrecy::{ExposeSecret, SecretSlice, SecretString};
use std::fmt;

/// Fewest bytes of a cookie key.
const MIN_KEY_BYTES: usize = 64;
/// Fewest different bytes of a cookie key: random keys of this length have more, in hexadecimal
/// too.
const MIN_DISTINCT_KEY_BYTES: usize = 8;

/// A database URL whose password never shows.
#[derive(Clone)]
pub struct DatabaseUrl(SecretString);

impl DatabaseUrl {
    /// Takes a URL as it is.
    pub fn new(url: impl Into<String>) -> Self {
        Self(SecretString::from(url.into()))
    }

    /// Checks a URL. A PostgreSQL URL must be unambiguous: libpq quotes what it cannot read in its
    /// errors, and reads a password with an `@` in it differently from how it was meant.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("sqlite:PATH, a path, or postgres://…".to_owned());
        }
        match split_postgres(text) {
            Some(rest) if !is_unambiguous(rest) => Err(
                "postgres://USER:PASSWORD@HOST:PORT/NAME, with special characters percent-encoded: @ as %40, / as \
                 %2F, % as %25"
                    .to_owned(),
            ),
            Some(_) | None => Ok(Self::new(text)),
        }
    }

    /// Returns the URL with its password, for the database's client.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns whether the URL has a password.
    pub fn has_password(&self) -> bool {
        split_postgres(self.expose()).is_some_and(|rest| {
            let in_authority = rest.split_once('@').is_some_and(|(user, _)| user.contains(':'));
            in_authority || rest.contains("password=")
        })
    }
}

/// Returns what follows `postgres://`, as the store reads the scheme.
fn split_postgres(text: &str) -> Option<&str> {
    let text = text.trim();
    text.strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"))
}

/// Returns whether there is one way to read the rest of a PostgreSQL URL, and libpq takes it.
fn is_unambiguous(rest: &str) -> bool {
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, hosts) = authority.split_once('@').unwrap_or(("", authority));
    let (hosts, query) = match hosts.split_once('?') {
        Some((hosts, query)) => (hosts, Some(query)),
        None => (hosts, None),
    };
    let (name, query) = match (path.split_once('?'), query) {
        (Some((name, query)), None) => (name, Some(query)),
        (None, query) => (path, query),
        (Some(_), Some(_)) => return false,
    };
    !hosts.contains('@')
        && !name.contains('@')
        && hosts.split(',').all(has_valid_port)
        && query.is_none_or(is_valid_query)
        && [user, hosts, name].into_iter().all(is_percent_encoded)
}

/// Returns whether a `HOST`, `HOST:PORT` or `[IPV6]:PORT` has no port or a numeric one.
fn has_valid_port(host: &str) -> bool {
    let after_address = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((_, after)) => after,
            None => return false,
        },
        None => host.find(':').map_or("", |colon| &host[colon..]),
    };
    match after_address.strip_prefix(':') {
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()),
        None => after_address.is_empty(),
    }
}

fn is_valid_query(query: &str) -> bool {
    query.split('&').all(|pair| {
        pair.split_once('=').is_some_and(|(name, value)| {
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            is_name && !value.contains('=') && is_percent_encoded(value)
        })
    })
}

/// Returns whether each `%` starts an escape, and none of them is a zero byte.
fn is_percent_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00")
    })
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.expose().trim();
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        match split_postgres(text) {
            Some(rest) if is_unambiguous(rest) && !rest.contains("password") => {
                let (user, place) = rest.split_once('@').unwrap_or(("", rest));
                let user = user.split(':').next().unwrap_or_default();
                let place = place.split('?').next().unwrap_or_default();
                let at = if user.is_empty() { "" } else { "@" };
                write!(f, "{scheme}://{user}{at}{place}")
            }
            Some(_) => write!(f, "{scheme}://…"),
            // A path. Anything else is mistyped, and may have a password anywhere.
            None if scheme.is_empty() && !text.contains(['@', '=']) => f.write_str(text),
            None => f.write_str("…"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Key material for signing cookies: at least 64 bytes.
#[derive(Debug, Clone)]
pub struct SecretKey(SecretSlice<u8>);

impl SecretKey {
    /// Takes a key, unless it is shorter than 64 bytes or obviously not random.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        let mut distinct = bytes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let is_valid = bytes.len() >= MIN_KEY_BYTES && distinct.len() >= MIN_DISTINCT_KEY_BYTES;
        is_valid.then(|| Self(SecretSlice::from(bytes)))
    }

    /// Returns the key material.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }
}

#[cfg(test)]
mod tests;
