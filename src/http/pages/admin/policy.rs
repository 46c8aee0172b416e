//! `/admin/policy`: the editor of one scope; it submits a draft for `policy/review`, which saves.
//! `policy/input` finds the changes, `policy/editor` renders a setting, `policy/history` shows
//! revisions, `policy/import` and `policy/export` handle files, and `policy/explain` explains the
//! end of a session.
use crate::{
    domain::policy::{Key, PolicyDraft, PolicyFault, Scope, Warning, effective::Policy},
    flows::{
        Ctx,
        policy::{self, CurrentPolicy, Edit, Proposal, ProposalOutcome, SaveKind},
    },
    http::{
        error::PageError,
        filters::setting_anchor,
        flash::{Flash, redirect},
        forms::{self, Query},
        paths,
        respond::{redirect_to, render_page},
        route::{Audience, Route},
        shell::Shell,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use drafts::{draft_line, parse_draft_id, review_href};
use editor::EditorInput;
use input::{EditedSetting, PolicyForm, reason_of};
use revision_line::revision_line;
use uuid::Uuid;
use view::PolicyPage;

mod drafts;
mod editor;
mod explain;
mod export;
mod history;
mod impact;
mod import;
mod input;
mod matrix;
mod posture;
mod provisional;
mod review;
mod revision_line;
mod view;

/// Returns the routes of the policy.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::ADMIN_POLICY, Audience::Administrator, show),
        Route::post(paths::ADMIN_POLICY, Audience::Administrator, submit),
        Route::get(paths::ADMIN_POLICY_REVIEW, Audience::Administrator, review::show),
        Route::post(paths::ADMIN_POLICY_REVIEW, Audience::Administrator, review::save).step_up(),
        Route::get(
            paths::ADMIN_POLICY_REVIEW_EXPORT,
            Audience::Administrator,
            impact::download,
        )
        .step_up(),
        // The page that asks for the password redirects here.
        Route::post(
            paths::ADMIN_POLICY_REVIEW_EXPORT,
            Audience::Administrator,
            impact::download,
        )
        .step_up(),
        Route::post(
            paths::ADMIN_POLICY_REVIEW_RESOLVE,
            Audience::Administrator,
            review::resolve,
        ),
        Route::post(
            paths::ADMIN_POLICY_REVIEW_DISCARD,
            Audience::Administrator,
            review::discard,
        ),
        Route::post(
            paths::ADMIN_POLICY_CONFIRM,
            Audience::Administrator,
            provisional::confirm,
        ),
        Route::post(paths::ADMIN_POLICY_UNDO, Audience::Administrator, provisional::undo),
        Route::get(paths::ADMIN_POLICY_EXPLAIN, Audience::Administrator, explain::show),
        Route::get(paths::ADMIN_POLICY_IMPORT, Audience::Administrator, import::form),
        Route::post(paths::ADMIN_POLICY_IMPORT, Audience::Administrator, import::submit),
        Route::get(paths::ADMIN_POLICY_EXPORT, Audience::Administrator, export::download).step_up(),
        Route::post(paths::ADMIN_POLICY_EXPORT, Audience::Administrator, export::download).step_up(),
        Route::get(paths::ADMIN_POLICY_POSTURE, Audience::Administrator, posture::show),
        Route::post(paths::ADMIN_POLICY_POSTURE, Audience::Administrator, posture::draft),
        Route::get(paths::ADMIN_POLICY_MATRIX, Audience::Administrator, matrix::show),
        Route::get(paths::ADMIN_POLICY_REVISIONS, Audience::Administrator, history::list),
        Route::get(paths::ADMIN_POLICY_REVISION, Audience::Administrator, history::detail),
        Route::post(paths::ADMIN_POLICY_RESTORE, Audience::Administrator, history::restore),
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

/// A form in progress, shown beside the policy.
#[derive(Default)]
struct EditorState {
    touched: Vec<EditedSetting>,
    /// Keys (or fields) with messages; an empty key belongs to no row of this scope.
    faults: Vec<(String, String)>,
    /// The draft to which the edits are added.
    draft: Option<Uuid>,
    /// The search text: settings that do not match are hidden, but still sent.
    search: String,
}

/// `GET /admin/policy?scope=…&draft=…&q=…`; `app` names an application without the prefix, for the
/// form beside the tabs.
async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let asked = PolicyForm::new(asked.0);
    let word = |name: &str| asked.get(name).unwrap_or_default().trim();
    let scope = match word("app") {
        "" => scope_of(word("scope"))?,
        name => scope_of(&format!("app:{name}"))?,
    };
    let current = policy::in_force(&ctx).await?;
    let initiator = &admin.0.initiator;
    let mut form = EditorState {
        search: word("q").to_owned(),
        ..EditorState::default()
    };
    if !word("draft").is_empty() {
        let draft = policy::draft(&ctx, initiator, parse_draft_id(word("draft"))?)
            .await?
            .ok_or(PageError::NotFound)?;
        form.touched = input::of_draft(&draft.changes, &scope);
        form.draft = Some(draft.id);
    }
    // Without script a search sends the whole form, so that no input is lost.
    if let Ok(base) = word("base").parse() {
        form.touched = asked.touched(&base_policy(&ctx, &current, base).await?, &scope);
    }
    let drafts = policy::list_drafts(&ctx, initiator).await?;
    let shell = Shell::admin(&req, &ctx, &admin, "Session policy", "policy").await?;
    render_page(StatusCode::OK, &render_editor(shell, &current, &scope, &form, &drafts))
}

fn render_editor(
    shell: Shell,
    current: &CurrentPolicy,
    scope: &Scope,
    form: &EditorState,
    drafts: &[PolicyDraft],
) -> PolicyPage {
    let policy = &current.in_force.policy;
    let kept = EditorInput {
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
            .map(draft_line)
            .collect(),
        draft: form.draft.map(|id| id.to_string()),
        kept: form.touched.len(),
    }
}

/// Returns a line of the error summary: the field to jump to, and the message with its setting.
fn summary(scope: &Scope, key: &str, message: &str) -> (String, String) {
    match Key::parse(key) {
        Some(key) if key.setting().allowed_in(scope) => (
            format!("{}-input", setting_anchor(key.name())),
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

/// Returns the policy on which the form is based: the newest, or the one in its `base`.
async fn base_policy(ctx: &Ctx, current: &CurrentPolicy, base: i64) -> Result<Policy, PageError> {
    let newest = &current.in_force.policy;
    if base == current.revision.revision {
        return Ok(newest.clone());
    }
    match policy::revision(ctx, base).await? {
        Some(revision) => Ok(Policy::in_environment(
            base,
            revision.document,
            newest.environment().clone(),
        )),
        None => Err(PageError::BadRequest(format!(
            "Revision {base} does not exist. Open the policy again."
        ))),
    }
}

/// `POST /admin/policy`: the edits become a draft to be reviewed. Nothing is in force yet.
async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    fields: forms::Form<Vec<(String, String)>>,
) -> Result<HttpResponse, PageError> {
    let fields = PolicyForm::new(fields.0);
    let scope = scope_of(fields.get("scope").unwrap_or_default())?;
    let base: i64 = fields.get("base").and_then(|base| base.parse().ok()).ok_or_else(|| {
        PageError::BadRequest("The form does not name the revision it is based on. Open the policy again.".to_owned())
    })?;
    let current = policy::in_force(&ctx).await?;
    let built_on = base_policy(&ctx, &current, base).await?;
    let mut form = EditorState {
        touched: fields.touched(&built_on, &scope),
        faults: fields.unknown_fields(&scope),
        draft: match fields.get("draft").unwrap_or_default() {
            "" => None,
            id => Some(parse_draft_id(id)?),
        },
        search: String::new(),
    };
    form.faults.extend(faults(&built_on, &scope, &form.touched));
    if !form.faults.is_empty() {
        return render_editor_again(&req, &ctx, &admin, &current, &scope, &form).await;
    }
    let proposal = Proposal {
        into: form.draft.map(|id| (id, scope.clone())),
        base,
        kind: SaveKind::Saved,
        edits: edits(&scope, &form.touched),
        reason: reason_of(fields.get("reason").unwrap_or_default()),
        notes: Vec::new(),
    };
    match policy::propose(&ctx, &admin.0.initiator, proposal).await? {
        ProposalOutcome::Draft(id) => Ok(redirect_to(&review_href(id))),
        ProposalOutcome::Unchanged => Ok(redirect(
            &req,
            &editor::href(&scope, None),
            &Flash::info("Nothing changed, so there is nothing to review."),
        )),
        ProposalOutcome::Faulty(faults) => {
            form.faults = faults.iter().map(|fault| placed(&scope, fault)).collect();
            render_editor_again(&req, &ctx, &admin, &current, &scope, &form).await
        }
    }
}

/// Returns all faults together: values that cannot be parsed, and the faults of the whole document
/// with the other edits.
fn faults(base: &Policy, scope: &Scope, touched: &[EditedSetting]) -> Vec<(String, String)> {
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

/// Renders the editor again, with all input.
async fn render_editor_again(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    current: &CurrentPolicy,
    scope: &Scope,
    form: &EditorState,
) -> Result<HttpResponse, PageError> {
    let shell = Shell::admin(req, ctx, admin, "Session policy: not saved", "policy").await?;
    render_page(
        StatusCode::UNPROCESSABLE_ENTITY,
        &render_editor(shell, current, scope, form, &[]),
    )
}

fn edits(scope: &Scope, touched: &[EditedSetting]) -> Vec<Edit> {
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

/// Returns a fault of the whole document, at its row if this scope has it.
fn placed(scope: &Scope, fault: &PolicyFault) -> (String, String) {
    if fault.scope == *scope {
        (fault.key.clone(), fault.message.clone())
    } else {
        (String::new(), fault.to_string())
    }
}
