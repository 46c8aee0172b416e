//! Saving the policy: one write creates the revision, its audit event and its announcement, based
//! on the revision in force, or does nothing.

use super::{Edit, PolicySaveOutcome, SaveKind, revision, standing};
use crate::{
    domain::{
        audit::Event,
        policy::{
            Key, Pins, PolicyDocument, PolicyFault, Revision, Scope, Value, Warning,
            diff::{Change, diff},
            posture::Baseline,
            provisional::{CONFIRM_WITHIN, Risk},
        },
        time::Timestamp,
    },
    flows::{Ctx, FlowError, Initiator, Write},
    store::{StoreError, policies},
};

/// The data of a save except its changes.
#[derive(Debug, Clone)]
pub(super) struct SaveRequest {
    /// The revision on which it is based.
    pub(super) base: i64,
    pub(super) reason: String,
    pub(super) kind: SaveKind,
    /// `Some`: it reverts unless confirmed; contains its risks, none if the author requested this.
    pub(super) provisional: Option<Vec<Risk>>,
}

impl SaveRequest {
    /// Creates a save that needs no confirmation.
    fn unconditional(base: i64, reason: String, kind: SaveKind) -> Self {
        Self {
            base,
            reason,
            kind,
            provisional: None,
        }
    }
}

/// A document that is about to be saved, beside the one in force.
pub(super) struct NewDocument {
    pub(super) document: PolicyDocument,
    pub(super) changes: Vec<Change>,
    /// Settings that stay unchanged because the environment pins them.
    pub(super) kept: Vec<(Scope, Key)>,
    pub(super) faults: Vec<PolicyFault>,
    /// The warnings of the whole document.
    pub(super) warnings: Vec<Warning>,
}

impl NewDocument {
    /// Creates a document beside `current`, with pinned settings restored if the kind of save
    /// requires it.
    pub(super) fn new(mut document: PolicyDocument, current: &PolicyDocument, kind: &SaveKind, pins: &Pins) -> Self {
        let kept = if kind.keeps_pinned() {
            document.keep_pinned(current, pins)
        } else {
            Vec::new()
        };
        Self {
            changes: diff(current, &document),
            faults: document.faults_since(current, pins),
            warnings: document.warnings(pins),
            document,
            kept,
        }
    }
}

/// The revision on which a save would be based, after an unconfirmed one whose time is over has
/// been reverted.
pub(super) struct SaveBase {
    /// The revision in force.
    pub(super) current: Revision,
    /// The effective base of the save: an author who started from the revision in force had the
    /// same document.
    pub(super) base: i64,
}

/// Saves edits of the revision `base`.
pub async fn save(
    ctx: &Ctx,
    initiator: &Initiator,
    base: i64,
    edits: Vec<Edit>,
    reason: String,
    kind: SaveKind,
) -> Result<PolicySaveOutcome, FlowError> {
    change(
        ctx,
        initiator,
        SaveRequest::unconditional(base, reason, kind),
        move |document| {
            for edit in edits {
                document.put(&edit.scope, edit.key, edit.value);
            }
        },
    )
    .await
}

/// Saves a complete document in place of the revision `base`.
pub async fn replace(
    ctx: &Ctx,
    initiator: &Initiator,
    base: i64,
    document: PolicyDocument,
    reason: String,
    kind: SaveKind,
) -> Result<PolicySaveOutcome, FlowError> {
    change(
        ctx,
        initiator,
        SaveRequest::unconditional(base, reason, kind),
        move |current| *current = document,
    )
    .await
}

/// Restores revision `number` as a new revision.
pub async fn restore(
    ctx: &Ctx,
    initiator: &Initiator,
    number: i64,
    base: i64,
    reason: String,
) -> Result<PolicySaveOutcome, FlowError> {
    let old = revision(ctx, number).await?.ok_or(FlowError::NotFound)?;
    let kind = SaveKind::Restored { from: number };
    replace(ctx, initiator, base, old.document, reason, kind).await
}

async fn change(
    ctx: &Ctx,
    initiator: &Initiator,
    request: SaveRequest,
    edit: impl FnOnce(&mut PolicyDocument) + Send + 'static,
) -> Result<PolicySaveOutcome, FlowError> {
    let outcome = ctx.write(initiator, move |w| w.change_policy(&request, edit)).await?;
    if let PolicySaveOutcome::Saved { .. } = &outcome {
        ctx.reload_policy().await?;
    }
    Ok(outcome)
}

impl Write<'_> {
    /// Edits the policy in force and saves it; only [`PolicySaveOutcome::Saved`] has changed
    /// anything.
    pub(super) fn change_policy(
        &mut self,
        request: &SaveRequest,
        edit: impl FnOnce(&mut PolicyDocument),
    ) -> Result<PolicySaveOutcome, FlowError> {
        let SaveBase { current, base } = self.save_base(request.base)?;
        if let Some(waiting) = PolicySaveOutcome::of_provisional(&current) {
            return Ok(waiting);
        }
        if current.revision != base {
            return self.stale_save(base, current);
        }
        let mut document = current.document.clone();
        edit(&mut document);
        let pins = self.as_read().pins_in_force()?;
        let new = NewDocument::new(document, &current.document, &request.kind, &pins);
        self.save_document(request, current, new)
    }

    /// Saves a document in place of the revision in force.
    pub(super) fn save_document(
        &mut self,
        request: &SaveRequest,
        current: Revision,
        new: NewDocument,
    ) -> Result<PolicySaveOutcome, FlowError> {
        if new.changes.is_empty() && !matches!(request.kind, SaveKind::Restored { .. }) {
            return Ok(PolicySaveOutcome::Unchanged);
        }
        if !new.faults.is_empty() {
            return Ok(PolicySaveOutcome::Faulty(new.faults));
        }
        let is_provisional = request.provisional.is_some();
        let confirm_by = is_provisional.then(|| self.now.saturating_add(CONFIRM_WITHIN));
        let revision = Revision {
            revision: current.revision + 1,
            at: self.now,
            author: self.initiator.name(),
            reason: request.reason.clone(),
            kind: request.kind.code().to_owned(),
            document: new.document,
            changes: new.changes.clone(),
            confirm_by,
            confirmed: confirm_by.is_none(),
        };
        match policies::insert(self.connection, &revision, current.revision) {
            Ok(()) => {}
            // Another save was first; Postgres answers no further statement in this transaction.
            Err(StoreError::Conflict(_)) => {
                return Ok(PolicySaveOutcome::Stale {
                    latest: Box::new(current),
                    since: Vec::new(),
                });
            }
            Err(error) => return Err(error.into()),
        }
        self.record_save(request, &revision, &new.kept)?;
        Ok(PolicySaveOutcome::Saved {
            revision: revision.revision,
            changes: new.changes,
            warnings: new.warnings,
            confirm_by,
        })
    }

    fn record_save(
        &mut self,
        request: &SaveRequest,
        revision: &Revision,
        kept: &[(Scope, Key)],
    ) -> Result<(), StoreError> {
        let kept = kept.iter().map(|(scope, key)| format!("{scope} {}", key.name()));
        let mut detail = request.kind.to_json();
        let more = serde_json::json!({
            "revision": revision.revision,
            "reason": request.reason,
            "kept_pinned": kept.collect::<Vec<_>>(),
            "changes": revision.changes.iter().map(Change::to_json).collect::<Vec<_>>(),
            "confirm_by": revision.confirm_by.map(Timestamp::to_rfc3339),
            "risks": request.provisional.iter().flatten().map(Risk::as_str).collect::<Vec<_>>(),
        });
        extend(&mut detail, more);
        self.record(&self.entry(request.kind.event()).with_detail(detail))
    }

    /// Sets keys of an application's scope within the write of another flow. Returns the reasons if
    /// nothing was set, one sentence each.
    pub(in crate::flows) fn save_for_application(
        &mut self,
        application: &str,
        values: Vec<(Key, Option<Value>)>,
    ) -> Result<Vec<String>, FlowError> {
        let scope = Scope::Application(application.to_owned());
        let base = standing(self.connection, self.now)?.in_force.revision;
        let request = SaveRequest::unconditional(base, format!("application {application}"), SaveKind::Saved);
        let saved = self.change_policy(&request, |document| {
            for (key, value) in values {
                document.put(&scope, key, value);
            }
        })?;
        Ok(match saved {
            PolicySaveOutcome::Saved { .. } | PolicySaveOutcome::Unchanged => Vec::new(),
            PolicySaveOutcome::Faulty(faults) => faults.iter().map(ToString::to_string).collect(),
            PolicySaveOutcome::Stale { .. } => vec!["The policy was changed at the same time: try again.".to_owned()],
            PolicySaveOutcome::Provisional { revision, author, .. } => vec![format!(
                "Policy revision {revision} of {author} is waiting for confirmation; nothing can be saved until then."
            )],
        })
    }

    /// Returns the revision on which a save based on `base` would be made; an unconfirmed one whose
    /// time is over is reverted in this write.
    pub(super) fn save_base(&mut self, base: i64) -> Result<SaveBase, FlowError> {
        let newest = standing(self.connection, self.now)?;
        let Some(lapsed) = newest.lapsed else {
            return Ok(SaveBase {
                current: newest.in_force,
                base,
            });
        };
        let in_force = newest.in_force.revision;
        let reverted = self.on_behalf_of(Initiator::system(), |w| w.revert_policy(&lapsed, newest.in_force));
        let current = match reverted {
            Ok(reverted) => reverted,
            // Another instance was first.
            Err(StoreError::Conflict(_)) => standing(self.connection, self.now)?.in_force,
            Err(error) => return Err(error.into()),
        };
        let built_on_it = base == in_force && current.revision == lapsed.revision + 1;
        let base = if built_on_it { current.revision } else { base };
        Ok(SaveBase { current, base })
    }

    /// Restores `before` as a new revision after `provisional`. Conflict: it was settled in the
    /// meantime.
    pub(super) fn revert_policy(&mut self, provisional: &Revision, before: Revision) -> Result<Revision, StoreError> {
        let revision = Revision {
            revision: provisional.revision + 1,
            at: self.now,
            author: self.initiator.name(),
            reason: format!("revision {} was not confirmed", provisional.revision),
            kind: "reverted".to_owned(),
            changes: diff(&provisional.document, &before.document),
            document: before.document,
            confirm_by: None,
            confirmed: true,
        };
        policies::withdraw(self.connection, provisional.revision)?;
        policies::insert(self.connection, &revision, provisional.revision)?;
        self.record(&self.entry(Event::PolicyReverted).with_detail(serde_json::json!({
            "revision": revision.revision,
            "reverted": provisional.revision,
            "back_to": before.revision,
            "changes": revision.changes.iter().map(Change::to_json).collect::<Vec<_>>(),
        })))?;
        Ok(revision)
    }

    /// Applies a baseline to the policy in force; its content cannot be refused.
    pub(super) fn apply_baseline(&mut self, baseline: &Baseline) -> Result<(), FlowError> {
        let mut document = baseline.document();
        // Behind https the cookie is sent over https only, with every baseline.
        let pinned = self.ctx.in_force().policy.pins().contains_key(&Key::SessionSecure);
        if self.ctx.config.https() && !pinned {
            document.set(&Scope::Everyone, Key::SessionSecure, Value::Flag(true));
        }
        let kind = SaveKind::Baseline {
            id: baseline.id.to_owned(),
        };
        let base = standing(self.connection, self.now)?.in_force.revision;
        let request = SaveRequest::unconditional(base, format!("baseline {}", baseline.title), kind);
        match self.change_policy(&request, |current| *current = document)? {
            PolicySaveOutcome::Saved { .. } | PolicySaveOutcome::Unchanged => Ok(()),
            PolicySaveOutcome::Faulty(faults) => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                let faults = faults.join("; ");
                Err(FlowError::Internal(format!("the baseline cannot be applied: {faults}")))
            }
            PolicySaveOutcome::Stale { .. } | PolicySaveOutcome::Provisional { .. } => {
                Err(FlowError::Internal("the policy changed meanwhile".into()))
            }
        }
    }

    /// Returns that the policy was saved since `base`, with the changes.
    pub(super) fn stale_save(&mut self, base: i64, latest: Revision) -> Result<PolicySaveOutcome, FlowError> {
        let old = policies::find(self.connection, base)?;
        Ok(PolicySaveOutcome::Stale {
            since: old.map_or_else(Vec::new, |old| diff(&old.document, &latest.document)),
            latest: Box::new(latest),
        })
    }
}

fn extend(detail: &mut serde_json::Value, more: serde_json::Value) {
    if let (Some(detail), serde_json::Value::Object(more)) = (detail.as_object_mut(), more) {
        detail.extend(more);
    }
}
