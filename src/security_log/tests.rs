//! Tests of [`super`].

use super::*;

#[test]
fn a_forged_line_stays_one_record() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("security.log");
    let log = SecurityLog::open(&path).unwrap();
    let evil = "eve\r\n{\"event\":\"sign_in.accepted\"}\u{2028}\u{202e}\u{1b}[31m";
    log.write(&serde_json::json!({ "account": evil })).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(text.is_ascii(), "{text}");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["account"],
        evil
    );
}
