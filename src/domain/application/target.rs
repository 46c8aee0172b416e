//! The address of a forwarded request, parsed without changing it: the decision must be about the
//! address that the application gets. `application` decides which application it belongs to.

use url::Host;

use crate::text::{fold, is_invisible};

/// The address of the original request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTarget {
    https: bool,
    host: String,
    port: Option<u16>,
    /// The path as received, still encoded.
    path: String,
    query: Option<String>,
}

/// The part of an address that cannot be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Neither http nor https.
    #[error("the scheme is neither http nor https")]
    Scheme,
    /// No host, or a host with user information or invalid characters.
    #[error("the host cannot be read")]
    Host,
    /// No absolute path, or a path with control characters, spaces or a fragment.
    #[error("the path cannot be read")]
    Path,
}

impl RequestTarget {
    /// Parses a full address such as `https://wiki.example.org:8443/page?x=1`.
    pub fn of_url(text: &str) -> Result<Self, TargetError> {
        let (scheme, rest) = text.split_once("://").ok_or(TargetError::Scheme)?;
        let end = rest.find(['/', '?']).ok_or(TargetError::Path)?;
        Self::of_parts(scheme, &rest[..end], &rest[end..])
    }

    /// Parses scheme, `host[:port]`, and path with query.
    pub fn of_parts(scheme: &str, authority: &str, uri: &str) -> Result<Self, TargetError> {
        // Schemes are case-insensitive (RFC 3986, 3.1).
        let is_one_of = |names: [&str; 2]| names.iter().any(|name| scheme.eq_ignore_ascii_case(name));
        let https = match (is_one_of(["https", "wss"]), is_one_of(["http", "ws"])) {
            (true, _) => true,
            (false, true) => false,
            (false, false) => return Err(TargetError::Scheme),
        };
        let (host, port) = self::authority(authority).ok_or(TargetError::Host)?;
        let odd = |c: char| c.is_control() || c.is_whitespace() || c == '#';
        let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if !uri.starts_with('/') || (!uri.bytes().all(plain) && uri.contains(odd)) {
            return Err(TargetError::Path);
        }
        let (path, query) = match uri.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (uri, None),
        };
        Ok(Self {
            https,
            host,
            port,
            path: path.to_owned(),
            query,
        })
    }

    /// Returns the host in the form in which applications' entries are compared.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port: the one in the address, or the scheme's default.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.https { 443 } else { 80 })
    }

    /// Returns the path as received, without query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the full address, for the return after a sign-in.
    pub fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{scheme}://{}{port}{}{query}", self.host, self.path)
    }
}

/// Parses `host[:port]` and returns the host as compared: lower case, punycode, no trailing dot.
pub(super) fn authority(text: &str) -> Option<(String, Option<u16>)> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            (&text[..end + 2], &text[end + 2..])
        }
        None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|port| *port > 0)?)
        }
        Some(_) => return None,
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.contains('%') {
        return None;
    }
    if is_plain(name) {
        return Some((name.to_owned(), port));
    }
    let host = Host::parse(name).ok()?;
    let plain = |name: &String| {
        name.len() <= 253
            && name.split('.').all(|label| !label.is_empty())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte))
    };
    match &host {
        Host::Domain(name) if !plain(name) => None,
        Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => Some((host.to_string(), port)),
    }
}

/// Returns whether parsing would leave the name unchanged, as it does for nearly all names:
/// lower-case ASCII, no punycode, and by its last label not an IPv4 address in any spelling (WHATWG
/// URL, "ends in a number").
fn is_plain(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.bytes().all(known)
        && last.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && name
            .split('.')
            .all(|label| !label.is_empty() && !label.starts_with("xn--"))
}

/// Decodes the path if every server would read it the same way. `None` for `//` and dot segments
/// (also with parameters), for encoded slashes, dots, backslashes or percent signs that decode
/// further, for control characters, and for text that is not UTF-8.
pub fn canonical_path(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = if bytes[at] == b'%' {
            let byte = escape(bytes, at)?;
            if b"/.\\;".contains(&byte) {
                return None;
            }
            at += 3;
            byte
        } else {
            at += 1;
            bytes[at - 1]
        };
        decoded.push(byte);
    }
    let twice = (0..decoded.len()).any(|at| decoded[at] == b'%' && escape(&decoded, at).is_some());
    let decoded = String::from_utf8(decoded).ok()?;
    let odd = decoded.contains(|c: char| c.is_control() || c == '\\');
    let mut segments = decoded.strip_prefix('/')?.split('/').peekable();
    while let Some(segment) = segments.next() {
        let name = segment.split(';').next().unwrap_or_default();
        let empty = name.is_empty() && (segments.peek().is_some() || !segment.is_empty());
        if empty || matches!(name, "." | "..") {
            return None;
        }
    }
    (!odd && !twice).then_some(decoded)
}

/// Returns a decoded path as servers read it that treat `;x` as a parameter of its segment:
/// `/a;v=1/b` becomes `/a/b`.
pub fn without_parameters(path: &str) -> String {
    let names: Vec<&str> = path
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default())
        .collect();
    names.join("/")
}

/// Returns a decoded path as the most lenient servers read it: case-folded, in compatibility form
/// (NFKC), without invisible characters (HFS+ ignores them), without spaces, plus signs and dots
/// around a segment's name, without what follows a colon (streams of NTFS, such as `::$DATA`),
/// without empty segments. `None`: such a server would find dot segments or backslashes in it.
pub fn loosen_path(path: &str) -> Option<String> {
    let mut folded = fold(path);
    folded.retain(|c| !is_invisible(c));
    if folded.contains('\\') {
        return None;
    }
    let rooted = folded.strip_prefix('/')?;
    let mut segments = Vec::new();
    for segment in rooted.split('/') {
        if matches!(segment.trim(), "." | "..") {
            return None;
        }
        let file = segment.split(':').next().unwrap_or_default();
        let name = file.trim_matches(|c: char| c.is_whitespace() || c == '.' || c == '+');
        if !name.is_empty() {
            segments.push(name);
        }
    }
    let end = if rooted.ends_with('/') && !segments.is_empty() {
        "/"
    } else {
        ""
    };
    Some(format!("/{}{end}", segments.join("/")))
}

/// Decodes the percent escape at `at`.
fn escape(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    Some((digit(at + 1)? * 16 + digit(at + 2)?) as u8)
}
