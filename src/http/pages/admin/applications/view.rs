//! What the pages of applications show.

use crate::domain::time::Timestamp;
use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::part::Choice;
use askama::Template;

#[derive(Template)]
#[template(path = "pages/admin/applications.html")]
pub struct ApplicationsPage {
    pub shell: Shell,
    pub rows: Vec<ApplicationLine>,
    /// Questions about nothing that is known: each with what would mend it.
    pub strangers: Vec<StrangerLine>,
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
    pub seen: SeenLine,
}

#[derive(Template)]
#[template(path = "pages/admin/applications/test.html")]
pub struct RehearsalPage {
    pub shell: Shell,
    pub name: String,
    /// The application's own page.
    pub href: String,
    pub url: String,
    pub account: String,
    pub ip: String,
    pub agent: String,
    pub faults: Vec<(String, String)>,
    /// What was looked at, and what was found.
    pub reasons: Vec<(&'static str, String)>,
    pub outcomes: Vec<OutcomeLine>,
}

/// What one session, or none, would come to.
pub struct OutcomeLine {
    pub who: String,
    /// The session's id, with when it began.
    pub session: Option<String>,
    pub signed_in: Option<Timestamp>,
    pub sentence: String,
    pub answers: Vec<Answered>,
}

/// One endpoint's answer.
pub struct Answered {
    pub path: String,
    pub proxies: &'static str,
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

/// What proxies asked about an application.
pub struct SeenLine {
    /// The last question that was answered.
    pub answered: Option<AskedLine>,
    /// The last one that could not be read.
    pub unreadable: Option<AskedLine>,
}

/// One question of a proxy.
pub struct AskedLine {
    pub at: Timestamp,
    pub peer: String,
    /// Who asks in this dialect.
    pub proxies: &'static str,
    /// Headers that were missing or could not be read.
    pub lacks: Vec<String>,
}

/// A question that no application's page can show.
pub struct StrangerLine {
    pub asked: AskedLine,
    pub what: String,
    pub mend: String,
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
