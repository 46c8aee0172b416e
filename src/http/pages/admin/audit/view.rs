//! The data of the audit page.
use crate::{
    domain::time::Timestamp,
    http::{
        filters,
        pages::admin::{
            audit_line::AuditLine,
            list::ExportLinks,
            part::{Choice, Pager},
        },
        shell::Shell,
    },
};
use askama::Template;

/// The list of audit events.
#[derive(Template)]
#[template(path = "pages/admin/audit.html")]
pub struct AuditPage {
    pub shell: Shell,
    pub form: AuditFilterForm,
    pub filtered: bool,
    pub rows: Vec<AuditLine>,
    /// The number, such as `1 204` or `more than 10 000`.
    pub total: String,
    /// Whether the text was searched only in the newest matching records.
    pub truncated: bool,
    /// The retention, such as `Kept for 365 days`.
    pub kept: String,
    pub oldest: Option<Timestamp>,
    pub pager: Pager,
    pub export: ExportLinks,
}

/// The filter form of the audit.
pub struct AuditFilterForm {
    pub ranges: Vec<Choice>,
    pub since: String,
    pub until: String,
    /// Event groups: label and options.
    pub events: Vec<(&'static str, Vec<Choice>)>,
    pub any_event: bool,
    /// Excluded events, kept while filtering further.
    pub without: Vec<String>,
    pub actor: String,
    pub account: String,
    /// The only session that is shown.
    pub session: Option<String>,
    pub ip: String,
    pub outcomes: Vec<Choice>,
    pub q: String,
    pub sizes: Vec<Choice>,
    pub faults: Vec<(String, String)>,
}
