//! Drafts: edits of a revision, stored until their author has reviewed them. Every save in the
//! console comes through here: the editor, an import, a restore, an item of the posture. A review
//! is computed once per request, on one snapshot, and the save is exactly what was reviewed.

use super::{
    CurrentPolicy, Edit, PolicySaveOutcome, SaveKind, revision,
    save::{NewDocument, SaveBase, SaveRequest},
    saver::PolicySaver,
};
use crate::{
    domain::{
        account::AccountId,
        policy::{
            Key, Pins, PolicyDocument, PolicyDraft, PolicyFault, Scope, Warning,
            diff::{Change, diff},
            effective::{Policy, PolicyEnvironment},
            merge::{Conflict, ConflictSide, merge, rebase},
            provisional::{Risk, risks},
            secure_mismatch::SecureMismatch,
        },
        secret,
        time::Span,
    },
    flows::{Ctx, FlowError, Initiator, PURGED, Read, Write},
    store::{
        StoreError,
        policies::{self, drafts as rows},
    },
};
use uuid::Uuid;

/// Maximum number of drafts of one author; the oldest are deleted.
const MAX_DRAFTS: i64 = 10;
/// How long an unsaved draft is kept.
const RETENTION: Span = Span::from_secs(7 * 86_400);

/// Edits to be reviewed.
pub struct Proposal {
    /// The draft to which the edits are added, and the scope whose edits they replace there; edits
    /// of other scopes stay.
    pub into: Option<(Uuid, Scope)>,
    /// The revision on which they are based.
    pub base: i64,
    /// The kind of save.
    pub kind: SaveKind,
    /// The edits.
    pub edits: Vec<Edit>,
    /// The reason for the change.
    pub reason: String,
    /// Comments that the review shows beside the changes.
    pub notes: Vec<String>,
}

/// The result of a proposal.
#[derive(Debug)]
pub enum ProposalOutcome {
    /// The edits are in this draft.
    Draft(Uuid),
    /// The policy already has these values.
    Unchanged,
    /// It cannot be saved.
    Faulty(Vec<PolicyFault>),
}

/// A draft merged with the policy in force.
pub struct Review {
    /// The draft as its author left it.
    pub draft: PolicyDraft,
    /// The kind of save.
    pub kind: SaveKind,
    /// The policy in force.
    pub current: CurrentPolicy,
    /// The document that would be saved; conflicting settings have the values in force.
    pub document: PolicyDocument,
    /// The changes that would be saved.
    pub changes: Vec<Change>,
    /// Settings that another author changed to different values in the meantime.
    pub conflicts: Vec<Conflict>,
    /// Changes of the policy in force since the draft was made.
    pub since: Vec<Change>,
    /// Settings that stay unchanged because the environment pins them.
    pub kept: Vec<(Scope, Key)>,
    /// The reasons why it cannot be saved.
    pub faults: Vec<PolicyFault>,
    /// Warnings about the changed settings.
    pub warnings: Vec<Warning>,
    /// The risks of the save for its author.
    pub risks: Vec<Risk>,
    /// Why the drafted `session.secure` does not match the public URL.
    pub secure_mismatch: Option<SecureMismatch>,
    /// The fingerprint of the save; a different one means that something has changed since it was
    /// shown.
    pub fingerprint: String,
    /// The warnings of the whole document.
    all_warnings: Vec<Warning>,
}

/// A reviewed draft that its author wants to save.
pub struct ReviewedDraft {
    /// The draft.
    pub draft: Uuid,
    /// The revision that the review showed.
    pub base: i64,
    /// [`Review::fingerprint`] of the review; empty: only the revision is compared.
    pub fingerprint: String,
    /// The reason for the save.
    pub reason: String,
    /// Whether it must be confirmed even without a risk.
    pub provisional: bool,
    /// Whether a [`SecureMismatch`] was confirmed.
    pub confirm_secure: bool,
    /// Whether passkeys work under the address of the request that saves.
    pub has_passkeys: bool,
}

/// The result of a [`ReviewedDraft`].
pub enum DraftSaveOutcome {
    /// It applies to every live session now.
    Saved {
        /// The number of the revision.
        revision: i64,
        /// The changes.
        changes: Vec<Change>,
        /// The kind of save.
        kind: SaveKind,
        /// Whether it reverts automatically unless confirmed.
        is_provisional: bool,
    },
    /// The policy in force already has these values.
    Unchanged,
    /// Nothing was saved: the current review, and the reason.
    Refused(Box<Review>, SaveRefusal),
}

/// The reason why a reviewed draft was not saved.
#[derive(Debug)]
pub enum SaveRefusal {
    /// A [`SecureMismatch`] was not confirmed.
    SecureUnconfirmed,
    /// It cannot be saved.
    Faulty(Vec<PolicyFault>),
    /// Something has changed since the review, or is in conflict.
    Stale,
    /// A save is waiting for confirmation; nothing can be saved until then.
    Provisional,
}

/// Creates a draft from edits, or adds them to one.
pub async fn propose(ctx: &Ctx, initiator: &Initiator, proposal: Proposal) -> Result<ProposalOutcome, FlowError> {
    let author = author(initiator)?;
    let base = revision(ctx, proposal.base).await?.ok_or(FlowError::NotFound)?.document;
    ctx.write(initiator, move |w| Ok(w.propose(author, &base, proposal)?))
        .await
}

/// Finds the author's draft by its ID.
pub async fn draft(ctx: &Ctx, initiator: &Initiator, id: Uuid) -> Result<Option<PolicyDraft>, FlowError> {
    let author = author(initiator)?;
    ctx.read(move |r| Ok(rows::find(r.connection, author, id)?)).await
}

/// Lists the author's drafts, newest first.
pub async fn list_drafts(ctx: &Ctx, initiator: &Initiator) -> Result<Vec<PolicyDraft>, FlowError> {
    let author = author(initiator)?;
    ctx.read(move |r| Ok(rows::list(r.connection, author, MAX_DRAFTS)?))
        .await
}

/// Returns the author's newest draft as the policy it would be.
pub async fn newest_draft(ctx: &Ctx, initiator: &Initiator) -> Result<Option<(Uuid, Policy)>, FlowError> {
    let author = author(initiator)?;
    ctx.read(move |r| {
        let Some(draft) = rows::list(r.connection, author, 1)?.into_iter().next() else {
            return Ok(None);
        };
        let kind = kind_of(&draft)?;
        let current = r.current()?;
        let pins = r.pins_in_force()?;
        let document = build(&current.revision.document, &draft, &kind, &pins).new.document;
        let environment = current.in_force.policy.environment().clone();
        let policy = Policy::in_environment(0, document, PolicyEnvironment { pins, ..environment });
        Ok(Some((draft.id, policy)))
    })
    .await
}

/// Deletes a draft. Returns false if there is none.
pub async fn discard(ctx: &Ctx, initiator: &Initiator, id: Uuid) -> Result<bool, FlowError> {
    let author = author(initiator)?;
    ctx.write(initiator, move |w| Ok(rows::delete(w.connection, author, id)?))
        .await
}

/// Deletes drafts that were not saved in time.
pub async fn forget_old_drafts(ctx: &Ctx) -> Result<(), FlowError> {
    let before = ctx.now().saturating_sub(RETENTION);
    let purge = ctx
        .store
        .write(move |connection| rows::purge(connection, before, PURGED).map(drop));
    Ok(purge.await?)
}

/// Returns the draft as it would be saved now; `None`: this author has no such draft.
pub async fn review(ctx: &Ctx, saver: PolicySaver, id: Uuid) -> Result<Option<Review>, FlowError> {
    let author = author(&saver.initiator)?;
    ctx.read(move |r| {
        let Some(draft) = rows::find(r.connection, author, id)? else {
            return Ok(None);
        };
        let current = r.current()?;
        r.review(&saver, draft, current).map(Some)
    })
    .await
}

/// Decides conflicts of a draft and applies it to revision `base`, for which the answers were
/// given. Returns false if there is no such draft.
pub async fn resolve(
    ctx: &Ctx,
    initiator: &Initiator,
    id: Uuid,
    base: i64,
    answers: Vec<(Scope, Key, ConflictSide)>,
) -> Result<bool, FlowError> {
    let author = author(initiator)?;
    ctx.write(initiator, move |w| {
        let newest = policies::find(w.connection, base)?.ok_or(FlowError::NotFound)?.document;
        let Some(mut draft) = rows::find(w.connection, author, id)? else {
            return Ok(false);
        };
        draft.changes = rebase(&newest, &draft.changes, |conflict| {
            let answer = answers
                .iter()
                .find(|(scope, key, _)| *scope == conflict.scope && *key == conflict.key);
            answer.map(|(_, _, side)| *side)
        });
        // While a conflict is open the draft stays on the revision from which it was made.
        if merge(&newest, &draft.changes).conflicts.is_empty() {
            draft.base = base;
        }
        draft.at = w.now;
        rows::save(w.connection, &draft)?;
        Ok(true)
    })
    .await
}

/// Saves a draft as it was reviewed; `None`: this author has no such draft. A risky save must be
/// confirmed.
pub async fn save_draft(
    ctx: &Ctx,
    initiator: &Initiator,
    reviewed: ReviewedDraft,
) -> Result<Option<DraftSaveOutcome>, FlowError> {
    let author = author(initiator)?;
    let outcome = ctx.write(initiator, move |w| {
        match rows::find(w.connection, author, reviewed.draft)? {
            Some(draft) => w.save_reviewed(draft, reviewed).map(Some),
            None => Ok(None),
        }
    });
    let outcome = outcome.await?;
    if let Some(DraftSaveOutcome::Saved { .. }) = &outcome {
        ctx.reload_policy().await?;
    }
    Ok(outcome)
}

impl Read<'_> {
    /// Merges a draft with the policy in force.
    fn review(&mut self, saver: &PolicySaver, draft: PolicyDraft, current: CurrentPolicy) -> Result<Review, FlowError> {
        let kind = kind_of(&draft)?;
        let pins = self.pins_in_force()?;
        let newest = &current.revision.document;
        let BuiltDraft { new, conflicts } = build(newest, &draft, &kind, &pins);
        let since = match policies::find(self.connection, draft.base)? {
            Some(base) => diff(&base.document, newest),
            None => Vec::new(),
        };
        let old_policy = &current.in_force.policy;
        let environment = PolicyEnvironment {
            pins: pins.clone(),
            ..old_policy.environment().clone()
        };
        let new_policy = Policy::in_environment(0, new.document.clone(), environment);
        let saver = self.saver_facts(saver, old_policy, &new_policy)?;
        Ok(Review {
            fingerprint: fingerprint(&new),
            secure_mismatch: SecureMismatch::find(&new.changes, self.ctx.config.https()),
            warnings: touched_warnings(&new, newest.warnings(&pins)),
            risks: risks(old_policy, &new_policy, &saver, self.now),
            changes: new.changes,
            faults: new.faults,
            document: new.document,
            kept: new.kept,
            all_warnings: new.warnings,
            conflicts,
            since,
            draft,
            kind,
            current,
        })
    }
}

/// Returns the warnings about the changed settings; existing warnings about other settings are not
/// part of the decision.
fn touched_warnings(new: &NewDocument, standing: Vec<Warning>) -> Vec<Warning> {
    let is_touched = |warning: &&Warning| {
        let is_of = |change: &Change| change.scope == warning.scope && change.key == warning.key;
        !standing.contains(warning) || new.changes.iter().any(is_of)
    };
    new.warnings.iter().filter(is_touched).cloned().collect()
}

/// Returns the fingerprint of a save.
fn fingerprint(new: &NewDocument) -> String {
    let kept: Vec<String> = new
        .kept
        .iter()
        .map(|(scope, key)| format!("{scope} {}", key.name()))
        .collect();
    secret::digest(&format!("{} {kept:?}", new.document.to_json()))
}

impl Review {
    /// Returns why it cannot be saved as it was reviewed.
    fn refusal(&self, reviewed: &ReviewedDraft, base: i64) -> Option<SaveRefusal> {
        let is_shown = reviewed.fingerprint.is_empty() || reviewed.fingerprint == self.fingerprint;
        if self.secure_mismatch.is_some() && !reviewed.confirm_secure {
            Some(SaveRefusal::SecureUnconfirmed)
        } else if self.current.revision.provisional_until().is_some() {
            Some(SaveRefusal::Provisional)
        } else if self.current.revision.revision != base || !self.conflicts.is_empty() || !is_shown {
            Some(SaveRefusal::Stale)
        } else if !self.faults.is_empty() {
            Some(SaveRefusal::Faulty(self.faults.clone()))
        } else {
            None
        }
    }
}

impl Write<'_> {
    /// Reviews the draft within the write and saves it if it matches the shown review.
    fn save_reviewed(&mut self, draft: PolicyDraft, reviewed: ReviewedDraft) -> Result<DraftSaveOutcome, FlowError> {
        let SaveBase { current, base } = self.save_base(reviewed.base)?;
        let saver = PolicySaver {
            initiator: self.initiator.clone(),
            has_passkeys: reviewed.has_passkeys,
        };
        let mut read = self.as_read();
        let current = read.with_policy(current);
        let review = read.review(&saver, draft, current)?;
        if let Some(refusal) = review.refusal(&reviewed, base) {
            return Ok(DraftSaveOutcome::Refused(Box::new(review), refusal));
        }
        let is_provisional = reviewed.provisional || !review.risks.is_empty();
        let request = SaveRequest {
            base,
            reason: reviewed.reason,
            kind: review.kind.clone(),
            provisional: is_provisional.then(|| review.risks.clone()),
        };
        let new = NewDocument {
            document: review.document.clone(),
            changes: review.changes.clone(),
            kept: review.kept.clone(),
            faults: Vec::new(),
            warnings: review.all_warnings.clone(),
        };
        let saved = self.save_document(&request, review.current.revision.clone(), new)?;
        if matches!(saved, PolicySaveOutcome::Saved { .. } | PolicySaveOutcome::Unchanged) {
            rows::delete(self.connection, review.draft.author, review.draft.id)?;
        }
        Ok(match saved {
            PolicySaveOutcome::Saved { revision, changes, .. } => DraftSaveOutcome::Saved {
                revision,
                changes,
                kind: request.kind,
                is_provisional,
            },
            PolicySaveOutcome::Unchanged => DraftSaveOutcome::Unchanged,
            PolicySaveOutcome::Faulty(faults) => {
                DraftSaveOutcome::Refused(Box::new(review), SaveRefusal::Faulty(faults))
            }
            PolicySaveOutcome::Stale { .. } => DraftSaveOutcome::Refused(Box::new(review), SaveRefusal::Stale),
            PolicySaveOutcome::Provisional { .. } => {
                DraftSaveOutcome::Refused(Box::new(review), SaveRefusal::Provisional)
            }
        })
    }
}

/// A draft as it would be saved.
struct BuiltDraft {
    new: NewDocument,
    conflicts: Vec<Conflict>,
}

/// Applies the draft to `newest`.
fn build(newest: &PolicyDocument, draft: &PolicyDraft, kind: &SaveKind, pins: &Pins) -> BuiltDraft {
    let merged = merge(newest, &draft.changes);
    BuiltDraft {
        new: NewDocument::new(merged.document, newest, kind, pins),
        conflicts: merged.conflicts,
    }
}

fn kind_of(draft: &PolicyDraft) -> Result<SaveKind, FlowError> {
    SaveKind::from_json(&draft.about)
        .ok_or_else(|| FlowError::Internal(format!("policy draft {}: unknown kind", draft.id)))
}

/// Returns the author; only users have drafts, because the command line saves immediately.
fn author(initiator: &Initiator) -> Result<AccountId, FlowError> {
    initiator
        .account_id()
        .ok_or_else(|| FlowError::Internal("a draft needs an account".to_owned()))
}

impl Write<'_> {
    fn propose(
        &mut self,
        author: AccountId,
        base: &PolicyDocument,
        proposal: Proposal,
    ) -> Result<ProposalOutcome, StoreError> {
        let known = match &proposal.into {
            Some((id, scope)) => rows::find(self.connection, author, *id)?.map(|draft| (draft, scope)),
            None => None,
        };
        let mut changes: Vec<Change> = match &known {
            Some((draft, scope)) => draft
                .changes
                .iter()
                .filter(|change| change.scope != **scope)
                .cloned()
                .collect(),
            None => Vec::new(),
        };
        changes.extend(proposal.edits.into_iter().filter_map(|edit| {
            let old = base.get(&edit.scope, edit.key).cloned();
            (old != edit.value).then_some(Change {
                scope: edit.scope,
                key: edit.key,
                old,
                new: edit.value,
            })
        }));
        let draft = PolicyDraft {
            id: known
                .as_ref()
                .map_or_else(|| self.ctx.new_id(self.now), |(draft, _)| draft.id),
            author,
            at: self.now,
            base: proposal.base,
            about: known.map_or_else(|| proposal.kind.to_json(), |(draft, _)| draft.about),
            reason: proposal.reason,
            changes,
            notes: proposal.notes,
        };
        self.keep_draft(base, draft, &proposal.kind)
    }

    /// Stores a draft that changes something and can be saved; the author's oldest ones are
    /// deleted.
    fn keep_draft(
        &mut self,
        base: &PolicyDocument,
        draft: PolicyDraft,
        kind: &SaveKind,
    ) -> Result<ProposalOutcome, StoreError> {
        let pins = self.as_read().pins_in_force()?;
        let built = build(base, &draft, kind, &pins);
        if !built.new.faults.is_empty() {
            return Ok(ProposalOutcome::Faulty(built.new.faults));
        }
        if draft.changes.is_empty() || (built.conflicts.is_empty() && built.new.document == *base) {
            rows::delete(self.connection, draft.author, draft.id)?;
            return Ok(ProposalOutcome::Unchanged);
        }
        rows::save(self.connection, &draft)?;
        let drafts = rows::list(self.connection, draft.author, MAX_DRAFTS + 1)?;
        for old in drafts.iter().skip(MAX_DRAFTS as usize) {
            rows::delete(self.connection, draft.author, old.id)?;
        }
        Ok(ProposalOutcome::Draft(draft.id))
    }
}
