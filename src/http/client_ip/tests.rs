//! Tests of [`super`].

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
fn no_proxy_is_trusted_by_default() {
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
fn an_unreadable_header_falls_back_to_the_peer() {
    assert_eq!(
        xff("127.0.0.1", "127.0.0.1", &["junk, 198.51.100.7"]),
        "198.51.100.7",
        "the client's own words"
    );
    for line in ["unknown", "6.6.6.6, junk", "1.2.3.4.5", "999.1.1.1", "fe80::1%eth0"] {
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
fn empty_members_are_passed_over() {
    for line in [
        "203.0.113.5, ",
        "203.0.113.5,",
        "203.0.113.5 ,, \t,",
        "6.6.6.6,, ,203.0.113.5,",
    ] {
        assert_eq!(xff("127.0.0.1", "127.0.0.1", &[line]), "203.0.113.5", "{line:?}");
    }
    assert_eq!(
        xff("127.0.0.1", "127.0.0.1", &["203.0.113.5", "", " , "]),
        "203.0.113.5"
    );
    for line in ["", " ", ",", " , ,"] {
        assert_eq!(xff("127.0.0.1", "127.0.0.1", &[line]), "127.0.0.1", "{line:?}");
    }
}

#[test]
fn rfc_7239_is_read_as_its_grammar_has_it() {
    let read = |line: &str| {
        client(
            "127.0.0.1",
            "127.0.0.1",
            ForwardedHeader::Forwarded,
            &[("forwarded", line)],
        )
    };
    for line in [
        "FOR=203.0.113.5, ",
        "for=203.0.113.5;proto=https;by=10.0.0.1,,",
        "by=\"a, b; for=6.6.6.6\";For=203.0.113.5",
        "for=\"203.0.113.5:4711\";host=\"wiki.example.org, x\"",
        "for=\"203.0.113\\.5\"",
        // A client's open quote does not hide what the proxy wrote.
        "for=\"6.6.6.6, for=203.0.113.5",
        "host=\"\\\", for=203.0.113.5",
    ] {
        assert_eq!(read(line), "203.0.113.5", "{line:?}");
    }
    assert_eq!(read("for=\"[2001:db8::1]\""), "2001:db8::1");
    for line in [
        "for=unknown",
        "for=_hidden",
        "for=",
        "for=\"\"",
        "proto=https",
        "for =x",
    ] {
        assert_eq!(read(line), "127.0.0.1", "{line:?}");
    }
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
