//! Which saves are provisional, and until when they apply unconfirmed.

use nightlatch_domain::{
    factor::FactorDuty,
    policy::{
        effective::Policy,
        provisional::{CONFIRM_WITHIN, FactorReach, OwnSession, Risk, SaverFacts, lapsed_at, risks},
    },
    session::{Duty, EndReason, LiveEffect, SessionVerdict},
    time::{Span, Timestamp},
};

use super::{MICRO, at, document, policy};

fn plain() -> Policy {
    policy(document(&[]))
}

fn saver(session: Option<OwnSession>) -> SaverFacts {
    SaverFacts {
        session,
        newly_locked: false,
    }
}

fn ending(reason: EndReason, end: Timestamp) -> SaverFacts {
    saver(Some(OwnSession {
        verdict: SessionVerdict::Live(LiveEffect::default()),
        factor_reach: FactorReach::Refused,
        ends_at: Some((end, reason)),
        ends_at_now: None,
    }))
}

#[test]
fn a_provisional_revision_holds_sixty_seconds_to_the_microsecond() {
    assert_eq!(CONFIRM_WITHIN, Span::from_secs(60));
    let by = at(60);
    assert!(!lapsed_at(by, by.saturating_sub(MICRO)));
    assert!(!lapsed_at(by, by), "inclusive");
    assert!(lapsed_at(by, by.saturating_add(MICRO)));
}

#[test]
fn nothing_about_a_harmless_save_is_risky() {
    let stricter = policy(document(&[("password.min_length", "20")]));
    assert_eq!(risks(&plain(), &stricter, &saver(None), at(0)), []);
}

#[test]
fn secure_is_risky_in_both_directions() {
    let secure = policy(document(&[("session.secure", "on")]));
    assert_eq!(
        risks(&plain(), &secure, &saver(None), at(0)),
        [Risk::SecureFlips { on: true }]
    );
    assert_eq!(
        risks(&secure, &plain(), &saver(None), at(0)),
        [Risk::SecureFlips { on: false }]
    );
}

#[test]
fn a_session_that_the_draft_ends_at_once_is_named_with_its_rule() {
    let own = OwnSession {
        factor_reach: FactorReach::Refused,
        verdict: SessionVerdict::Ended {
            reason: EndReason::Network,
        },
        ends_at: None,
        ends_at_now: None,
    };
    assert_eq!(
        risks(&plain(), &plain(), &saver(Some(own)), at(0)),
        [Risk::OwnSessionEnds {
            within: None,
            reason: EndReason::Network
        }]
    );
}

#[test]
fn an_absolute_end_within_five_minutes_counts_and_a_later_one_does_not() {
    let found = |end| risks(&plain(), &plain(), &ending(EndReason::Ttl, end), at(0));
    assert_eq!(
        found(at(300)),
        [Risk::OwnSessionEnds {
            within: Some(Span::from_secs(300)),
            reason: EndReason::Ttl
        }]
    );
    assert_eq!(found(at(300).saturating_add(MICRO)), []);
}

#[test]
fn an_idle_end_counts_only_while_it_could_come_before_the_confirmation() {
    for reason in [EndReason::Idle, EndReason::WindowClosed] {
        let found = |end| risks(&plain(), &plain(), &ending(reason, end), at(0)).len();
        assert_eq!((found(at(60)), found(at(60).saturating_add(MICRO))), (1, 0), "{reason}");
    }
}

#[test]
fn an_end_that_the_draft_does_not_hasten_is_not_counted_for_it() {
    let own = |today| {
        saver(Some(OwnSession {
            factor_reach: FactorReach::Refused,
            verdict: SessionVerdict::Live(LiveEffect::default()),
            ends_at: Some((at(30), EndReason::Ttl)),
            ends_at_now: Some(today),
        }))
    };
    assert_eq!(risks(&plain(), &plain(), &own(at(30)), at(0)), []);
    assert_eq!(
        risks(&plain(), &plain(), &own(at(30).saturating_add(MICRO)), at(0)).len(),
        1
    );
}

#[test]
fn a_lock_that_only_the_draft_brings_is_risky() {
    let facts = SaverFacts {
        session: None,
        newly_locked: true,
    };
    assert_eq!(risks(&plain(), &plain(), &facts, at(0)), [Risk::SaverLockedOut]);
}

#[test]
fn a_duty_about_second_factors_is_risky_when_it_cannot_be_met() {
    let under_duty = |what, factor_reach| {
        saver(Some(OwnSession {
            verdict: SessionVerdict::Duty {
                what,
                live: LiveEffect::default(),
            },
            factor_reach,
            ends_at: None,
            ends_at_now: None,
        }))
    };
    let risks_of = |saver: &SaverFacts| risks(&plain(), &plain(), saver, at(0));
    let (enrol, prove) = (Duty::Factor(FactorDuty::Enrol), Duty::Factor(FactorDuty::Prove));
    assert_eq!(
        risks_of(&under_duty(enrol, FactorReach::Refused)),
        [Risk::FactorOutOfReach]
    );
    assert_eq!(
        risks_of(&under_duty(enrol, FactorReach::NoPasskeysHere)),
        [Risk::PasskeyOutOfReach]
    );
    assert_eq!(risks_of(&under_duty(enrol, FactorReach::Reachable)), []);
    assert_eq!(
        risks_of(&under_duty(prove, FactorReach::Refused)),
        [],
        "what the account has can be proved"
    );
    assert_eq!(risks_of(&under_duty(Duty::PasswordChange, FactorReach::Refused)), []);
    assert_eq!(Risk::FactorOutOfReach.as_str(), "factor_out_of_reach");
}
