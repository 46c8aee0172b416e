//! Tests of [`super`].

use super::*;
use crate::config::Flags;

#[test]
fn names_of_the_endpoint_are_answered_and_no_others() {
    let mut config = Config::load(None, std::iter::empty(), Flags::default()).unwrap();
    config.metrics_hosts = vec!["Nightlatch-Metrics".to_owned()];
    config.public_url = Some("https://login.example.org".parse().unwrap());
    for (bound, answered, refused) in [
        ("127.0.0.1", vec!["127.0.0.1", "::1", "localhost"], vec!["192.0.2.7"]),
        ("0.0.0.0", vec!["192.0.2.7", "localhost"], vec![]),
        ("192.0.2.7", vec!["192.0.2.7"], vec!["localhost", "192.0.2.8"]),
    ] {
        let hosts = MetricsHosts::new(bound.parse().unwrap(), &config);
        for name in answered.into_iter().chain(["nightlatch-metrics", "login.example.org"]) {
            assert!(hosts.include_name(name), "{bound}: {name}");
        }
        for name in refused
            .into_iter()
            .chain(["evil.example", "", "localhost.evil.example"])
        {
            assert!(!hosts.include_name(name), "{bound}: {name}");
        }
    }
    assert_eq!(name_of("[::1]:9100").as_deref(), Some("::1"));
    assert_eq!(name_of("metrics:9100").as_deref(), Some("metrics"));
}
