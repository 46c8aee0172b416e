//! Reading and changing the policy. A save is one revision, its audit event and its announcement; it governs every live session.

use super::{Acting, Ctx, FlowError};
use crate::{
    domain::{
        audit::Event,
        policy::{
            Fault, Key, PolicyDocument, Scope, Value, Warning,
            diff::{Change, diff},
            document::Baseline,
            effective::Policy,
        },
        time::Timestamp,
    },
    live::{invalidation::read_policy, policy::InForce},
    store::{
        Conn, StoreError,
        changes::{self, ChangeKind},
        policies::{self, Revision},
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
    fn code(&self) -> &'static str {
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
}

/// What became of a save.
#[derive(Debug)]
pub enum SaveVerdict {
    Saved {
        revision: i64,
        changes: Vec<Change>,
        warnings: Vec<Warning>,
    },
    Unchanged,
    Faulty(Vec<Fault>),
    /// Somebody saved meanwhile: the newest revision, and what changed since the base.
    Stale {
        latest: Box<Revision>,
        since: Vec<Change>,
    },
}

/// The newest revision and the policy made of it.
pub struct Current {
    pub revision: Revision,
    pub in_force: Arc<InForce>,
}

/// What the editor starts from.
pub async fn in_force(ctx: &Ctx) -> Result<Current, FlowError> {
    let known = ctx.live.policy();
    let (pins, dev) = (known.policy.pins().clone(), known.policy.dev());
    let revision = ctx.store.read(latest).await?;
    let policy = Policy::new(revision.revision, revision.document.clone(), pins, dev);
    let in_force = Arc::new(InForce::new(policy, revision.at));
    Ok(Current { revision, in_force })
}

/// Saves edits of the revision `base`.
pub async fn save(
    ctx: &Ctx,
    acting: &Acting,
    base: i64,
    edits: Vec<Edit>,
    reason: String,
    kind: SaveKind,
) -> Result<SaveVerdict, FlowError> {
    change(ctx, acting, base, reason, kind, move |document| {
        for edit in edits {
            match edit.value {
                Some(value) => document.set(&edit.scope, edit.key, value),
                None => document.unset(&edit.scope, edit.key),
            }
        }
    })
    .await
}

/// Saves a whole document in place of the revision `base`.
pub async fn replace(
    ctx: &Ctx,
    acting: &Acting,
    base: i64,
    document: PolicyDocument,
    reason: String,
    kind: SaveKind,
) -> Result<SaveVerdict, FlowError> {
    change(ctx, acting, base, reason, kind, move |current| *current = document).await
}

/// Makes revision `number` the newest again, as a new revision.
pub async fn restore(
    ctx: &Ctx,
    acting: &Acting,
    number: i64,
    base: i64,
    reason: String,
) -> Result<SaveVerdict, FlowError> {
    let old = revision(ctx, number).await?.ok_or(FlowError::NotFound)?;
    replace(
        ctx,
        acting,
        base,
        old.document,
        reason,
        SaveKind::Restored { from: number },
    )
    .await
}

/// The newest `limit` revisions before `before`.
pub async fn revisions(ctx: &Ctx, before: Option<i64>, limit: i64) -> Result<Vec<Revision>, FlowError> {
    Ok(ctx.store.read(move |c| policies::list(c, before, limit)).await?)
}

pub async fn revision(ctx: &Ctx, number: i64) -> Result<Option<Revision>, FlowError> {
    Ok(ctx.store.read(move |c| policies::find(c, number)).await?)
}

async fn change(
    ctx: &Ctx,
    acting: &Acting,
    base: i64,
    reason: String,
    kind: SaveKind,
    edit: impl FnOnce(&mut PolicyDocument) + Send + 'static,
) -> Result<SaveVerdict, FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    let verdict = ctx
        .store
        .write(move |c| flow.change_in(c, now, &acting, base, &reason, &kind, edit))
        .await;
    if let Ok(SaveVerdict::Saved { .. }) = &verdict {
        ctx.reload_policy().await?;
    }
    verdict
}

fn latest(c: &mut Conn) -> Result<Revision, StoreError> {
    policies::latest(c)?.ok_or(StoreError::NotFound("policy revision"))
}

impl Ctx {
    /// The policy that governs now: from memory while changes are heard of, else from the database.
    pub async fn current_policy(&self) -> Result<Arc<InForce>, FlowError> {
        if !self.live.freshness.is_fresh() {
            self.reload_policy().await?;
        }
        Ok(self.live.policy())
    }

    /// Takes the newest revision into memory: after a save of our own, or when changes are not heard of.
    pub(super) async fn reload_policy(&self) -> Result<(), FlowError> {
        let known = self.live.policy();
        let (pins, dev) = (known.policy.pins().clone(), known.policy.dev());
        self.live
            .set_policy(self.store.read(move |c| read_policy(c, pins, dev)).await?);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one save, inside one write")]
    fn change_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        base: i64,
        reason: &str,
        kind: &SaveKind,
        edit: impl FnOnce(&mut PolicyDocument),
    ) -> Result<SaveVerdict, FlowError> {
        let current = latest(c)?;
        if current.revision != base {
            let since = policies::find(c, base)?
                .map(|old| diff(&old.document, &current.document))
                .unwrap_or_default();
            return Ok(SaveVerdict::Stale {
                latest: Box::new(current),
                since,
            });
        }
        let mut document = current.document.clone();
        edit(&mut document);
        let pins = self.pins_in_force(c)?;
        let kept: Vec<String> = match kind {
            // What the environment holds fast stays as it is, and is told.
            SaveKind::Restored { .. } | SaveKind::Imported => document.keep_pinned(&current.document, &pins),
            SaveKind::Saved | SaveKind::Reset | SaveKind::Baseline { .. } => Vec::new(),
        }
        .into_iter()
        .map(|(scope, key)| format!("{scope} {}", key.name()))
        .collect();
        let changes = diff(&current.document, &document);
        if changes.is_empty() && !matches!(kind, SaveKind::Restored { .. }) {
            return Ok(SaveVerdict::Unchanged);
        }
        let faults = document.faults_since(&current.document, &pins);
        if !faults.is_empty() {
            return Ok(SaveVerdict::Faulty(faults));
        }
        let warnings = document.warnings(&pins);
        let revision = Revision {
            revision: base + 1,
            at: now,
            author: acting.name(),
            reason: reason.to_owned(),
            kind: kind.code().to_owned(),
            document,
            changes: changes.clone(),
            confirm_by: None,
            confirmed: true,
        };
        match policies::insert(c, &revision, base) {
            Ok(()) => {}
            Err(StoreError::Conflict(_)) => {
                return Ok(SaveVerdict::Stale {
                    latest: Box::new(current),
                    since: Vec::new(),
                });
            }
            Err(error) => return Err(error.into()),
        }
        changes::announce(c, ChangeKind::Policy, &revision.revision.to_string())?;
        let detail = serde_json::json!({
            "revision": revision.revision,
            "kind": kind.code(),
            "restored_from": match kind { SaveKind::Restored { from } => Some(*from), _ => None },
            "baseline": match kind { SaveKind::Baseline { id } => Some(id), _ => None },
            "reason": reason,
            "kept_pinned": kept,
            "changes": changes.iter().map(Change::to_json).collect::<Vec<_>>(),
        });
        self.record(c, now, &self.entry_of(acting, kind.event(), None, detail))?;
        Ok(SaveVerdict::Saved {
            revision: revision.revision,
            changes,
            warnings,
        })
    }

    /// This process's pins and those that other servers published lately.
    pub(super) fn pins_in_force(&self, c: &mut Conn) -> Result<crate::domain::policy::Pins, StoreError> {
        let mut pins = self.live.policy().policy.pins().clone();
        for (_, published) in policies::pins(c, self.pins_fresh_since())? {
            for (key, value) in published {
                pins.entry(key).or_insert(value);
            }
        }
        Ok(pins)
    }

    /// Pins of servers that have not renewed them since are of servers that are gone.
    pub fn pins_fresh_since(&self) -> Timestamp {
        const PINS_LIVE_SECS: i64 = 120;
        self.now()
            .saturating_sub(crate::domain::time::Span::from_secs(PINS_LIVE_SECS))
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
        if let Some(baseline) = baseline {
            let document = (baseline.document)();
            let kind = SaveKind::Baseline {
                id: baseline.id.to_owned(),
            };
            let base = latest(c)?.revision;
            match self.change_in(
                c,
                now,
                acting,
                base,
                &format!("baseline {}", baseline.title),
                &kind,
                |current| *current = document,
            )? {
                SaveVerdict::Saved { .. } | SaveVerdict::Unchanged => {}
                SaveVerdict::Faulty(faults) => {
                    let words: Vec<String> = faults
                        .iter()
                        .map(|fault| format!("{}: {}", fault.key, fault.message))
                        .collect();
                    return Err(FlowError::Internal(format!(
                        "the baseline cannot be applied: {}",
                        words.join("; ")
                    )));
                }
                SaveVerdict::Stale { .. } => return Err(FlowError::Internal("the policy changed meanwhile".into())),
            }
        }
        Ok(())
    }
}

/// Makes sure that there is a revision; every start calls it.
pub async fn ensure_first_revision(ctx: &Ctx) -> Result<(), FlowError> {
    let (flow, now) = (ctx.clone(), ctx.now());
    ctx.store
        .write(move |c| flow.first_revision_in(c, now, &Acting::system(), None))
        .await
}

/// Publishes this server's pins, so that the command line and other instances see them.
pub async fn publish_pins(ctx: &Ctx) -> Result<(), FlowError> {
    let pins = ctx.live.policy().policy.pins().clone();
    let (instance, now) = (ctx.store.writer().to_owned(), ctx.now());
    Ok(ctx
        .store
        .write(move |c| policies::publish_pins(c, &instance, &pins, now))
        .await?)
}

/// This server goes: its pins no longer hold for others.
pub async fn withdraw_pins(ctx: &Ctx) -> Result<(), FlowError> {
    let instance = ctx.store.writer().to_owned();
    Ok(ctx.store.write(move |c| policies::withdraw_pins(c, &instance)).await?)
}
