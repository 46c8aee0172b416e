//! What is about to be saved: edits of a revision, kept until their author has reviewed them. Whatever the screen saves
//! comes through here: the editor, an import, a restore, an item of the posture.

use super::{
    super::{Acting, Ctx, FlowError, PURGED},
    Current, Edit, SaveKind, SaveVerdict, in_force, revision,
    save::Save,
};
use crate::{
    domain::{
        account::AccountId,
        policy::{
            Fault, Key, Pins, PolicyDocument, Scope, Warning,
            diff::{Change, diff},
            effective::Policy,
            merge::{Conflict, Side, merge, rebase},
            provisional::{Risk, risks},
        },
        time::{Span, Timestamp},
    },
    store::{
        Conn, StoreError,
        policies::drafts::{self as rows, Draft},
    },
};
use uuid::Uuid;

/// Drafts that one author may have; the oldest go.
const MOST_DRAFTS: i64 = 10;
/// A draft that nobody saved is forgotten after a week.
const KEPT: Span = Span::from_secs(7 * 86_400);

/// Edits that somebody wants reviewed.
pub struct Proposal {
    /// The draft that the edits go into, and the scope that they replace there; the other scopes' edits stay.
    pub into: Option<(Uuid, Scope)>,
    /// The revision that they were made from.
    pub base: i64,
    pub kind: SaveKind,
    pub edits: Vec<Edit>,
    pub reason: String,
    /// What the review tells beside the changes.
    pub notes: Vec<String>,
}

/// What became of a proposal.
#[derive(Debug)]
pub enum Proposed {
    Draft(Uuid),
    /// It says what the policy says already.
    Unchanged,
    Faulty(Vec<Fault>),
}

/// A draft on top of what is in force now.
pub struct Review {
    pub draft: Draft,
    pub kind: SaveKind,
    pub current: Current,
    /// As it would be saved; conflicts are as they stand in force.
    pub document: PolicyDocument,
    pub changes: Vec<Change>,
    /// Settings that somebody else changed meanwhile, to another value.
    pub conflicts: Vec<Conflict>,
    /// What changed in force since the draft was made.
    pub since: Vec<Change>,
    /// Left as they are, for the environment fixes them.
    pub kept: Vec<(Scope, Key)>,
    pub faults: Vec<Fault>,
    pub warnings: Vec<Warning>,
    pub risks: Vec<Risk>,
}

/// A reviewed draft that its author wants saved.
pub struct Reviewing {
    pub draft: Uuid,
    /// The revision that the review showed.
    pub base: i64,
    pub reason: String,
    /// To be confirmed even if nothing is risky about it.
    pub provisional: bool,
}

/// Makes a draft of edits, or adds them to one.
pub async fn propose(ctx: &Ctx, acting: &Acting, proposal: Proposal) -> Result<Proposed, FlowError> {
    let author = author(acting)?;
    let base = revision(ctx, proposal.base).await?.ok_or(FlowError::NotFound)?.document;
    let (flow, now) = (ctx.clone(), ctx.now());
    ctx.store
        .write(move |c| flow.propose_in(c, now, author, &base, proposal))
        .await
}

/// The author's draft of that id.
pub async fn draft(ctx: &Ctx, acting: &Acting, id: Uuid) -> Result<Option<Draft>, FlowError> {
    let author = author(acting)?;
    Ok(ctx.store.read(move |c| rows::find(c, author, id)).await?)
}

/// The author's drafts, newest first.
pub async fn drafts(ctx: &Ctx, acting: &Acting) -> Result<Vec<Draft>, FlowError> {
    let author = author(acting)?;
    Ok(ctx.store.read(move |c| rows::list(c, author, MOST_DRAFTS)).await?)
}

/// The author's newest draft as it would be in force.
pub async fn newest_draft(ctx: &Ctx, acting: &Acting) -> Result<Option<(Uuid, Policy)>, FlowError> {
    let Some(draft) = drafts(ctx, acting).await?.into_iter().next() else {
        return Ok(None);
    };
    let (kind, current, flow) = (kind_of(&draft)?, in_force(ctx).await?, ctx.clone());
    let pins = ctx.store.read(move |c| flow.pins_in_force(c)).await?;
    let document = build(&current.revision.document, &draft, &kind, &pins).document;
    let policy = Policy::new(0, document, pins, current.in_force.policy.dev());
    Ok(Some((draft.id, policy)))
}

/// Throws a draft away; false: there is none.
pub async fn discard(ctx: &Ctx, acting: &Acting, id: Uuid) -> Result<bool, FlowError> {
    let author = author(acting)?;
    Ok(ctx.store.write(move |c| rows::delete(c, author, id)).await?)
}

/// Drafts that nobody came back to.
pub async fn forget_old_drafts(ctx: &Ctx) -> Result<(), FlowError> {
    let before = ctx.now().saturating_sub(KEPT);
    ctx.store.write(move |c| rows::purge(c, before, PURGED)).await?;
    Ok(())
}

/// The draft as it would be saved now; `None`: there is no such draft of this author.
pub async fn review(ctx: &Ctx, acting: &Acting, id: Uuid) -> Result<Option<Review>, FlowError> {
    let Some(draft) = draft(ctx, acting, id).await? else {
        return Ok(None);
    };
    let kind = kind_of(&draft)?;
    let current = in_force(ctx).await?;
    let flow = ctx.clone();
    let pins = ctx.store.read(move |c| flow.pins_in_force(c)).await?;
    let built = build(&current.revision.document, &draft, &kind, &pins);
    let since = match revision(ctx, draft.base).await? {
        Some(base) => diff(&base.document, &current.revision.document),
        None => Vec::new(),
    };
    let new = Policy::new(0, built.document.clone(), pins.clone(), current.in_force.policy.dev());
    let saver = ctx.saver_facts(acting, &current.in_force.policy, &new).await?;
    let changes = diff(&current.revision.document, &built.document);
    // What stands already and is not touched is no part of what is decided here.
    let standing = current.revision.document.warnings(&pins);
    let touched = |warning: &Warning| {
        let of_it = |change: &Change| change.scope == warning.scope && change.key == warning.key;
        !standing.contains(warning) || changes.iter().any(of_it)
    };
    let mut warnings = built.document.warnings(&pins);
    warnings.retain(touched);
    Ok(Some(Review {
        changes,
        faults: built.document.faults_since(&current.revision.document, &pins),
        warnings,
        risks: risks(&current.in_force.policy, &new, &saver, ctx.now()),
        document: built.document,
        conflicts: built.conflicts,
        kept: built.kept,
        since,
        draft,
        kind,
        current,
    }))
}

/// Decides conflicts of a draft and puts it on top of revision `base`, which the answers were given for.
/// False: there is no such draft.
pub async fn resolve(
    ctx: &Ctx,
    acting: &Acting,
    id: Uuid,
    base: i64,
    answers: Vec<(Scope, Key, Side)>,
) -> Result<bool, FlowError> {
    let author = author(acting)?;
    let newest = revision(ctx, base).await?.ok_or(FlowError::NotFound)?.document;
    let now = ctx.now();
    Ok(ctx
        .store
        .write(move |c| {
            let Some(mut draft) = rows::find(c, author, id)? else {
                return Ok(false);
            };
            draft.changes = rebase(&newest, &draft.changes, |conflict| {
                let answer = answers
                    .iter()
                    .find(|(scope, key, _)| *scope == conflict.scope && *key == conflict.key);
                answer.map(|(_, _, side)| *side)
            });
            // While a conflict is open the draft stays on the revision that it was made from.
            if merge(&newest, &draft.changes).conflicts.is_empty() {
                draft.base = base;
            }
            draft.at = now;
            rows::save(c, &draft)?;
            Ok::<_, StoreError>(true)
        })
        .await?)
}

/// Saves a draft as it was reviewed; `None`: there is no such draft of this author. A risky one must be confirmed.
pub async fn save_draft(ctx: &Ctx, acting: &Acting, reviewed: Reviewing) -> Result<Option<SaveVerdict>, FlowError> {
    let Some(review) = review(ctx, acting, reviewed.draft).await? else {
        return Ok(None);
    };
    if review.current.revision.revision != reviewed.base || !review.conflicts.is_empty() {
        return Ok(Some(SaveVerdict::Stale {
            since: review.since,
            latest: Box::new(review.current.revision),
        }));
    }
    let provisional = (reviewed.provisional || !review.risks.is_empty()).then_some(review.risks);
    let save = Save {
        acting: acting.clone(),
        base: reviewed.base,
        reason: reviewed.reason,
        kind: review.kind,
        provisional,
    };
    let (flow, now, draft, document) = (ctx.clone(), ctx.now(), review.draft, review.document);
    let verdict = ctx
        .store
        .write(move |c| {
            let verdict = flow.change_in(c, now, &save, |current| *current = document)?;
            if matches!(verdict, SaveVerdict::Saved { .. } | SaveVerdict::Unchanged) {
                rows::delete(c, draft.author, draft.id)?;
            }
            Ok::<_, FlowError>(verdict)
        })
        .await?;
    if let SaveVerdict::Saved { .. } = &verdict {
        ctx.reload_policy().await?;
    }
    Ok(Some(verdict))
}

struct Built {
    document: PolicyDocument,
    conflicts: Vec<Conflict>,
    kept: Vec<(Scope, Key)>,
}

/// The draft on top of `newest`.
fn build(newest: &PolicyDocument, draft: &Draft, kind: &SaveKind, pins: &Pins) -> Built {
    let merged = merge(newest, &draft.changes);
    let mut document = merged.document;
    let kept = if kind.keeps_pinned() {
        document.keep_pinned(newest, pins)
    } else {
        Vec::new()
    };
    Built {
        document,
        conflicts: merged.conflicts,
        kept,
    }
}

fn kind_of(draft: &Draft) -> Result<SaveKind, FlowError> {
    SaveKind::from_json(&draft.about)
        .ok_or_else(|| FlowError::Internal(format!("policy draft {}: unknown kind", draft.id)))
}

/// Only people draft: the command line saves at once.
fn author(acting: &Acting) -> Result<AccountId, FlowError> {
    acting
        .account_id()
        .ok_or_else(|| FlowError::Internal("a draft needs an account".to_owned()))
}

impl Ctx {
    fn propose_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        author: AccountId,
        base: &PolicyDocument,
        proposal: Proposal,
    ) -> Result<Proposed, FlowError> {
        let known = match &proposal.into {
            Some((id, scope)) => rows::find(c, author, *id)?.map(|draft| (draft, scope)),
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
        let draft = Draft {
            id: known.as_ref().map_or_else(|| self.new_id(now), |(draft, _)| draft.id),
            author,
            at: now,
            base: proposal.base,
            about: known.map_or_else(|| proposal.kind.to_json(), |(draft, _)| draft.about),
            reason: proposal.reason,
            changes,
            notes: proposal.notes,
        };
        self.keep_draft_in(c, base, draft, &proposal.kind)
    }

    fn keep_draft_in(
        &self,
        c: &mut Conn,
        base: &PolicyDocument,
        draft: Draft,
        kind: &SaveKind,
    ) -> Result<Proposed, FlowError> {
        let pins = self.pins_in_force(c)?;
        let built = build(base, &draft, kind, &pins);
        let faults = built.document.faults_since(base, &pins);
        if !faults.is_empty() {
            return Ok(Proposed::Faulty(faults));
        }
        if draft.changes.is_empty() || (built.conflicts.is_empty() && built.document == *base) {
            rows::delete(c, draft.author, draft.id)?;
            return Ok(Proposed::Unchanged);
        }
        rows::save(c, &draft)?;
        for old in rows::list(c, draft.author, MOST_DRAFTS + 1)?
            .iter()
            .skip(MOST_DRAFTS as usize)
        {
            rows::delete(c, draft.author, old.id)?;
        }
        Ok(Proposed::Draft(draft.id))
    }
}
