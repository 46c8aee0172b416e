//! What the pages of applications show.

use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::part::Choice;
use askama::Template;

#[derive(Template)]
#[template(path = "pages/admin/applications.html")]
pub struct ApplicationsPage {
    pub shell: Shell,
    pub rows: Vec<ApplicationLine>,
    /// The form of a new one stands open.
    pub open: bool,
    pub name: String,
    pub form: ApplicationForm,
    pub faults: Vec<(String, String)>,
}

pub struct ApplicationLine {
    pub name: String,
    pub href: String,
    pub hosts: Vec<String>,
    pub prefixes: Vec<String>,
    /// Who may enter, in words.
    pub entrants: String,
    /// How many patterns of public paths.
    pub public: usize,
    pub activity: String,
    /// Settings in its scope of the policy, and where they are edited.
    pub overrides: i64,
    pub policy: String,
}

/// The fields that making and changing share.
pub struct ApplicationForm {
    pub hosts: String,
    pub prefixes: String,
    pub member: bool,
    pub administrator: bool,
    pub groups: String,
    pub public: String,
    pub activity: Vec<Choice>,
    pub ignored: String,
}

#[derive(Template)]
#[template(path = "pages/admin/applications/detail.html")]
pub struct ApplicationPage {
    pub shell: Shell,
    pub line: ApplicationLine,
    /// Live sessions that entered it; `more`: at least so many.
    pub sessions: i64,
    pub more: bool,
    pub sessions_href: String,
    pub audit: String,
    pub form: ApplicationForm,
    pub faults: Vec<(String, String)>,
}
