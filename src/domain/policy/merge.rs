//! Merges a draft with a newer revision than the one it was made from: changes that overlap are
//! conflicts, the rest is merged.

use super::{diff::Change, *};

/// A draft merged with a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The document with every change that does not overlap; conflicting settings keep the
    /// document's value.
    pub document: PolicyDocument,
    /// Settings that both sides changed to different values.
    pub conflicts: Vec<Conflict>,
}

/// A setting that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The scope.
    pub scope: Scope,
    /// The setting.
    pub key: Key,
    /// The value when the draft was made; `None`: not set in this scope. The same holds below.
    pub base: Option<Value>,
    /// The draft's value.
    pub mine: Option<Value>,
    /// The document's current value.
    pub theirs: Option<Value>,
}

/// Applies `changes` to `newest`. Each change contains the value that it found, so that no third
/// document is needed.
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

/// The side of a conflict that wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConflictSide {
    /// The draft.
    Mine,
    /// The newest revision.
    Theirs,
}

/// Applies the draft to `newest` and decides each conflict by `choose`; `None` leaves it open, as
/// it was drafted.
pub fn rebase(
    newest: &PolicyDocument,
    changes: &[Change],
    mut choose: impl FnMut(&Conflict) -> Option<ConflictSide>,
) -> Vec<Change> {
    let conflicts = merge(newest, changes).conflicts;
    let rebased = changes.iter().filter_map(|change| {
        let mut change = change.clone();
        let conflict = conflicts
            .iter()
            .find(|conflict| conflict.scope == change.scope && conflict.key == change.key);
        match conflict.map(&mut choose) {
            // Without a conflict, or with a decision for the draft, the change starts from the
            // current value.
            None | Some(Some(ConflictSide::Mine)) => {
                change.old = newest.get(&change.scope, change.key).cloned();
                (change.old != change.new).then_some(change)
            }
            Some(Some(ConflictSide::Theirs)) => None,
            Some(None) => Some(change),
        }
    });
    rebased.collect()
}
