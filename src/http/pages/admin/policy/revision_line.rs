//! The line of a revision, for the history and the pages that name the current revision.
use super::view::RevisionLine;
use crate::{domain::policy::Revision, http::pages::admin::part::DiffLine};

/// Returns the line of a revision; `newest` is the number of the current one.
pub(super) fn revision_line(revision: &Revision, newest: i64) -> RevisionLine {
    RevisionLine {
        number: revision.revision,
        at: revision.at,
        author: revision.author.clone(),
        reason: revision.reason.clone(),
        kind: revision_kind_label(&revision.kind).to_owned(),
        changes: revision.changes.iter().map(DiffLine::new).collect(),
        current: revision.revision == newest,
    }
}

/// Returns the kind of save as a verb.
fn revision_kind_label(kind: &str) -> &str {
    match kind {
        "initial" => "created",
        "baseline" => "baseline",
        "reset" => "reset to defaults",
        kind => kind,
    }
}
