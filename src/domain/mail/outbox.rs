//! The stored email, and the filter of email lists.

use uuid::Uuid;

use super::{
    super::{account::AccountId, time::Timestamp},
    EmailState,
};

/// An email to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEmail {
    /// Its identity in the outbox.
    pub id: Uuid,
    /// Code of its kind.
    pub kind: String,
    /// The account it is about.
    pub account: Option<AccountId>,
    /// The recipient's address.
    pub recipient: String,
    /// The recipient's name; may be empty.
    pub recipient_name: String,
    /// Subject line.
    pub subject: String,
    /// JSON of the text part and the HTML part.
    pub body: String,
    /// Whether the body contains a secret link; it is then also removed when sending fails.
    pub secret: bool,
    /// Message-ID, the same at every attempt.
    pub message_id: String,
    /// Key for which at most one email is queued.
    pub dedupe: Option<String>,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// The last instant at which it is useful.
    pub give_up_at: Timestamp,
}

/// An email in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEmail {
    /// Its identity in the outbox.
    pub id: Uuid,
    /// Code of its kind.
    pub kind: String,
    /// The account it is about.
    pub account: Option<AccountId>,
    /// The recipient's address.
    pub recipient: String,
    /// The recipient's name; may be empty.
    pub recipient_name: String,
    /// Subject line.
    pub subject: String,
    /// The body; `None`: removed, see [`NewEmail::secret`].
    pub body: Option<String>,
    /// See [`NewEmail::secret`].
    pub secret: bool,
    /// Message-ID, the same at every attempt.
    pub message_id: String,
    /// Its state.
    pub state: EmailState,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// Earliest instant of the next attempt.
    pub due_at: Timestamp,
    /// The last instant at which it is useful.
    pub give_up_at: Timestamp,
    /// Attempts started; also the number of the latest lease.
    pub attempts: i32,
    /// The mail server's reply to the latest attempt.
    pub words: String,
    /// When it was sent, failed or was cancelled.
    pub finished_at: Option<Timestamp>,
}

/// Conditions that every email of a list meets, and where its page starts.
#[derive(Debug, Clone, Default)]
pub struct EmailFilter {
    /// Only emails in this state.
    pub state: Option<EmailState>,
    /// `queued_at` and ID after which the page starts.
    pub after: Option<(Timestamp, Uuid)>,
    /// `queued_at` and ID before which the page ends.
    pub before: Option<(Timestamp, Uuid)>,
    /// Maximum number of emails on one page.
    pub limit: i64,
}
