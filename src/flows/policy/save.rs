//! Saving: one write makes the revision, its audit event and its announcement, on top of what is in force or not at all.

use super::{
    super::{Acting, Ctx, FlowError},
    Edit, SaveKind, SaveVerdict, revision,
};
use crate::{
    domain::{
        audit::Event,
        policy::{
            Key, PolicyDocument, Scope, Value,
            diff::{Change, diff},
            posture::Baseline,
            provisional::{CONFIRM_WITHIN, Risk},
        },
        time::Timestamp,
    },
    store::{
        Conn, StoreError,
        policies::{self, Revision},
    },
};

/// Everything about a save but what it changes.
#[derive(Debug, Clone)]
pub(super) struct Save {
    pub acting: Acting,
    /// The revision that it was made from.
    pub base: i64,
    pub reason: String,
    pub kind: SaveKind,
    /// `Some`: it undoes itself unless confirmed; with what makes it risky, none when the saver wished it.
    pub provisional: Option<Vec<Risk>>,
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
    change(ctx, for_good(acting, base, reason, kind), move |document| {
        for edit in edits {
            document.put(&edit.scope, edit.key, edit.value);
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
    change(ctx, for_good(acting, base, reason, kind), move |current| {
        *current = document
    })
    .await
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
    let kind = SaveKind::Restored { from: number };
    replace(ctx, acting, base, old.document, reason, kind).await
}

fn for_good(acting: &Acting, base: i64, reason: String, kind: SaveKind) -> Save {
    Save {
        acting: acting.clone(),
        base,
        reason,
        kind,
        provisional: None,
    }
}

async fn change(
    ctx: &Ctx,
    save: Save,
    edit: impl FnOnce(&mut PolicyDocument) + Send + 'static,
) -> Result<SaveVerdict, FlowError> {
    let (flow, now) = (ctx.clone(), ctx.now());
    let verdict = ctx.store.write(move |c| flow.change_in(c, now, &save, edit)).await;
    if let Ok(SaveVerdict::Saved { .. }) = &verdict {
        ctx.reload_policy().await?;
    }
    verdict
}

impl Ctx {
    /// Saves inside a write; only [`SaveVerdict::Saved`] has changed anything.
    pub(super) fn change_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        save: &Save,
        edit: impl FnOnce(&mut PolicyDocument),
    ) -> Result<SaveVerdict, FlowError> {
        let (current, base) = self.newest_in(c, now, save.base)?;
        if let Some(confirm_by) = current.provisional_until() {
            return Ok(SaveVerdict::Provisional {
                revision: current.revision,
                author: current.author,
                confirm_by,
            });
        }
        if current.revision != base {
            return stale(c, base, current);
        }
        let mut document = current.document.clone();
        edit(&mut document);
        let pins = self.pins_in_force(c)?;
        let kept = if save.kind.keeps_pinned() {
            document.keep_pinned(&current.document, &pins)
        } else {
            Vec::new()
        };
        let changes = diff(&current.document, &document);
        if changes.is_empty() && !matches!(save.kind, SaveKind::Restored { .. }) {
            return Ok(SaveVerdict::Unchanged);
        }
        let faults = document.faults_since(&current.document, &pins);
        if !faults.is_empty() {
            return Ok(SaveVerdict::Faulty(faults));
        }
        let warnings = document.warnings(&pins);
        let confirm_by = save.provisional.as_ref().map(|_| now.saturating_add(CONFIRM_WITHIN));
        let revision = Revision {
            revision: base + 1,
            at: now,
            author: save.acting.name(),
            reason: save.reason.clone(),
            kind: save.kind.code().to_owned(),
            document,
            changes: changes.clone(),
            confirm_by,
            confirmed: confirm_by.is_none(),
        };
        match policies::insert(c, &revision, base) {
            Ok(()) => {}
            // Somebody was faster by a moment; Postgres answers nothing more in this transaction.
            Err(StoreError::Conflict(_)) => {
                return Ok(SaveVerdict::Stale {
                    latest: Box::new(current),
                    since: Vec::new(),
                });
            }
            Err(error) => return Err(error.into()),
        }
        let kept = kept.iter().map(|(scope, key)| format!("{scope} {}", key.name()));
        let mut detail = save.kind.to_json();
        let more = serde_json::json!({
            "revision": revision.revision,
            "reason": save.reason,
            "kept_pinned": kept.collect::<Vec<_>>(),
            "changes": changes.iter().map(Change::to_json).collect::<Vec<_>>(),
            "confirm_by": confirm_by.map(Timestamp::to_rfc3339),
            "risks": save.provisional.iter().flatten().map(Risk::as_str).collect::<Vec<_>>(),
        });
        extend(&mut detail, more);
        self.record(c, now, &self.entry_of(&save.acting, save.kind.event(), None, detail))?;
        Ok(SaveVerdict::Saved {
            revision: revision.revision,
            changes,
            warnings,
            confirm_by,
        })
    }

    /// Sets keys of an application's scope within somebody else's write. `Some`: why nothing was set, a sentence each.
    pub(in crate::flows) fn set_for_application_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        application: &str,
        values: Vec<(Key, Option<Value>)>,
    ) -> Result<Option<Vec<String>>, FlowError> {
        let scope = Scope::Application(application.to_owned());
        let base = super::standing(c, now)?.in_force.revision;
        let save = for_good(acting, base, format!("application {application}"), SaveKind::Saved);
        let saved = self.change_in(c, now, &save, |document| {
            for (key, value) in values {
                document.put(&scope, key, value);
            }
        })?;
        Ok(match saved {
            SaveVerdict::Saved { .. } | SaveVerdict::Unchanged => None,
            SaveVerdict::Faulty(faults) => Some(faults.iter().map(ToString::to_string).collect()),
            SaveVerdict::Stale { .. } => Some(vec!["The policy was changed at the same moment: try again.".to_owned()]),
            SaveVerdict::Provisional { revision, author, .. } => Some(vec![format!(
                "Policy revision {revision} of {author} waits for its confirmation; nothing can be saved before that."
            )]),
        })
    }

    /// The newest revision, after an unconfirmed one has been undone in this write; and the base as it counts from
    /// here, for whoever built on what was in force had the same document before them.
    fn newest_in(&self, c: &mut Conn, now: Timestamp, base: i64) -> Result<(Revision, i64), FlowError> {
        let standing = super::standing(c, now)?;
        let Some(lapsed) = standing.lapsed else {
            return Ok((standing.in_force, base));
        };
        let in_force = standing.in_force.revision;
        let newest = match self.revert_in(c, now, &Acting::system(), &lapsed, standing.in_force) {
            Ok(reverted) => reverted,
            // Another instance was faster.
            Err(StoreError::Conflict(_)) => super::standing(c, now)?.in_force,
            Err(error) => return Err(error.into()),
        };
        let built_on_it = base == in_force && newest.revision == lapsed.revision + 1;
        Ok((newest.clone(), if built_on_it { newest.revision } else { base }))
    }

    /// Puts `before` back in force, as a new revision on top of `provisional`. Conflict: it was settled meanwhile.
    pub(super) fn revert_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        provisional: &Revision,
        before: Revision,
    ) -> Result<Revision, StoreError> {
        let revision = Revision {
            revision: provisional.revision + 1,
            at: now,
            author: acting.name(),
            reason: format!("revision {} was not confirmed", provisional.revision),
            kind: "reverted".to_owned(),
            changes: diff(&provisional.document, &before.document),
            document: before.document,
            confirm_by: None,
            confirmed: true,
        };
        policies::withdraw(c, provisional.revision)?;
        policies::insert(c, &revision, provisional.revision)?;
        let detail = serde_json::json!({
            "revision": revision.revision,
            "reverted": provisional.revision,
            "back_to": before.revision,
            "changes": revision.changes.iter().map(Change::to_json).collect::<Vec<_>>(),
        });
        self.record(c, now, &self.entry_of(acting, Event::PolicyReverted, None, detail))?;
        Ok(revision)
    }

    /// A baseline on top of what is in force; it cannot be refused for its content.
    pub(super) fn apply_baseline_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        baseline: &Baseline,
    ) -> Result<(), FlowError> {
        let document = baseline.document();
        let kind = SaveKind::Baseline {
            id: baseline.id.to_owned(),
        };
        let base = super::standing(c, now)?.in_force.revision;
        let save = for_good(acting, base, format!("baseline {}", baseline.title), kind);
        match self.change_in(c, now, &save, |current| *current = document)? {
            SaveVerdict::Saved { .. } | SaveVerdict::Unchanged => Ok(()),
            SaveVerdict::Faulty(faults) => {
                let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
                let words = words.join("; ");
                Err(FlowError::Internal(format!("the baseline cannot be applied: {words}")))
            }
            SaveVerdict::Stale { .. } | SaveVerdict::Provisional { .. } => {
                Err(FlowError::Internal("the policy changed meanwhile".into()))
            }
        }
    }
}

fn stale(c: &mut Conn, base: i64, latest: Revision) -> Result<SaveVerdict, FlowError> {
    let since = policies::find(c, base)?
        .map(|old| diff(&old.document, &latest.document))
        .unwrap_or_default();
    Ok(SaveVerdict::Stale {
        latest: Box::new(latest),
        since,
    })
}

fn extend(detail: &mut serde_json::Value, more: serde_json::Value) {
    if let (Some(detail), serde_json::Value::Object(more)) = (detail.as_object_mut(), more) {
        detail.extend(more);
    }
}
