//! Audit entries that stand for several refusals: the format of their detail. `live::refusals`
//! decides which refusals are counted together.

use crate::time::Timestamp;
use serde_json::{Value, json};

/// Returns the detail of an entry for `refusals` refusals within that time, both ends included.
pub fn repetition_detail(refusals: u64, from: Timestamp, until: Timestamp) -> Value {
    json!({ "refusals": refusals, "from": from.to_rfc3339(), "until": until.to_rfc3339() })
}

/// Returns the number of refusals that an entry with this detail stands for; one by default.
pub fn count_refusals(detail: &Value) -> u64 {
    detail["refusals"].as_u64().unwrap_or(1)
}

/// Formats the number, `21 times`; `None` for one.
pub fn times(detail: &Value) -> Option<String> {
    let refusals = count_refusals(detail);
    (refusals > 1).then(|| format!("{refusals} times"))
}

#[cfg(test)]
mod tests;
