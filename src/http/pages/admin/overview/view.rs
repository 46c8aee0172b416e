//! The data of the overview.
use crate::{
    domain::time::Timestamp,
    http::{
        filters,
        pages::admin::session_line::{SessionEndView, SessionLine},
        shell::Shell,
    },
};
use askama::Template;

/// The overview.
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
    /// The highest number of accepted or refused sign-ins in an hour, which is the top of the
    /// chart.
    pub most: i64,
    pub hours: Vec<ChartHour>,
    pub ending_soon: Vec<SessionLine>,
    pub revision: i64,
    pub revision_at: Timestamp,
    pub revision_by: String,
    pub revision_reason: String,
    pub checklist: Vec<Check>,
    pub open_checks: usize,
    /// Attempts at passwords that look like an attack, one sentence each.
    pub patterns: Vec<String>,
    pub mail_queued: i64,
    pub mail_given_up: i64,
    pub health: Vec<HealthLine>,
    pub warnings: i64,
}

/// The live sessions of the last day: a small chart (view box 115 × 28) and its range.
pub struct Trend {
    /// Points of the line: `0,12 5,14`.
    pub line: String,
    pub low: i64,
    pub high: i64,
}

/// One part of the infrastructure.
pub struct HealthLine {
    pub ok: bool,
    pub title: String,
    pub note: String,
    /// When it was last seen.
    pub at: Option<Timestamp>,
    /// The page that says more: address and label.
    pub link: Option<(&'static str, &'static str)>,
}

/// One hour of the chart, in the units of its view box (480 × 120).
pub struct ChartHour {
    pub at: Timestamp,
    /// The number of live sessions at its end.
    pub live: i64,
    pub x: i64,
    pub accepted: i64,
    pub accepted_top: i64,
    pub accepted_height: i64,
    pub refused: i64,
    pub refused_top: i64,
    pub refused_height: i64,
}

/// One item of the setup checklist.
pub struct Check {
    pub ok: bool,
    pub title: &'static str,
    pub why: String,
    /// The setting that fixes it.
    pub key: Option<&'static str>,
}
