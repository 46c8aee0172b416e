//! Reading and changing the policy. A save is one revision, its audit event and its announcement; it governs every live session.
//! Saving stands in `save`, what is not saved yet in `draft`, saves that undo themselves in `provisional`.

mod draft;
mod environment;
mod provisional;
mod save;
mod saver;

pub use draft::{
    Proposal, Proposed, Review, Reviewing, discard, draft, drafts, forget_old_drafts, newest_draft, propose, resolve,
    review, save_draft,
};
pub use environment::{PINS_LIVE, pins_in_force, publish_pins, withdraw_pins};
pub use provisional::{Confirmed, confirm, settle, undo};
pub use save::{replace, restore, save};

use super::{Acting, Ctx, FlowError};
use crate::{
    domain::{
        audit::Event,
        policy::{
            Fault, Key, PolicyDocument, Scope, Value, Warning, diff::Change, effective::Policy, posture::Baseline,
        },
        time::Timestamp,
    },
    live::{invalidation::read_policy, policy::InForce},
    store::{
        Conn, StoreError,
        policies::{self, Revision, Standing},
    },
};
use std::sync::Arc;

/// One edit of a document; `None` takes the key out of the scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub scope: Scope,
    pub key: Key,
    pub value: Option<Value>,
}

/// What kind of save it is: kept in the revision and the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveKind {
    Saved,
    Restored { from: i64 },
    Imported,
    Reset,
    Baseline { id: String },
}

impl SaveKind {
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

    /// Whether it brings a document from elsewhere: then what the environment holds fast stays, and is told.
    fn keeps_pinned(&self) -> bool {
        match self {
            Self::Restored { .. } | Self::Imported | Self::Reset | Self::Baseline { .. } => true,
            Self::Saved => false,
        }
    }

    /// `{"kind","restored_from","baseline"}`, as in the audit.
    fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "kind": self.code(),
            "restored_from": match self { Self::Restored { from } => Some(*from), _ => None },
            "baseline": match self { Self::Baseline { id } => Some(id), _ => None },
        })
    }

    /// Reads [`SaveKind::to_json`] back.
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

/// What became of a save.
#[derive(Debug)]
pub enum SaveVerdict {
    Saved {
        revision: i64,
        changes: Vec<Change>,
        warnings: Vec<Warning>,
        /// Undone by itself after this unless confirmed.
        confirm_by: Option<Timestamp>,
    },
    Unchanged,
    Faulty(Vec<Fault>),
    /// Somebody saved meanwhile: the newest revision, and what changed since the base.
    Stale {
        latest: Box<Revision>,
        since: Vec<Change>,
    },
    /// A save waits for its confirmation: nothing can be saved on top of it.
    Provisional {
        revision: i64,
        author: String,
        confirm_by: Timestamp,
    },
}

/// The revision in force and the policy made of it.
pub struct Current {
    pub revision: Revision,
    pub in_force: Arc<InForce>,
}

/// What the editor starts from.
pub async fn in_force(ctx: &Ctx) -> Result<Current, FlowError> {
    let (pins, dev) = ctx.live.environment();
    let now = ctx.now();
    let revision = ctx.store.read(move |c| standing(c, now)).await?.in_force;
    let policy = Policy::new(revision.revision, revision.document.clone(), pins, dev);
    let in_force = Arc::new(InForce::new(policy, revision.at));
    Ok(Current { revision, in_force })
}

/// The newest `limit` revisions before `before`.
pub async fn revisions(ctx: &Ctx, before: Option<i64>, limit: i64) -> Result<Vec<Revision>, FlowError> {
    Ok(ctx.store.read(move |c| policies::list(c, before, limit)).await?)
}

pub async fn revision(ctx: &Ctx, number: i64) -> Result<Option<Revision>, FlowError> {
    Ok(ctx.store.read(move |c| policies::find(c, number)).await?)
}

/// Makes sure that there is a revision; every start calls it.
pub async fn ensure_first_revision(ctx: &Ctx) -> Result<(), FlowError> {
    let (flow, now) = (ctx.clone(), ctx.now());
    ctx.store
        .write(move |c| flow.first_revision_in(c, now, &Acting::system(), None))
        .await
}

fn standing(c: &mut Conn, now: Timestamp) -> Result<Standing, StoreError> {
    policies::standing(c, now)?.ok_or(StoreError::NotFound("policy revision"))
}

impl Ctx {
    /// The policy that governs now: from memory while changes are heard of, else from the database.
    pub async fn current_policy(&self) -> Result<Arc<InForce>, FlowError> {
        if !self.live.freshness.is_fresh() {
            Box::pin(self.reload_policy()).await?;
        }
        Ok(self.in_force())
    }

    /// Takes the newest revision into memory: after a save of our own, or when changes are not heard of.
    pub(super) async fn reload_policy(&self) -> Result<(), FlowError> {
        let (pins, dev) = self.live.environment();
        self.live
            .set_policy(self.store.read(move |c| read_policy(c, pins, dev)).await?);
        Ok(())
    }

    /// The first revision of a new database: the catalogue's defaults, or a baseline. Does nothing when there is one.
    pub(super) fn first_revision_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        baseline: Option<&Baseline>,
    ) -> Result<(), FlowError> {
        if policies::latest(c)?.is_none() {
            let revision = Revision {
                revision: 1,
                at: now,
                author: "system".to_owned(),
                reason: "the defaults".to_owned(),
                kind: "initial".to_owned(),
                document: PolicyDocument::default(),
                changes: Vec::new(),
                confirm_by: None,
                confirmed: true,
            };
            match policies::insert(c, &revision, 0) {
                // Another instance that starts at the same moment was first.
                Ok(()) | Err(StoreError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match baseline {
            Some(baseline) => self.apply_baseline_in(c, now, acting, baseline),
            None => Ok(()),
        }
    }
}
