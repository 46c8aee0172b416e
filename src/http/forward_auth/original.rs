//! The original request that waits at the proxy, and the headers that describe it.

use crate::domain::application::RequestTarget;
use actix_web::{
    HttpRequest,
    http::{Method, header::HeaderName},
};

/// The original request that waits at the proxy.
pub struct OriginalRequest {
    pub target: RequestTarget,
    pub method: Method,
}

/// A header of proxies: its spelling in their documentation, and its name for lookups.
pub struct ProxyHeader {
    pub shown: &'static str,
    pub name: HeaderName,
}

impl ProxyHeader {
    /// Creates a header from its name as shown and in lower case.
    pub const fn new(shown: &'static str, lower_case: &'static str) -> Self {
        Self {
            shown,
            name: HeaderName::from_static(lower_case),
        }
    }
}

/// A header that the dialect needs and that is missing or unreadable.
pub struct MalformedHeader {
    pub header: &'static str,
    pub why: String,
}

/// Returns the only value of a header, as text.
pub fn single_value<'a>(req: &'a HttpRequest, field: &'static ProxyHeader) -> Result<&'a str, MalformedHeader> {
    let refuse = |why: &str| MalformedHeader {
        header: field.shown,
        why: why.to_owned(),
    };
    let mut lines = req.headers().get_all(&field.name);
    match (lines.next(), lines.next()) {
        (None, _) => Err(refuse("the header is missing")),
        (Some(_), Some(_)) => Err(refuse("the header came twice")),
        (Some(value), None) => std::str::from_utf8(value.as_bytes()).map_err(|_| refuse("the header is not UTF-8")),
    }
}

/// Returns the first member of a list of tokens: of `https, http` it is `https`, which the client
/// used for the outermost proxy. Empty members are skipped (RFC 9110, 5.6.1.2).
pub fn first_token<'a>(req: &'a HttpRequest, field: &'static ProxyHeader) -> Result<&'a str, MalformedHeader> {
    let lines = req.headers().get_all(&field.name);
    let mut members = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty());
    let first = members.next().ok_or("the header is missing");
    let text = first.and_then(|first| std::str::from_utf8(first).map_err(|_| "the header is not UTF-8"));
    text.map_err(|why| MalformedHeader {
        header: field.shown,
        why: why.to_owned(),
    })
}

/// Reads the original method from its header.
pub fn read_method(req: &HttpRequest, field: &'static ProxyHeader) -> Result<Method, MalformedHeader> {
    Method::from_bytes(single_value(req, field)?.as_bytes()).map_err(|_| MalformedHeader {
        header: field.shown,
        why: "the method cannot be read".to_owned(),
    })
}
