//! How long a browser keeps the session cookie.

use super::*;
use crate::{
    config::{Config, Flags},
    domain::{
        account::Role,
        policy::{Pins, PolicyDocument, effective::Policy},
    },
};

#[test]
fn a_cookie_lasts_as_long_as_its_session_and_a_minute_if_that_is_over() {
    let config = Config::load(None, std::iter::empty(), Flags::default()).unwrap();
    let keys = CookieKeys::new(std::iter::once([7; 64].as_slice())).unwrap();
    let policy = Policy::new(1, PolicyDocument::default(), Pins::new(), false).effective(Role::Member, &[], None);
    let ttl = 14 * 86_400;
    for (age, expected) in [(0, ttl), (ttl - 1, 1), (ttl, 60), (2 * ttl, 60)] {
        let (signed_in_at, now) = (Timestamp::from_micros(0), Timestamp::from_micros(age * 1_000_000));
        let scope = CookieScope::own_host(&config);
        let lines = issue(scope, &keys, &policy, "token", signed_in_at, now);
        assert!(
            lines[0].contains(&format!("; Max-Age={expected}")),
            "{age}: {}",
            lines[0]
        );
    }
}
