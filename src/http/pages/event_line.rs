//! One audit event as the account's owner sees it: the event, its origin, and the actor if it was
//! someone else.

use super::admin::audit_line::sentence;
use crate::domain::{
    account::AccountId,
    agent,
    audit::{AuditRecord, EventOutcome},
    time::Timestamp,
};

/// One event of an account, as its owner reads it.
pub struct EventLine {
    pub at: Timestamp,
    pub sentence: String,
    pub ok: bool,
    /// The actor, if it was someone known other than the owner.
    pub by: Option<String>,
    /// The device of the owner or of the person who tried to sign in; an administrator's device is
    /// not shown to the owner.
    pub device: String,
    pub ip: String,
}

impl EventLine {
    /// Returns the line of an event for the account’s owner.
    pub fn new(row: &AuditRecord, owner: AccountId) -> Self {
        let by_another = row.actor_id.is_some_and(|actor| actor != owner);
        let by = match row.actor.as_str() {
            "anonymous" => None,
            "system" => Some("Nightlatch (automatic)".to_owned()),
            actor if actor.starts_with("cli:") => Some("an operator".to_owned()),
            actor => by_another.then(|| actor.to_owned()),
        };
        let from_there = by.is_none();
        let device = row.user_agent.as_deref().filter(|_| from_there);
        Self {
            at: row.at,
            sentence: sentence(row),
            ok: row.outcome == EventOutcome::Success,
            by,
            device: device.map(|text| agent::describe(Some(text))).unwrap_or_default(),
            ip: row
                .ip
                .filter(|_| from_there)
                .map(|ip| ip.to_string())
                .unwrap_or_default(),
        }
    }
}
