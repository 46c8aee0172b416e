//! Drafts on top of what others saved meanwhile.

use nightlatch_domain::policy::{
    Key, PolicyDocument, Scope, Value,
    diff::diff,
    merge::{ConflictSide, merge, rebase},
};
use proptest::prelude::*;

use super::{
    document,
    properties::{config, documents},
};

const TTL: Key = Key::SessionTtl;

#[test]
fn edits_that_do_not_overlap_are_merged() {
    let base = document(&[("session.ttl", "1h")]);
    let mine = document(&[("session.ttl", "1h"), ("password.min_length", "14")]);
    let theirs = document(&[("session.ttl", "3h")]);
    let merged = merge(&theirs, &diff(&base, &mine));
    assert_eq!(merged.conflicts, []);
    assert_eq!(
        merged.document,
        document(&[("session.ttl", "3h"), ("password.min_length", "14")])
    );
}

#[test]
fn the_same_change_on_both_sides_is_no_conflict() {
    let base = document(&[]);
    let both = document(&[("session.ttl", "2h")]);
    let merged = merge(&both, &diff(&base, &both));
    assert_eq!((merged.conflicts, merged.document), (vec![], both));
}

#[test]
fn a_conflict_says_what_it_was_what_i_want_and_what_they_saved() {
    let base = document(&[("session.ttl", "1h")]);
    let theirs = document(&[("session.ttl", "3h")]);
    let changes = diff(&base, &document(&[]));
    let merged = merge(&theirs, &changes);
    let [conflict] = &merged.conflicts[..] else {
        panic!("{:?}", merged.conflicts)
    };
    assert_eq!((&conflict.scope, conflict.key), (&Scope::Everyone, TTL));
    assert_eq!(
        (&conflict.base, &conflict.mine, &conflict.theirs),
        (&Some(Value::Number(3600)), &None, &Some(Value::Number(10800)))
    );
    assert_eq!(merged.document, theirs, "theirs stands until somebody decides");
}

#[test]
fn an_undecided_conflict_stays_one() {
    let changes = diff(&document(&[("session.ttl", "1h")]), &document(&[("session.ttl", "2h")]));
    let theirs = document(&[("session.ttl", "3h")]);
    let rebased = rebase(&theirs, &changes, |_| None);
    assert_eq!(merge(&theirs, &rebased).conflicts.len(), 1);
}

fn put(newest: &PolicyDocument, base: &PolicyDocument, mine: &PolicyDocument, side: ConflictSide) -> PolicyDocument {
    let rebased = rebase(newest, &diff(base, mine), |_| Some(side));
    let merged = merge(newest, &rebased);
    assert_eq!(merged.conflicts, [], "every conflict was decided");
    merged.document
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn on_its_own_base_a_draft_is_just_what_it_says(base in documents(), mine in documents()) {
        let merged = merge(&base, &diff(&base, &mine));
        prop_assert!(merged.conflicts.is_empty());
        // An application without settings counts like one that is not in the document.
        prop_assert!(diff(&merged.document, &mine).is_empty());
    }

    #[test]
    fn deciding_for_mine_gives_every_change_of_mine(base in documents(), mine in documents(), theirs in documents()) {
        let result = put(&theirs, &base, &mine, ConflictSide::Mine);
        for change in diff(&base, &mine) {
            prop_assert_eq!(result.get(&change.scope, change.key), mine.get(&change.scope, change.key));
        }
    }

    #[test]
    fn deciding_for_theirs_keeps_every_change_of_theirs(base in documents(), mine in documents(), theirs in documents()) {
        let result = put(&theirs, &base, &mine, ConflictSide::Theirs);
        for change in diff(&base, &theirs) {
            prop_assert_eq!(result.get(&change.scope, change.key), theirs.get(&change.scope, change.key));
        }
    }
}
