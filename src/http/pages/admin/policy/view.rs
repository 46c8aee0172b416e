//! The data of the policy pages. All texts are complete here; [`Control`] determines the control of
//! a setting.
use super::impact::picture::ImpactPicture;
use crate::{
    domain::time::Timestamp,
    http::{
        filters,
        pages::admin::part::{Badge, Choice, DiffLine, Pager},
        shell::Shell,
    },
};
use askama::Template;

/// The editor of one scope.
#[derive(Template)]
#[template(path = "pages/admin/policy.html")]
pub struct PolicyPage {
    pub shell: Shell,
    pub scope: String,
    pub scope_label: String,
    /// Whether this is an overriding scope (administrators or an application), whose other settings
    /// are inherited.
    pub overrides: bool,
    pub scopes: Vec<ScopeTab>,
    pub revision: RevisionLine,
    pub groups: Vec<GroupView>,
    /// The search text, and the number of settings it finds.
    pub search: String,
    pub found: usize,
    pub modes: ModesTable,
    /// Anchors of fields with messages.
    pub faults: Vec<(String, String)>,
    pub warnings: Vec<(String, String)>,
    /// Earlier drafts that were not saved.
    pub drafts: Vec<DraftLine>,
    /// The draft that this form continues.
    pub draft: Option<String>,
    /// The number of settings changed in a refused form.
    pub kept: usize,
}

/// A draft that awaits its review.
pub struct DraftLine {
    pub href: String,
    pub at: Timestamp,
    pub changes: usize,
}

/// One scope above the editor, with the number of settings that it sets.
pub struct ScopeTab {
    pub href: String,
    pub label: String,
    pub current: bool,
    pub set: usize,
}

/// One group of settings.
pub struct GroupView {
    pub anchor: &'static str,
    pub title: &'static str,
    pub validation: bool,
    /// Whether the search finds one of its settings.
    pub found: bool,
    /// Whether it is open: a setting in it is set here, was edited or is faulty, or it is the first
    /// group.
    pub open: bool,
    /// The number of settings that this scope sets.
    pub set: usize,
    pub settings: Vec<SettingView>,
}

/// One setting in the editor.
pub struct SettingView {
    pub key: &'static str,
    pub label: &'static str,
    pub effect: &'static str,
    /// The lower-case text for the search, and whether it matches.
    pub search: String,
    pub found: bool,
    /// For a validation setting: the value that each mode sets.
    pub derived: Vec<(&'static str, String)>,
    /// The label of a custom value: `Custom, from moderate`.
    pub custom: Option<String>,
    /// Whether the refused form changes it.
    pub touched: bool,
    pub control: Control,
    pub source: Badge,
    /// The effective value in this scope.
    pub effective: String,
    pub default: String,
    pub set_here: bool,
    /// Whether unsetting it here would change the value.
    pub unset_differs: bool,
    /// The environment variable that pins it.
    pub pinned: Option<String>,
    pub fault: Option<String>,
    /// The label for unsetting: `Back to default (never)`.
    pub unset: String,
    pub unset_checked: bool,
    pub set_checked: bool,
}

/// The control of a setting, with its content.
pub enum Control {
    Duration {
        text: String,
        never: Option<NeverChoice>,
        seconds: String,
    },
    Switch {
        on: bool,
    },
    SwitchOrDuration {
        choices: Vec<Choice>,
        text: String,
    },
    Number {
        text: String,
        min: i64,
        max: i64,
        word: Option<String>,
    },
    Count {
        text: String,
        never: NeverChoice,
    },
    Select {
        choices: Vec<Choice>,
        mode: bool,
    },
    Text {
        text: String,
    },
    Lines {
        text: String,
    },
}

/// The checkbox beside a text that stands for -1.
pub struct NeverChoice {
    pub label: String,
    pub checked: bool,
}

/// The value that each validation mode sets, by setting.
pub struct ModesTable {
    pub modes: Vec<ModeCell>,
    pub rows: Vec<(&'static str, Vec<ModeCell>)>,
}

/// The value of a setting in one validation mode.
pub struct ModeCell {
    pub mode: &'static str,
    pub text: String,
    /// Whether this is the mode in force.
    pub current: bool,
}

/// One revision.
#[derive(Clone)]
pub struct RevisionLine {
    pub number: i64,
    pub at: Timestamp,
    pub author: String,
    pub reason: String,
    pub kind: String,
    pub changes: Vec<DiffLine>,
    pub current: bool,
}

/// The history.
#[derive(Template)]
#[template(path = "pages/admin/policy/revisions.html")]
pub struct RevisionsPage {
    pub shell: Shell,
    pub rows: Vec<RevisionLine>,
    pub pager: Pager,
    /// The open page of the list.
    pub before: String,
    /// The two selected revisions: from, to.
    pub chosen: (i64, i64),
    pub compared: Option<RevisionComparison>,
}

/// Two revisions, and their differences.
pub struct RevisionComparison {
    pub from: RevisionLine,
    pub to: RevisionLine,
    pub changes: Vec<DiffLine>,
}

impl RevisionComparison {
    fn lines(&self) -> [(&'static str, &RevisionLine); 2] {
        [("From", &self.from), ("To", &self.to)]
    }
}

/// One revision in full.
#[derive(Template)]
#[template(path = "pages/admin/policy/revision.html")]
pub struct RevisionPage {
    pub shell: Shell,
    pub line: RevisionLine,
    /// The changes that restoring it would make now.
    pub changes_to_now: Vec<DiffLine>,
    pub document: String,
}

/// A draft before it is saved.
#[derive(Template)]
#[template(path = "pages/admin/policy/review.html")]
pub struct ReviewPage {
    pub shell: Shell,
    pub draft: String,
    /// The revision in force, on which the draft is based.
    pub base: i64,
    /// The fingerprint of the page, so that nothing else is saved.
    pub fingerprint: String,
    pub kind: String,
    pub changes: Vec<ReviewLine>,
    pub conflicts: Vec<ConflictView>,
    /// A save since the draft was made: who and what.
    pub since: Option<InterimSave>,
    /// Pinned settings that stay unchanged.
    pub kept: Vec<String>,
    pub notes: Vec<String>,
    /// Settings that the draft makes less strict, with scope, old and new value.
    pub loosened: Vec<String>,
    pub faults: Vec<(String, String)>,
    pub warnings: Vec<(String, String)>,
    pub risks: Vec<String>,
    /// Why `session.secure` needs an explicit confirmation before this save.
    pub confirm_secure: Option<String>,
    /// Another administrator's save is waiting for confirmation: nothing can be saved until then.
    pub held: Option<String>,
    pub reason: String,
    pub back: String,
    /// `None`: the draft changes nothing.
    pub impact: Option<ImpactView>,
    pub past: Option<ReplayView>,
}

/// The impact of a draft on the live sessions.
pub struct ImpactView {
    pub now: Timestamp,
    pub sentence: String,
    pub further: Vec<String>,
    /// `None`: the draft changes nothing about second factors.
    pub factors: Option<FactorImpactView>,
    pub unforeseen: Vec<&'static str>,
    pub rules: Vec<RuleLine>,
    /// The number of affected sessions, and of those that match the filter.
    pub total: i64,
    pub matching: i64,
    pub picture: ImpactPicture,
    pub rows: Vec<ImpactLine>,
    pub q: String,
    pub choices: Vec<Choice>,
    pub filtered: bool,
    pub csv: String,
    pub json: String,
}

/// The impact of a draft on accounts that have no second factor.
pub struct FactorImpactView {
    pub sentences: Vec<String>,
    pub total: i64,
    pub rows: Vec<FactorImpactLine>,
}

/// An account for which a draft is worse.
pub struct FactorImpactLine {
    pub href: String,
    pub account: String,
    pub yours: bool,
    pub role: &'static str,
    pub consequence: String,
}

/// A rule and its numbers: now and sooner, or certain and possible.
pub struct RuleLine {
    pub rule: String,
    pub scope: String,
    pub first: i64,
    pub second: i64,
}

/// A session that a draft ends.
pub struct ImpactLine {
    pub id: String,
    pub account: String,
    pub yours: bool,
    pub device: String,
    pub ip: String,
    pub today: EndTime,
    pub draft: EndTime,
    pub by: &'static str,
    pub scope: String,
}

/// When a session ends.
pub enum EndTime {
    Now,
    NextRequest,
    At(Timestamp),
    Never,
}

/// The impact that a draft would have had.
pub struct ReplayView {
    pub sentences: Vec<String>,
    pub limits: Vec<String>,
    pub rules: Vec<RuleLine>,
    pub rows: Vec<PastLine>,
    pub locked: Vec<LockedLine>,
}

/// A recorded session that would have ended earlier.
pub struct PastLine {
    pub id: String,
    pub account: String,
    pub device: String,
    pub ip: String,
    pub signed_in: Timestamp,
    pub ended: Option<(Timestamp, &'static str)>,
    pub would_end: Timestamp,
    /// `2 hours earlier`, compared with its end or, while it is live, with now.
    pub earlier: String,
    pub by: &'static str,
    pub scope: String,
    pub certainty: &'static str,
}

/// A recorded sign-in that would have been locked out.
pub struct LockedLine {
    pub account: String,
    pub at: Timestamp,
    pub ip: String,
    pub certainty: &'static str,
}

/// A change and who is affected.
pub struct ReviewLine {
    pub diff: DiffLine,
    pub affected: String,
}

/// A setting that another administrator changed since the draft was made.
pub struct ConflictView {
    /// The name of the field for the answer.
    pub field: String,
    pub label: String,
    pub key: String,
    pub scope: String,
    pub base: String,
    pub mine: String,
    pub theirs: String,
}

/// The changes that were saved since a draft was made.
pub struct InterimSave {
    pub by: RevisionLine,
    pub changes: Vec<DiffLine>,
}

/// The form of an import.
#[derive(Template)]
#[template(path = "pages/admin/policy/import.html")]
pub struct PolicyImportPage {
    pub shell: Shell,
    pub formats: Vec<Choice>,
    pub text: String,
    pub reason: String,
    /// Fields with their error messages.
    pub faults: Vec<(String, String)>,
    /// Comments on a file that changes nothing.
    pub comments: Option<Vec<String>>,
}
