//! The data of the application pages.

use super::snippets::ProxySnippet;
use crate::{
    domain::time::Timestamp,
    http::{filters, pages::admin::part::Choice, shell::Shell},
};
use askama::Template;

/// The list of applications.
#[derive(Template)]
#[template(path = "pages/admin/applications.html")]
pub struct ApplicationsPage {
    pub shell: Shell,
    pub rows: Vec<ApplicationLine>,
    /// Requests that matched no application, each with its fix.
    pub unmatched: Vec<UnmatchedRequestLine>,
    /// Whether the form of a new one is open.
    pub open: bool,
    pub name: String,
    pub form: ApplicationForm,
    pub faults: Vec<(String, String)>,
}

/// One application in the list, and the facts on its page.
pub struct ApplicationLine {
    pub name: String,
    pub href: String,
    pub hosts: Vec<String>,
    pub prefixes: Vec<String>,
    /// Who has access.
    pub entrants: String,
    /// The number of patterns of public paths.
    pub public: usize,
    pub activity: String,
    /// The number of settings in its policy scope, and the address where they are edited.
    pub overrides: i64,
    pub policy: String,
    pub seen: LastRequestLine,
}

/// The form of an access test, and its result.
#[derive(Template)]
#[template(path = "pages/admin/applications/test.html")]
pub struct AccessTestPage {
    pub shell: Shell,
    pub name: String,
    /// The address of the application's own page.
    pub href: String,
    pub url: String,
    pub account: String,
    pub ip: String,
    pub agent: String,
    pub faults: Vec<(String, String)>,
    /// The facts that were checked, with their results.
    pub reasons: Vec<(&'static str, String)>,
    pub outcomes: Vec<TestOutcomeLine>,
}

/// The result for one session, or for a request without one.
pub struct TestOutcomeLine {
    pub who: String,
    /// The ID of the session, and when the user signed in.
    pub session: Option<String>,
    pub signed_in: Option<Timestamp>,
    pub sentence: String,
    pub answers: Vec<EndpointResponseLine>,
}

/// One endpoint's response.
pub struct EndpointResponseLine {
    pub path: String,
    pub proxies: &'static str,
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

/// The last requests that proxies sent about an application.
pub struct LastRequestLine {
    /// The last request that was answered.
    pub answered: Option<ProxyRequestLine>,
    /// The last one that could not be read.
    pub unreadable: Option<ProxyRequestLine>,
}

/// One request of a proxy.
pub struct ProxyRequestLine {
    pub at: Timestamp,
    pub peer: String,
    /// The proxies that speak this dialect.
    pub proxies: &'static str,
    /// Headers that were missing or could not be read.
    pub lacks: Vec<String>,
}

/// A request that matched no application.
pub struct UnmatchedRequestLine {
    pub request: ProxyRequestLine,
    pub what: String,
    pub mend: String,
}

/// The fields shared by creating and changing.
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

/// One application in full.
#[derive(Template)]
#[template(path = "pages/admin/applications/detail.html")]
pub struct ApplicationPage {
    pub shell: Shell,
    pub line: ApplicationLine,
    /// The configuration of each proxy, to copy.
    pub snippets: Vec<ProxySnippet>,
    /// The number of live sessions that entered it; `more`: there are more.
    pub sessions: i64,
    pub more: bool,
    pub sessions_href: String,
    pub audit: String,
    pub form: ApplicationForm,
    pub faults: Vec<(String, String)>,
}
