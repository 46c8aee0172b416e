//! The sign-in decision.

use nightlatch::domain::{lockout::Locked, login::*, password::ChangeReason};

use super::at;

fn facts() -> LoginFacts {
    LoginFacts {
        account: Some(good()),
        password_matches: true,
        locked: None,
        busy: false,
    }
}

fn good() -> LoginAccount {
    LoginAccount {
        disabled: false,
        expired: false,
        must_change: None,
    }
}

fn refusal(facts: &LoginFacts) -> Refusal {
    match decide(facts, at(0)) {
        LoginVerdict::Refused(refusal) => refusal,
        LoginVerdict::Accepted { .. } => panic!("accepted: {facts:?}"),
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
fn a_locked_account_is_refused_even_with_the_right_password() {
    let locked = Some(Locked::UntilUnlocked);
    assert_eq!(
        refusal(&LoginFacts { locked, ..facts() }),
        Refusal::Locked(Locked::UntilUnlocked)
    );
    assert_eq!(
        refusal(&LoginFacts {
            locked,
            busy: true,
            account: None,
            ..facts()
        })
        .code(),
        "locked"
    );
}

#[test]
fn busy_comes_before_the_password() {
    assert_eq!(refusal(&LoginFacts { busy: true, ..facts() }).code(), "busy");
}

#[test]
fn an_unknown_name_and_a_wrong_password_are_refused_alike() {
    assert_eq!(
        refusal(&LoginFacts {
            account: None,
            ..facts()
        }),
        Refusal::Credentials
    );
    assert_eq!(
        refusal(&LoginFacts {
            account: None,
            password_matches: false,
            ..facts()
        }),
        Refusal::Credentials
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
                ..facts()
            }),
            Refusal::Credentials
        );
    }
}
