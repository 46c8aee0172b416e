//! Tests of [`super`].

use super::*;

fn accepts(issuer: &str, address: &str) -> bool {
    let transport = Transport::new(issuer, None, Duration::from_secs(1)).unwrap();
    transport.check_address(&Url::parse(address).unwrap()).is_ok()
}

#[test]
fn http_is_accepted_on_loopback_addresses_of_a_provider_on_loopback_alone() {
    let (local, remote) = ("http://127.0.0.1:9000", "https://id.example.org");
    for address in ["http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]/x"] {
        assert!(accepts(local, address), "{address}");
        assert!(!accepts(remote, address), "{address}");
    }
    for address in ["http://id.example.org/x", "javascript:alert(1)", "data:text/html,x"] {
        assert!(!accepts(local, address), "{address}");
        assert!(!accepts(remote, address), "{address}");
    }
    assert!(accepts(local, "https://id.example.org/x"));
    assert!(accepts(remote, "https://id.example.org/x"));
}
