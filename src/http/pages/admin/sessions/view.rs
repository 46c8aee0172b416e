//! What the pages of sessions show. Words are ready here; the template only places them.
use crate::domain::time::Timestamp;
use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::audit_line::AuditLine;
use crate::http::pages::admin::part::{Badge, Choice, Pager};
use crate::http::pages::admin::session_line::{Ending, SessionLine};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/admin/sessions.html")]
pub struct SessionsPage {
    pub shell: Shell,
    /// How long ended ones are kept, where they are listed.
    pub kept: Option<String>,
    pub form: FilterForm,
    /// Something narrows the list: the empty state is another one, and "all matching" says what matches.
    pub filtered: bool,
    pub rows: Vec<SessionLine>,
    pub total: i64,
    pub total_exact: bool,
    pub noun: &'static str,
    pub pager: Pager,
    pub csv: String,
    pub json: String,
    /// The confirm page for every session that matches; `None` when nothing matching is live.
    pub end_all: Option<String>,
    /// The list's own query, to come back to.
    pub back: String,
}

pub struct FilterForm {
    pub q: String,
    pub app: String,
    pub idle: String,
    pub roles: Vec<Choice>,
    pub states: Vec<Choice>,
    pub sizes: Vec<Choice>,
    /// Only this account: its id and name.
    pub account: Option<(String, String)>,
    pub faults: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "pages/admin/sessions/end.html")]
pub struct EndSessionsPage {
    pub shell: Shell,
    pub count: i64,
    pub yours: bool,
    /// Fields carried to the POST: the ids, or the filter.
    pub hidden: Vec<(String, String)>,
    /// What matches, in words; empty: all sessions.
    pub filter: Vec<String>,
    /// Ask for the number to be typed.
    pub typed: bool,
    pub faults: Vec<(String, String)>,
    pub back: String,
}

#[derive(Template)]
#[template(path = "pages/admin/sessions/detail.html")]
pub struct SessionPage {
    pub shell: Shell,
    pub line: SessionLine,
    pub user_agent: String,
    pub signed_in_ip: String,
    pub accepted: Vec<(&'static str, String)>,
    pub changes: u32,
    pub first_change: Option<Timestamp>,
    pub agent_mismatches: i32,
    pub tokens: Vec<TokenLine>,
    pub settings: Vec<GoverningSetting>,
    pub events: Vec<AuditLine>,
    pub audit: String,
}

/// One id of the session; never the id itself.
pub struct TokenLine {
    pub host: String,
    pub issued: Timestamp,
    pub state: Badge,
    pub rotated: Option<(Timestamp, String, String)>,
}

/// A setting that governs this session, and where its value comes from.
pub struct GoverningSetting {
    pub label: &'static str,
    pub key: &'static str,
    pub value: String,
    pub source: String,
}
