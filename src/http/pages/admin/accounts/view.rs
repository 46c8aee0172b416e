//! The data of the account pages.
use crate::{
    domain::time::Timestamp,
    flows::bind_limits::BindCount,
    http::{
        filters,
        pages::admin::{
            audit_line::AuditLine,
            list::{ExportLinks, FormFaults},
            part::{Badge, Choice, Pager},
            session_line::{SessionEndView, SessionLine},
        },
        shell::Shell,
        step_up::ProofFields,
    },
};
use askama::Template;

/// The list of accounts.
#[derive(Template)]
#[template(path = "pages/admin/accounts.html")]
pub struct AccountsPage {
    pub shell: Shell,
    pub faults: FormFaults,
    pub q: String,
    pub roles: Vec<Choice>,
    pub states: Vec<Choice>,
    pub factors: Vec<Choice>,
    /// The filter of sources; empty: there is no source.
    pub sources: Vec<Choice>,
    pub group: String,
    pub sizes: Vec<Choice>,
    pub acts: Vec<Choice>,
    pub filtered: bool,
    /// The list's query, which actions on many accounts send along.
    pub back: String,
    pub rows: Vec<AccountLine>,
    pub total: i64,
    pub pager: Pager,
    pub export: ExportLinks,
}

/// One account in a list, and the facts at the head of its page.
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
    /// While it is signed in: how long after its last session it would expire.
    pub expires_later: Option<String>,
    pub password_changed: Timestamp,
    /// Its password has not been chosen yet.
    pub invited: bool,
    /// Its second factors, for people.
    pub factors: String,
    pub has_factor: bool,
    /// Its source; `None`: it is local.
    pub source: Option<SourceTag>,
}

/// The source of an account.
pub struct SourceTag {
    pub title: String,
    pub kind: &'static str,
    /// The page of the source; `None`: it was deleted.
    pub href: Option<String>,
    /// The identity of the account there; `None`: it has not signed in yet.
    pub external_id: Option<String>,
}

/// The form of a new account.
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
    /// Where the owner can sign in; empty: there are only local accounts.
    pub sources: Vec<Choice>,
    /// Whether to send an invitation by email instead of a one-time password.
    pub invite: bool,
    /// Whether the password is entered here instead of generated.
    pub given: bool,
    pub must_change: bool,
    pub min_length: usize,
    pub faults: Vec<(String, String)>,
}

/// One account in full.
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
    /// The address of the visitor's newest policy draft, if the account's expiry would differ under
    /// it: at another time and rule, or not at all.
    pub drafted: Option<(String, Option<(Timestamp, String)>)>,
    pub must_change: bool,
    /// When the link of an unanswered invitation expires, or expired.
    pub invited: Option<Timestamp>,
    /// Until when a one-time password works.
    pub one_time_until: Option<Timestamp>,
    /// Whether it was imported without a password.
    pub password_unknown: bool,
    pub locked: bool,
    pub created: Timestamp,
    pub activated: Timestamp,
    /// Each group, with the address of its account list.
    pub groups: Vec<(String, String)>,
    /// The counters of failures on its name.
    pub lockouts: Vec<AccountLockoutLine>,
    /// Wrong passwords that count at the account's directory.
    pub binds: Option<BindCount>,
    /// The networks from which it signed in, with the latest time.
    pub networks: Vec<(String, Timestamp)>,
    /// The explicit expiry date in the format of the date field.
    pub expires_field: String,
    pub profile: ProfileFields,
    pub factor_card: FactorCard,
    pub sessions: Vec<SessionLine>,
    pub events: Vec<AuditLine>,
    pub audit: String,
    pub faults: Vec<(String, String)>,
}

/// The second factors of an account.
pub struct FactorCard {
    pub authenticator_app: bool,
    pub passkeys: Vec<PasskeyLine>,
    pub recovery_codes: u32,
    pub trusted_browsers: usize,
    /// The requirement, in words.
    pub required: &'static str,
    pub required_since: Option<Timestamp>,
    /// Last instant at which the current enrolment link works.
    pub link_until: Option<Timestamp>,
    /// Whether there is something to reset.
    pub any: bool,
}

/// One passkey of an account.
pub struct PasskeyLine {
    pub name: String,
    pub added: Timestamp,
    pub last_used: Option<Timestamp>,
    /// Whether it is synced or bound to one device, or why it no longer works.
    pub kind: &'static str,
}

/// The profile form's values: the account's, or the input.
pub struct ProfileFields {
    pub display_name: String,
    pub email: String,
    pub groups: String,
}

/// A counter of failures that includes the account's name.
pub struct AccountLockoutLine {
    /// The other parts of the key: the IP address, the browser.
    pub with: Vec<(&'static str, String)>,
    pub state: Badge,
    pub failures: usize,
    /// `None`: it never locks.
    pub limit: Option<u32>,
    pub last_attempt: Timestamp,
    pub unlocks: Option<Timestamp>,
}

/// The form of an import, with the plan of the file that was checked.
#[derive(Template)]
#[template(path = "pages/admin/accounts/import.html")]
pub struct AccountImportPage {
    pub shell: Shell,
    pub text: String,
    /// How new accounts can sign in: `one-time`, `invitation` or `unknown`.
    pub passwords: &'static str,
    pub columns: Vec<(&'static str, &'static str)>,
    pub most_lines: usize,
    pub faults: Vec<(String, String)>,
    pub plan: Option<PlanView>,
}

/// The preview of a file.
pub struct PlanView {
    pub created: i64,
    pub changed: i64,
    pub unchanged: i64,
    /// The number of lines that would change something.
    pub good: i64,
    pub lines: Vec<PlanLine>,
    /// The number of further lines that are not listed.
    pub more: i64,
    pub faults: Vec<FaultLine>,
    pub more_faults: i64,
    pub fault_count: i64,
    pub passed_over: String,
    pub fingerprint: String,
    /// Identifies the import, so that a second click does not repeat it.
    pub key: String,
}

/// One account that an import would create or change.
pub struct PlanLine {
    pub number: usize,
    pub name: String,
    pub what: Badge,
    /// Columns with old and new values.
    pub differences: Vec<(&'static str, String, String)>,
}

/// The progress of an action on many accounts.
#[derive(Template)]
#[template(path = "pages/admin/accounts/act.html")]
pub struct LongActPage {
    pub shell: Shell,
    pub title: String,
    pub done: usize,
    /// Number of accounts; 0: not known yet.
    pub total: usize,
    pub address: String,
}

/// One fault of an imported file.
#[derive(Clone)]
pub struct FaultLine {
    pub number: usize,
    pub column: String,
    pub message: String,
}

/// The result of an import.
#[derive(Template)]
#[template(path = "pages/admin/accounts/imported.html")]
pub struct ImportedPage {
    pub shell: Shell,
    pub created: i64,
    pub changed: i64,
    pub unchanged: i64,
    pub ended: i64,
    /// The last instant at which the one-time passwords work.
    pub until: Timestamp,
    /// Whether the new accounts got invitations by email.
    pub invited: bool,
    /// Usernames and one-time passwords, shown only now.
    pub passwords: Vec<(String, String)>,
    /// Where they can be fetched once, within the hour.
    pub fetch: Option<String>,
    pub faults: Vec<FaultLine>,
}

/// The confirmation of an action on several accounts.
#[derive(Template)]
#[template(path = "pages/admin/accounts/bulk.html")]
pub struct BulkPage {
    pub shell: Shell,
    /// The password fields, if the action needs them and the last confirmation is too old.
    pub proof: Option<ProofFields>,
    /// `Disable 3 accounts`.
    pub button: String,
    pub hint: &'static str,
    pub danger: bool,
    pub count: i64,
    pub names: Vec<String>,
    pub more: i64,
    pub filter: Vec<String>,
    pub hidden: Vec<(String, String)>,
    /// Whether the number must be typed.
    pub typed: bool,
    pub faults: Vec<(String, String)>,
    pub back: String,
}

/// The result of an action on several accounts that skipped some.
#[derive(Template)]
#[template(path = "pages/admin/accounts/bulk_done.html")]
pub struct BulkDonePage {
    pub shell: Shell,
    pub summary: String,
    /// The address of the account, its name, and why it was skipped.
    pub skipped: Vec<(String, String, String)>,
    pub back: String,
}
