//! Every event has a class, with what the class requires.

use super::{super::tests::sealed, *};
use crate::audit::shipping::RecordFormat;

fn event_of(event: Event) -> Value {
    let mut record = sealed(&[1])[0].clone();
    record.record.event = event;
    record.to_format(RecordFormat::Ocsf)
}

/// Events that are deliberately none of the classes of Identity & Access Management.
const BASE_EVENTS: [Event; 5] = [
    Event::ProviderEvent,
    Event::ProviderEventRefused,
    Event::MailGivenUp,
    Event::MailRetried,
    Event::MailDiscarded,
];

#[test]
fn every_event_has_a_class_and_what_the_class_requires() {
    for event in Event::ALL {
        let made = event_of(*event);
        let class = made["class_uid"].as_u64().unwrap();
        assert_eq!(class == 0, BASE_EVENTS.contains(event), "{event}");
        assert_eq!(made["category_uid"], class / 1000, "{event}");
        let activity = made["activity_id"].as_u64().unwrap();
        assert_eq!(made["type_uid"], class * 100 + activity);
        let is_named = OcsfActivity::from_event(*event).activity_name().is_some();
        assert_eq!(is_named, activity != 99, "{event}: {activity} has no name in the table");
        for required in ["time", "severity_id", "metadata", "message", "raw_data", "unmapped"] {
            assert!(!made[required].is_null(), "{event}: {required}");
        }
        let subject = match class {
            0 => "unmapped",
            3004 => "entity",
            _ => "user",
        };
        assert!(!made[subject].is_null(), "{event}: {subject}");
        assert_eq!(class == 3002, !made["service"].is_null(), "{event}");
        assert_eq!(class == 3003 || class == 3005, !made["privileges"].is_null(), "{event}");
    }
}

#[test]
fn classes_of_the_main_events() {
    for (event, class, activity, name) in [
        (Event::SignInAccepted, 3002, 1, "Logon"),
        (Event::SessionEnded, 3002, 2, "Logoff"),
        (Event::SessionOpened, 3003, 1, "Assign Privileges"),
        (Event::AccountCreated, 3001, 1, "Create"),
        (Event::PasswordReset, 3001, 4, "Password Reset"),
        (Event::LockoutReleased, 3001, 12, "Unlock"),
        (Event::FactorRemoved, 3001, 11, "MFA Factor Disable"),
        (Event::PolicyChanged, 3004, 3, "Update"),
        (Event::SourceDisabled, 3004, 9, "Disable"),
        (Event::AccountRoleChanged, 3005, 1, "Assign Privileges"),
        (Event::MailRetried, 0, 99, "Email retried"),
    ] {
        let made = event_of(event);
        assert_eq!(made["class_uid"], class, "{event}");
        assert_eq!(made["activity_id"], activity, "{event}");
        assert_eq!(made["activity_name"], name, "{event}");
    }
}

#[test]
fn a_refused_sign_in_in_full() {
    let record = &sealed(&[1])[0];
    let made = record.to_format(RecordFormat::Ocsf);
    assert_eq!(made["time"], 1_796_120_430_123_i64);
    assert_eq!(made["status"], "Failure");
    assert_eq!(made["status_code"], "credentials");
    assert_eq!(made["user"]["name"], json!(record.record.account));
    assert_eq!(made["actor"]["user"]["name"], "anonymous");
    assert_eq!(made["src_endpoint"]["ip"], "2001:db8::1");
    assert_eq!(made["http_request"], json!({ "user_agent": "curl/8", "uid": "r-1" }));
    assert_eq!(made["service"]["name"], "wiki");
    assert_eq!(made["metadata"]["event_code"], "sign_in.refused");
    assert_eq!(made["unmapped"]["seal"]["digest"], json!(record.seal.digest));
    assert_eq!(made["unmapped"]["detail"]["number"], 3);
    assert_eq!(made["raw_data"], json!(record.sealed));
    assert!(made.get("count").is_none());
}

#[test]
fn an_entry_that_stands_for_several_refusals_counts_them() {
    let mut record = sealed(&[1])[0].clone();
    record.record.detail = json!({ "refusals": 21 });
    assert_eq!(record.to_format(RecordFormat::Ocsf)["count"], 21);
}
