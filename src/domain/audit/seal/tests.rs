//! Tests of [`super`].

use super::*;

fn entries(texts: &[&str]) -> Vec<(Uuid, String)> {
    let numbered = texts.iter().zip(1_u128..);
    numbered
        .map(|(text, n)| (Uuid::from_u128(n), (*text).to_owned()))
        .collect()
}

const NOW: Timestamp = Timestamp::from_micros(0);

#[test]
fn a_seal_holds_what_it_was_made_over_and_nothing_else() {
    let seal = Seal::seal_entries(None, &entries(&["a", "b", "c"]), NOW).unwrap();
    assert_eq!((seal.number, seal.entries, seal.previous.as_str()), (1, 3, ""));
    assert_eq!(seal.check(None, &entries(&["a", "b", "c"])), None);
    for other in [
        &["a", "b"][..],
        &["a", "b", "x"],
        &["a", "c", "b"],
        &["a", "b", "c", "d"],
        &["ab", "", "c"],
    ] {
        let found = other.len() as u64;
        assert_eq!(
            seal.check(None, &entries(other)),
            Some(SealBreak::Entries { found }),
            "{other:?}"
        );
    }
    assert_eq!(Seal::seal_entries(None, &[], NOW), None);
}

#[test]
fn a_seal_follows_exactly_the_one_before() {
    let first = Seal::seal_entries(None, &entries(&["a"]), NOW).unwrap();
    let second = Seal::seal_entries(Some(&first), &entries(&["b"]), NOW).unwrap();
    let third = Seal::seal_entries(Some(&second), &entries(&["b"]), NOW).unwrap();
    assert_eq!(second.check(Some(&first), &entries(&["b"])), None);
    assert_ne!(second.digest, third.digest);
    assert_eq!(third.check(Some(&first), &entries(&["b"])), Some(SealBreak::Chain));
    let forged = Seal {
        digest: third.digest.clone(),
        ..first
    };
    assert_eq!(second.check(Some(&forged), &entries(&["b"])), Some(SealBreak::Chain));
}
