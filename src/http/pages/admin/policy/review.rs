//! `/admin/policy/review`: what a draft changes, whom that concerns, what speaks against it; and the one place where the
//! screen saves a policy. Which draft it is stands in the URL, so that the page can be left and come back to.
use super::effect;
use super::history::revision_line;
use super::view::{ConflictView, DraftLine, ReviewLine, ReviewPage, Since};
use crate::domain::duration::humanize;
use crate::domain::policy::diff::Change;
use crate::domain::policy::merge::{Conflict, Side};
use crate::domain::policy::provisional::Risk;
use crate::domain::policy::{Key, PolicyDocument, Scope, Value};
use crate::flows::Ctx;
use crate::flows::policy::{self, Review, Reviewing, SaveKind, SaveVerdict};
use crate::flows::rows::Draft;
use crate::http::error::PageError;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::{Form, Query};
use crate::http::pages::admin::part::DiffLine;
use crate::http::pages::{Shell, page, see_other};
use crate::http::paths;
use crate::http::step_up::{Confirmed, Critical};
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use uuid::Uuid;

pub fn href(draft: Uuid) -> String {
    format!("{}?draft={draft}", paths::ADMIN_POLICY_REVIEW)
}

/// A malformed id names no draft.
pub fn draft_id(text: &str) -> Result<Uuid, PageError> {
    Uuid::parse_str(text).map_err(|_| PageError::NotFound)
}

pub fn draft_line(draft: &Draft) -> DraftLine {
    DraftLine {
        href: href(draft.id),
        at: draft.at,
        changes: draft.changes.len(),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    draft: String,
}

/// `GET /admin/policy/review?draft=ID`; without a draft, the newest one.
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Asked>,
    shown: Query<effect::Asked>,
) -> Result<HttpResponse, PageError> {
    if asked.0.draft.is_empty() {
        return Ok(match policy::drafts(&ctx, &admin.0.acting).await?.first() {
            Some(newest) => see_other(&href(newest.id)),
            None => redirect(
                &req,
                paths::ADMIN_POLICY,
                &Flash::info("There is nothing to review: change something first."),
            ),
        });
    }
    let review = reviewed(&ctx, &admin, draft_id(&asked.0.draft)?).await?;
    let mut view = drawn(&req, &ctx, &admin, &review, Vec::new(), None).await?;
    if !review.changes.is_empty() {
        view.effect = Some(effect::effect(&ctx, &admin, review.draft.id, &review.document, &shown.0).await?);
        view.past = effect::past(&ctx, &review.document, &shown.0).await?;
    }
    page(StatusCode::OK, &view)
}

pub async fn reviewed(ctx: &Ctx, admin: &Admin, draft: Uuid) -> Result<Review, PageError> {
    policy::review(ctx, &admin.0.acting, draft)
        .await?
        .ok_or(PageError::NotFound)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Save {
    draft: String,
    base: String,
    reason: String,
    /// Ticked: it is to be confirmed, risky or not.
    provisional: Option<String>,
    confirm_secure: Option<String>,
}

impl Critical for Save {}

/// `POST /admin/policy/review`
pub async fn save(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(admin, form): Confirmed<Admin, Form<Save>>,
) -> Result<HttpResponse, PageError> {
    let form = form.0;
    let draft = draft_id(&form.draft)?;
    let review = reviewed(&ctx, &admin, draft).await?;
    let reason = super::reason_of(&form.reason);
    if locks_out(&ctx, &review).is_some() && form.confirm_secure.is_none() {
        let fault = "Say that you understand what Secure does here, or go back and leave it as it is.".to_owned();
        let faults = vec![("confirm_secure".to_owned(), fault)];
        let view = drawn(&req, &ctx, &admin, &review, faults, Some(reason)).await?;
        return page(StatusCode::UNPROCESSABLE_ENTITY, &view);
    }
    let reviewing = Reviewing {
        draft,
        base: form.base.parse().map_err(|_| unknown_base())?,
        reason: reason.clone(),
        provisional: form.provisional.is_some(),
    };
    let verdict = policy::save_draft(&ctx, &admin.0.acting, reviewing).await?;
    match verdict.ok_or(PageError::NotFound)? {
        SaveVerdict::Saved {
            revision,
            changes,
            warnings: _,
            confirm_by,
        } => {
            let said = said(revision, &changes, &review.kind, confirm_by.is_some());
            let scope = changes.first().map_or(Scope::Everyone, |change| change.scope.clone());
            Ok(redirect(&req, &super::editor::href(&scope, None), &Flash::ok(said)))
        }
        SaveVerdict::Unchanged => Ok(redirect(
            &req,
            paths::ADMIN_POLICY,
            &Flash::info("The policy in force says the same already, so nothing was saved."),
        )),
        SaveVerdict::Faulty(faults) => {
            let faults = faults.iter().map(|fault| (String::new(), fault.to_string())).collect();
            let view = drawn(&req, &ctx, &admin, &review, faults, Some(reason)).await?;
            page(StatusCode::UNPROCESSABLE_ENTITY, &view)
        }
        // The page tells who was faster, or whose save is waited for.
        SaveVerdict::Stale { .. } | SaveVerdict::Provisional { .. } => {
            let review = reviewed(&ctx, &admin, draft).await?;
            let view = drawn(&req, &ctx, &admin, &review, Vec::new(), Some(reason)).await?;
            page(StatusCode::CONFLICT, &view)
        }
    }
}

fn unknown_base() -> PageError {
    PageError::BadRequest("The form does not say which revision it builds on: open the review again.".to_owned())
}

/// `POST /admin/policy/review/resolve`: for each setting that both changed, `mine` or `theirs`.
pub async fn resolve(
    ctx: web::Data<Ctx>,
    admin: Admin,
    form: Form<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let field = |name: &str| {
        form.0
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    };
    let draft = draft_id(field("draft").unwrap_or_default())?;
    let base: i64 = field("base")
        .and_then(|base| base.parse().ok())
        .ok_or_else(unknown_base)?;
    let answers = form
        .0
        .iter()
        .filter_map(|(field, value)| answer(field, value))
        .collect();
    if policy::resolve(&ctx, &admin.0.acting, draft, base, answers).await? {
        Ok(see_other(&href(draft)))
    } else {
        Err(PageError::NotFound)
    }
}

/// `KEY@SCOPE` = `mine` or `theirs`.
fn answer(field: &str, value: &str) -> Option<(Scope, Key, Side)> {
    let (key, scope) = field.split_once('@')?;
    let side = match value {
        "mine" => Side::Mine,
        "theirs" => Side::Theirs,
        _ => return None,
    };
    Some((scope.parse().ok()?, Key::parse(key)?, side))
}

/// `POST /admin/policy/review/discard`
pub async fn discard(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    form: Form<Asked>,
) -> Result<HttpResponse, PageError> {
    if !policy::discard(&ctx, &admin.0.acting, draft_id(&form.0.draft)?).await? {
        return Err(PageError::NotFound);
    }
    let flash = Flash::info("The draft is discarded; the policy is as it was.");
    Ok(redirect(&req, paths::ADMIN_POLICY, &flash))
}

async fn drawn(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    review: &Review,
    faults: Vec<(String, String)>,
    reason: Option<String>,
) -> Result<ReviewPage, PageError> {
    let newest = &review.current.revision;
    let mut all_faults = faults;
    all_faults.extend(review.faults.iter().map(|fault| (String::new(), fault.to_string())));
    let by_now = Since {
        by: revision_line(newest, newest.revision),
        changes: review.since.iter().map(DiffLine::new).collect(),
    };
    let shell = Shell::admin(req, ctx, admin, "Review the policy", "policy").await?;
    Ok(ReviewPage {
        draft: review.draft.id.to_string(),
        base: newest.revision,
        kind: kind_words(&review.kind),
        changes: review
            .changes
            .iter()
            .map(|change| line(change, &review.document))
            .collect(),
        conflicts: review.conflicts.iter().map(conflict_view).collect(),
        since: (!review.since.is_empty()).then_some(by_now),
        kept: review
            .kept
            .iter()
            .map(|(scope, key)| format!("{} ({})", key.setting().label, scope.label()))
            .collect(),
        notes: review.draft.notes.clone(),
        faults: all_faults,
        warnings: review
            .warnings
            .iter()
            .map(|warning| {
                (
                    String::new(),
                    format!("{}: {}", warning.key.setting().label, warning.message),
                )
            })
            .collect(),
        risks: review.risks.iter().map(risk_words).collect(),
        confirm_secure: locks_out(ctx, review),
        held: shell.provisional.as_ref().map(|waiting| {
            format!(
                "Revision {} by {} waits to be kept or undone. Nothing can be saved before that; your draft stays.",
                waiting.revision, waiting.author
            )
        }),
        reason: reason.unwrap_or_else(|| review.draft.reason.clone()),
        back: back(review),
        // Asked where the page is read, not where a refused form is shown again.
        effect: None,
        past: None,
        shell,
    })
}

/// To the editor with this draft, in the scope of its first change.
fn back(review: &Review) -> String {
    let first = review.draft.changes.first();
    let scope = first.map_or(Scope::Everyone, |change| change.scope.clone());
    super::editor::href(&scope, Some(review.draft.id))
}

fn kind_words(kind: &SaveKind) -> String {
    match kind {
        SaveKind::Saved => "Your changes".to_owned(),
        SaveKind::Restored { from } => format!("Restoring revision {from}"),
        SaveKind::Imported => "An import".to_owned(),
        SaveKind::Reset => "Back to the defaults".to_owned(),
        SaveKind::Baseline { id } => format!("Baseline {id}"),
    }
}

fn line(change: &Change, document: &PolicyDocument) -> ReviewLine {
    ReviewLine {
        diff: DiffLine::new(change),
        affected: affected(change, document),
    }
}

/// Whom a change concerns: the scope, less the scopes that override the setting.
fn affected(change: &Change, document: &PolicyDocument) -> String {
    match &change.scope {
        Scope::Everyone => {
            let overriding: Vec<String> = document
                .scopes()
                .filter(|(scope, set)| *scope != Scope::Everyone && set.contains_key(&change.key))
                .map(|(scope, _)| scope.label())
                .collect();
            if overriding.is_empty() {
                "Everyone".to_owned()
            } else {
                format!("Everyone, but not where overridden: {}", overriding.join(", "))
            }
        }
        Scope::Administrators => "Administrators".to_owned(),
        Scope::Application(name) => format!("Whoever uses {name}"),
    }
}

fn conflict_view(conflict: &Conflict) -> ConflictView {
    let side = |new: &Option<Value>| {
        DiffLine::new(&Change {
            scope: conflict.scope.clone(),
            key: conflict.key,
            old: conflict.base.clone(),
            new: new.clone(),
        })
    };
    let mine = side(&conflict.mine);
    ConflictView {
        field: format!("{}@{}", conflict.key.name(), conflict.scope),
        label: mine.label,
        key: mine.key,
        scope: mine.scope,
        base: mine.old,
        mine: mine.new,
        theirs: side(&conflict.theirs).new,
    }
}

fn risk_words(risk: &Risk) -> String {
    match risk {
        Risk::OwnSessionEnds { within: None, reason } => {
            format!("Your own session ends at your next click ({reason}): you would have to sign in again.")
        }
        Risk::OwnSessionEnds {
            within: Some(span),
            reason,
        } => format!(
            "Your own session would end in {} ({reason}).",
            humanize(span.as_secs_ceil().max(1))
        ),
        Risk::SecureFlips { on: true } => {
            "The session cookie becomes Secure: browsers send it over https only.".to_owned()
        }
        Risk::SecureFlips { on: false } => "The session cookie loses Secure.".to_owned(),
        Risk::SaverLockedOut => "A lock would refuse your own next sign-in from this address.".to_owned(),
    }
}

/// Why `session.secure` as drafted fits the address people use badly; `None`: it fits, or does not change.
fn locks_out(ctx: &Ctx, review: &Review) -> Option<String> {
    let change = review
        .changes
        .iter()
        .find(|change| change.key == Key::SessionSecure && change.scope == Scope::Everyone)?;
    let after = change.new.clone().unwrap_or_else(|| Key::SessionSecure.default_value());
    match (after == Value::Flag(true), ctx.config.https()) {
        (true, false) => Some(
            "People reach this console over plain http. With Secure on, browsers no longer send the session cookie: you and everybody else \
             are signed out and cannot sign in again until https is in place."
                .to_owned(),
        ),
        (false, true) => Some(
            "People reach this console over https. With Secure off, the session cookie also travels over plain http, where anybody on the \
             way can read it."
                .to_owned(),
        ),
        (true, true) | (false, false) => None,
    }
}

fn said(revision: i64, changes: &[Change], kind: &SaveKind, provisional: bool) -> String {
    let changed = match (kind, changes) {
        (SaveKind::Restored { from }, _) => format!("revision {from} restored"),
        (_, [change]) => change.sentence(),
        (_, changes) => format!("{} changes", changes.len()),
    };
    let until = if provisional {
        " Keep it within 60 s, or it undoes itself."
    } else {
        ""
    };
    format!("Saved as revision {revision}: {changed}. It governs every live session now.{until}")
}
