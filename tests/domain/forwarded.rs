//! The dialects of proxies, and what is stored of their requests.

use nightlatch_domain::forwarded::{Dialect, RequestSubject};

#[test]
fn every_subject_comes_back_from_its_parts() {
    let peer = "2001:db8::1".parse().unwrap();
    for subject in [
        RequestSubject::Answered("wiki".to_owned()),
        RequestSubject::Unreadable("wiki".to_owned()),
        RequestSubject::Stray(peer),
        RequestSubject::Unknown("docs.example.org".to_owned()),
        RequestSubject::Untrusted(peer),
    ] {
        let (kind, name) = subject.parts();
        assert_eq!(RequestSubject::of_parts(kind, name), Some(subject));
    }
    assert_eq!(RequestSubject::of_parts("stray", "nowhere".to_owned()), None);
    assert_eq!(RequestSubject::of_parts("other", String::new()), None);
}

#[test]
fn every_dialect_has_a_name_of_its_own() {
    for dialect in Dialect::ALL {
        assert_eq!(Dialect::parse(dialect.as_str()), Some(dialect));
    }
    assert_eq!(Dialect::parse("basic"), None);
}

#[test]
fn the_shipped_nginx_file_has_what_the_page_says() {
    let shipped =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../contrib/nginx/host.conf")).unwrap();
    for header in ["X-Original-URL", "X-Original-Method", "X-Forwarded-For"] {
        let remedy = Dialect::AuthRequest.remedy(header);
        let line = remedy
            .strip_prefix("add ")
            .and_then(|rest| rest.split_once(" to "))
            .unwrap()
            .0;
        assert!(shipped.contains(line), "{line}");
    }
    for dialect in Dialect::ALL {
        assert!(dialect.remedy("X-Forwarded-Proto").contains("X-Forwarded-Proto"));
    }
}
