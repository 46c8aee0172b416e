//! What the page of lockouts shows.
use crate::domain::time::Timestamp;
use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::part::{Badge, Choice, Pager};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/admin/lockouts.html")]
pub struct LockoutsPage {
    pub shell: Shell,
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
