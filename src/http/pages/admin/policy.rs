//! `/admin/policy`: the editor of one scope. What was really changed is `policy/submitted`'s, how a setting is drawn
//! `policy/editor`'s; the history is in `policy/history`.
use super::part::DiffLine;
use crate::domain::policy::diff::{Change, diff};
use crate::domain::policy::effective::Policy;
use crate::domain::policy::{Fault, Key, Scope, Value, Warning};
use crate::flows::Ctx;
use crate::flows::policy::{self, Current, Edit, SaveKind, SaveVerdict};
use crate::http::error::PageError;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::{Form, Query};
use crate::http::pages::{Shell, page};
use crate::http::visitor::Admin;
use crate::http::{Route, Who, paths};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use editor::Kept;
use history::revision_line;
use serde::Deserialize;
use submitted::{Submitted, Touched};
use view::{PolicyPage, Stale};

pub mod editor;
pub mod history;
pub mod submitted;
pub mod view;

const LONGEST_REASON: usize = 500;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_POLICY, Who::Administrator, show),
        Route::post(paths::ADMIN_POLICY, Who::Administrator, save),
        Route::get(paths::ADMIN_POLICY_EXPORT, Who::Administrator, history::export),
        Route::get(paths::ADMIN_POLICY_REVISIONS, Who::Administrator, history::list),
        Route::get(paths::ADMIN_POLICY_REVISION, Who::Administrator, history::detail),
        Route::post(paths::ADMIN_POLICY_RESTORE, Who::Administrator, history::restore),
    ]
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// `everyone`, `administrators`, `app:NAME`.
    scope: String,
    /// An application by its bare name: the form beside the tabs.
    app: String,
}

fn scope_of(text: &str) -> Result<Scope, PageError> {
    match text {
        "" => Ok(Scope::Everyone),
        text => text
            .parse()
            .map_err(|error: crate::domain::policy::ScopeError| PageError::BadRequest(format!("{error}."))),
    }
}

/// A form under way: what the page shows beside the policy.
#[derive(Default)]
struct Draft {
    touched: Vec<Touched>,
    /// Key (or field) and sentence; an empty key belongs to no row of this scope.
    faults: Vec<(String, String)>,
    reason: String,
    confirm_secure: Option<String>,
    stale: Option<Vec<Change>>,
}

async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let scope = match asked.0.app.trim() {
        "" => scope_of(&asked.0.scope)?,
        name => scope_of(&format!("app:{name}"))?,
    };
    let current = policy::in_force(&ctx).await?;
    let shell = Shell::admin(&req, &ctx, &admin, "Session policy", "policy").await?;
    page(StatusCode::OK, &drawn(shell, &current, &scope, &Draft::default()))
}

fn drawn(shell: Shell, current: &Current, scope: &Scope, draft: &Draft) -> PolicyPage {
    let policy = &current.in_force.policy;
    let theirs = draft.stale.as_deref().unwrap_or_default();
    let kept = Kept {
        touched: &draft.touched,
        faults: &draft.faults,
        theirs,
    };
    let both =
        |change: &&Change| change.scope == *scope && draft.touched.iter().any(|touched| touched.key == change.key);
    PolicyPage {
        shell,
        scope: scope.to_string(),
        scope_label: scope.label(),
        overrides: *scope != Scope::Everyone,
        scopes: editor::tabs(policy, scope),
        revision: revision_line(&current.revision, current.revision.revision),
        groups: editor::groups(policy, scope, &kept),
        modes: editor::modes(policy),
        faults: draft
            .faults
            .iter()
            .map(|(key, message)| summary(scope, key, message))
            .collect(),
        warnings: policy
            .document()
            .warnings(policy.pins())
            .iter()
            .filter(|warning| warning.scope == *scope)
            .map(warning_line)
            .collect(),
        stale: draft.stale.as_ref().map(|changes| Stale {
            by: revision_line(&current.revision, current.revision.revision),
            conflicts: changes.iter().filter(both).count(),
            changes: changes.iter().map(DiffLine::new).collect(),
        }),
        confirm_secure: draft.confirm_secure.clone(),
        reason: draft.reason.clone(),
        kept: draft.touched.len(),
    }
}

/// A line of the error summary: the field to jump to, and the sentence with its setting.
fn summary(scope: &Scope, key: &str, message: &str) -> (String, String) {
    match Key::parse(key) {
        Some(key) if key.setting().allowed_in(scope) => (
            format!("{}-input", key.name()),
            format!("{}: {message}", key.setting().label),
        ),
        Some(_) | None => (String::new(), message.to_owned()),
    }
}

fn warning_line(warning: &Warning) -> (String, String) {
    (
        warning.key.name().to_owned(),
        format!("{}: {}", warning.key.setting().label, warning.message),
    )
}

/// The policy that the form was made from: the newest, or the one its `base` names.
async fn base_policy(ctx: &Ctx, current: &Current, base: i64) -> Result<Policy, PageError> {
    let newest = &current.in_force.policy;
    if base == current.revision.revision {
        return Ok(newest.clone());
    }
    match policy::revision(ctx, base).await? {
        Some(revision) => Ok(Policy::new(
            base,
            revision.document,
            newest.pins().clone(),
            newest.dev(),
        )),
        None => Err(PageError::BadRequest(format!(
            "There is no revision {base} to build on: open the policy again."
        ))),
    }
}

/// `POST /admin/policy`
async fn save(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    form: Form<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let fields = Submitted::new(form.0);
    let scope = scope_of(fields.get("scope").unwrap_or_default())?;
    let base: i64 = fields.get("base").and_then(|base| base.parse().ok()).ok_or_else(|| {
        PageError::BadRequest("The form does not say which revision it builds on: open the policy again.".to_owned())
    })?;
    let current = policy::in_force(&ctx).await?;
    let built_on = base_policy(&ctx, &current, base).await?;
    let mut draft = Draft {
        touched: fields.touched(&built_on, &scope),
        faults: fields.strangers(&scope),
        reason: fields
            .get("reason")
            .unwrap_or_default()
            .trim()
            .chars()
            .take(LONGEST_REASON)
            .collect(),
        ..Draft::default()
    };
    draft.faults.extend(faults(&built_on, &scope, &draft.touched));
    if base != current.revision.revision {
        draft.stale = Some(diff(built_on.document(), &current.revision.document));
        return answer(&req, &ctx, &admin, &current, &scope, &draft).await;
    }
    if draft.faults.is_empty() && fields.get("confirm_secure").is_none() {
        draft.confirm_secure = locks_out(&ctx, &built_on, &scope, &draft.touched);
    }
    if !draft.faults.is_empty() || draft.confirm_secure.is_some() {
        return answer(&req, &ctx, &admin, &current, &scope, &draft).await;
    }
    match policy::save(
        &ctx,
        &admin.0.acting,
        base,
        edits(&scope, &draft.touched),
        draft.reason.clone(),
        SaveKind::Saved,
    )
    .await?
    {
        SaveVerdict::Saved {
            revision,
            changes,
            warnings,
        } => {
            let said = said(
                revision,
                &changes,
                warnings.iter().filter(|warning| warning.scope == scope).count(),
            );
            Ok(redirect(&req, &editor::href(&scope), &Flash::ok(said)))
        }
        SaveVerdict::Unchanged => Ok(redirect(
            &req,
            &editor::href(&scope),
            &Flash::info("Nothing was changed, so nothing was saved."),
        )),
        SaveVerdict::Faulty(faults) => {
            draft.faults = faults.iter().map(|fault| placed(&scope, fault)).collect();
            answer(&req, &ctx, &admin, &current, &scope, &draft).await
        }
        SaveVerdict::Stale { since, .. } => {
            draft.stale = Some(since);
            let newest = policy::in_force(&ctx).await?;
            answer(&req, &ctx, &admin, &newest, &scope, &draft).await
        }
    }
}

/// What cannot be read, and what the whole document would be refused for with the rest of the edits: all at once.
fn faults(base: &Policy, scope: &Scope, touched: &[Touched]) -> Vec<(String, String)> {
    let unreadable = touched.iter().filter_map(|touched| {
        let message = touched.outcome.as_ref().err()?;
        Some((touched.key.name().to_owned(), message.clone()))
    });
    let mut document = base.document().clone();
    for edit in edits(scope, touched) {
        match edit.value {
            Some(value) => document.set(scope, edit.key, value),
            None => document.unset(scope, edit.key),
        }
    }
    let whole = document.faults_since(base.document(), base.pins());
    unreadable
        .chain(whole.iter().map(|fault| placed(scope, fault)))
        .collect()
}

/// The editor again, with everything that was typed: 409 when somebody was faster, else 422.
async fn answer(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    current: &Current,
    scope: &Scope,
    draft: &Draft,
) -> Result<HttpResponse, PageError> {
    let status = if draft.stale.is_some() {
        StatusCode::CONFLICT
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let shell = Shell::admin(req, ctx, admin, "Session policy: not saved", "policy").await?;
    page(status, &drawn(shell, current, scope, draft))
}

fn edits(scope: &Scope, touched: &[Touched]) -> Vec<Edit> {
    touched
        .iter()
        .filter_map(|touched| {
            let value = touched.outcome.as_ref().ok()?.clone();
            Some(Edit {
                scope: scope.clone(),
                key: touched.key,
                value,
            })
        })
        .collect()
}

/// A fault of the whole document, at its row when this scope has it.
fn placed(scope: &Scope, fault: &Fault) -> (String, String) {
    if fault.scope == *scope {
        (fault.key.clone(), fault.message.clone())
    } else {
        (String::new(), fault.to_string())
    }
}

/// Why `session.secure` as edited fits the address people use badly; `None`: it fits, or does not change.
fn locks_out(ctx: &Ctx, base: &Policy, scope: &Scope, touched: &[Touched]) -> Option<String> {
    let touched = touched
        .iter()
        .find(|touched| touched.key == Key::SessionSecure && *scope == Scope::Everyone)?;
    let before = base.value_in(scope, Key::SessionSecure).0;
    let after = touched
        .outcome
        .as_ref()
        .ok()?
        .clone()
        .unwrap_or_else(|| Key::SessionSecure.default_value());
    match (after == before, after, ctx.config.https()) {
        (false, Value::Flag(true), false) => Some(
            "People reach this console over plain http. With Secure on, browsers no longer send the session cookie: you and everybody else \
             are signed out and cannot sign in again until https is in place."
                .to_owned(),
        ),
        (false, Value::Flag(false), true) => Some(
            "People reach this console over https. With Secure off, the session cookie also travels over plain http, where anybody on the \
             way can read it."
                .to_owned(),
        ),
        (_, _, _) => None,
    }
}

fn said(revision: i64, changes: &[Change], warnings: usize) -> String {
    let changed = match changes {
        [change] => change.sentence(),
        changes => format!("{} changes", changes.len()),
    };
    let look = match warnings {
        0 => String::new(),
        1 => " One thing is worth a second look.".to_owned(),
        more => format!(" {more} things are worth a second look."),
    };
    format!("Saved as revision {revision}: {changed}. It governs every live session now.{look}")
}
