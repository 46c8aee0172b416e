//! What letters say: each a value with the facts, and two templates in `templates/mail` (text and HTML). Add a letter here: a struct,
//! [`Letter`], two templates.

use crate::domain::{mail::LetterKind, time::Timestamp};
use askama::Template;

/// A letter with its facts.
pub trait Letter {
    fn kind(&self) -> LetterKind;

    fn subject(&self) -> String;

    /// It carries a link that lets its reader in.
    fn secret(&self) -> bool {
        false
    }

    /// Both parts.
    fn write(&self, about: &About) -> Result<Written, askama::Error>;
}

/// What every letter says about where it comes from.
#[derive(Debug, Clone)]
pub struct About {
    /// Who it is for: the display name, or the user name.
    pub name: String,
    /// The installation's address.
    pub base_url: String,
}

/// The two parts of a letter, the same in text and HTML.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Written {
    pub text: String,
    pub html: String,
}

/// Pairs a letter with its templates.
macro_rules! written {
    ($letter:ident, $text:tt, $html:tt) => {
        fn write(&self, about: &About) -> Result<Written, askama::Error> {
            #[derive(Template)]
            #[template(path = $text, escape = "none")]
            struct Text<'a> {
                letter: &'a $letter,
                about: &'a About,
            }
            #[derive(Template)]
            #[template(path = $html)]
            struct Html<'a> {
                letter: &'a $letter,
                about: &'a About,
                subject: String,
            }
            let subject = self.subject();
            let letter = self;
            Ok(Written {
                text: Text { letter, about }.render()?,
                html: Html {
                    letter,
                    about,
                    subject,
                }
                .render()?,
            })
        }
    };
}

pub mod notices;

/// An instant in a letter: `2026-11-22 03:05 UTC`.
pub fn utc(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    match text.get(..16) {
        Some(to_the_minute) => format!("{} UTC", to_the_minute.replace('T', " ")),
        None => text,
    }
}

/// An administrator looks whether mail arrives.
pub struct Test {
    pub sent_at: Timestamp,
}

impl Letter for Test {
    fn kind(&self) -> LetterKind {
        LetterKind::Test
    }

    fn subject(&self) -> String {
        "Nightlatch can send mail".to_owned()
    }

    written!(Test, "mail/test.txt", "mail/test.html");
}

/// The link to choose another password with.
pub struct PasswordReset {
    pub username: String,
    pub link: String,
    pub until: Timestamp,
    pub reason: ResetReason,
}

/// Why somebody is to choose another password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResetReason {
    /// Somebody said so, at this address.
    Forgotten { ip: String },
    /// A sign-in was somebody else's: the password of today works no more.
    Disowned,
    /// An administrator sends the link.
    Administrator,
}

impl PasswordReset {
    /// What to know before the link is opened.
    fn close(&self) -> &'static str {
        match self.reason {
            ResetReason::Forgotten { .. } => "If it was not you, do nothing: your password stays as it is.",
            ResetReason::Disowned => "Until then nobody can sign in with a password.",
            ResetReason::Administrator => {
                "Until then your password stays as it is. If you did not expect this, ask an administrator."
            }
        }
    }
}

impl Letter for PasswordReset {
    fn kind(&self) -> LetterKind {
        LetterKind::PasswordReset
    }

    fn subject(&self) -> String {
        "Choose a new password".to_owned()
    }

    fn secret(&self) -> bool {
        true
    }

    written!(PasswordReset, "mail/password_reset.txt", "mail/password_reset.html");
}

/// The password was set anew through a link.
pub struct PasswordWasReset {
    pub username: String,
    pub at: Timestamp,
    pub ip: String,
}

impl Letter for PasswordWasReset {
    fn kind(&self) -> LetterKind {
        LetterKind::PasswordWasReset
    }

    fn subject(&self) -> String {
        "Your password was changed".to_owned()
    }

    written!(
        PasswordWasReset,
        "mail/password_was_reset.txt",
        "mail/password_was_reset.html"
    );
}

/// The link to choose a first password.
pub struct Invitation {
    pub username: String,
    pub link: String,
    pub until: Timestamp,
}

impl Letter for Invitation {
    fn kind(&self) -> LetterKind {
        LetterKind::Invitation
    }

    fn subject(&self) -> String {
        format!("Your account {}: choose a password", self.username)
    }

    fn secret(&self) -> bool {
        true
    }

    written!(Invitation, "mail/invitation.txt", "mail/invitation.html");
}
