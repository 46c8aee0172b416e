//! `/admin/policy`: the editor of one scope; what it submits becomes a draft for `policy/review`, which saves. What was really
//! changed is `policy/submitted`'s, how a setting is drawn `policy/editor`'s; the history is in `policy/history`, files are
//! `policy/import`'s and `policy/export`'s, which rule ends a session when is `policy/explain`'s.
use crate::domain::policy::effective::Policy;
use crate::domain::policy::{Fault, Key, Scope, Warning};
use crate::flows::Ctx;
use crate::flows::policy::{self, Current, Edit, Proposal, Proposed, SaveKind};
use crate::flows::rows::Draft;
use crate::http::error::PageError;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::{self, Query};
use crate::http::pages::{Shell, page, see_other};
use crate::http::visitor::Admin;
use crate::http::{Route, Who, paths};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use editor::Kept;
use history::revision_line;
use submitted::{Submitted, Touched};
use uuid::Uuid;
use view::PolicyPage;

pub mod editor;
pub mod effect;
pub mod explain;
pub mod export;
pub mod history;
pub mod import;
pub mod matrix;
pub mod posture;
pub mod provisional;
pub mod review;
pub mod submitted;
pub mod view;

const LONGEST_REASON: usize = 500;

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_POLICY, Who::Administrator, show),
        Route::post(paths::ADMIN_POLICY, Who::Administrator, submit),
        Route::get(paths::ADMIN_POLICY_REVIEW, Who::Administrator, review::show),
        Route::post(paths::ADMIN_POLICY_REVIEW, Who::Administrator, review::save).step_up(),
        Route::get(paths::ADMIN_POLICY_REVIEW_EXPORT, Who::Administrator, effect::download).step_up(),
        // Where the page that asks for the password sends them.
        Route::post(paths::ADMIN_POLICY_REVIEW_EXPORT, Who::Administrator, effect::download).step_up(),
        Route::post(paths::ADMIN_POLICY_REVIEW_RESOLVE, Who::Administrator, review::resolve),
        Route::post(paths::ADMIN_POLICY_REVIEW_DISCARD, Who::Administrator, review::discard),
        Route::post(paths::ADMIN_POLICY_CONFIRM, Who::Administrator, provisional::confirm),
        Route::post(paths::ADMIN_POLICY_UNDO, Who::Administrator, provisional::undo),
        Route::get(paths::ADMIN_POLICY_EXPLAIN, Who::Administrator, explain::show),
        Route::get(paths::ADMIN_POLICY_IMPORT, Who::Administrator, import::form),
        Route::post(paths::ADMIN_POLICY_IMPORT, Who::Administrator, import::submit),
        Route::get(paths::ADMIN_POLICY_EXPORT, Who::Administrator, export::download).step_up(),
        Route::post(paths::ADMIN_POLICY_EXPORT, Who::Administrator, export::download).step_up(),
        Route::get(paths::ADMIN_POLICY_POSTURE, Who::Administrator, posture::show),
        Route::post(paths::ADMIN_POLICY_POSTURE, Who::Administrator, posture::draft),
        Route::get(paths::ADMIN_POLICY_MATRIX, Who::Administrator, matrix::show),
        Route::get(paths::ADMIN_POLICY_REVISIONS, Who::Administrator, history::list),
        Route::get(paths::ADMIN_POLICY_REVISION, Who::Administrator, history::detail),
        Route::post(paths::ADMIN_POLICY_RESTORE, Who::Administrator, history::restore),
    ]
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
struct Form {
    touched: Vec<Touched>,
    /// Key (or field) and sentence; an empty key belongs to no row of this scope.
    faults: Vec<(String, String)>,
    /// The draft that the edits go into.
    draft: Option<Uuid>,
    /// Words of a search: the rows that they do not find are hidden, not left out.
    search: String,
}

/// `GET /admin/policy?scope=…&draft=…&q=…`; `app` names an application without the prefix: the form beside the tabs.
async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let asked = Submitted::new(asked.0);
    let word = |name: &str| asked.get(name).unwrap_or_default().trim();
    let scope = match word("app") {
        "" => scope_of(word("scope"))?,
        name => scope_of(&format!("app:{name}"))?,
    };
    let current = policy::in_force(&ctx).await?;
    let acting = &admin.0.acting;
    let mut form = Form {
        search: word("q").to_owned(),
        ..Form::default()
    };
    if !word("draft").is_empty() {
        let draft = policy::draft(&ctx, acting, review::draft_id(word("draft"))?)
            .await?
            .ok_or(PageError::NotFound)?;
        form.touched = submitted::of_draft(&draft.changes, &scope);
        form.draft = Some(draft.id);
    }
    // Without script a search sends the whole form along, so that nothing typed is lost.
    if let Ok(base) = word("base").parse() {
        form.touched = asked.touched(&base_policy(&ctx, &current, base).await?, &scope);
    }
    let drafts = policy::drafts(&ctx, acting).await?;
    let shell = Shell::admin(&req, &ctx, &admin, "Session policy", "policy").await?;
    page(StatusCode::OK, &drawn(shell, &current, &scope, &form, &drafts))
}

fn drawn(shell: Shell, current: &Current, scope: &Scope, form: &Form, drafts: &[Draft]) -> PolicyPage {
    let policy = &current.in_force.policy;
    let kept = Kept {
        touched: &form.touched,
        faults: &form.faults,
        search: &form.search,
    };
    let groups = editor::groups(policy, scope, &kept);
    PolicyPage {
        shell,
        scope: scope.to_string(),
        scope_label: scope.label(),
        overrides: *scope != Scope::Everyone,
        scopes: editor::tabs(policy, scope, form.draft),
        revision: revision_line(&current.revision, current.revision.revision),
        found: groups
            .iter()
            .flat_map(|group| &group.settings)
            .filter(|setting| setting.found)
            .count(),
        groups,
        search: form.search.clone(),
        modes: editor::modes(policy),
        faults: form
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
        drafts: drafts
            .iter()
            .filter(|draft| Some(draft.id) != form.draft)
            .map(review::draft_line)
            .collect(),
        draft: form.draft.map(|id| id.to_string()),
        kept: form.touched.len(),
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

/// `POST /admin/policy`: what was edited becomes a draft, to be reviewed. Nothing is in force yet.
async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    fields: forms::Form<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let fields = Submitted::new(fields.0);
    let scope = scope_of(fields.get("scope").unwrap_or_default())?;
    let base: i64 = fields.get("base").and_then(|base| base.parse().ok()).ok_or_else(|| {
        PageError::BadRequest("The form does not say which revision it builds on: open the policy again.".to_owned())
    })?;
    let current = policy::in_force(&ctx).await?;
    let built_on = base_policy(&ctx, &current, base).await?;
    let mut form = Form {
        touched: fields.touched(&built_on, &scope),
        faults: fields.strangers(&scope),
        draft: match fields.get("draft").unwrap_or_default() {
            "" => None,
            id => Some(review::draft_id(id)?),
        },
        search: String::new(),
    };
    form.faults.extend(faults(&built_on, &scope, &form.touched));
    if !form.faults.is_empty() {
        return answer(&req, &ctx, &admin, &current, &scope, &form).await;
    }
    let proposal = Proposal {
        into: form.draft.map(|id| (id, scope.clone())),
        base,
        kind: SaveKind::Saved,
        edits: edits(&scope, &form.touched),
        reason: reason_of(fields.get("reason").unwrap_or_default()),
        notes: Vec::new(),
    };
    match policy::propose(&ctx, &admin.0.acting, proposal).await? {
        Proposed::Draft(id) => Ok(see_other(&review::href(id))),
        Proposed::Unchanged => Ok(redirect(
            &req,
            &editor::href(&scope, None),
            &Flash::info("Nothing was changed, so there is nothing to review."),
        )),
        Proposed::Faulty(faults) => {
            form.faults = faults.iter().map(|fault| placed(&scope, fault)).collect();
            answer(&req, &ctx, &admin, &current, &scope, &form).await
        }
    }
}

/// Why somebody saves, as it is kept.
fn reason_of(text: &str) -> String {
    text.trim().chars().take(LONGEST_REASON).collect()
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

/// The editor again, with everything that was typed.
async fn answer(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    current: &Current,
    scope: &Scope,
    form: &Form,
) -> Result<HttpResponse, PageError> {
    let shell = Shell::admin(req, ctx, admin, "Session policy: not saved", "policy").await?;
    page(
        StatusCode::UNPROCESSABLE_ENTITY,
        &drawn(shell, current, scope, form, &[]),
    )
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
