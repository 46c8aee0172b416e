//! Tests of [`super`].

use super::{check_passkey_domain, parse_passkey_domain};
use crate::config::{Config, Flags};
use url::Url;

#[test]
fn a_domain_is_a_name_that_covers_the_public_url() {
    assert_eq!(parse_passkey_domain("Example.TEST").as_deref(), Ok("example.test"));
    assert_eq!(parse_passkey_domain("localhost").as_deref(), Ok("localhost"));
    for wrong in [
        "",
        "192.0.2.1",
        "example.test:8443",
        "https://example.test",
        ".example.test",
    ] {
        assert!(parse_passkey_domain(wrong).is_err(), "{wrong}");
    }
    let url = Url::parse("https://login.example.test").unwrap();
    for (domain, faults) in [
        ("example.test", 0),
        ("login.example.test", 0),
        ("other.test", 1),
        ("co.uk", 2),
    ] {
        let mut found = Vec::new();
        check_passkey_domain(Some(domain), Some(&url), &mut found);
        assert_eq!(found.len(), faults, "{domain}: {found:?}");
    }
}

#[test]
fn the_domain_is_the_cookies_else_the_hosts_and_never_an_address() {
    let domain = |settings: &[(&str, &str)]| {
        let environment = settings
            .iter()
            .map(|(name, value)| (format!("NIGHTLATCH_{name}"), (*value).to_owned()));
        Config::load(None, environment, Flags::default())
            .unwrap()
            .passkey_domain()
    };
    let url = ("PUBLIC_URL", "https://login.example.test");
    assert_eq!(domain(&[]).as_deref(), Some("localhost"));
    assert_eq!(domain(&[("BIND", "0.0.0.0:8080")]), None);
    assert_eq!(
        domain(&[("BIND", "127.0.0.2:8080")]),
        None,
        "localhost does not lead there"
    );
    assert_eq!(domain(&[("PUBLIC_URL", "http://192.0.2.1:8080")]), None);
    assert_eq!(domain(&[url]).as_deref(), Some("login.example.test"));
    assert_eq!(
        domain(&[url, ("COOKIE_DOMAIN", "example.test")]).as_deref(),
        Some("example.test")
    );
    let own = ("PASSKEY_DOMAIN", "login.example.test");
    assert_eq!(
        domain(&[url, ("COOKIE_DOMAIN", "example.test"), own]).as_deref(),
        Some("login.example.test")
    );
}
