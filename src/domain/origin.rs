//! Where a request may send people back to, and whether a state-changing request comes from our own pages.
//! Both refuse whatever they do not understand; no header of the request says what our own origin is.

use url::{Origin, Url};

/// A validated place to return to: a same-origin absolute path (`/x?y`), never `//`, `/\`, control bytes, or another
/// origin; or a page of a registered application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// Longest text that is followed, in bytes.
    pub const MAX_LEN: usize = 2_048;

    /// None = refuse (then `/` is used). `origins`: further allowed origins (registered applications), e.g. `https://wiki.example.org`.
    pub fn parse(text: &str, origins: &[Origin]) -> Option<Self> {
        // Addresses are ASCII; look-alike slashes and invisible characters have no business in one. A fragment never
        // reaches a server, so an honest `return_to` has none.
        let plain =
            text.len() <= Self::MAX_LEN && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'#');
        if !plain {
            return None;
        }
        if text.starts_with('/') {
            own_path(text)
        } else {
            registered(text, origins)
        }
    }

    /// The text for a `Location`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A path on the origin that answers the request.
fn own_path(text: &str) -> Option<ReturnTo> {
    let path = text.split_once('?').map_or(text, |(path, _)| path);
    // As browsers resolve it: `/.//x` and `/..//x` are `//x` to whoever reads the path only.
    let own = Url::parse("https://own.invalid/").ok()?;
    let resolved = own.join(text).ok()?;
    let stays = resolved.origin() == own.origin() && !resolved.path().starts_with("//");
    (stays && harmless(path) && harmless(resolved.path())).then(|| ReturnTo(text.to_owned()))
}

/// Whether a path stays one however often a proxy or page decodes it on the way.
fn harmless(path: &str) -> bool {
    let mut bytes = path.as_bytes().to_vec();
    loop {
        if bytes.starts_with(b"//") || bytes.iter().any(|b| b.is_ascii_control() || *b == b'\\') {
            return false;
        }
        let decoded = decode(&bytes);
        if decoded == bytes {
            return true;
        }
        bytes = decoded;
    }
}

/// One round of percent-decoding; shorter than its input, or equal to it.
fn decode(bytes: &[u8]) -> Vec<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

/// A page of a registered origin, written in full and without user information.
fn registered(text: &str, origins: &[Origin]) -> Option<ReturnTo> {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let authority = authority.split(['/', '?']).next()?;
    let url = Url::parse(text).ok()?;
    let http = matches!(url.scheme(), "http" | "https");
    let anonymous = url.username().is_empty() && url.password().is_none() && !authority.contains('@');
    // What a browser will make of it, not what was written; `https:///host` is nobody's way to write one.
    (http && anonymous && !authority.is_empty() && origins.contains(&url.origin())).then(|| ReturnTo(url.into()))
}

/// Whether a host is the domain or below it: there browsers send the domain's cookies.
pub fn within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// What a state-changing request says about where it comes from.
#[derive(Debug, Clone, Copy)]
pub struct CsrfFacts<'a> {
    /// `Sec-Fetch-Site`, which no page can forge.
    pub sec_fetch_site: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// The public URL's origin, or on an application's host that host's registered ones.
    pub own_origins: &'a [String],
}

/// http.md: `Sec-Fetch-Site` when present must be same-origin/none; else `Origin` when present must be ours; both absent: allowed.
pub fn csrf_allows(facts: &CsrfFacts) -> bool {
    match (facts.sec_fetch_site, facts.origin) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => origin != "null" && facts.own_origins.iter().any(|own| own == origin),
        (None, None) => true,
    }
}
