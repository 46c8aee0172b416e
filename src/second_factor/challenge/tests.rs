//! Tests of [`super`].

use super::ChallengeBinding;
use crate::{
    domain::{account::AccountId, session::SessionId, time::Timestamp},
    second_factor::FactorKeys,
};
use uuid::Uuid;

fn keys(masters: &[&[u8]]) -> FactorKeys {
    FactorKeys::derive(masters.iter().copied()).unwrap()
}

#[test]
fn a_challenge_counts_only_for_what_it_is_bound_to() {
    let keys = keys(&[&[1; 64]]);
    let (ada, bob) = (AccountId(Uuid::from_u128(1)), AccountId(Uuid::from_u128(2)));
    let (one, other) = (SessionId(Uuid::from_u128(3)), SessionId(Uuid::from_u128(4)));
    let until = Timestamp::from_micros(1_700_000_000_000_001);
    let binding = ChallengeBinding::for_proof(ada, one);
    let challenge = binding.issue(&keys, [7; 32], until).unwrap();
    assert_eq!(binding.expiry_of(&keys, &challenge), Some(until));
    for another in [
        ChallengeBinding::for_proof(ada, other),
        ChallengeBinding::for_proof(bob, one),
        ChallengeBinding::for_enrolment(ada, one),
        ChallengeBinding::for_second_step(ada, &one.0.to_string()),
        ChallengeBinding::for_sign_in(Some(&one.0.to_string())),
    ] {
        assert_eq!(another.expiry_of(&keys, &challenge), None, "{another:?}");
    }
}

#[test]
fn a_changed_or_foreign_challenge_counts_for_nothing() {
    let binding = ChallengeBinding::for_sign_in(Some("Firefox"));
    let (old, rotated) = (keys(&[&[1; 64]]), keys(&[&[2; 64], &[1; 64]]));
    let challenge = binding.issue(&old, [7; 32], Timestamp::from_micros(5)).unwrap();
    assert!(binding.expiry_of(&rotated, &challenge).is_some(), "an older key");
    assert_eq!(binding.expiry_of(&keys(&[&[2; 64]]), &challenge), None);
    for at in 0..challenge.len() {
        let mut changed = challenge.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(binding.expiry_of(&old, &changed), None, "{at}");
    }
    for short in ["", "AAAA", &challenge[..64], "not base64!"] {
        assert_eq!(binding.expiry_of(&old, short), None, "{short}");
    }
}
