//! Where a redirect may lead, and whether a state-changing request comes from our own pages. Both
//! refuse what they do not understand; our own origin never comes from a header of the request.

use url::{Origin, Url};

/// A validated return address: an absolute path on our own origin (`/x?y`), never `//`, `/\`,
/// control bytes or another origin; or a page of a registered application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// Maximum length of an accepted return address, in bytes.
    pub const MAX_LEN: usize = 8_000;

    /// Parses a return address; `None`: refused (then `/` is used). `origins`: further allowed
    /// origins (of registered applications), such as `https://wiki.example.org`.
    pub fn parse(text: &str, origins: &[Origin]) -> Option<Self> {
        // Addresses are ASCII, so look-alike slashes and invisible characters are refused. A
        // fragment never reaches a server, so an honest `return_to` has none.
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

    /// Returns the text for a `Location` header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Parses a path on the origin that answers the request.
fn own_path(text: &str) -> Option<ReturnTo> {
    let path = text.split_once('?').map_or(text, |(path, _)| path);
    // Resolved as browsers do: `/.//x` and `/..//x` become `//x`, which reading the path alone does
    // not show.
    let own = Url::parse("https://own.invalid/").ok()?;
    let resolved = own.join(text).ok()?;
    let stays = resolved.origin() == own.origin() && !resolved.path().starts_with("//");
    (stays && is_harmless(path) && is_harmless(resolved.path())).then(|| ReturnTo(text.to_owned()))
}

/// Returns whether a path stays a path, however often a proxy or page decodes it.
fn is_harmless(path: &str) -> bool {
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

/// Percent-decodes once; the result is shorter than its input, or equal to it.
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

/// Parses a full address on a registered origin, without user information.
fn registered(text: &str, origins: &[Origin]) -> Option<ReturnTo> {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let authority = authority.split(['/', '?']).next()?;
    let url = Url::parse(text).ok()?;
    let http = matches!(url.scheme(), "http" | "https");
    let anonymous = url.username().is_empty() && url.password().is_none() && !authority.contains('@');
    // The address as a browser resolves it is checked, not the text. `https:///host` is refused: no
    // honest address is written like that.
    (http && anonymous && !authority.is_empty() && origins.contains(&url.origin())).then(|| ReturnTo(url.into()))
}

/// Returns whether a host is the domain or a subdomain, so that browsers send it the domain's
/// cookies.
pub fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Headers that show where a state-changing request comes from.
#[derive(Debug, Clone, Copy)]
pub struct CsrfFacts<'a> {
    /// `Sec-Fetch-Site`, which no page can forge.
    pub sec_fetch_site: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Referer`.
    pub referer: Option<&'a str>,
    /// The public URL's origin, or on an application's host that host's registered origins.
    pub own_origins: &'a [String],
}

/// Whether a state-changing request comes from Nightlatch's own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CsrfVerdict {
    /// It does, or it was not sent by a browser.
    Allowed,
    /// The browser hides the origin (`Origin: null`): a form token must prove it.
    NeedsFormToken,
    /// It comes from another site.
    Refused(CrossSiteCause),
}

/// The evidence against a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrossSiteCause {
    /// `Sec-Fetch-Site` names another site.
    FetchSite,
    /// `Origin` names another origin.
    Origin,
    /// `Referer` is a page of another origin.
    Referer,
    /// `Origin: null` without a form token.
    NullOrigin,
}

/// Judges a request. If `Sec-Fetch-Site` is present, it must be same-origin or none; else if
/// `Origin` is present, it must be Nightlatch's; else if `Referer` is present, it must be one of
/// Nightlatch's pages. Without any of them, the request is allowed.
pub fn judge_csrf(facts: &CsrfFacts<'_>) -> CsrfVerdict {
    let is_own = |origin: &str| facts.own_origins.iter().any(|own| own == origin);
    let refers_to_own = |referer: &str| {
        Url::parse(referer).is_ok_and(|url| url.origin().is_tuple() && is_own(&url.origin().ascii_serialization()))
    };
    match (facts.sec_fetch_site, facts.origin, facts.referer) {
        (Some("same-origin" | "none"), _, _) | (None, None, None) => CsrfVerdict::Allowed,
        (Some(_), _, _) => CsrfVerdict::Refused(CrossSiteCause::FetchSite),
        (None, Some("null"), None) => CsrfVerdict::NeedsFormToken,
        (None, None | Some("null"), Some(referer)) if refers_to_own(referer) => CsrfVerdict::Allowed,
        (None, None | Some("null"), Some(_)) => CsrfVerdict::Refused(CrossSiteCause::Referer),
        (None, Some(origin), _) if is_own(origin) => CsrfVerdict::Allowed,
        (None, Some(_), _) => CsrfVerdict::Refused(CrossSiteCause::Origin),
    }
}
