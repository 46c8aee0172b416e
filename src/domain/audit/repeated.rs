//! An audit entry that stands for several refusals: what its detail says of them, and how that is read again.
//! Which ones are counted together is `live::refusals`.

use crate::domain::time::Timestamp;
use serde_json::{Value, json};

/// The detail of an entry that stands for `refusals` of that time, both ends included.
pub fn repeated(refusals: u64, from: Timestamp, until: Timestamp) -> Value {
    json!({ "refusals": refusals, "from": from.to_rfc3339(), "until": until.to_rfc3339() })
}

/// How many happenings an entry with this detail stands for: one, unless it says otherwise.
pub fn stands_for(detail: &Value) -> u64 {
    detail["refusals"].as_u64().unwrap_or(1)
}

/// `21 times`; `None`: once, which goes without saying.
pub fn times(detail: &Value) -> Option<String> {
    let refusals = stands_for(detail);
    (refusals > 1).then(|| format!("{refusals} times"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_entry_that_says_so_stands_for_several() {
        let at = Timestamp::from_micros;
        let many = repeated(21, at(0), at(1_500_000));
        assert_eq!(
            many,
            json!({ "refusals": 21, "from": "1970-01-01T00:00:00Z", "until": "1970-01-01T00:00:01.5Z" })
        );
        assert_eq!((stands_for(&many), times(&many).as_deref()), (21, Some("21 times")));
        for one in [repeated(1, at(0), at(0)), Value::Null, json!({ "refusals": "9" })] {
            assert_eq!((stands_for(&one), times(&one)), (1, None), "{one}");
        }
    }
}
