//! Events of the Open Cybersecurity Schema Framework 1.4.0: classes 3001 to 3005 of Identity &
//! Access Management where an event fits one, else the base event. No event is about a group alone
//! (3006).

use super::record::SealedRecord;
use crate::audit::{
    Event, EventOutcome,
    repeated::{count_refusals, times},
};
use serde_json::{Map, Value, json};

/// The version of the schema.
const SCHEMA_VERSION: &str = "1.4.0";

/// The class of an event and the activity within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OcsfActivity {
    /// The number of the class; 0: the base event.
    pub class: u32,
    /// The number of the activity; 99: another one, named by the event's sentence.
    pub activity: u32,
}

const BASE: u32 = 0;
const ACCOUNT_CHANGE: u32 = 3001;
const AUTHENTICATION: u32 = 3002;
const AUTHORIZE_SESSION: u32 = 3003;
const ENTITY_MANAGEMENT: u32 = 3004;
const USER_ACCESS: u32 = 3005;
const OTHER: u32 = 99;

impl OcsfActivity {
    /// Returns the class and the activity of an event.
    pub const fn from_event(event: Event) -> Self {
        use Event as E;
        let (class, activity) = match event {
            E::SignInAccepted | E::SignInRefused => (AUTHENTICATION, 1),
            E::SignOut | E::SessionEnded | E::ProviderSignOut | E::ProviderSignOutRefused => (AUTHENTICATION, 2),
            E::StepUpAccepted
            | E::StepUpRefused
            | E::SessionNetworkChanged
            | E::SessionRotated
            | E::SessionRotatedIdReused
            | E::SessionUserAgentChanged
            | E::SessionHandedOver
            | E::DeviceBound
            | E::DeviceProofRefused
            | E::DeviceLost
            | E::FactorRefused
            | E::FactorProved
            | E::RecoveryCodeUsed
            | E::SignInReported => (AUTHENTICATION, OTHER),
            E::SessionOpened | E::AccessDenied => (AUTHORIZE_SESSION, 1),
            E::SetupCompleted | E::AccountCreated => (ACCOUNT_CHANGE, 1),
            E::AccountEnabled => (ACCOUNT_CHANGE, 2),
            E::PasswordChanged => (ACCOUNT_CHANGE, 3),
            E::PasswordReset => (ACCOUNT_CHANGE, 4),
            E::AccountDisabled | E::AccountExpired => (ACCOUNT_CHANGE, 5),
            E::AccountDeleted => (ACCOUNT_CHANGE, 6),
            E::LockoutBegan | E::LockoutBlocked => (ACCOUNT_CHANGE, 9),
            E::FactorAdded => (ACCOUNT_CHANGE, 10),
            E::FactorRemoved | E::FactorReset => (ACCOUNT_CHANGE, 11),
            E::LockoutEnded | E::LockoutReleased => (ACCOUNT_CHANGE, 12),
            E::PasswordResetRequested
            | E::EmailChangeRequested
            | E::EmailChangeConfirmed
            | E::EmailChanged
            | E::EmailChangeCancelled
            | E::FactorRenamed
            | E::RecoveryCodesMade
            | E::BrowserTrusted
            | E::BrowserUntrusted
            | E::AccountUpdated => (ACCOUNT_CHANGE, OTHER),
            E::AccountRoleChanged => (USER_ACCESS, 1),
            E::SourceCreated => (ENTITY_MANAGEMENT, 1),
            E::AuditExported | E::DataExported => (ENTITY_MANAGEMENT, 2),
            E::PolicyChanged
            | E::PolicyConfirmed
            | E::PolicyRestored
            | E::PolicyReverted
            | E::ApplicationChanged
            | E::SourceChanged
            | E::DatabaseRestored => (ENTITY_MANAGEMENT, 3),
            E::SourceDeleted | E::AuditPurged => (ENTITY_MANAGEMENT, 4),
            E::SourceEnabled => (ENTITY_MANAGEMENT, 8),
            E::SourceDisabled => (ENTITY_MANAGEMENT, 9),
            E::ProviderEvent | E::ProviderEventRefused | E::MailGivenUp | E::MailRetried | E::MailDiscarded => {
                (BASE, OTHER)
            }
        };
        Self { class, activity }
    }

    const fn class_name(self) -> &'static str {
        match self.class {
            ACCOUNT_CHANGE => "Account Change",
            AUTHENTICATION => "Authentication",
            AUTHORIZE_SESSION => "Authorize Session",
            ENTITY_MANAGEMENT => "Entity Management",
            USER_ACCESS => "User Access Management",
            _ => "Base Event",
        }
    }

    /// Returns the name of the activity in the schema; `None` for another one.
    const fn activity_name(self) -> Option<&'static str> {
        Some(match (self.class, self.activity) {
            (ACCOUNT_CHANGE | ENTITY_MANAGEMENT, 1) => "Create",
            (ACCOUNT_CHANGE, 2) | (ENTITY_MANAGEMENT, 8) => "Enable",
            (ACCOUNT_CHANGE, 3) => "Password Change",
            (ACCOUNT_CHANGE, 4) => "Password Reset",
            (ACCOUNT_CHANGE, 5) => "Disable",
            (ACCOUNT_CHANGE, 6) | (ENTITY_MANAGEMENT, 4) => "Delete",
            (ACCOUNT_CHANGE, 9) => "Lock",
            (ACCOUNT_CHANGE, 10) => "MFA Factor Enable",
            (ACCOUNT_CHANGE, 11) => "MFA Factor Disable",
            (ACCOUNT_CHANGE, 12) => "Unlock",
            (AUTHENTICATION, 1) => "Logon",
            (AUTHENTICATION, 2) => "Logoff",
            (AUTHORIZE_SESSION | USER_ACCESS, 1) => "Assign Privileges",
            (ENTITY_MANAGEMENT, 2) => "Read",
            (ENTITY_MANAGEMENT, 3) => "Update",
            (ENTITY_MANAGEMENT, 9) => "Disable",
            _ => return None,
        })
    }
}

/// Returns the OCSF event of a record.
pub(super) fn to_event(record: &SealedRecord) -> Value {
    let entry = &record.record;
    let kind = OcsfActivity::from_event(entry.event);
    let (severity_id, severity) = match entry.outcome {
        _ if entry.event.is_critical(entry.reason.as_deref()) => (5, "Critical"),
        EventOutcome::Failure => (2, "Low"),
        EventOutcome::Success => (1, "Informational"),
    };
    let (status_id, status) = match entry.outcome {
        EventOutcome::Success => (1, "Success"),
        EventOutcome::Failure => (2, "Failure"),
    };
    let category = match kind.class {
        BASE => (0, "Uncategorized"),
        _ => (3, "Identity & Access Management"),
    };
    let mut event = json!({
        "category_uid": category.0,
        "category_name": category.1,
        "class_uid": kind.class,
        "class_name": kind.class_name(),
        "activity_id": kind.activity,
        "activity_name": kind.activity_name().unwrap_or(entry.event.sentence()),
        "type_uid": u64::from(kind.class) * 100 + u64::from(kind.activity),
        "time": entry.at.as_micros().div_euclid(1000),
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "message": entry.event.sentence(),
        "metadata": {
            "version": SCHEMA_VERSION,
            "product": {
                "name": "Nightlatch", "vendor_name": "Nightlatch", "version": env!("CARGO_PKG_VERSION"),
            },
            "log_name": "audit",
            "uid": entry.id,
            "event_code": entry.event.as_str(),
            "original_time": entry.at.to_rfc3339(),
        },
        "raw_data": record.sealed,
    });
    set(&mut event, "status_code", entry.reason.clone());
    if times(&entry.detail).is_some() {
        event["count"] = count_refusals(&entry.detail).into();
    }
    if kind.class != BASE {
        add_context(&mut event, record);
        add_subject(&mut event, record, kind.class);
    }
    event["unmapped"] = unmapped(record, kind.class);
    event
}

/// Adds what all classes of the category have: the actor and the request.
fn add_context(event: &mut Value, record: &SealedRecord) {
    let entry = &record.record;
    let (type_id, kind) = match (entry.actor_id, entry.actor.as_str()) {
        (Some(_), _) => (1, "User"),
        (None, "system") => (3, "System"),
        (None, _) => (0, "Unknown"),
    };
    event["actor"] = json!({ "user": { "name": entry.actor, "type_id": type_id, "type": kind } });
    set(&mut event["actor"]["user"], "uid", entry.actor_id.map(|id| id.0));
    if let Some(ip) = entry.ip {
        event["src_endpoint"] = json!({ "ip": ip });
    }
    let mut request = json!({});
    set(&mut request, "user_agent", entry.user_agent.clone());
    set(&mut request, "uid", entry.request_id.clone());
    if request.as_object().is_some_and(|fields| !fields.is_empty()) {
        event["http_request"] = request;
    }
}

/// Adds what a class requires: the user or the entity concerned.
fn add_subject(event: &mut Value, record: &SealedRecord, class: u32) {
    let entry = &record.record;
    if class == ENTITY_MANAGEMENT {
        let group = entry.event.group();
        let name = [&entry.detail["name"], &entry.detail["source"], &entry.detail["what"]]
            .into_iter()
            .find_map(Value::as_str)
            .or(entry.application.as_deref())
            .unwrap_or(group);
        event["entity"] = json!({ "name": name, "type": group });
        return;
    }
    // The schema requires a user; without an account the event is about whoever acted.
    event["user"] = json!({ "name": entry.account.as_ref().unwrap_or(&entry.actor) });
    set(&mut event["user"], "uid", entry.account_id.map(|id| id.0));
    if let Some(session) = entry.session_id
        && (class == AUTHENTICATION || class == AUTHORIZE_SESSION)
    {
        event["session"] = json!({ "uid": session.0 });
    }
    match class {
        AUTHENTICATION => {
            event["service"] = json!({ "name": entry.application.as_deref().unwrap_or("Nightlatch") });
        }
        // The schema requires what the session is, or is not, allowed to use.
        AUTHORIZE_SESSION => {
            event["privileges"] = json!([entry.application.as_deref().unwrap_or("Nightlatch")]);
        }
        USER_ACCESS => {
            let role = entry.detail["to"].as_str().or(entry.detail["role"].as_str());
            event["privileges"] = json!([role.unwrap_or("role")]);
        }
        _ => {}
    }
}

/// Returns what the schema has no place for: the seal, and the rest of the entry.
fn unmapped(record: &SealedRecord, class: u32) -> Value {
    let entry = &record.record;
    let mut rest = Map::new();
    rest.insert("seal".to_owned(), record.seal_to_json());
    if !entry.detail.is_null() {
        rest.insert("detail".to_owned(), entry.detail.clone());
    }
    if let Some(application) = &entry.application {
        rest.insert("application".to_owned(), application.as_str().into());
    }
    if matches!(class, BASE | ENTITY_MANAGEMENT) {
        rest.insert("account".to_owned(), json!(entry.account));
    }
    if class == BASE {
        rest.insert("actor".to_owned(), entry.actor.as_str().into());
        rest.insert("ip".to_owned(), json!(entry.ip));
    }
    Value::Object(rest)
}

fn set(object: &mut Value, key: &str, value: Option<impl serde::Serialize>) {
    if let Some(value) = value {
        object[key] = json!(value);
    }
}

#[cfg(test)]
mod tests;
