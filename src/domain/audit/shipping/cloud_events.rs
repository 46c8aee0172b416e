//! CloudEvents 1.0 in batches of JSON, and the text that is signed.

use super::{RecordFormat, SealedRecord};
use serde_json::{Value, json};

/// The media type of a batch.
pub const BATCH_TYPE: &str = "application/cloudevents-batch+json";
/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "Nightlatch-Signature";

/// Returns the event of a record. `source`: the address of this installation.
pub fn to_event(record: &SealedRecord, format: RecordFormat, source: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": record.record.id,
        "source": source,
        "type": format!("nightlatch.audit.{}", record.record.event.as_str()),
        "time": record.record.at.to_rfc3339(),
        "datacontenttype": "application/json",
        "data": record.to_format(format),
    })
}

/// Returns the bytes that are signed: the time of the request in seconds, a period, the body.
pub fn signed_text(seconds: i64, body: &[u8]) -> Vec<u8> {
    [format!("{seconds}.").as_bytes(), body].concat()
}

/// Returns the value of the header for a signature in hexadecimal digits.
pub fn signature_value(seconds: i64, signature: &str) -> String {
    format!("t={seconds},v1={signature}")
}
