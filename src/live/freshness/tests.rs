//! Tests of [`super`].

use super::*;

#[test]
fn nothing_is_believed_before_the_connection_answers_or_after_it_is_lost() {
    let freshness = Freshness::new();
    assert!(!freshness.is_fresh());
    assert_eq!(freshness.silence(), None);
    freshness.mark_alive();
    assert!(freshness.is_fresh());
    assert!(freshness.silence().is_some_and(|silence| silence <= MAX_SILENCE));
    freshness.mark_lost();
    assert!(!freshness.is_fresh());
}
