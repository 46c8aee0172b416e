//! A sign-in that was sent to a provider, and what can come of it.

use crate::{
    domain::{
        audit::AuditEntry,
        source::{IdentitySource, SourceId},
        text::quote_stranger,
        time::Timestamp,
    },
    flows::login::{FactorDue, OpenedSession},
    identity::oidc::SignInSecrets,
};
use serde_json::json;

/// A sign-in that has been sent to a provider, as the browser keeps it in an encrypted cookie.
#[derive(Clone)]
pub struct PendingProviderSignIn {
    /// The source with which it began: the answer of another one is refused.
    pub source: SourceId,
    /// Its random values.
    pub secrets: SignInSecrets,
    /// When it began.
    pub started_at: Timestamp,
    /// The validated return address; may be empty.
    pub return_to: String,
}

/// Why a sign-in at a provider failed, for the sign-in page. The audit has the details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRefusal {
    /// The audit's reason code.
    pub code: &'static str,
    /// The message for the person, who may read it to an administrator.
    pub message: String,
    /// Whether the provider is out of service, so that it is worth trying again.
    pub is_outage: bool,
}

/// The result of a sign-in at a provider.
pub enum ProviderSignInOutcome {
    /// A session was opened.
    Accepted(Box<OpenedSession>),
    /// The identity is proved, but a second factor is required here.
    FactorNeeded(Box<FactorDue>),
    /// Nothing was opened.
    Refused(ProviderRefusal),
    /// The account has no access to the application.
    NotAllowed,
    /// There is no such provider.
    Unknown,
}

/// Creates the event of a refused sign-in at a provider.
pub(super) fn refusal_entry(entry: AuditEntry, source: &IdentitySource, code: &str, words: &str) -> AuditEntry {
    let detail = json!({ "source": source.name.as_str(), "message": words });
    entry.failed(code).with_detail(detail)
}

/// Adds what the provider calls the person who was refused.
pub(super) fn with_username(mut entry: AuditEntry, username: Option<&str>) -> AuditEntry {
    if let Some(username) = username {
        entry.detail["username"] = quote_stranger(username).into();
    }
    entry
}
