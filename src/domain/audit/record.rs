//! The stored audit event, and the filter of audit lists.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    super::{account::AccountId, session::SessionId, time::Timestamp},
    AuditEntry, Event, EventOutcome,
};

/// One event as the audit stores it: written once, removed only by retention.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    /// A version 7 UUID with about the time of `at`, so that events of one instant keep their
    /// order.
    pub id: Uuid,
    /// The time of the event.
    pub at: Timestamp,
    /// The kind of event.
    pub event: Event,
    /// A name, `anonymous`, `system` or `cli:user`; it is an account only if `actor_id` is set.
    pub actor: String,
    /// The acting account.
    pub actor_id: Option<AccountId>,
    /// Name of the account concerned.
    pub account: Option<String>,
    /// The account concerned; `None` with a name: no account has the name.
    pub account_id: Option<AccountId>,
    /// The session concerned.
    pub session_id: Option<SessionId>,
    /// The client's IP address.
    pub ip: Option<IpAddr>,
    /// User agent of the request.
    pub user_agent: Option<String>,
    /// The application concerned.
    pub application: Option<String>,
    /// Whether it succeeded.
    pub outcome: EventOutcome,
    /// Code of the reason.
    pub reason: Option<String>,
    /// Further facts, which depend on the event.
    pub detail: Value,
    /// The request that caused it.
    pub request_id: Option<String>,
}

impl AuditRecord {
    /// Creates the record that is written for an entry.
    pub fn new(id: Uuid, at: Timestamp, entry: &AuditEntry) -> AuditRecord {
        AuditRecord {
            id,
            at,
            event: entry.event,
            actor: entry.actor.to_string(),
            actor_id: entry.actor.account_id(),
            account: entry.account.as_ref().map(|(_, name)| name.clone()),
            account_id: entry.account.as_ref().and_then(|(id, _)| *id),
            session_id: entry.session,
            ip: entry.origin.ip,
            user_agent: entry.origin.user_agent.clone(),
            application: entry.application.clone(),
            outcome: entry.outcome,
            reason: entry.reason.clone(),
            detail: entry.detail.clone(),
            request_id: entry.origin.request_id.clone(),
        }
    }

    /// The members of [`AuditRecord::to_json`], the columns of exports.
    pub const FIELDS: &[&str] = &[
        "id",
        "at",
        "event",
        "actor",
        "account",
        "session_id",
        "ip",
        "user_agent",
        "application",
        "outcome",
        "reason",
        "detail",
        "request_id",
    ];

    /// Returns the JSON of `audit list --json` and of the security log.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "at": self.at.to_rfc3339(),
            "event": self.event.as_str(),
            "actor": self.actor,
            "account": self.account,
            "session_id": self.session_id.map(|id| id.0),
            "ip": self.ip,
            "user_agent": self.user_agent,
            "application": self.application,
            "outcome": self.outcome.as_str(),
            "reason": self.reason,
            "detail": self.detail,
            "request_id": self.request_id,
        })
    }
}

/// Conditions that every event of a list meets, and where its page starts.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only these events; empty: all.
    pub events: Vec<Event>,
    /// None of these events.
    pub exclude_events: Vec<Event>,
    /// The actor's complete name, in any case.
    pub actor: Option<String>,
    /// The complete name of the account concerned, in any case.
    pub account: Option<String>,
    /// The account concerned.
    pub account_id: Option<AccountId>,
    /// The session concerned.
    pub session: Option<SessionId>,
    /// Only events from an address in this network.
    pub network: Option<IpNetwork>,
    /// Only events with this outcome.
    pub outcome: Option<EventOutcome>,
    /// Only events at or after this instant.
    pub since: Option<Timestamp>,
    /// Only events at or before this instant.
    pub until: Option<Timestamp>,
    /// Text within actor, account, address, user agent, application, reason, event code or request
    /// ID, in any case.
    pub text: Option<String>,
    /// Instant and ID after which the page starts.
    pub after: Option<(Timestamp, Uuid)>,
    /// Instant and ID before which the page ends.
    pub before: Option<(Timestamp, Uuid)>,
    /// Maximum number of events on one page.
    pub limit: i64,
}

impl AuditFilter {
    /// Returns the conditions as JSON, for the record of an export.
    pub fn describe(&self) -> Value {
        json!({
            "events": self.events.iter().map(|event| event.as_str()).collect::<Vec<_>>(),
            "exclude_events": self.exclude_events.iter().map(|event| event.as_str()).collect::<Vec<_>>(),
            "actor": self.actor,
            "account": self.account,
            "account_id": self.account_id.map(|id| id.0),
            "session_id": self.session.map(|id| id.0),
            "network": self.network.map(|network| network.to_string()),
            "outcome": self.outcome.map(|outcome| outcome.as_str()),
            "since": self.since.map(|at| at.to_rfc3339()),
            "until": self.until.map(|at| at.to_rfc3339()),
            "text": self.text,
        })
    }
}
