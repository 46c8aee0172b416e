//! The data of the email page.
use crate::{
    domain::time::Timestamp,
    http::{
        filters,
        pages::admin::part::{Badge, Choice, Pager},
        shell::Shell,
    },
};
use askama::Template;

/// The list of emails.
#[derive(Template)]
#[template(path = "pages/admin/mail.html")]
pub struct MailPage {
    pub shell: Shell,
    /// The mail server; `None`: emails become files.
    pub mail_server: Option<String>,
    pub from: String,
    pub tabs: Vec<EmailTab>,
    pub state: String,
    pub sizes: Vec<Choice>,
    pub filtered: bool,
    /// How long the results of emails are kept: `for 30 days`.
    pub kept: String,
    pub rows: Vec<EmailLine>,
    pub total: i64,
    pub pager: Pager,
    pub back: String,
}

/// One tab of the list, with the number of its rows.
pub struct EmailTab {
    pub href: String,
    pub label: &'static str,
    pub count: i64,
    pub current: bool,
}

/// One email in the outbox.
pub struct EmailLine {
    pub id: String,
    pub subject: String,
    pub recipient: String,
    pub account: Option<String>,
    pub state: Badge,
    pub queued: Timestamp,
    pub attempts: i64,
    pub next: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    /// The mail server's response.
    pub words: String,
    /// Whether its body was removed with its secret link, so that only a new request helps.
    pub link_gone: bool,
    pub retry: bool,
    pub discard: bool,
}
