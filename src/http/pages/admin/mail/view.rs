//! What the page of letters shows.
use crate::domain::time::Timestamp;
use crate::http::filters;
use crate::http::pages::Shell;
use crate::http::pages::admin::part::{Badge, Choice, Pager};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/admin/mail.html")]
pub struct MailPage {
    pub shell: Shell,
    /// `None`: letters become files.
    pub mail_server: Option<String>,
    pub from: String,
    pub tabs: Vec<Tab>,
    pub state: String,
    pub sizes: Vec<Choice>,
    pub filtered: bool,
    /// `for 30 days`: how long what became of a letter is remembered.
    pub kept: String,
    pub rows: Vec<LetterLine>,
    pub total: i64,
    pub pager: Pager,
    pub back: String,
}

pub struct Tab {
    pub href: String,
    pub label: &'static str,
    pub count: i64,
    pub current: bool,
}

pub struct LetterLine {
    pub id: String,
    pub subject: String,
    pub recipient: String,
    pub account: Option<String>,
    pub state: Badge,
    pub queued: Timestamp,
    pub attempts: i64,
    pub next: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    /// The mail server's.
    pub words: String,
    /// Its body was removed: only asking anew helps.
    pub link_gone: bool,
    pub retry: bool,
    pub discard: bool,
}
