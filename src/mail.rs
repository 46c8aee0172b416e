//! Letters on their way out: worded by `render`, made into RFC 5322 messages by `message`, handed to a mail server or to a folder.
//! Which letters wait, and what became of them, is in `store::outbox`; why one is written in `flows`.

pub mod file;
pub mod message;
pub mod render;
pub mod smtp;

use crate::config::{Config, MailConfig};
use file::Files;
use message::Message;
use smtp::Smtp;

/// Where letters go.
#[derive(Clone)]
pub enum Mailer {
    /// To the configured mail server.
    Smtp(Box<Smtp>),
    /// Into a folder, as files that a mail program opens: there is no mail server.
    Files(Files),
}

/// Why the mail server cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("mail: {0}")]
pub struct MailError(pub String);

/// A letter was not taken; in the server's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It may be taken another time.
    Later(String),
    /// This letter will never be.
    Never(String),
}

impl Mailer {
    pub fn new(config: &Config) -> Result<Self, MailError> {
        let MailConfig { smtp_url, outbox, .. } = &config.mail;
        Ok(match smtp_url {
            Some(url) => Self::Smtp(Box::new(Smtp::new(url)?)),
            None => Self::Files(Files::new(outbox.clone())),
        })
    }

    /// Hands the letter over; with the words of who took it.
    pub async fn send(&self, message: &Message) -> Result<String, Refusal> {
        match self {
            Self::Smtp(smtp) => smtp.send(message).await,
            Self::Files(files) => files.send(message),
        }
    }

    /// Whether letters may have other characters than ASCII's as they are: not every mail server takes that.
    pub fn takes_eight_bit(&self) -> bool {
        match self {
            Self::Smtp(_) => false,
            Self::Files(_) => true,
        }
    }

    /// Where letters go, for people; never with a password.
    pub fn describe(&self) -> String {
        match self {
            Self::Smtp(smtp) => smtp.describe(),
            Self::Files(files) => files.describe(),
        }
    }
}
