//! The failures of sending email.

/// A mail server that cannot be used at all, as a sentence.
#[derive(Debug, thiserror::Error)]
#[error("mail: {0}")]
pub struct MailError(pub String);

/// An email that was not accepted, with the reason as the server stated it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// It may be accepted later.
    Temporary(String),
    /// This email will never be accepted.
    Permanent(String),
}
