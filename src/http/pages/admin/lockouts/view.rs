//! The data of the lockout page.
use crate::{
    domain::time::Timestamp,
    http::{
        filters,
        pages::admin::{
            list::{ExportLinks, FormFaults},
            part::{Badge, Choice, Pager},
        },
        shell::Shell,
    },
};
use askama::Template;

/// The list of lockouts.
#[derive(Template)]
#[template(path = "pages/admin/lockouts.html")]
pub struct LockoutsPage {
    pub shell: Shell,
    pub faults: FormFaults,
    pub tabs: Vec<LockoutTab>,
    pub q: String,
    pub state: String,
    pub sizes: Vec<Choice>,
    pub filtered: bool,
    /// The rows of the list; in the overview of all lockouts only locks.
    pub rows: Vec<LockoutLine>,
    /// In the overview: the counters below their limit, collapsed.
    pub counting: Option<CountingSection>,
    /// Descriptions of attack patterns in the list.
    pub patterns: Vec<String>,
    pub total: i64,
    pub pager: Pager,
    pub back: String,
    /// The rule in a sentence: `3 failures lock for 15 minutes`.
    pub rule: String,
    /// Lockout is off: failures are counted, and only the ceilings lock.
    pub counting_only: bool,
    /// The address if every lock has the same one, which is most likely a proxy's.
    pub one_address: Option<String>,
    pub export: ExportLinks,
}

/// The form of a block.
#[derive(Template)]
#[template(path = "pages/admin/lockouts/block.html")]
pub struct BlockPage {
    pub shell: Shell,
    /// The lock or counter that is to be blocked; empty: the input below.
    pub id: String,
    /// The subject of the counter.
    pub chips: Vec<(&'static str, String)>,
    pub account: String,
    pub ip: String,
    pub until: String,
    pub reason: String,
    pub faults: Vec<(String, String)>,
    /// The query of the list.
    pub back: String,
    pub return_url: String,
}

/// The counters below their limit, as many as fit on a page.
pub struct CountingSection {
    pub rows: Vec<LockoutLine>,
    pub total: i64,
    /// The address of the tab with all of them.
    pub href: String,
}

/// One tab of the list, with the number of its rows.
pub struct LockoutTab {
    pub href: String,
    pub label: &'static str,
    pub count: i64,
    pub current: bool,
}

/// One lock or counter.
pub struct LockoutLine {
    pub id: String,
    /// The subject: (`user`, `eve`), (`IP`, `198.51.100.7`).
    pub chips: Vec<(&'static str, String)>,
    pub kind: &'static str,
    pub state: Badge,
    /// The reason that an administrator gave for a block.
    pub blocked: Option<String>,
    pub failures: usize,
    /// `None`: it never locks.
    pub limit: Option<u32>,
    pub unlocks: UnlockTime,
    pub last_attempt: Timestamp,
    /// The address of the last attempt, where the subject does not say it.
    pub last_ip: Option<String>,
    /// The usernames that were tried, where the subject does not say them.
    pub names: Vec<String>,
    pub refused: i64,
    /// Whether its subject can be blocked from here.
    pub can_be_blocked: bool,
}

/// When a lock ends.
pub enum UnlockTime {
    NotLocked,
    At(Timestamp),
    ByHand,
}
