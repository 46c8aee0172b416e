//! Tests of [`super`].

use super::*;

#[test]
fn a_body_goes_no_further_ahead_than_the_limit() {
    let (handling, cx) = (RequestTracker::default(), Context::from_waker(Waker::noop()));
    handling.begin_body();
    handling.note_passed(READ_AHEAD - 1);
    assert!(handling.may_pass(&cx));
    handling.note_passed(1);
    assert!(!handling.may_pass(&cx));
    handling.note_read(1);
    assert!(handling.may_pass(&cx));
    handling.note_passed(READ_AHEAD);
    handling.note_all_read();
    assert!(handling.may_pass(&cx), "its encoding is not read");
    handling.note_passed(READ_AHEAD);
    handling.discard_body();
    assert!(!handling.may_pass(&cx), "one portion");
    assert!(handling.may_pass(&cx), "and the next");
}
