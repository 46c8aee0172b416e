//! The data of the session pages. All texts are complete here; the templates only place them.
use crate::{
    domain::time::Timestamp,
    http::{
        filters,
        pages::admin::{
            audit_line::AuditLine,
            list::ExportLinks,
            part::{Badge, Choice, Pager},
            session_line::{EndDetail, SessionEndView, SessionLine},
        },
        shell::Shell,
    },
};
use askama::Template;

/// The list of sessions.
#[derive(Template)]
#[template(path = "pages/admin/sessions.html")]
pub struct SessionsPage {
    pub shell: Shell,
    /// How long ended sessions are kept, if the list shows them.
    pub kept: Option<String>,
    pub form: SessionFilterForm,
    /// Whether the list has a filter: the empty state then differs, and "all matching" describes
    /// the filter.
    pub filtered: bool,
    pub rows: Vec<SessionLine>,
    pub total: i64,
    pub total_exact: bool,
    pub noun: &'static str,
    pub pager: Pager,
    pub export: ExportLinks,
    /// The confirm page for every session that matches; `None` if no live session matches.
    pub end_all: Option<String>,
    /// The list's own query, for the return.
    pub back: String,
}

/// The filter form of the list.
pub struct SessionFilterForm {
    pub q: String,
    pub app: String,
    pub idle: String,
    pub roles: Vec<Choice>,
    /// Empty: every account is local.
    pub sources: Vec<Choice>,
    pub states: Vec<Choice>,
    pub reasons: Vec<Choice>,
    pub since: String,
    pub until: String,
    /// Whether to show the fields about the end, because ended sessions are listed.
    pub past: bool,
    pub sizes: Vec<Choice>,
    /// The only account: its ID and name.
    pub account: Option<(String, String)>,
    pub faults: Vec<(String, String)>,
}

/// The confirmation before several sessions, or the visitor’s own, end.
#[derive(Template)]
#[template(path = "pages/admin/sessions/end.html")]
pub struct EndSessionsPage {
    pub shell: Shell,
    pub count: i64,
    pub yours: bool,
    /// The named users of the selected sessions.
    pub names: Vec<String>,
    /// Fields for the POST: the IDs, or the filter.
    pub hidden: Vec<(String, String)>,
    /// The description of the filter; empty if IDs are given.
    pub filter: Vec<String>,
    /// Whether the number must be typed.
    pub typed: bool,
    pub faults: Vec<(String, String)>,
    pub back: String,
}

/// One session in full.
#[derive(Template)]
#[template(path = "pages/admin/sessions/detail.html")]
pub struct SessionPage {
    pub shell: Shell,
    pub line: SessionLine,
    /// Why it ended; `None` while it is live, and in rows that do not say.
    pub ended: Option<EndDetail>,
    pub user_agent: String,
    pub signed_in_ip: String,
    pub accepted: Vec<(&'static str, String)>,
    pub changes: u32,
    pub first_change: Option<Timestamp>,
    pub devices: Vec<DeviceLine>,
    pub tokens: Vec<TokenLine>,
    pub settings: Vec<GoverningSetting>,
    pub events: Vec<AuditLine>,
    pub audit: String,
}

/// A key to which the session is bound.
pub struct DeviceLine {
    pub host: String,
    pub registered: Timestamp,
    pub proved: Timestamp,
    /// The start of its thumbprint, for comparison with the audit.
    pub key: String,
}

/// A token of the session; never the token itself.
pub struct TokenLine {
    pub host: String,
    pub issued: Timestamp,
    pub state: Badge,
    pub rotated: Option<(Timestamp, String, String)>,
}

/// A setting that applies to this session, and the source of its value.
pub struct GoverningSetting {
    pub label: &'static str,
    pub key: &'static str,
    pub value: String,
    pub source: String,
}
