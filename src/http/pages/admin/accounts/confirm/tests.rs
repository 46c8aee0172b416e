//! Tests of [`super`].

use super::*;

fn question(act: &str, role: &str, sessions: i64) -> Option<ConfirmQuestion> {
    let query = ConfirmQuery {
        act: act.to_owned(),
        role: role.to_owned(),
    };
    ConfirmQuestion::new(&query, "radia", sessions)
}

#[test]
fn a_confirmation_names_the_account_and_what_ends() {
    let reset = question("reset-password", "", 2).expect("asks");
    assert_eq!(reset.title, "Reset the password of radia?");
    assert_eq!(reset.summary, "Reset the password of radia; 2\u{a0}sessions end");
    let one = question("disable", "", 1).expect("asks");
    assert_eq!(one.summary, "Disable radia; 1 session ends");
    let factors = question("reset-factors", "", 2).expect("asks");
    assert_eq!(
        factors.summary,
        "Remove the second factors of radia; 2\u{a0}sessions end"
    );
    let none = question("expire", "", 0).expect("asks");
    assert_eq!(
        none.effects.last().map(String::as_str),
        Some("No session is live, so none ends.")
    );
}

#[test]
fn acts_that_only_help_ask_nothing() {
    for (act, role) in [("enable", ""), ("unlock", ""), ("role", "owner"), ("", "")] {
        assert_eq!(question(act, role, 2), None, "{act} {role}");
    }
}
