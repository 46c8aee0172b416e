//! Audit entries on their way to other systems: where they are sent, the formats, and the check of
//! what arrived. Only sealed entries are shipped, because a seal fixes their number and order.

pub mod cloud_events;
mod ocsf;
pub mod received;
pub mod syslog;
mod target;

pub use ocsf::OcsfActivity;
pub use target::{
    AuditTarget, RecordFormat, ShippingStart, SyslogAddress, SyslogFacility, SyslogTarget, TargetKind, TargetName,
    TargetNameError, WebhookTarget,
};

use super::{AuditRecord, seal::Seal};
use crate::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// A sealed entry with its seal, as it is shipped.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedRecord {
    /// The entry.
    pub record: AuditRecord,
    /// The text of the entry that the seal covers.
    pub sealed: String,
    /// The seal.
    pub seal: Arc<Seal>,
    /// The place of the entry under the seal, from 1.
    pub position: u64,
}

impl SealedRecord {
    /// Returns the record in a format.
    pub fn to_format(&self, format: RecordFormat) -> Value {
        match format {
            RecordFormat::Json => self.to_json(),
            RecordFormat::Ocsf => ocsf::to_event(self),
        }
    }

    /// Returns the members of [`AuditRecord::to_json`], the seal and the text that it covers.
    fn to_json(&self) -> Value {
        let mut record = self.record.to_json();
        record["seal"] = self.seal_to_json();
        record["sealed"] = self.sealed.clone().into();
        record
    }

    fn seal_to_json(&self) -> Value {
        json!({
            "number": self.seal.number,
            "position": self.position,
            "entries": self.seal.entries,
            "previous": self.seal.previous,
            "digest": self.seal.digest,
        })
    }

    /// Returns the place after this entry.
    pub fn place_after(&self) -> ShippingPlace {
        if self.record.id == self.seal.last {
            return ShippingPlace::after_seal(self.seal.number);
        }
        ShippingPlace {
            seal: self.seal.number - 1,
            entry: Some(self.record.id),
            position: self.position,
        }
    }
}

/// How far the entries were shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShippingPlace {
    /// The number of the last seal whose entries were all shipped; 0: none.
    pub seal: i64,
    /// The last entry of the next seal that was shipped.
    pub entry: Option<Uuid>,
    /// The number of entries of the next seal that were shipped.
    pub position: u64,
}

impl ShippingPlace {
    /// Returns the place after all entries under the seal with that number.
    pub const fn after_seal(number: i64) -> Self {
        Self {
            seal: number,
            entry: None,
            position: 0,
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
