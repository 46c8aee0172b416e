//! Tests of [`super`].

use super::*;

const fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

#[test]
fn what_the_asking_took_is_no_difference() {
    for (told, apart) in [(99, -1), (100, 0), (150, 0), (200, 0), (201, 1)] {
        assert_eq!(measure(at(100), at(told), at(200)), Span::from_micros(apart), "{told}");
    }
}

#[test]
fn a_second_apart_is_the_most_either_way() {
    for (micros, too_much) in [
        (1_000_000, false),
        (-1_000_000, false),
        (1_000_001, true),
        (-1_000_001, true),
        (i64::MIN, true),
    ] {
        assert_eq!(is_too_much(Span::from_micros(micros)), too_much, "{micros}");
    }
}
