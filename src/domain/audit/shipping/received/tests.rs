//! What the check of received entries finds, in every format.

use super::{
    super::{RecordFormat, SealedRecord, cloud_events, syslog, tests::sealed},
    *,
};
use crate::audit::shipping::SyslogFacility;

fn line(record: &SealedRecord) -> String {
    record.to_format(RecordFormat::Json).to_string()
}

fn check(lines: impl IntoIterator<Item = String>) -> ReceivedReport {
    check_for(lines, None)
}

fn check_for(lines: impl IntoIterator<Item = String>, noted: Option<&str>) -> ReceivedReport {
    let mut log = ReceivedLog::default();
    for (number, line) in lines.into_iter().enumerate() {
        log.read_line(number + 1, &line);
    }
    log.finish(noted)
}

#[test]
fn every_format_is_read_and_repeated_records_count_once() {
    let records = sealed(&[3, 2]);
    let header = syslog::SyslogHeader {
        facility: SyslogFacility::parse("local0").unwrap(),
        hostname: "host".to_owned(),
        enterprise_number: 1,
        version: "1",
    };
    let formats = [RecordFormat::Json, RecordFormat::Ocsf];
    for format in formats {
        let plain = records.iter().map(|record| record.to_format(format).to_string());
        let messages = records.iter().map(|record| header.format(record, format));
        let events = records
            .iter()
            .map(|record| cloud_events::to_event(record, format, "urn:x"));
        let batch = Value::Array(events.clone().collect()).to_string();
        let events = events.map(|event| event.to_string());
        for lines in [
            plain.collect::<Vec<_>>(),
            messages.collect(),
            events.collect(),
            vec![batch],
        ] {
            let twice = lines.iter().chain(&lines).cloned();
            let report = check_for(twice, Some(&records[0].seal.digest.to_uppercase()));
            assert_eq!(report.faults, [""; 0], "{format:?} {lines:?}");
            assert_eq!((report.seals, report.entries, report.repeated), (2, 5, 5));
            assert_eq!((report.range, report.unfinished), (Some((1, 2)), None));
            assert_eq!(report.digest.as_ref(), Some(&records[4].seal.digest));
        }
    }
}

#[test]
fn the_newest_seal_may_still_be_arriving() {
    let records = sealed(&[2, 3]);
    let report = check(records[..4].iter().map(line));
    assert_eq!((report.faults.len(), report.seals, report.unfinished), (0, 1, Some(2)));
    assert_eq!(report.digest.as_ref(), Some(&records[0].seal.digest));
    let report = check([&records[0], &records[1], &records[3]].map(line));
    assert_eq!(report.faults, ["seal 2: 2 of 3 entries are missing"]);
}

#[test]
fn whatever_is_missing_shows() {
    let records = sealed(&[2, 2, 2, 1]);
    let without = |gone: &[usize]| {
        let kept = records.iter().enumerate().filter(|(place, _)| !gone.contains(place));
        check(kept.map(|(_, record)| line(record))).faults
    };
    assert_eq!(without(&[]), [""; 0]);
    assert_eq!(without(&[0, 1]), [""; 0], "a target may begin later");
    assert_eq!(without(&[1]), ["seal 1: 1 of 2 entries are missing"]);
    assert_eq!(without(&[2, 3, 4, 5]), ["seals 2 to 3 are missing"]);
    assert_eq!(check(["nothing".to_owned()]).faults, ["line 1 has no record"]);
    assert_eq!(check(["{}".to_owned()]).faults, ["line 1 has no sealed text"]);
}

#[test]
fn whatever_was_changed_shows() {
    let records = sealed(&[2, 2, 2, 1]);
    let changed = |change: fn(&mut Value)| {
        let mut lines: Vec<Value> = records
            .iter()
            .map(|record| record.to_format(RecordFormat::Json))
            .collect();
        change(&mut lines[0]);
        check(lines.iter().map(Value::to_string)).faults
    };
    let other = "line 1 says something else than its sealed text";
    let missing = "seal 1: 1 of 2 entries are missing";
    for field in [
        "actor",
        "event",
        "account",
        "ip",
        "reason",
        "detail",
        "at",
        "outcome",
        "session_id",
    ] {
        let mut lines: Vec<Value> = records
            .iter()
            .map(|record| record.to_format(RecordFormat::Json))
            .collect();
        lines[0][field] = "mallory".into();
        assert_eq!(
            check(lines.iter().map(Value::to_string)).faults,
            [other, missing],
            "{field}"
        );
    }
    assert_eq!(
        changed(|first| {
            first["actor"] = "mallory".into();
            first["sealed"] = first["sealed"].as_str().unwrap().replace("anonymous", "mallory").into();
        }),
        ["seal 1: entries were changed"]
    );
    assert_eq!(
        changed(|first| first["seal"]["digest"] = "00".into())[0],
        "line 2 names another seal 1"
    );
    assert_eq!(
        changed(|first| first["seal"]["position"] = 2.into())[0],
        "line 2 contradicts an earlier record: entry 2 of seal 1"
    );
    assert_eq!(
        changed(|first| first["seal"]["position"] = 0.into())[0],
        "line 1 has an unreadable seal"
    );
}

#[test]
fn a_chain_that_was_made_anew_does_not_follow() {
    let (records, forged) = (sealed(&[1, 1]), sealed(&[2, 1]));
    let report = check([line(&records[0]), line(&forged[2])]);
    assert_eq!(report.faults, ["seal 2 does not follow the one before it"]);
    let report = check_for([line(&records[0])], Some("ab"));
    assert_eq!(report.faults, ["the noted digest is not among the seals"]);
}

#[test]
fn faults_are_bounded() {
    let report = check((0..500).map(|_| "x".to_owned()));
    assert_eq!(report.faults.len(), MAX_FAULTS + 1);
    assert_eq!(report.faults[MAX_FAULTS], "and 400 more");
}
