//! What the page of the audit shows.
use crate::domain::time::Timestamp;
use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::audit_line::AuditLine;
use crate::http::pages::admin::part::{Choice, Pager};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/admin/audit.html")]
pub struct AuditPage {
    pub shell: Shell,
    pub form: FilterForm,
    pub filtered: bool,
    pub rows: Vec<AuditLine>,
    /// `1 204`, `more than 10 000`.
    pub total: String,
    /// The text was looked for in the newest matching records only.
    pub truncated: bool,
    /// `Kept for 365 days`.
    pub kept: String,
    pub oldest: Option<Timestamp>,
    pub pager: Pager,
    pub csv: String,
    pub json: String,
}

pub struct FilterForm {
    pub ranges: Vec<Choice>,
    pub since: String,
    pub until: String,
    /// Event groups: label and options.
    pub events: Vec<(&'static str, Vec<Choice>)>,
    pub any_event: bool,
    /// Events left out, kept while filtering further.
    pub without: Vec<String>,
    pub actor: String,
    pub account: String,
    /// Only this session.
    pub session: Option<String>,
    pub ip: String,
    pub outcomes: Vec<Choice>,
    pub q: String,
    pub sizes: Vec<Choice>,
    pub faults: Vec<(String, String)>,
}
