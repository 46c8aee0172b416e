//! What the pages of the policy show. Every word is ready here; which control a setting gets stands in [`Control`].
use crate::domain::time::Timestamp;
use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::part::{Badge, Choice, DiffLine, Pager};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/admin/policy.html")]
pub struct PolicyPage {
    pub shell: Shell,
    pub scope: String,
    pub scope_label: String,
    /// Administrators or an application: what is not set here is inherited.
    pub overrides: bool,
    pub scopes: Vec<ScopeTab>,
    pub revision: RevisionLine,
    pub groups: Vec<GroupView>,
    /// Words searched for, and how many settings they find.
    pub search: String,
    pub found: usize,
    pub modes: ModesTable,
    /// Anchor of the field and sentence.
    pub faults: Vec<(String, String)>,
    pub warnings: Vec<(String, String)>,
    /// Begun before and not saved: link and words.
    pub drafts: Vec<DraftLine>,
    /// The draft that this form goes on with.
    pub draft: Option<String>,
    /// Settings that were changed in the form that came back.
    pub kept: usize,
}

/// A draft that waits for its review.
pub struct DraftLine {
    pub href: String,
    pub at: Timestamp,
    pub changes: usize,
}

pub struct ScopeTab {
    pub href: String,
    pub label: String,
    pub current: bool,
    pub set: usize,
}

pub struct GroupView {
    pub anchor: &'static str,
    pub title: &'static str,
    pub validation: bool,
    /// A setting of it is found by the search.
    pub found: bool,
    pub settings: Vec<SettingView>,
}

pub struct SettingView {
    pub key: &'static str,
    pub label: &'static str,
    pub effect: &'static str,
    /// Lower-case words that the search looks through, and whether it finds them.
    pub search: String,
    pub found: bool,
    /// A validation knob: what each mode makes of it.
    pub derived: Vec<(&'static str, String)>,
    /// `Custom, from moderate`.
    pub custom: Option<String>,
    /// The form that came back changes it.
    pub touched: bool,
    pub control: Control,
    pub source: Badge,
    /// What holds now, in this scope.
    pub effective: String,
    pub default: String,
    pub accepts: String,
    pub set_here: bool,
    /// The environment variable that pins it.
    pub pinned: Option<String>,
    pub fault: Option<String>,
    /// The word for unsetting: `Back to the default (never)`.
    pub unset: String,
    pub unset_checked: bool,
    pub set_checked: bool,
}

pub enum Control {
    Duration {
        text: String,
        never: Option<Never>,
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
        never: Never,
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
pub struct Never {
    pub label: String,
    pub checked: bool,
}

/// What each validation mode derives: knob by mode.
pub struct ModesTable {
    pub modes: Vec<KnobCell>,
    pub rows: Vec<(&'static str, Vec<KnobCell>)>,
}

pub struct KnobCell {
    pub mode: &'static str,
    pub text: String,
    /// Of the mode in force.
    pub current: bool,
}

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

#[derive(Template)]
#[template(path = "pages/admin/policy/revisions.html")]
pub struct RevisionsPage {
    pub shell: Shell,
    pub rows: Vec<RevisionLine>,
    pub pager: Pager,
    /// The page of the list that is open.
    pub before: String,
    /// The two that are ticked: from, to.
    pub chosen: (i64, i64),
    pub compared: Option<Compared>,
}

/// Two revisions, and what differs between them.
pub struct Compared {
    pub from: RevisionLine,
    pub to: RevisionLine,
    pub changes: Vec<DiffLine>,
}

impl Compared {
    fn lines(&self) -> [(&'static str, &RevisionLine); 2] {
        [("From", &self.from), ("To", &self.to)]
    }
}

#[derive(Template)]
#[template(path = "pages/admin/policy/revision.html")]
pub struct RevisionPage {
    pub shell: Shell,
    pub line: RevisionLine,
    /// What restoring would change today.
    pub changes_to_now: Vec<DiffLine>,
    pub document: String,
}

/// A draft before it is saved.
#[derive(Template)]
#[template(path = "pages/admin/policy/review.html")]
pub struct ReviewPage {
    pub shell: Shell,
    pub draft: String,
    /// The revision in force, which the draft would follow.
    pub base: i64,
    pub kind: String,
    pub changes: Vec<ReviewLine>,
    pub conflicts: Vec<ConflictView>,
    /// Who saved since the draft was made, and what.
    pub since: Option<Since>,
    /// Settings that the environment holds as they are.
    pub kept: Vec<String>,
    pub notes: Vec<String>,
    pub faults: Vec<(String, String)>,
    pub warnings: Vec<(String, String)>,
    pub risks: Vec<String>,
    /// Why `session.secure` needs an explicit word before this save.
    pub confirm_secure: Option<String>,
    /// Somebody else's save waits for its confirmation: nothing can be saved meanwhile.
    pub held: Option<String>,
    pub reason: String,
    pub back: String,
    /// `None`: the draft changes nothing.
    pub effect: Option<EffectView>,
    pub past: Option<ReplayView>,
}

/// What a draft does to the live sessions.
pub struct EffectView {
    pub now: Timestamp,
    pub sentence: String,
    pub further: Vec<String>,
    pub unforeseen: Vec<&'static str>,
    pub rules: Vec<RuleLine>,
    /// Affected sessions, and those of them that match the filter.
    pub total: i64,
    pub matching: i64,
    pub rows: Vec<EffectLine>,
    pub q: String,
    pub choices: Vec<Choice>,
    pub filtered: bool,
    pub csv: String,
    pub json: String,
}

/// A rule and how many it concerns: now and sooner, or for certain and possibly.
pub struct RuleLine {
    pub rule: String,
    pub scope: String,
    pub first: i64,
    pub second: i64,
}

/// A session that a draft ends.
pub struct EffectLine {
    pub id: String,
    pub account: String,
    pub yours: bool,
    pub device: String,
    pub ip: String,
    pub today: When,
    pub draft: When,
    pub by: &'static str,
    pub scope: String,
}

/// When a session ends.
pub enum When {
    Now,
    NextRequest,
    At(Timestamp),
    Never,
}

/// What a draft would have done.
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

/// A change and whom it concerns.
pub struct ReviewLine {
    pub diff: DiffLine,
    pub affected: String,
}

/// A setting that somebody else changed meanwhile.
pub struct ConflictView {
    /// Name of the field that takes the answer.
    pub field: String,
    pub label: String,
    pub key: String,
    pub scope: String,
    pub base: String,
    pub mine: String,
    pub theirs: String,
}

/// What was saved since a draft was made.
pub struct Since {
    pub by: RevisionLine,
    pub changes: Vec<DiffLine>,
}

#[derive(Template)]
#[template(path = "pages/admin/policy/import.html")]
pub struct ImportPage {
    pub shell: Shell,
    pub formats: Vec<Choice>,
    pub text: String,
    pub reason: String,
    /// Field and sentence.
    pub faults: Vec<(String, String)>,
    /// Of a file that changes nothing: what it was read as.
    pub told: Option<Vec<String>>,
}
