//! Audit entries on their way to other systems: where they are sent, the formats, and the check of
//! what arrived. Only sealed entries are shipped, because a seal fixes their number and order.

pub mod cloud_events;
mod ocsf;
pub mod received;
mod record;
pub mod syslog;
mod target;

pub use ocsf::OcsfActivity;
pub use record::{SealedRecord, ShippingPlace};
pub use target::{
    AuditTarget, RecordFormat, ShippingStart, SyslogAddress, SyslogFacility, SyslogTarget, TargetKind, TargetName,
    TargetNameError, WebhookTarget,
};

use crate::time::Timestamp;
use serde_json::Value;

impl SealedRecord {
    /// Returns the record in a format.
    pub fn to_format(&self, format: RecordFormat) -> Value {
        match format {
            RecordFormat::Json => self.to_json(),
            RecordFormat::Ocsf => ocsf::to_event(self),
        }
    }
}

/// What is stored about a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShippingState {
    /// How far the entries were shipped.
    pub place: ShippingPlace,
    /// The number of entries that were shipped.
    pub shipped: i64,
    /// The number of seals that retention removed before they were shipped.
    pub missed_seals: i64,
    /// When the receiver last confirmed entries.
    pub shipped_at: Option<Timestamp>,
    /// The number of failed attempts since then.
    pub failures: i64,
    /// When the first of them failed.
    pub fault_at: Option<Timestamp>,
    /// Why the last one failed.
    pub fault: Option<String>,
    /// Before this instant there is no further attempt.
    pub retry_at: Option<Timestamp>,
    /// The number of the last lease.
    pub lease: i64,
    /// The end of the lease that is held.
    pub leased_until: Option<Timestamp>,
}

/// Returns JSON in ASCII: no receiver has to guess an encoding, and no character is invisible.
pub fn ascii_json(value: &Value) -> String {
    let json = value.to_string();
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        // Beyond strings JSON is ASCII, so that this is within one.
        if c.is_ascii() && c != '\u{7f}' {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests;
