//! How proxies ask, and what is noted of it.

use nightlatch::domain::forwarded::{Dialect, Subject};

#[test]
fn every_subject_comes_back_from_its_parts() {
    let peer = "2001:db8::1".parse().unwrap();
    for subject in [
        Subject::Answered("wiki".to_owned()),
        Subject::Unreadable("wiki".to_owned()),
        Subject::Stray(peer),
        Subject::Unknown("docs.example.org".to_owned()),
        Subject::Untrusted(peer),
    ] {
        let (kind, name) = subject.parts();
        assert_eq!(Subject::of_parts(kind, name), Some(subject));
    }
    assert_eq!(Subject::of_parts("stray", "nowhere".to_owned()), None);
    assert_eq!(Subject::of_parts("other", String::new()), None);
}

#[test]
fn every_dialect_has_a_name_of_its_own() {
    for dialect in Dialect::ALL {
        assert_eq!(Dialect::parse(dialect.as_str()), Some(dialect));
    }
    assert_eq!(Dialect::parse("basic"), None);
}

#[test]
fn what_nginx_is_told_to_write_stands_in_the_shipped_file() {
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/nginx.conf")).unwrap();
    for header in ["X-Original-URL", "X-Original-Method", "X-Forwarded-For"] {
        let remedy = Dialect::AuthRequest.remedy(header);
        let line = remedy
            .strip_prefix("write ")
            .and_then(|rest| rest.split_once(" into "))
            .unwrap()
            .0;
        assert!(shipped.contains(line), "{line}");
    }
    for dialect in Dialect::ALL {
        assert!(dialect.remedy("X-Forwarded-Proto").contains("X-Forwarded-Proto"));
    }
}
