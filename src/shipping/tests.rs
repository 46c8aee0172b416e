//! The size of batches, and faults that need a change.

use super::*;
use crate::domain::audit::{AuditEntry, AuditRecord, Event, Initiator, seal::Seal};
use uuid::Uuid;

/// Records with sealed texts of these lengths.
pub(super) fn records(lengths: &[usize]) -> Vec<SealedRecord> {
    let at = Timestamp::from_micros(1_796_120_430_000_000);
    let entry: AuditEntry = Initiator::system().entry(Event::SignOut);
    let texts: Vec<(Uuid, String)> = (1..)
        .zip(lengths)
        .map(|(number, length)| (Uuid::from_u128(number), "x".repeat(*length)))
        .collect();
    let Some(seal) = Seal::seal_entries(None, &texts, at).map(Arc::new) else {
        return Vec::new();
    };
    (1..)
        .zip(texts)
        .map(|(position, (id, sealed))| SealedRecord {
            record: AuditRecord::new(id, at, &entry),
            sealed,
            seal: seal.clone(),
            position,
        })
        .collect()
}

#[test]
fn a_batch_is_bounded_but_never_empty() {
    for (lengths, expected) in [
        (&[][..], 0),
        (&[1], 1),
        (&[MAX_BATCH_BYTES], 1),
        (&[MAX_BATCH_BYTES + 1, 1], 1),
        (&[MAX_BATCH_BYTES - 1, 1], 2),
        (&[MAX_BATCH_BYTES - 1, 1, 1], 2),
        (&[1, MAX_BATCH_BYTES, 1], 1),
    ] {
        assert_eq!(Shipper::batch_len(&records(lengths)), expected, "{lengths:?}");
    }
}

#[test]
fn only_client_errors_need_a_change() {
    for (status, expected) in [
        (301, true),
        (400, true),
        (404, true),
        (408, false),
        (429, false),
        (500, false),
        (503, false),
    ] {
        assert_eq!(ShippingFault::Status(status).needs_change(), expected, "{status}");
    }
    assert!(!ShippingFault::Timeout.needs_change());
}
