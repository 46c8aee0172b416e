//! A draft made from one revision, put on top of a newer one: what overlaps is asked for, the rest is merged.
//! Who saved meanwhile, and what becomes of the answer, is not here.

use super::{diff::Change, *};

/// A draft on top of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The document with every change that does not overlap; overlapping settings are as the document has them.
    pub document: PolicyDocument,
    /// Settings that were changed on both sides, to different values.
    pub conflicts: Vec<Conflict>,
}

/// A setting that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub scope: Scope,
    /// What.
    pub key: Key,
    /// As it was when the draft was made; `None` = not set in this scope, here and below.
    pub base: Option<Value>,
    /// What the draft wants.
    pub mine: Option<Value>,
    /// What the document says by now.
    pub theirs: Option<Value>,
}

/// Puts `changes` on top of `newest`. A change says what it found, so that no third document is needed.
pub fn merge(newest: &PolicyDocument, changes: &[Change]) -> Merge {
    let mut merge = Merge {
        document: newest.clone(),
        conflicts: Vec::new(),
    };
    for change in changes {
        let theirs = newest.get(&change.scope, change.key).cloned();
        if theirs == change.old {
            merge.document.put(&change.scope, change.key, change.new.clone());
        } else if theirs != change.new {
            merge.conflicts.push(Conflict {
                scope: change.scope.clone(),
                key: change.key,
                base: change.old.clone(),
                mine: change.new.clone(),
                theirs,
            });
        }
    }
    merge
}

/// Which side of a conflict counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The draft's.
    Mine,
    /// The newest revision's.
    Theirs,
}

/// The draft on top of `newest`, each conflict decided by `choose`; `None` leaves it open, as it was drafted.
pub fn rebase(
    newest: &PolicyDocument,
    changes: &[Change],
    mut choose: impl FnMut(&Conflict) -> Option<Side>,
) -> Vec<Change> {
    let conflicts = merge(newest, changes).conflicts;
    let rebased = changes.iter().filter_map(|change| {
        let mut change = change.clone();
        let conflict = conflicts
            .iter()
            .find(|conflict| conflict.scope == change.scope && conflict.key == change.key);
        match conflict.map(&mut choose) {
            // Not overlapping, or decided: it starts from what stands there now.
            None | Some(Some(Side::Mine)) => {
                change.old = newest.get(&change.scope, change.key).cloned();
                (change.old != change.new).then_some(change)
            }
            Some(Some(Side::Theirs)) => None,
            Some(None) => Some(change),
        }
    });
    rebased.collect()
}
