//! Tests of [`super`].

use super::*;
use crate::config::{Config, Flags};
use proptest::prelude::*;

proptest! {
    #[test]
    fn the_fast_decoder_agrees_with_the_library(value in "([a-zA-Z0-9+/=_.~\" ;,-]|%[0-9a-fA-F]{0,2}){0,40}") {
        let pair = format!("nightlatch={value}");
        if let Some(decoded) = plainly_decoded(&value) {
            let cookie = Cookie::parse_encoded(pair.as_str());
            prop_assert_eq!(cookie.ok().map(|cookie| cookie.value().to_owned()), Some(decoded));
        }
    }
}

#[test]
fn a_name_behind_another_kind_of_space_is_another_name() {
    let config = Config::load(None, std::iter::empty(), Flags::default()).unwrap();
    let keys = CookieKeys::new(std::iter::once([7; 64].as_slice())).unwrap();
    let value = Cookie::new("", keys.sign("nightlatch", "token")).encoded().to_string();
    let read_line = |line: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        read(&headers, CookieScope::own_host(&config), &keys)
    };
    for blank in ["", " ", "\t", " \t "] {
        let line = format!("a=b;{blank}__Host-nightlatch{value}; c=d");
        assert_eq!(read_line(&line).token.as_deref(), Some("token"), "{line:?}");
    }
    for space in ['\u{a0}', '\u{85}', '\u{2000}', '\u{2028}', '\u{3000}'] {
        for name in ["__Host-nightlatch", "nightlatch"] {
            let line = format!("{space}{name}{value}");
            assert_eq!(read_line(&line), PresentedCookie::default(), "{line:?}");
        }
        // Beside our cookie it changes nothing either.
        let line = format!("{space}__Host-nightlatch=x; __Host-nightlatch{value}");
        assert_eq!(read_line(&line).token.as_deref(), Some("token"), "{line:?}");
    }
}

#[test]
fn values_that_we_did_not_sign_are_passed_over_and_two_that_we_signed_are_in_doubt() {
    let config = Config::load(None, std::iter::empty(), Flags::default()).unwrap();
    let (old, new) = ([7; 64], [8; 64]);
    let keys = CookieKeys::new([new.as_slice(), old.as_slice()].into_iter()).unwrap();
    let old_keys = CookieKeys::new(std::iter::once(old.as_slice())).unwrap();
    let cookie = |keys: &CookieKeys, token: &str| {
        let value = keys.sign("nightlatch", token);
        Cookie::new("nightlatch", value).encoded().to_string()
    };
    let (ours, other) = (cookie(&keys, "token"), cookie(&keys, "other"));
    let read_line = |line: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(line).unwrap());
        read(&headers, CookieScope::own_host(&config), &keys)
    };
    for line in [
        format!("nightlatch=garbage; {ours}"),
        format!("{ours}; nightlatch=garbage; nightlatch=; nightlatch=%ff"),
        format!("__Host-nightlatch=garbage; {ours}"),
        format!("{ours}; {ours}"),
        format!("{ours}; {}", cookie(&old_keys, "token")),
    ] {
        let presented = read_line(&line);
        assert_eq!(
            (presented.token.as_deref(), presented.ambiguous),
            (Some("token"), false),
            "{line}"
        );
    }
    let presented = read_line(&format!("{ours}; {other}"));
    assert_eq!((presented.token, presented.ambiguous), (None, true));
}

#[test]
fn our_own_values_are_decoded_in_one_go() {
    let keys = CookieKeys::new(std::iter::once([7; 64].as_slice())).unwrap();
    let value = keys.sign("nightlatch", "a-token_of+ours/=");
    let sent = Cookie::new("nightlatch", value.clone()).encoded().to_string();
    let sent = sent.strip_prefix("nightlatch=").unwrap();
    assert_eq!(plainly_decoded(sent), Some(value));
}
