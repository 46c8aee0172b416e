//! One baseline as a table: one row per requirement and one column per scope, on one screen.
use crate::{
    domain::policy::{
        Scope,
        posture::{Baseline, ItemFinding, ScopedValue},
    },
    flows::posture::Posture,
    http::{filters, pages::admin::policy::editor, shell::Shell},
};
use askama::Template;

/// The requirements of one baseline, scope by scope.
#[derive(Template)]
#[template(path = "pages/admin/policy/posture_table.html")]
pub struct PostureTablePage {
    shell: Shell,
    revision: i64,
    title: &'static str,
    source: &'static str,
    /// Id, title and whether it is the shown one.
    baselines: Vec<(&'static str, &'static str, bool)>,
    scopes: Vec<String>,
    rows: Vec<RequirementRow>,
    /// Number of requirements that are missed in some scope.
    missed: usize,
}

/// One requirement in every scope.
struct RequirementRow {
    label: &'static str,
    key: &'static str,
    asked_by: &'static str,
    requires: String,
    is_met: bool,
    /// `None`: the scope inherits the setting from everyone.
    cells: Vec<Option<RequirementCell>>,
}

/// The value in one scope, and whether it is strict enough.
struct RequirementCell {
    value: String,
    href: String,
    is_met: bool,
}

impl PostureTablePage {
    /// Returns the table of one baseline.
    pub fn new(shell: Shell, seen: &Posture, baseline: &'static Baseline) -> Self {
        let scopes: Vec<Scope> = seen.policy.document().scopes().map(|(scope, _)| scope).collect();
        let checked = seen.baselines.iter().find(|(known, _)| known.id == baseline.id);
        let checked = checked.map(|(_, checked)| checked.as_slice()).unwrap_or_default();
        let baselines = seen.baselines.iter();
        Self {
            shell,
            revision: seen.policy.revision(),
            title: baseline.title,
            source: baseline.source,
            baselines: baselines
                .map(|(known, _)| (known.id, known.title, known.id == baseline.id))
                .collect(),
            rows: checked
                .iter()
                .map(|checked| RequirementRow::new(checked, &scopes))
                .collect(),
            missed: checked.iter().filter(|checked| !checked.met()).count(),
            scopes: scopes.iter().map(Scope::label).collect(),
        }
    }
}

impl RequirementRow {
    fn new(checked: &ItemFinding, scopes: &[Scope]) -> Self {
        let (item, setting) = (checked.item, checked.item.key.setting());
        let cell = |place: &ScopedValue| RequirementCell {
            value: setting.display(&place.value),
            href: editor::anchor(&place.scope, item.key),
            is_met: place.met,
        };
        let in_scope = |scope: &Scope| checked.places.iter().find(|place| place.scope == *scope).map(cell);
        Self {
            label: setting.label,
            key: setting.name,
            asked_by: item.asked_by,
            requires: item.accepts.describe(setting),
            is_met: checked.met(),
            cells: scopes.iter().map(in_scope).collect(),
        }
    }
}
