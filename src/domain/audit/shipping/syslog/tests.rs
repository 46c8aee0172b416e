//! Messages: header, structured data with escapes, severity, frames.

use super::{super::tests::sealed, *};
use crate::audit::{Event, EventOutcome};

fn header() -> SyslogHeader {
    SyslogHeader {
        facility: SyslogFacility::parse("authpriv").unwrap(),
        hostname: "login.example.org".to_owned(),
        enterprise_number: DEFAULT_ENTERPRISE_NUMBER,
        version: "1.2.3",
    }
}

#[test]
fn a_message_has_the_header_the_data_and_the_json() {
    let record = &sealed(&[1])[0];
    let message = header().format(record, RecordFormat::Json);
    let expected = format!(
        "<84>1 2026-12-01T10:20:30.123456Z login.example.org nightlatch - sign_in.refused [origin \
         software=\"nightlatch\" swVersion=\"1.2.3\"][nightlatch@32473 id=\"01990000-0000-7000-8000-000000000001\" \
         event=\"sign_in.refused\" outcome=\"failure\" reason=\"credentials\" actor=\"anonymous\" account=\"zoë \
         \\\"q\\\" \\\\ \\] [ = \u{fffd}\u{fffd}<1>\" ip=\"2001:db8::1\" application=\"wiki\" seal=\"1\" \
         position=\"1\" entries=\"1\" digest=\"{}\"] {{",
        record.seal.digest
    );
    assert!(message.starts_with(&expected), "{message}\n{expected}");
    let (_, json) = message.split_at(expected.len() - 1);
    assert!(
        json.is_ascii() && serde_json::from_str::<serde_json::Value>(json).is_ok(),
        "{json}"
    );
}

#[test]
fn every_message_is_one_line_and_its_code_fits() {
    for event in Event::ALL {
        let mut record = sealed(&[1])[0].clone();
        record.record.event = *event;
        let message = header().format(&record, RecordFormat::Ocsf);
        assert!(!message.chars().any(is_invisible), "{message}");
        assert!(event.as_str().len() <= 32, "MSGID of RFC 5424");
    }
}

#[test]
fn the_severity_follows_the_outcome() {
    let mut record = sealed(&[1])[0].record.clone();
    assert_eq!(severity(&record), 4);
    record.outcome = EventOutcome::Success;
    assert_eq!(severity(&record), 6);
    record.event = Event::SessionRotatedIdReused;
    assert_eq!(severity(&record), 2);
}

#[test]
fn a_frame_counts_octets_and_not_characters() {
    assert_eq!(frame("zoë"), "4 zoë");
    assert_eq!(frame(""), "0 ");
}

#[test]
fn a_name_of_the_host_that_is_no_ascii_is_left_out() {
    assert_eq!(printable("lögin host", 255), "lginhost");
    assert_eq!(printable("ö", 255), "-");
    assert_eq!(printable(&"a".repeat(300), MAX_HOSTNAME).len(), 255);
}
