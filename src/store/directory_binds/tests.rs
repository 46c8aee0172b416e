//! Tests of [`super`].

use super::*;

#[test]
fn rows_of_an_earlier_version_count_as_refused() {
    for (stored, refused, waiting) in [
        ("[]", vec![], vec![]),
        ("[5,6]", vec![5, 6], vec![]),
        ("[[],[]]", vec![], vec![]),
        ("[[5],[6]]", vec![5], vec![6]),
    ] {
        let tries = AttemptBudget::parse(stored).unwrap();
        assert_eq!((tries.refused, tries.waiting), (refused, waiting), "{stored}");
    }
    assert!(AttemptBudget::parse("{}").is_err());
}
