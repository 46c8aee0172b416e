//! A sealed entry as it is shipped, and its place among the others.

use crate::audit::{AuditRecord, seal::Seal};
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
    /// Returns the members of [`AuditRecord::to_json`], the seal and the text that it covers.
    pub(super) fn to_json(&self) -> Value {
        let mut record = self.record.to_json();
        record["seal"] = self.seal_to_json();
        record["sealed"] = self.sealed.clone().into();
        record
    }

    pub(super) fn seal_to_json(&self) -> Value {
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
