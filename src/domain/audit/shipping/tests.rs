//! Places of entries, their JSON and CloudEvents, and addresses of receivers.

use super::*;
use crate::{
    account::AccountId,
    audit::{AuditRecord, Event, EventOutcome, seal::Seal},
    session::SessionId,
};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// A record whose texts need every kind of escape.
pub(super) fn sample() -> AuditRecord {
    AuditRecord {
        id: Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001),
        at: Timestamp::parse_rfc3339("2026-12-01T10:20:30.123456Z").unwrap(),
        event: Event::SignInRefused,
        actor: "anonymous".to_owned(),
        actor_id: None,
        account: Some("zo\u{eb} \"q\" \\ ] [ = \u{202e}\n<1>".to_owned()),
        account_id: Some(AccountId(Uuid::from_u128(7))),
        session_id: Some(SessionId(Uuid::from_u128(9))),
        ip: "2001:db8::1".parse().ok(),
        user_agent: Some("curl/8".to_owned()),
        application: Some("wiki".to_owned()),
        outcome: EventOutcome::Failure,
        reason: Some("credentials".to_owned()),
        detail: json!({ "tried": "\u{1f511}", "number": 3 }),
        request_id: Some("r-1".to_owned()),
    }
}

/// The text under the seal, as the store writes it.
pub(super) fn sealed_text(record: &AuditRecord) -> String {
    json!([
        record.id,
        record.at.as_micros(),
        record.event.as_str(),
        record.actor,
        record.actor_id.map(|id| id.0),
        record.account,
        record.account_id.map(|id| id.0),
        record.session_id.map(|id| id.0),
        record.ip,
        record.user_agent,
        record.application,
        record.outcome.as_str(),
        record.reason,
        record.detail.to_string(),
        record.request_id,
    ])
    .to_string()
}

/// Seals so many entries under each of so many seals.
pub(super) fn sealed(sizes: &[usize]) -> Vec<SealedRecord> {
    let (mut records, mut previous, mut next) = (Vec::new(), None::<Seal>, 1);
    for size in sizes {
        let made: Vec<AuditRecord> = (0..*size)
            .map(|place| AuditRecord {
                id: Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + next + place as u128),
                ..sample()
            })
            .collect();
        next += *size as u128;
        let texts: Vec<(Uuid, String)> = made.iter().map(|record| (record.id, sealed_text(record))).collect();
        let seal = Arc::new(Seal::seal_entries(previous.as_ref(), &texts, sample().at).unwrap());
        for (place, (record, (_, sealed))) in made.into_iter().zip(texts).enumerate() {
            records.push(SealedRecord {
                record,
                sealed,
                seal: seal.clone(),
                position: place as u64 + 1,
            });
        }
        previous = Some(Seal::clone(&seal));
    }
    records
}

#[test]
fn a_place_is_within_a_seal_until_its_last_entry() {
    let records = sealed(&[2, 1]);
    let places: Vec<ShippingPlace> = records.iter().map(SealedRecord::place_after).collect();
    assert_eq!(
        places,
        [
            ShippingPlace {
                seal: 0,
                entry: Some(records[0].record.id),
                position: 1
            },
            ShippingPlace::after_seal(1),
            ShippingPlace::after_seal(2),
        ]
    );
}

#[test]
fn json_is_ascii_and_means_the_same() {
    let value = sealed(&[1])[0].to_format(RecordFormat::Json);
    let text = ascii_json(&value);
    assert!(text.chars().all(|c| (' '..='~').contains(&c)), "{text}");
    assert!(text.contains("zo\\u00eb") && text.contains("\\u202e") && text.contains("\\ud83d\\udd11"));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
}

#[test]
fn a_cloud_event_has_the_attributes_of_version_1_and_what_is_signed_begins_with_the_time() {
    let record = &sealed(&[1])[0];
    let event = cloud_events::to_event(record, RecordFormat::Json, "https://login.example.org");
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["id"], json!(record.record.id));
    assert_eq!(event["source"], "https://login.example.org");
    assert_eq!(event["type"], "nightlatch.audit.sign_in.refused");
    assert_eq!(event["time"], "2026-12-01T10:20:30.123456Z");
    assert_eq!(event["data"]["seal"]["position"], 1);
    assert_eq!(cloud_events::signed_text(1_700_000_000, b"[]"), b"1700000000.[]");
    assert_eq!(cloud_events::signature_value(7, "ab"), "t=7,v1=ab");
}

#[test]
fn addresses_of_receivers() {
    let parse = |text: &str| SyslogAddress::parse(text).map(|address| address.to_string());
    assert_eq!(
        parse("tls://logs.example.org").as_deref(),
        Some("tls://logs.example.org:6514")
    );
    assert_eq!(parse("tcp://10.0.0.1:514").as_deref(), Some("tcp://10.0.0.1:514"));
    assert_eq!(parse("tcp://[::1]:514").as_deref(), Some("tcp://[::1]:514"));
    for bad in [
        "logs.example.org:514",
        "tcp://logs.example.org",
        "udp://logs.example.org:514",
        "tcp://user@logs.example.org:514",
        "tls://logs.example.org/path",
        "tls://logs.example.org?x=1",
        "tcp://logs.example.org:0",
        "tls://",
        "",
    ] {
        assert_eq!(parse(bad), None, "{bad}");
    }
    assert_eq!(SyslogFacility::parse("local3").unwrap().number(), 19);
    assert_eq!(SyslogFacility::parse("kern"), None);
    assert!(TargetName::parse("siem-1").is_ok());
    for bad in ["", "-a", "A", "a_b", "a.b", &"a".repeat(33)] {
        assert!(TargetName::parse(bad).is_err(), "{bad}");
    }
}
