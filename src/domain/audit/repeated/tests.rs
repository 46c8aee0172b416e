//! Tests of [`super`].

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
