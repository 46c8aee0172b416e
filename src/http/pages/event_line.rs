//! One audit event as its owner sees it: what happened on the account, from where, and who else did it.

use super::admin::audit_line::sentence;
use crate::{
    domain::{account::AccountId, agent, audit::Outcome, time::Timestamp},
    flows::rows::AuditRow,
};

pub struct EventLine {
    pub at: Timestamp,
    pub sentence: String,
    pub ok: bool,
    /// Whoever did it, when it was not the owner and nobody unknown.
    pub by: Option<String>,
    /// Of the owner, or of whoever tried to be: an administrator's own are not the owner's business.
    pub device: String,
    pub ip: String,
}

impl EventLine {
    pub fn new(row: &AuditRow, owner: AccountId) -> Self {
        let by_another = row.actor_id.is_some_and(|actor| actor != owner);
        let by = match row.actor.as_str() {
            "anonymous" => None,
            "system" => Some("Nightlatch, by a rule".to_owned()),
            actor if actor.starts_with("cli:") => Some("an operator".to_owned()),
            actor => by_another.then(|| actor.to_owned()),
        };
        let from_there = by.is_none();
        let device = row.user_agent.as_deref().filter(|_| from_there);
        Self {
            at: row.at,
            sentence: sentence(row),
            ok: row.outcome == Outcome::Success,
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
