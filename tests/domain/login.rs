//! The sign-in decision.

use nightlatch_domain::{lockout::LockDuration, login::*, password::ChangeReason};

use super::at;

fn facts() -> LoginFacts {
    LoginFacts {
        account: Some(good()),
        password_matches: true,
    }
}

fn good() -> LoginAccount {
    LoginAccount {
        disabled: false,
        expired: false,
        must_change: None,
        password_good_until: None,
    }
}

fn refusal(facts: &LoginFacts) -> SignInRefusal {
    match decide(facts, at(0)) {
        LoginVerdict::Refused(refusal) => refusal,
        LoginVerdict::Accepted { .. } | LoginVerdict::OneTimeOver => panic!("not refused: {facts:?}"),
    }
}

#[test]
fn the_right_password_of_a_good_account_is_accepted() {
    assert_eq!(decide(&facts(), at(0)), LoginVerdict::Accepted { must_change: None });
    let demanded = Some(ChangeReason::Demanded);
    let account = Some(LoginAccount {
        must_change: demanded,
        ..good()
    });
    assert_eq!(
        decide(&LoginFacts { account, ..facts() }, at(0)),
        LoginVerdict::Accepted { must_change: demanded }
    );
}

#[test]
fn refusals_by_a_counter_have_codes_of_their_own() {
    assert_eq!(SignInRefusal::Locked(LockDuration::UntilUnlocked).code(), "locked");
    assert_eq!(SignInRefusal::Busy.code(), "busy");
}

#[test]
fn an_unknown_name_and_a_wrong_password_are_refused_alike() {
    assert_eq!(
        refusal(&LoginFacts {
            account: None,
            ..facts()
        }),
        SignInRefusal::Credentials
    );
    assert_eq!(
        refusal(&LoginFacts {
            account: None,
            password_matches: false,
        }),
        SignInRefusal::Credentials
    );
    assert_eq!(
        refusal(&LoginFacts {
            password_matches: false,
            ..facts()
        })
        .code(),
        "credentials"
    );
}

#[test]
fn only_the_right_password_learns_that_an_account_is_disabled_or_expired() {
    let disabled = Some(LoginAccount {
        disabled: true,
        expired: true,
        ..good()
    });
    let expired = Some(LoginAccount {
        expired: true,
        ..good()
    });
    assert_eq!(
        refusal(&LoginFacts {
            account: disabled,
            ..facts()
        })
        .code(),
        "account_disabled"
    );
    assert_eq!(
        refusal(&LoginFacts {
            account: expired,
            ..facts()
        })
        .code(),
        "account_expired"
    );
    for account in [disabled, expired] {
        assert_eq!(
            refusal(&LoginFacts {
                account,
                password_matches: false,
            }),
            SignInRefusal::Credentials
        );
    }
}

#[test]
fn a_one_time_password_works_to_its_last_instant() {
    let verdict = |account: LoginAccount, micros: i64| {
        let account = Some(LoginAccount {
            password_good_until: Some(at(100)),
            ..account
        });
        let now = nightlatch_domain::time::Timestamp::from_micros(at(100).as_micros() + micros);
        decide(&LoginFacts { account, ..facts() }, now)
    };
    let accepted = LoginVerdict::Accepted { must_change: None };
    assert_eq!(verdict(good(), -1), accepted);
    assert_eq!(verdict(good(), 0), accepted);
    assert_eq!(verdict(good(), 1), LoginVerdict::OneTimeOver);
    // An attempt that comes too late reveals nothing about the account's state.
    let disabled = LoginAccount {
        disabled: true,
        ..good()
    };
    assert_eq!(verdict(disabled, 0), LoginVerdict::Refused(SignInRefusal::Disabled));
    assert_eq!(verdict(disabled, 1), LoginVerdict::OneTimeOver);
    let account = Some(LoginAccount {
        password_good_until: Some(at(0)),
        ..good()
    });
    let wrong = LoginFacts {
        account,
        password_matches: false,
    };
    assert_eq!(decide(&wrong, at(1)), LoginVerdict::Refused(SignInRefusal::Credentials));
}

#[test]
fn only_a_password_that_must_be_changed_has_a_last_instant() {
    use nightlatch_domain::password::{NEVER, ONE_TIME, is_valid_at, valid_until};
    assert_eq!(ONE_TIME.as_secs(), 72 * 3600);
    assert_eq!(valid_until(false, at(5)), None);
    assert_eq!(valid_until(true, at(5)), Some(at(5 + 72 * 3600)));
    assert!(is_valid_at(None, at(i64::from(i32::MAX))));
    assert!(!is_valid_at(Some(NEVER), at(0)));
}
