//! Tests of [`super`].

use super::*;

const CHEAP: HashCost = HashCost {
    memory_kib: 8,
    iterations: 1,
};

#[test]
fn a_password_typed_in_another_normal_form_is_the_same_one() {
    let mut workspace = Workspace::default();
    let (composed, decomposed) = ("caf\u{e9} violon deux", "cafe\u{301} violon deux");
    for (set, typed) in [(composed, decomposed), (decomposed, composed), (composed, composed)] {
        let stored = workspace.hash(CHEAP, set, &[1; 16]);
        assert!(workspace.verify(typed, &stored), "{set:?} {typed:?}");
    }
    let stored = workspace.hash(CHEAP, composed, &[1; 16]);
    assert!(!workspace.verify("cafe violon deux", &stored));
}

#[test]
fn a_hash_from_before_normalization_still_works() {
    let mut workspace = Workspace::default();
    let decomposed = "cafe\u{301} violon deux";
    let stored = workspace.try_hash(CHEAP, decomposed, &[1; 16]).expect("a hash");
    assert!(workspace.verify(decomposed, &stored));
}
