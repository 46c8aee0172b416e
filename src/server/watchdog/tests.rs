//! Tests of [`super`].

use super::*;

#[test]
fn a_server_on_every_address_is_reached_on_this_machine() {
    for (bound, reached) in [
        ("0.0.0.0:80", "127.0.0.1:80"),
        ("[::]:80", "[::1]:80"),
        ("10.0.0.5:8080", "10.0.0.5:8080"),
    ] {
        assert_eq!(reachable_address(bound.parse().unwrap()), reached.parse().unwrap());
    }
}
