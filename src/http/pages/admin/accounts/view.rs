//! What the pages of accounts show.
use crate::domain::time::Timestamp;
use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::audit_line::AuditLine;
use crate::http::pages::admin::part::{Badge, Choice, Pager};
use crate::http::pages::admin::session_line::{Ending, SessionLine};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/admin/accounts.html")]
pub struct AccountsPage {
    pub shell: Shell,
    pub q: String,
    pub roles: Vec<Choice>,
    pub states: Vec<Choice>,
    pub sizes: Vec<Choice>,
    pub filtered: bool,
    pub rows: Vec<AccountLine>,
    pub total: i64,
    pub pager: Pager,
    pub csv: String,
    pub json: String,
}

pub struct AccountLine {
    pub id: String,
    pub name: String,
    pub display_name: String,
    pub email: String,
    pub administrator: bool,
    pub you: bool,
    pub states: Vec<Badge>,
    pub sessions: i64,
    pub last_sign_in: Option<Timestamp>,
    /// When it expires, and why.
    pub expires: Option<(Timestamp, String)>,
    pub password_changed: Timestamp,
}

#[derive(Template)]
#[template(path = "pages/admin/accounts/new.html")]
pub struct NewAccountPage {
    pub shell: Shell,
    pub name: String,
    pub display_name: String,
    pub email: String,
    pub groups: String,
    pub expires: String,
    pub roles: Vec<Choice>,
    /// The password is typed here instead of made.
    pub given: bool,
    pub must_change: bool,
    pub min_length: usize,
    pub faults: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "pages/admin/accounts/detail.html")]
pub struct AccountPage {
    pub shell: Shell,
    pub line: AccountLine,
    pub last_administrator: bool,
    pub enabled: bool,
    pub expired: bool,
    /// `(at, rule)` of an expiry that has happened.
    pub expired_by: Option<(Timestamp, String)>,
    pub must_change: bool,
    pub locked: bool,
    pub created: Timestamp,
    pub activated: Timestamp,
    pub groups: String,
    /// The explicit expiry date, as the date field wants it.
    pub expires_field: String,
    pub profile: Profile,
    pub sessions: Vec<SessionLine>,
    pub events: Vec<AuditLine>,
    pub audit: String,
    pub faults: Vec<(String, String)>,
}

/// The profile form's values: the account's, or what was just typed.
pub struct Profile {
    pub display_name: String,
    pub email: String,
    pub groups: String,
}
