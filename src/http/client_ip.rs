//! The client's IP address: the TCP peer, unless it is a trusted proxy; then the forwarded
//! addresses, read from the right to the first hop that is not trusted.
//! `ConnectionInfo::realip_remote_addr` is never used, because any client can set it.

use super::log_once;
use crate::{
    config::{Config, ForwardedHeader},
    domain::network::canonical,
};
use actix_web::http::header::{HeaderMap, HeaderName};
use ipnetwork::IpNetwork;
use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// Returns the client's address for every decision and record.
pub fn client_ip(peer: Option<SocketAddr>, headers: &HeaderMap, config: &Config) -> IpAddr {
    let peer = self::peer(peer);
    if !trusted(peer, &config.trusted_proxies) {
        return peer;
    }
    let (name, parse): (&HeaderName, fn(&str) -> Option<IpAddr>) = match config.forwarded_header {
        ForwardedHeader::XForwardedFor => (&X_FORWARDED_FOR, parse_hop),
        ForwardedHeader::Forwarded => (&FORWARDED, parse_forwarded),
    };
    warn_of_other_header(peer, headers, config.forwarded_header);
    walk(peer, headers, name, parse, &config.trusted_proxies).unwrap_or_else(|| {
        tracing::warn!(%peer, "a trusted proxy sent a client address that cannot be read; its own address is used");
        peer
    })
}

/// Warns of a trusted proxy that names the client in the other header only: everyone behind it
/// would share its address.
fn warn_of_other_header(peer: IpAddr, headers: &HeaderMap, expected: ForwardedHeader) {
    let (expected, other) = match expected {
        ForwardedHeader::XForwardedFor => (&X_FORWARDED_FOR, &FORWARDED),
        ForwardedHeader::Forwarded => (&FORWARDED, &X_FORWARDED_FOR),
    };
    if !headers.contains_key(expected) && headers.contains_key(other) {
        log_once::warn(&format!(
            "the trusted proxy {peer} names the client in {other}, but forwarded_header says {expected}: everyone \
             behind it shares one IP address"
        ));
    }
}

/// Returns the address at the other end of the connection. Without a peer address (our listeners
/// never make such a connection) it is an unusable address that is never trusted.
pub fn peer(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| canonical(peer.ip()))
}

/// Returns the header that would name the client, if the request lacks it.
pub fn missing_header(headers: &HeaderMap, config: &Config) -> Option<&'static str> {
    let (name, shown) = match config.forwarded_header {
        ForwardedHeader::XForwardedFor => (&X_FORWARDED_FOR, "X-Forwarded-For"),
        ForwardedHeader::Forwarded => (&FORWARDED, "Forwarded"),
    };
    (!headers.contains_key(name)).then_some(shown)
}

/// Returns whether the peer is a trusted proxy.
pub fn trusted(ip: IpAddr, proxies: &[IpNetwork]) -> bool {
    proxies.iter().any(|network| network.contains(ip))
}

/// Reads the hops from the right to the first one that is not trusted; if all are trusted, the
/// left-most; if there is none, the peer. Hops further left were written by the client and are not
/// read. Empty members are skipped (RFC 9110, 5.6.1.2). `None`: a hop on the way is unreadable and
/// must not be skipped.
fn walk(
    peer: IpAddr,
    headers: &HeaderMap,
    name: &HeaderName,
    parse: impl Fn(&str) -> Option<IpAddr>,
    proxies: &[IpNetwork],
) -> Option<IpAddr> {
    let mut hop = peer;
    for line in headers.get_all(name).rev() {
        for member in members_from_right(line.as_bytes()) {
            hop = parse(std::str::from_utf8(member).ok()?)?;
            if !trusted(hop, proxies) {
                return Some(hop);
            }
        }
    }
    Some(hop)
}

/// Yields the non-empty members of a list, the last one first. A comma in a quoted string does not
/// separate. Reading from the right keeps an open quote of a client from hiding what the proxies
/// wrote behind it.
fn members_from_right(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest?;
        let comma = separator_from_right(list, b',');
        rest = comma.map(|comma| &list[..comma]);
        Some(list[comma.map_or(0, |comma| comma + 1)..].trim_ascii())
    })
    .filter(|member| !member.is_empty())
}

/// Finds the last separator outside of quoted strings.
fn separator_from_right(text: &[u8], separator: u8) -> Option<usize> {
    let mut is_quoted = false;
    (0..text.len()).rev().find(|at| {
        let is_escaped = text[..*at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
        if text[*at] == b'"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        text[*at] == separator && !is_quoted
    })
}

/// Parses `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let ip = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(canonical(ip))
}

/// Parses the `for` parameter of one element (RFC 7239, 4), a token or a quoted string; `unknown`
/// and obfuscated names are unreadable.
fn parse_forwarded(element: &str) -> Option<IpAddr> {
    let mut rest = element;
    loop {
        let semicolon = separator_from_right(rest.as_bytes(), b';');
        let pair = &rest[semicolon.map_or(0, |semicolon| semicolon + 1)..];
        if let Some((name, value)) = pair.split_once('=')
            && name.trim().eq_ignore_ascii_case("for")
        {
            return parse_hop(&unquote(value.trim()));
        }
        rest = &rest[..semicolon?];
    }
}

/// Returns the text of a token or of a quoted string (RFC 9110, 5.6.4).
fn unquote(value: &str) -> Cow<'_, str> {
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(text) if text.contains('\\') => text.replace('\\', "").into(),
        Some(text) => text.into(),
        None => value.into(),
    }
}

#[cfg(test)]
mod tests;
