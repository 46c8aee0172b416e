//! The stored policy revision and the stored draft.

use uuid::Uuid;

use super::{
    super::{account::AccountId, time::Timestamp},
    PolicyDocument,
    diff::Change,
};

/// A saved policy. It never changes, except that a provisional one is confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its number, one more than the previous revision's.
    pub revision: i64,
    /// When it was saved.
    pub at: Timestamp,
    /// The author's name.
    pub author: String,
    /// The author's reason.
    pub reason: String,
    /// `initial`, `saved`, `restored`, `imported`, `reset` or `reverted`.
    pub kind: String,
    /// The complete policy.
    pub document: PolicyDocument,
    /// The changes from the previous revision.
    pub changes: Vec<Change>,
    /// For a provisional one: if it is unconfirmed after this time, the previous revision is in
    /// force.
    pub confirm_by: Option<Timestamp>,
    /// Whether a provisional one was confirmed.
    pub confirmed: bool,
}

impl Revision {
    /// Returns until when it applies without being confirmed; `None`: it is final.
    pub fn provisional_until(&self) -> Option<Timestamp> {
        self.confirm_by.filter(|_| !self.confirmed)
    }
}

/// Edits of a revision that await review; only their author sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDraft {
    /// Its identity in URLs.
    pub id: Uuid,
    /// The author.
    pub author: AccountId,
    /// When it was last written.
    pub at: Timestamp,
    /// The revision from which it was made.
    pub base: i64,
    /// The kind of save, as the flow wrote it.
    pub about: serde_json::Value,
    /// The author's reason.
    pub reason: String,
    /// The edits, each with the value that it found.
    pub changes: Vec<Change>,
    /// Comments for the author: keys that an import ignored.
    pub notes: Vec<String>,
}
