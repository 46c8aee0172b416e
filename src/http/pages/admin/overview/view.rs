//! What the overview shows.
use crate::domain::time::Timestamp;
use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::session_line::{Ending, SessionLine};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/admin/overview.html")]
pub struct OverviewPage {
    pub shell: Shell,
    pub live_sessions: i64,
    pub trend: Trend,
    pub accounts: i64,
    pub locked: i64,
    pub accepted: i64,
    pub refused: i64,
    pub hours: Vec<Hour>,
    pub ending_soon: Vec<SessionLine>,
    pub revision: i64,
    pub revision_at: Timestamp,
    pub revision_by: String,
    pub revision_reason: String,
    pub checklist: Vec<Check>,
    pub open_checks: usize,
    pub mail_queued: i64,
    pub mail_given_up: i64,
    pub health: Vec<HealthLine>,
    pub warnings: i64,
}

/// The live sessions of the last day, drawn small (view box 115 × 28) and in words.
pub struct Trend {
    /// Points of the line: `0,12 5,14`.
    pub line: String,
    pub low: i64,
    pub high: i64,
}

/// One thing that the installation runs on.
pub struct HealthLine {
    pub ok: bool,
    pub title: String,
    pub note: String,
    /// When it was seen last.
    pub at: Option<Timestamp>,
}

/// One hour of the chart, in the units of its view box (480 × 120).
pub struct Hour {
    pub at: Timestamp,
    /// Sessions that were live when it ended.
    pub live: i64,
    pub x: i64,
    pub accepted: i64,
    pub accepted_top: i64,
    pub accepted_height: i64,
    pub refused: i64,
    pub refused_top: i64,
    pub refused_height: i64,
}

pub struct Check {
    pub ok: bool,
    pub title: &'static str,
    pub why: String,
    /// The setting that mends it.
    pub key: Option<&'static str>,
}
