//! Tests of [`super`].

use super::*;
use actix_web::test::TestRequest;

fn answered(public: Option<&str>, bind: &str, host: &str) -> bool {
    let mut config = Config::load(None, std::iter::empty(), crate::config::Flags::default()).unwrap();
    config.public_url = public.map(|url| url.parse().unwrap());
    config.bind = vec![bind.parse().unwrap()];
    let request = TestRequest::default().insert_header(("host", host)).to_srv_request();
    is_own_host(&config, request.head()) || answers_without_port(&config, request.head())
}

#[test]
fn without_a_public_url_we_answer_under_the_bound_address_and_loopback_names() {
    for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"] {
        assert!(answered(None, "127.0.0.1:8080", host), "{host}");
    }
    for host in [
        "evil.example:8080",
        "127.0.0.1:9",
        "localhost",
        "",
        "127.0.0.1.evil.example:8080",
    ] {
        assert!(!answered(None, "127.0.0.1:8080", host), "{host}");
    }
    assert!(answered(None, "0.0.0.0:8080", "192.0.2.7:8080"));
    assert!(!answered(None, "192.0.2.7:8080", "localhost:8080"));
}

#[test]
fn with_a_public_url_we_answer_under_its_host_only() {
    let public = Some("https://login.example.org");
    assert!(answered(public, "127.0.0.1:8080", "login.example.org"));
    assert!(answered(public, "127.0.0.1:8080", "Login.Example.org:443"));
    assert!(!answered(public, "127.0.0.1:8080", "127.0.0.1:8080"));
    assert!(!answered(public, "127.0.0.1:8080", "login.example.org:8080"));
    assert!(answered(public, "127.0.0.1:8080", "login.example.org."));
    assert!(answered(public, "127.0.0.1:8080", "login.example.org.:443"));
    assert!(!answered(public, "127.0.0.1:8080", "login.example.org.."));
}

#[test]
fn a_port_that_a_proxy_left_out_is_ours() {
    let public = Some("https://login.example.org:8443");
    for host in ["login.example.org:8443", "login.example.org", "login.example.org."] {
        assert!(answered(public, "127.0.0.1:8080", host), "{host}");
    }
    for host in ["login.example.org:443", "login.example.org:8080", "example.org"] {
        assert!(!answered(public, "127.0.0.1:8080", host), "{host}");
    }
}
