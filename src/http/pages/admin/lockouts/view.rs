//! What the page of lockouts shows.
use crate::domain::time::Timestamp;
use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::list::Faults;
use crate::http::pages::admin::part::{Badge, Choice, Pager};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/admin/lockouts.html")]
pub struct LockoutsPage {
    pub shell: Shell,
    pub faults: Faults,
    pub tabs: Vec<Tab>,
    pub q: String,
    pub state: String,
    pub sizes: Vec<Choice>,
    pub filtered: bool,
    pub rows: Vec<LockoutLine>,
    pub total: i64,
    pub pager: Pager,
    pub back: String,
    /// The rule in a sentence: `3 failures lock for 15 minutes`.
    pub rule: String,
    /// The master switch is off: failures are counted, nobody is locked by the key lock.
    pub counting_only: bool,
    /// Every lock has one address: most likely a proxy's.
    pub one_address: Option<String>,
    pub csv: String,
    pub json: String,
}

#[derive(Template)]
#[template(path = "pages/admin/lockouts/block.html")]
pub struct BlockPage {
    pub shell: Shell,
    /// The lock or counter that is to be blocked; blank: what is typed.
    pub id: String,
    /// What it counts.
    pub chips: Vec<(&'static str, String)>,
    pub account: String,
    pub ip: String,
    pub until: String,
    pub reason: String,
    pub faults: Vec<(String, String)>,
    /// The list's query, and the list.
    pub back: String,
    pub way_back: String,
}

pub struct Tab {
    pub href: String,
    pub label: &'static str,
    pub count: i64,
    pub current: bool,
}

pub struct LockoutLine {
    pub id: String,
    /// What is counted: (`user`, `eve`), (`IP`, `198.51.100.7`).
    pub chips: Vec<(&'static str, String)>,
    pub kind: &'static str,
    pub state: Badge,
    /// An administrator's block, in their words.
    pub blocked: Option<String>,
    pub failures: usize,
    /// `None`: nothing locks at any number.
    pub limit: Option<u32>,
    pub unlocks: Unlocks,
    pub last_attempt: Timestamp,
    pub last_ip: Option<String>,
    pub names: Vec<String>,
    pub refused: i64,
    /// What the pattern looks like: `1 address, 42 names: spraying`.
    pub hint: Option<String>,
}

pub enum Unlocks {
    NotLocked,
    At(Timestamp),
    ByHand,
}
