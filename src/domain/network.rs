//! IP addresses and their networks. IPv4-mapped IPv6 counts as IPv4 everywhere. `http::client_ip`
//! finds the client's address, which needs the trusted proxies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};

/// Converts `::ffff:a.b.c.d` to `a.b.c.d`; other addresses stay unchanged.
pub fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// Returns the network of `ip` under `session.session_ip_subnet_bits` (32|24|16|8 → IPv6
/// /128|/64|/48|/32).
pub fn session_network(ip: IpAddr, v4_bits: u8) -> IpNetwork {
    match canonical(ip) {
        IpAddr::V4(ip) => v4_network(ip, v4_bits),
        IpAddr::V6(ip) => v6_network(ip, v6_bits(v4_bits)),
    }
}

/// Returns whether two addresses are in one network under `v4_bits`; an IPv4 and an IPv6 address
/// never are. It compares bits without building a network, because every request calls it.
pub fn same_session_network(a: IpAddr, b: IpAddr, v4_bits: u8) -> bool {
    match (canonical(a), canonical(b)) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same_v4(a, b, v4_bits),
        (IpAddr::V6(a), IpAddr::V6(b)) => same_v6(a, b, v4_bits),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// Works like [`same_session_network`], for two IPv4 addresses.
pub(crate) fn same_v4(a: Ipv4Addr, b: Ipv4Addr, v4_bits: u8) -> bool {
    let differing = u32::from(a) ^ u32::from(b);
    differing.leading_zeros() >= u32::from(v4_bits.min(32))
}

/// Works like [`same_session_network`], for two IPv6 addresses.
pub(crate) fn same_v6(a: Ipv6Addr, b: Ipv6Addr, v4_bits: u8) -> bool {
    let differing = u128::from(a) ^ u128::from(b);
    differing.leading_zeros() >= u32::from(v6_bits(v4_bits))
}

/// Returns the network of an address in lock keys and the IP ceiling: IPv4 itself, IPv6 its /64.
pub fn lock_network(ip: IpAddr) -> IpNetwork {
    match canonical(ip) {
        IpAddr::V4(ip) => v4_network(ip, 32),
        IpAddr::V6(ip) => v6_network(ip, 64),
    }
}

/// Returns the network that is stored for the account ceiling: IPv4 /24, IPv6 /64.
pub fn known_network(ip: IpAddr) -> IpNetwork {
    match canonical(ip) {
        IpAddr::V4(ip) => v4_network(ip, 24),
        IpAddr::V6(ip) => v6_network(ip, 64),
    }
}

/// Returns 32 hexadecimal digits that sort like the address (IPv4 as IPv4-mapped), so that a CIDR
/// filter is an index range.
pub fn sort_key(ip: IpAddr) -> String {
    let bits = match canonical(ip) {
        IpAddr::V4(ip) => u128::from(ip.to_ipv6_mapped()),
        IpAddr::V6(ip) => u128::from(ip),
    };
    format!("{bits:032x}")
}

/// Returns the first and last [`sort_key`] of a network, inclusive.
pub fn sort_range(network: IpNetwork) -> (String, String) {
    (sort_key(network.network()), sort_key(network.broadcast()))
}

/// Parses an address or CIDR from a filter (`10.0.0.0/8`, `203.0.113.9`, `2001:db8::/32`). Host
/// bits are removed; an IPv4-mapped network becomes the IPv4 one. `None`: neither.
pub fn parse_filter(text: &str) -> Option<IpNetwork> {
    let network: IpNetwork = text.trim().parse().ok()?;
    Some(match network {
        IpNetwork::V4(network) => v4_network(network.ip(), network.prefix()),
        IpNetwork::V6(network) => match (network.ip().to_ipv4_mapped(), network.prefix().checked_sub(96)) {
            (Some(ip), Some(bits)) => v4_network(ip, bits),
            _ => v6_network(network.ip(), network.prefix()),
        },
    })
}

/// Converts the setting's IPv4 prefix length to IPv6. Between two steps the longer prefix applies.
pub const fn v6_bits(v4_bits: u8) -> u8 {
    match v4_bits {
        25.. => 128,
        17..=24 => 64,
        9..=16 => 48,
        0..=8 => 32,
    }
}

fn v4_network(ip: Ipv4Addr, bits: u8) -> IpNetwork {
    let bits = bits.min(32);
    let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
    let ip = Ipv4Addr::from(u32::from(ip) & mask);
    IpNetwork::V4(Ipv4Network::new_checked(ip, bits).unwrap_or_else(|| Ipv4Network::from(ip)))
}

fn v6_network(ip: Ipv6Addr, bits: u8) -> IpNetwork {
    let bits = bits.min(128);
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    let ip = Ipv6Addr::from(u128::from(ip) & mask);
    IpNetwork::V6(Ipv6Network::new_checked(ip, bits).unwrap_or_else(|| Ipv6Network::from(ip)))
}
