//! Reading and changing the policy. A save is one revision, its audit event and its announcement;
//! it applies to every live session. `save` saves, `draft` stores drafts, `provisional` handles
//! provisional saves.

mod draft;
mod environment;
mod provisional;
mod save;
mod saver;

pub use draft::{
    DraftSaveOutcome, Proposal, ProposalOutcome, Review, ReviewedDraft, SaveRefusal, discard, draft, forget_old_drafts,
    list_drafts, newest_draft, propose, resolve, review, save_draft,
};
pub use environment::{PINS_LIVE, pins_in_force, publish_pins, withdraw_pins};
pub use provisional::{ConfirmationOutcome, confirm, settle, undo};
pub use save::{replace, restore, save};
pub use saver::PolicySaver;

use super::{Ctx, FlowError, Read, Write};
use crate::{
    domain::{
        audit::Event,
        policy::{
            Key, PolicyDocument, PolicyFault, Revision, Scope, Value, Warning, diff::Change, effective::Policy,
            posture::Baseline,
        },
        time::Timestamp,
    },
    live::{invalidation::read_policy, policy::PolicyInForce},
    store::{
        Conn, StoreError,
        policies::{self, PolicyState},
    },
};
use std::sync::Arc;

/// One edit of a document; `None` unsets the key in the scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The scope.
    pub scope: Scope,
    /// The setting.
    pub key: Key,
    /// The new value.
    pub value: Option<Value>,
}

/// The kind of a save, stored in the revision and the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveKind {
    Saved,
    Restored { from: i64 },
    Imported,
    Reset,
    Baseline { id: String },
}

impl SaveKind {
    /// Returns the stable word for it in the revision.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Saved => "saved",
            Self::Restored { .. } => "restored",
            Self::Imported => "imported",
            Self::Reset => "reset",
            Self::Baseline { .. } => "baseline",
        }
    }

    fn event(&self) -> Event {
        match self {
            Self::Restored { .. } => Event::PolicyRestored,
            Self::Saved | Self::Imported | Self::Reset | Self::Baseline { .. } => Event::PolicyChanged,
        }
    }

    /// Returns whether it takes a document from elsewhere; pinned settings then stay unchanged, and
    /// the result lists them.
    fn keeps_pinned(&self) -> bool {
        match self {
            Self::Restored { .. } | Self::Imported | Self::Reset | Self::Baseline { .. } => true,
            Self::Saved => false,
        }
    }

    /// Converts to `{"kind","restored_from","baseline"}`, as in the audit.
    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "kind": self.code(),
            "restored_from": match self { Self::Restored { from } => Some(*from), _ => None },
            "baseline": match self { Self::Baseline { id } => Some(id), _ => None },
        })
    }

    /// Parses [`SaveKind::to_json`].
    fn from_json(json: &serde_json::Value) -> Option<Self> {
        match json.get("kind")?.as_str()? {
            "saved" => Some(Self::Saved),
            "imported" => Some(Self::Imported),
            "reset" => Some(Self::Reset),
            "restored" => json.get("restored_from")?.as_i64().map(|from| Self::Restored { from }),
            "baseline" => json
                .get("baseline")?
                .as_str()
                .map(|id| Self::Baseline { id: id.to_owned() }),
            _ => None,
        }
    }
}

/// The result of a save.
#[derive(Debug)]
pub enum PolicySaveOutcome {
    Saved {
        revision: i64,
        changes: Vec<Change>,
        warnings: Vec<Warning>,
        /// When it reverts automatically unless confirmed.
        confirm_by: Option<Timestamp>,
    },
    Unchanged,
    Faulty(Vec<PolicyFault>),
    /// A newer revision was saved: the newest revision, and the changes since the base.
    Stale {
        latest: Box<Revision>,
        since: Vec<Change>,
    },
    /// A provisional save is waiting for confirmation; nothing can be saved until then.
    Provisional {
        revision: i64,
        author: String,
        confirm_by: Timestamp,
    },
}

impl PolicySaveOutcome {
    /// Creates the refusal to save while a revision is waiting for confirmation.
    fn of_provisional(current: &Revision) -> Option<Self> {
        Some(Self::Provisional {
            revision: current.revision,
            author: current.author.clone(),
            confirm_by: current.provisional_until()?,
        })
    }
}

/// The revision in force and its policy.
pub struct CurrentPolicy {
    /// The revision as saved.
    pub revision: Revision,
    /// The policy with this instance's pins.
    pub in_force: Arc<PolicyInForce>,
}

/// Returns the revision in force, on which the editor is based.
pub async fn in_force(ctx: &Ctx) -> Result<CurrentPolicy, FlowError> {
    ctx.read(|r| Ok(r.current()?)).await
}

/// Returns the newest `limit` revisions before `before`.
pub async fn revisions(ctx: &Ctx, before: Option<i64>, limit: i64) -> Result<Vec<Revision>, FlowError> {
    ctx.read(move |r| Ok(policies::list(r.connection, before, limit)?))
        .await
}

/// Finds a revision by its number.
pub async fn revision(ctx: &Ctx, number: i64) -> Result<Option<Revision>, FlowError> {
    ctx.read(move |r| Ok(policies::find(r.connection, number)?)).await
}

/// Creates the first revision if there is none. Called at every start.
pub async fn ensure_first_revision(ctx: &Ctx) -> Result<(), FlowError> {
    ctx.write_as_system(|w| w.write_first_revision(None)).await
}

fn standing(connection: &mut Conn, now: Timestamp) -> Result<PolicyState, StoreError> {
    policies::find_state(connection, now)?.ok_or(StoreError::NotFound("policy revision"))
}

impl Read<'_> {
    /// Returns the revision in force and its policy.
    fn current(&mut self) -> Result<CurrentPolicy, StoreError> {
        let revision = standing(self.connection, self.now)?.in_force;
        Ok(self.with_policy(revision))
    }

    /// Returns a revision with its policy.
    fn with_policy(&self, revision: Revision) -> CurrentPolicy {
        let environment = self.ctx.live.environment();
        let policy = Policy::in_environment(revision.revision, revision.document.clone(), environment);
        let in_force = Arc::new(PolicyInForce::new(policy, revision.at));
        CurrentPolicy { revision, in_force }
    }
}

impl Ctx {
    /// Returns the policy in force: from memory while changes arrive, otherwise from the database.
    pub async fn current_policy(&self) -> Result<Arc<PolicyInForce>, FlowError> {
        if !self.live.freshness.is_fresh() {
            Box::pin(self.reload_policy()).await?;
        }
        Ok(self.in_force())
    }

    /// Loads the newest revision into memory: after a save by this instance, or while changes do
    /// not arrive.
    pub(super) async fn reload_policy(&self) -> Result<(), FlowError> {
        let environment = self.live.environment();
        let read = self.store.read(move |connection| read_policy(connection, environment));
        self.live.set_policy(read.await?);
        Ok(())
    }
}

impl Write<'_> {
    /// Writes the first revision of a new database: the catalogue's defaults, or a baseline. Does
    /// nothing if there is one.
    pub(super) fn write_first_revision(&mut self, baseline: Option<&Baseline>) -> Result<(), FlowError> {
        if policies::find_latest(self.connection)?.is_none() {
            let revision = Revision {
                revision: 1,
                at: self.now,
                author: "system".to_owned(),
                reason: "the defaults".to_owned(),
                kind: "initial".to_owned(),
                document: PolicyDocument::default(),
                changes: Vec::new(),
                confirm_by: None,
                confirmed: true,
            };
            match policies::insert(self.connection, &revision, 0) {
                // Another instance that started at the same moment was first.
                Ok(()) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match baseline {
            Some(baseline) => self.apply_baseline(baseline),
            None => Ok(()),
        }
    }
}
