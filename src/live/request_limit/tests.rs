//! Tests of [`super`].

use super::*;

#[test]
fn each_network_has_so_many_a_minute() {
    let limit = RequestLimit::default();
    let at = |secs: i64| Timestamp::from_micros(secs * 1_000_000);
    let (one, other): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    let allowed = (0..10).filter(|_| limit.allows(one, at(0), 3)).count();
    assert_eq!(allowed, 3);
    assert!(limit.allows(other, at(59), 3));
    assert!(!limit.allows(one, at(59), 3));
    assert!(limit.allows(one, at(60), 3), "a new minute");
}

#[test]
fn networks_beyond_the_bound_share_a_count() {
    let limit = RequestLimit::default();
    let now = Timestamp::from_micros(0);
    for number in 0..MAX_NETWORKS as u32 + 10 {
        limit.allows(IpAddr::from(number.to_be_bytes()), now, 5);
    }
    assert!(!limit.allows([255, 0, 0, 1].into(), now, 5));
}
