//! Tests of [`super`].

use super::{describe, find_username};

fn known(uid: u32) -> Option<String> {
    match uid {
        0 => Some("root".to_owned()),
        1000 => Some("ada".to_owned()),
        _ => None,
    }
}

#[test]
fn the_number_is_always_shown_and_the_name_where_there_is_one() {
    assert_eq!(describe(0, None, known), "root (uid 0)");
    assert_eq!(describe(1000, None, known), "ada (uid 1000)");
    assert_eq!(describe(7, None, known), "uid 7");
    assert_eq!(find_username(0).as_deref(), Some("root"));
}

#[test]
fn the_user_behind_sudo_is_shown_too() {
    assert_eq!(describe(0, Some(1000), known), "root (uid 0, sudo by ada)");
    assert_eq!(describe(0, Some(1234), known), "root (uid 0, sudo by uid 1234)");
    assert_eq!(describe(7, Some(1000), known), "uid 7 (sudo by ada)");
}
