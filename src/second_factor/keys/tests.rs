//! Tests of [`super`].

use super::FactorKeys;
use crate::domain::{account::AccountId, source::SourceId};
use uuid::Uuid;

fn keys(masters: &[&[u8]]) -> FactorKeys {
    FactorKeys::derive(masters.iter().copied()).unwrap()
}

#[test]
fn a_secret_opens_for_its_account_and_under_older_keys() {
    let (ada, bob) = (AccountId(Uuid::from_u128(1)), AccountId(Uuid::from_u128(2)));
    let old = keys(&[&[1; 64]]);
    let sealed = old.seal(ada, b"twenty bytes of it..", [7; 12]).unwrap();
    assert!(!sealed.text.contains("twenty"));
    assert_eq!(old.open(ada, &sealed).unwrap(), b"twenty bytes of it..");
    assert_eq!(old.open(bob, &sealed), None);
    let rotated = keys(&[&[2; 64], &[1; 64]]);
    assert_eq!(rotated.open(ada, &sealed).unwrap(), b"twenty bytes of it..");
    assert_ne!(rotated.newest_id(), sealed.key_id);
    assert!(rotated.has(&sealed.key_id));
    assert_eq!(keys(&[&[2; 64]]).open(ada, &sealed), None);
    assert!(FactorKeys::derive(std::iter::empty()).is_none());
}

#[test]
fn a_sources_secret_opens_for_that_source_and_purpose_only() {
    let (id, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let keys = keys(&[&[1; 64]]);
    let sealed = keys.seal_source(SourceId(id), b"bind password", [7; 12]).unwrap();
    assert_eq!(keys.open_source(SourceId(id), &sealed).unwrap(), b"bind password");
    assert_eq!(keys.open_source(SourceId(other), &sealed), None);
    assert_eq!(keys.open(AccountId(id), &sealed), None);
}

#[test]
fn a_recovery_code_has_a_digest_of_its_own_for_each_account_and_key() {
    let (ada, bob) = (AccountId(Uuid::from_u128(1)), AccountId(Uuid::from_u128(2)));
    let keys = keys(&[&[2; 64], &[1; 64]]);
    let digests = keys.recovery_digests(ada, "CODE");
    assert_eq!(digests.len(), 2);
    assert_ne!(digests[0], digests[1]);
    assert_ne!(digests, keys.recovery_digests(bob, "CODE"));
}
