//! Outgoing email: `render` writes the text, `message` builds the RFC 5322 message, and a mail
//! server (`smtp`) or a folder (`folder`) takes it. The queue is in `store::outbox`; the reasons
//! for which an email is sent are in `flows`.

mod error;
pub mod folder;
pub mod message;
pub mod render;
pub mod smtp;

pub use error::{MailError, SendError};

use crate::config::{Config, MailConfig};
use folder::MailFolder;
use message::EmailMessage;
use smtp::SmtpMailer;

/// The way in which emails leave this installation.
#[derive(Clone)]
pub enum Mailer {
    /// Through the configured mail server.
    Smtp(Box<SmtpMailer>),
    /// Into a folder, as files that a mail program opens, because no mail server is configured.
    Folder(MailFolder),
}

impl Mailer {
    /// Prepares the configured way; connects to nothing yet.
    pub fn new(config: &Config) -> Result<Self, MailError> {
        let MailConfig { smtp_url, outbox, .. } = &config.mail;
        Ok(match smtp_url {
            Some(url) => Self::Smtp(Box::new(SmtpMailer::new(url, &config.mail)?)),
            None => Self::Folder(MailFolder::new(outbox.clone())),
        })
    }

    /// Sends an email and returns the answer of the server or folder that accepted it.
    pub async fn send(&self, message: &EmailMessage) -> Result<String, SendError> {
        match self {
            Self::Smtp(smtp) => smtp.send(message).await,
            Self::Folder(folder) => folder.send(message),
        }
    }

    /// Returns whether a message may have 8-bit characters. Not every mail server accepts them.
    pub fn supports_eight_bit(&self) -> bool {
        match self {
            Self::Smtp(_) => false,
            Self::Folder(_) => true,
        }
    }

    /// Describes where emails go, without a password.
    pub fn describe(&self) -> String {
        match self {
            Self::Smtp(smtp) => smtp.describe(),
            Self::Folder(folder) => folder.describe(),
        }
    }
}
