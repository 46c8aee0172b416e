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
mod tests {
    use super::*;

    #[test]
    fn only_an_entry_that_says_so_stands_for_several() {
        let at = Timestamp::from_micros;
        let many = repetition_detail(21, at(0), at(1_500_000));
        assert_eq!(
            many,
            json!({ "refusals": 21, "from": "1970-01-01T00:00:00Z", "until": "1970-01-01T00:00:01.5Z" })
        );
        assert_eq!((count_refusals(&many), times(&many).as_deref()), (21, Some("21 times")));
        for one in [
            repetition_detail(1, at(0), at(0)),
            Value::Null,
            json!({ "refusals": "9" }),
        ] {
            assert_eq!((count_refusals(&one), times(&one)), (1, None), "{one}");
        }
    }
}
