//! Addresses and the networks they count as.

use std::net::IpAddr;

use nightlatch_domain::network::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_v4_mapped_address_is_the_ipv4_one_everywhere() {
    let mapped = ip("::ffff:198.51.100.7");
    assert_eq!(canonical(mapped), ip("198.51.100.7"));
    assert_eq!(canonical(ip("2001:db8::1")), ip("2001:db8::1"));
    assert_eq!(session_network(mapped, 24).to_string(), "198.51.100.0/24");
    assert_eq!(lock_network(mapped).to_string(), "198.51.100.7/32");
    assert_eq!(known_network(mapped).to_string(), "198.51.100.0/24");
    assert_eq!(sort_key(mapped), sort_key(ip("198.51.100.7")));
}

#[test]
fn ipv4_bits_have_their_ipv6_counterparts() {
    for (bits, v4, v6) in [
        (32, "198.51.100.7/32", "2001:db8:1:2:3:4:5:6/128"),
        (24, "198.51.100.0/24", "2001:db8:1:2::/64"),
        (16, "198.51.0.0/16", "2001:db8:1::/48"),
        (8, "198.0.0.0/8", "2001:db8::/32"),
    ] {
        assert_eq!(session_network(ip("198.51.100.7"), bits).to_string(), v4);
        assert_eq!(session_network(ip("2001:db8:1:2:3:4:5:6"), bits).to_string(), v6);
    }
}

#[test]
fn comparing_two_addresses_agrees_with_their_networks() {
    let addresses = [
        "198.51.100.7",
        "198.51.100.8",
        "198.51.7.8",
        "198.1.1.1",
        "10.0.0.1",
        "2001:db8::1",
        "2001:db8::2",
        "2001:db8:0:1::1",
        "2001:db8:1::1",
        "2001:db9::1",
        "::ffff:198.51.100.7",
    ]
    .map(ip);
    for a in addresses {
        for b in addresses {
            for bits in [8, 16, 24, 32] {
                let same = session_network(a, bits) == session_network(b, bits);
                assert_eq!(same_session_network(a, b, bits), same, "{a} {b} /{bits}");
            }
        }
    }
}

#[test]
fn lock_keys_take_ipv4_whole_and_ipv6_by_its_64() {
    assert_eq!(lock_network(ip("198.51.100.7")).to_string(), "198.51.100.7/32");
    assert_eq!(lock_network(ip("2001:db8::dead:beef")).to_string(), "2001:db8::/64");
    assert_eq!(known_network(ip("2001:db8::dead:beef")).to_string(), "2001:db8::/64");
}

#[test]
fn sort_keys_order_like_addresses_and_a_network_is_a_range_of_them() {
    assert_eq!(sort_key(ip("198.51.100.7")), "00000000000000000000ffffc6336407");
    assert!(sort_key(ip("9.0.0.0")) < sort_key(ip("10.0.0.0")));
    for (network, inside, outside) in [
        (
            "10.0.0.0/8",
            ["10.0.0.0", "10.255.255.255"],
            ["9.255.255.255", "11.0.0.0"],
        ),
        (
            "203.0.113.9/32",
            ["203.0.113.9", "203.0.113.9"],
            ["203.0.113.8", "203.0.113.10"],
        ),
        (
            "2001:db8::/32",
            ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
            ["2001:db7::", "2001:db9::"],
        ),
        ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::1", "2001:db8::"]),
    ] {
        let (first, last) = sort_range(parse_filter(network).unwrap());
        assert!(
            inside
                .iter()
                .all(|one| (first.clone()..=last.clone()).contains(&sort_key(ip(one)))),
            "{network}"
        );
        assert!(
            !outside
                .iter()
                .any(|one| (first.clone()..=last.clone()).contains(&sort_key(ip(one)))),
            "{network}"
        );
    }
}

#[test]
fn filters_are_read_as_typed() {
    for (text, network) in [
        ("203.0.113.9", "203.0.113.9/32"),
        (" 10.1.2.3/8 ", "10.0.0.0/8"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::ffff:10.1.2.3", "10.1.2.3/32"),
        ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
        ("::/0", "::/0"),
    ] {
        assert_eq!(
            parse_filter(text).map(|network| network.to_string()).as_deref(),
            Some(network),
            "{text}"
        );
    }
    for text in [
        "",
        "10.0.0.0/33",
        "2001:db8::/129",
        "10.0.0",
        "example.org",
        "10.0.0.0/8, 11.0.0.0/8",
        "10.0.0.0/-1",
    ] {
        assert_eq!(parse_filter(text), None, "{text}");
    }
}
