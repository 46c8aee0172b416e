//! What the pages of accounts show.
use crate::domain::time::Timestamp;
use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::audit_line::AuditLine;
use crate::http::pages::admin::list::Faults;
use crate::http::pages::admin::part::{Badge, Choice, Pager};
use crate::http::pages::admin::session_line::{Ending, SessionLine};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/admin/accounts.html")]
pub struct AccountsPage {
    pub shell: Shell,
    pub faults: Faults,
    pub q: String,
    pub roles: Vec<Choice>,
    pub states: Vec<Choice>,
    pub group: String,
    pub sizes: Vec<Choice>,
    pub acts: Vec<Choice>,
    pub filtered: bool,
    /// The list's query, carried through what is done to many.
    pub back: String,
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
    /// While it is signed in: how long after its last session it expires.
    pub expires_later: Option<String>,
    pub password_changed: Timestamp,
    /// Nobody has chosen its password yet.
    pub invited: bool,
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
    /// A letter with a link, instead of a one-time password.
    pub invite: bool,
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
    /// Address of the visitor's newest draft of the policy, under which it would expire at another time, by that rule, or not at all.
    pub drafted: Option<(String, Option<(Timestamp, String)>)>,
    pub must_change: bool,
    /// Nobody has taken up the invitation yet: when its link runs out (or ran out).
    pub invited: Option<Timestamp>,
    /// Until when a password works that somebody else made.
    pub one_time_until: Option<Timestamp>,
    /// Imported without one.
    pub password_unknown: bool,
    pub locked: bool,
    pub created: Timestamp,
    pub activated: Timestamp,
    /// Each group, and the list of who is in it.
    pub groups: Vec<(String, String)>,
    /// What counts failures on its name.
    pub lockouts: Vec<LockoutLine>,
    /// Networks that it signed in from, and when last.
    pub networks: Vec<(String, Timestamp)>,
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

/// A counter of failures that has the account's name in it.
pub struct LockoutLine {
    /// With this name: the address, the browser.
    pub with: Vec<(&'static str, String)>,
    pub state: Badge,
    pub failures: usize,
    /// `None`: nothing locks at any number.
    pub limit: Option<u32>,
    pub last_attempt: Timestamp,
    pub unlocks: Option<Timestamp>,
}

#[derive(Template)]
#[template(path = "pages/admin/accounts/import.html")]
pub struct ImportPage {
    pub shell: Shell,
    pub text: String,
    /// What new accounts sign in with: `one-time`, `invitation` or `unknown`.
    pub passwords: &'static str,
    pub columns: Vec<(&'static str, &'static str)>,
    pub most_lines: usize,
    pub faults: Vec<(String, String)>,
    pub plan: Option<PlanView>,
}

/// What a file would do.
pub struct PlanView {
    pub created: i64,
    pub changed: i64,
    pub unchanged: i64,
    /// Lines that would do something.
    pub good: i64,
    pub lines: Vec<PlanLine>,
    /// Lines beyond those that are listed.
    pub more: i64,
    pub faults: Vec<FaultLine>,
    pub more_faults: i64,
    pub fault_count: i64,
    pub passed_over: String,
    pub fingerprint: String,
}

pub struct PlanLine {
    pub number: usize,
    pub name: String,
    pub what: Badge,
    /// Column, old and new.
    pub differences: Vec<(&'static str, String, String)>,
}

pub struct FaultLine {
    pub number: usize,
    pub column: &'static str,
    pub message: String,
}

#[derive(Template)]
#[template(path = "pages/admin/accounts/imported.html")]
pub struct ImportedPage {
    pub shell: Shell,
    pub created: i64,
    pub changed: i64,
    pub unchanged: i64,
    pub ended: i64,
    /// Last instant at which those work.
    pub until: Timestamp,
    /// The new accounts got letters with links to choose their passwords.
    pub invited: bool,
    /// Names and one-time passwords, shown only now.
    pub passwords: Vec<(String, String)>,
    pub faults: Vec<FaultLine>,
}

#[derive(Template)]
#[template(path = "pages/admin/accounts/bulk.html")]
pub struct BulkPage {
    pub shell: Shell,
    /// `Disable 3 accounts`.
    pub button: String,
    pub hint: &'static str,
    pub danger: bool,
    pub count: i64,
    pub names: Vec<String>,
    pub more: i64,
    pub filter: Vec<String>,
    pub hidden: Vec<(String, String)>,
    /// The number must be typed.
    pub typed: bool,
    pub faults: Vec<(String, String)>,
    pub back: String,
}

#[derive(Template)]
#[template(path = "pages/admin/accounts/bulk_done.html")]
pub struct BulkDonePage {
    pub shell: Shell,
    pub said: String,
    /// Address of the account, its name, and why it was left as it is.
    pub left_out: Vec<(String, String, &'static str)>,
    pub back: String,
}
