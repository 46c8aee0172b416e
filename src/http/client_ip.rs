//! Who is asking: the TCP peer, unless it is a trusted proxy; then the forwarded addresses, walked from the right to the
//! first hop that is not trusted. Never `ConnectionInfo::realip_remote_addr`: any client can write that.

use crate::{
    config::{Config, ForwardedHeader},
    domain::network::canonical,
};
use actix_web::http::header::{HeaderMap, HeaderName};
use ipnetwork::IpNetwork;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED: HeaderName = HeaderName::from_static("forwarded");

/// The client's address for every decision and record.
pub fn client_ip(peer: Option<SocketAddr>, headers: &HeaderMap, config: &Config) -> IpAddr {
    let peer = self::peer(peer);
    if !trusted(peer, &config.trusted_proxies) {
        return peer;
    }
    let (name, parse): (&HeaderName, fn(&str) -> Option<IpAddr>) = match config.forwarded_header {
        ForwardedHeader::XForwardedFor => (&X_FORWARDED_FOR, parse_hop),
        ForwardedHeader::Forwarded => (&FORWARDED, parse_forwarded),
    };
    walk(peer, headers, name, parse, &config.trusted_proxies).unwrap_or_else(|| {
        tracing::warn!(%peer, "a trusted proxy sent a client address that cannot be read; its own address is used");
        peer
    })
}

/// Who is at the other end of the connection. Without a peer address (none of our listeners makes such a connection): an unusable
/// address, trusted by nobody.
pub fn peer(peer: Option<SocketAddr>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| canonical(peer.ip()))
}

/// The header that would name the client, when a request has none.
pub fn unnamed(headers: &HeaderMap, config: &Config) -> Option<&'static str> {
    let (name, shown) = match config.forwarded_header {
        ForwardedHeader::XForwardedFor => (&X_FORWARDED_FOR, "X-Forwarded-For"),
        ForwardedHeader::Forwarded => (&FORWARDED, "Forwarded"),
    };
    (!headers.contains_key(name)).then_some(shown)
}

/// Whether the peer may speak for others.
pub fn trusted(ip: IpAddr, proxies: &[IpNetwork]) -> bool {
    proxies.iter().any(|network| network.contains(ip))
}

/// From the right to the first hop that is not trusted; all trusted: the left-most; none: the peer. What stands further left was
/// written by the client and is not even read. `None`: a hop on the way cannot be read (it must not be skipped).
fn walk(
    peer: IpAddr,
    headers: &HeaderMap,
    name: &HeaderName,
    parse: impl Fn(&str) -> Option<IpAddr>,
    proxies: &[IpNetwork],
) -> Option<IpAddr> {
    let mut hop = peer;
    for line in headers.get_all(name).rev() {
        for element in line.as_bytes().rsplit(|byte| *byte == b',') {
            hop = parse(std::str::from_utf8(element).ok()?.trim())?;
            if !trusted(hop, proxies) {
                return Some(hop);
            }
        }
    }
    Some(hop)
}

/// `203.0.113.9`, `203.0.113.9:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let ip = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(canonical(ip))
}

/// RFC 7239: the `for` parameter of one element, quoted or not; `unknown` and obfuscated names cannot be read.
fn parse_forwarded(element: &str) -> Option<IpAddr> {
    let value = element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    })?;
    parse_hop(
        value
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(value),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn client(peer: &str, trusted: &str, header: ForwardedHeader, lines: &[(&str, &str)]) -> String {
        let mut config = Config::load(None, std::iter::empty(), crate::config::Flags::default()).unwrap();
        config.trusted_proxies = trusted
            .split(',')
            .filter(|text| !text.is_empty())
            .map(|text| text.parse().unwrap())
            .collect();
        config.forwarded_header = header;
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        client_ip(Some(SocketAddr::new(peer.parse().unwrap(), 1234)), &headers, &config).to_string()
    }

    fn xff(peer: &str, trusted: &str, lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
        client(peer, trusted, ForwardedHeader::XForwardedFor, &lines)
    }

    #[test]
    fn nobody_is_believed_by_default() {
        assert_eq!(xff("203.0.113.9", "", &["10.0.0.1"]), "203.0.113.9");
        assert_eq!(xff("203.0.113.9", "127.0.0.0/8", &["10.0.0.1"]), "203.0.113.9");
    }

    #[test]
    fn the_first_untrusted_hop_from_the_right_is_the_client() {
        assert_eq!(
            xff("127.0.0.1", "127.0.0.0/8", &["6.6.6.6, 198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(
            xff("127.0.0.1", "127.0.0.0/8", &["6.6.6.6", "198.51.100.7"]),
            "198.51.100.7"
        );
        assert_eq!(
            xff(
                "127.0.0.1",
                "127.0.0.0/8,10.0.0.0/8",
                &["6.6.6.6, 198.51.100.7, 10.1.2.3"]
            ),
            "198.51.100.7"
        );
        assert_eq!(
            xff("127.0.0.1", "127.0.0.0/8,10.0.0.0/8", &["10.9.9.9, 10.1.2.3"]),
            "10.9.9.9"
        );
    }

    #[test]
    fn what_cannot_be_read_falls_back_to_the_peer() {
        assert_eq!(
            xff("127.0.0.1", "127.0.0.1", &["junk, 198.51.100.7"]),
            "198.51.100.7",
            "the client's own words"
        );
        for line in ["unknown", "6.6.6.6, junk", "", "1.2.3.4.5", "999.1.1.1", "fe80::1%eth0"] {
            assert_eq!(xff("127.0.0.1", "127.0.0.1", &[line]), "127.0.0.1", "{line:?}");
        }
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_read() {
        assert_eq!(xff("127.0.0.1", "127.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
        assert_eq!(xff("127.0.0.1", "127.0.0.1", &["198.51.100.7:80"]), "198.51.100.7");
        assert_eq!(xff("127.0.0.1", "127.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn rfc_7239_is_read_only_when_configured() {
        let line = [("forwarded", "for=\"[2001:db8::1]:4711\";proto=https, For=198.51.100.7")];
        assert_eq!(
            client("127.0.0.1", "127.0.0.1", ForwardedHeader::Forwarded, &line),
            "198.51.100.7"
        );
        assert_eq!(
            client("127.0.0.1", "127.0.0.1", ForwardedHeader::XForwardedFor, &line),
            "127.0.0.1"
        );
        for hidden in ["for=_hidden", "for=unknown", "proto=https"] {
            assert_eq!(
                client(
                    "127.0.0.1",
                    "127.0.0.1",
                    ForwardedHeader::Forwarded,
                    &[("forwarded", hidden)]
                ),
                "127.0.0.1"
            );
        }
    }
}
