//! The text of each email: a struct with the facts and two templates in `templates/mail`, text and
//! HTML. To add an email, write a struct, implement [`EmailTemplate`] and add the two templates.

/// Implements [`EmailTemplate::render`] with a text and an HTML template.
macro_rules! render_with {
    ($email:ident, $text:tt, $html:tt) => {
        fn render(&self, context: &EmailContext) -> Result<RenderedEmail, askama::Error> {
            #[derive(Template)]
            #[template(path = $text, escape = "none", whitespace = "preserve")]
            struct TextTemplate<'a> {
                email: &'a $email,
                context: &'a EmailContext,
            }
            #[derive(Template)]
            #[template(path = $html, whitespace = "preserve")]
            struct HtmlTemplate<'a> {
                email: &'a $email,
                context: &'a EmailContext,
                subject: String,
            }
            let subject = self.subject();
            let email = self;
            Ok(RenderedEmail {
                text: TextTemplate { email, context }.render()?,
                html: HtmlTemplate {
                    email,
                    context,
                    subject,
                }
                .render()?,
            })
        }
    };
}

pub mod notifications;

use crate::domain::{mail::EmailKind, time::Timestamp};
use askama::Template;

/// An email that can be queued: its kind, its subject and its two bodies.
pub trait EmailTemplate {
    /// Returns the kind under which the email is listed.
    fn kind(&self) -> EmailKind;

    /// Returns the subject line.
    fn subject(&self) -> String;

    /// Returns whether the body has a link that lets its reader in. Such a body is deleted as soon
    /// as the email is sent or has failed.
    fn has_secret_link(&self) -> bool {
        false
    }

    /// Renders the text and the HTML body.
    fn render(&self, context: &EmailContext) -> Result<RenderedEmail, askama::Error>;
}

/// The facts that every email shows: its reader and the installation it comes from.
#[derive(Debug, Clone)]
pub struct EmailContext {
    /// Display name of the reader, or the username where there is none.
    pub name: String,
    /// Address of the installation.
    pub base_url: String,
}

/// The two bodies of an email. They say the same.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RenderedEmail {
    /// Plain text body.
    pub text: String,
    /// HTML body.
    pub html: String,
}

/// Formats an instant for an email: `2026-11-22 03:05 UTC`.
pub fn format_utc(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    match text.get(..16) {
        Some(to_the_minute) => format!("{} UTC", to_the_minute.replace('T', " ")),
        None => text,
    }
}

/// An email that an administrator sends to check that mail arrives.
pub struct TestEmail {
    /// When it was sent.
    pub sent_at: Timestamp,
}

impl EmailTemplate for TestEmail {
    fn kind(&self) -> EmailKind {
        EmailKind::Test
    }

    fn subject(&self) -> String {
        "Nightlatch test email".to_owned()
    }

    render_with!(TestEmail, "mail/test.txt", "mail/test.html");
}

/// An email with the link to choose a new password.
pub struct PasswordResetEmail {
    /// Name of the account.
    pub username: String,
    /// The link, which works once.
    pub link: String,
    /// When the link expires.
    pub until: Timestamp,
    /// Why the link was sent.
    pub reason: ResetReason,
}

/// The reason for which a link to choose a new password was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResetReason {
    /// A visitor at this IP address requested it on the sign-in page.
    Forgotten {
        /// IP address of the request.
        ip: String,
    },
    /// The owner reported a sign-in as not theirs, which disabled the password.
    SignInReported,
    /// An administrator sent it.
    Administrator,
}

impl PasswordResetEmail {
    /// Returns the last paragraph: what happens when the link is not used.
    fn closing(&self) -> &'static str {
        match self.reason {
            ResetReason::Forgotten { .. } => {
                "If you did not request this, ignore this email: your password stays as it is."
            }
            ResetReason::SignInReported => "Until you choose a new password, nobody can sign in with a password.",
            ResetReason::Administrator => {
                "Your current password keeps working until you choose a new one. If you did not expect this, ask an \
                 administrator."
            }
        }
    }
}

impl EmailTemplate for PasswordResetEmail {
    fn kind(&self) -> EmailKind {
        EmailKind::PasswordReset
    }

    fn subject(&self) -> String {
        "Choose a new password".to_owned()
    }

    fn has_secret_link(&self) -> bool {
        true
    }

    render_with!(
        PasswordResetEmail,
        "mail/password_reset.txt",
        "mail/password_reset.html"
    );
}

/// A confirmation that the password was changed through a mailed link.
pub struct PasswordWasResetEmail {
    /// Name of the account.
    pub username: String,
    /// When the password was changed.
    pub at: Timestamp,
    /// IP address from which the link was used.
    pub ip: String,
}

impl EmailTemplate for PasswordWasResetEmail {
    fn kind(&self) -> EmailKind {
        EmailKind::PasswordWasReset
    }

    fn subject(&self) -> String {
        "Your password was changed".to_owned()
    }

    render_with!(
        PasswordWasResetEmail,
        "mail/password_was_reset.txt",
        "mail/password_was_reset.html"
    );
}

/// An email with the link to choose the first password of a new account.
pub struct InvitationEmail {
    /// Name of the account.
    pub username: String,
    /// The link, which works once.
    pub link: String,
    /// When the link expires.
    pub until: Timestamp,
}

impl EmailTemplate for InvitationEmail {
    fn kind(&self) -> EmailKind {
        EmailKind::Invitation
    }

    fn subject(&self) -> String {
        format!("Your account {}: choose a password", self.username)
    }

    fn has_secret_link(&self) -> bool {
        true
    }

    render_with!(InvitationEmail, "mail/invitation.txt", "mail/invitation.html");
}
