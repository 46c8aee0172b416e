//! The initiator of an action: the actor and the request. Every event of the action names them.

use super::{
    super::{account::AccountId, client::Client, session::SessionId},
    Actor, AuditEntry, Event, RequestOrigin,
};

/// The actor who started an action, with the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initiator {
    /// The acting account, program or operator.
    pub actor: Actor,
    /// The request that started it.
    pub origin: RequestOrigin,
    /// The session in which it was started.
    pub session: Option<SessionId>,
}

impl Initiator {
    /// The program itself: jobs and rules.
    pub fn system() -> Self {
        Self {
            actor: Actor::System,
            origin: RequestOrigin::default(),
            session: None,
        }
    }

    /// A client that is not signed in.
    pub fn anonymous(client: &Client) -> Self {
        Self {
            actor: Actor::Anonymous,
            origin: client.origin(),
            session: None,
        }
    }

    /// Creates an audit entry for this initiator; the caller adds the other fields.
    pub fn entry(&self, event: Event) -> AuditEntry {
        AuditEntry {
            session: self.session,
            ..AuditEntry::new(event, self.actor.clone()).from_origin(self.origin.clone())
        }
    }

    /// The initiating account, when it is one.
    pub fn account_id(&self) -> Option<AccountId> {
        match &self.actor {
            Actor::Account { id, .. } => Some(*id),
            Actor::Anonymous | Actor::System | Actor::Cli { .. } => None,
        }
    }

    /// Returns whether the actor is a person with a known name: a signed-in user, or an operator at
    /// the command line.
    pub fn is_person(&self) -> bool {
        match self.actor {
            Actor::Account { .. } | Actor::Cli { .. } => true,
            Actor::Anonymous | Actor::System => false,
        }
    }

    /// Name shown in revisions and lists.
    pub fn name(&self) -> String {
        match &self.actor {
            Actor::Account { name, .. } => name.clone(),
            Actor::Anonymous => "anonymous".to_owned(),
            Actor::System => "system".to_owned(),
            Actor::Cli { user } => format!("cli:{user}"),
        }
    }
}
