//! `/admin/policy/review`: the changes of a draft, who is affected, and warnings; and the only
//! place in the console that saves a policy. The URL contains the draft, so that the page can be
//! left and opened again.
use super::{
    drafts::{find_review, parse_draft_id, review_href},
    editor, impact,
    input::reason_of,
    revision_line::revision_line,
    view::{ConflictView, InterimSave, ReviewLine, ReviewPage},
};
use crate::{
    domain::{
        duration::humanize,
        policy::{
            Key, PolicyDocument, Scope, Value,
            diff::Change,
            effective::Policy,
            merge::{Conflict, ConflictSide},
            posture::{LoosenedSetting, loosened},
            provisional::Risk,
            secure_mismatch::SecureMismatch,
        },
    },
    flows::{
        Ctx,
        policy::{self, DraftSaveOutcome, Review, ReviewedDraft, SaveKind, SaveRefusal},
    },
    http::{
        error::PageError,
        flash::{Flash, redirect},
        forms::{Form, Query},
        pages::admin::part::DiffLine,
        paths,
        respond::{redirect_to, render_page},
        session_proof::{host_name, passkeys_work_here},
        shell::Shell,
        step_up::{ConfirmedVisitor, CriticalForm},
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;

/// The draft that is reviewed or discarded.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DraftQuery {
    draft: String,
}

/// `GET /admin/policy/review?draft=ID`; without a draft, the newest one.
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    query: Query<DraftQuery>,
    shown: Query<impact::ImpactQuery>,
) -> Result<HttpResponse, PageError> {
    if query.0.draft.is_empty() {
        return Ok(match policy::list_drafts(&ctx, &admin.0.initiator).await?.first() {
            Some(newest) => redirect_to(&review_href(newest.id)),
            None => redirect(
                &req,
                paths::ADMIN_POLICY,
                &Flash::info("There is nothing to review. Change a setting first."),
            ),
        });
    }
    let review = find_review(&req, &ctx, &admin, parse_draft_id(&query.0.draft)?).await?;
    let mut view = render(&req, &ctx, &admin, &review, Vec::new(), None).await?;
    if !review.changes.is_empty() {
        let mut found = impact::impact(&ctx, &admin, review.draft.id, &review.document, &shown.0).await?;
        if let Some(SecureMismatch::LocksOut) = review.secure_mismatch {
            // The preview judges sessions on the server; here browsers stop sending their cookies.
            found.sentence = "Everyone is signed out, because browsers no longer send the session cookie.".to_owned();
        }
        view.impact = Some(found);
        view.past = impact::replay_view(&ctx, &review.document, &shown.0).await?;
    }
    render_page(StatusCode::OK, &view)
}

/// The form that saves a draft.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct SaveForm {
    draft: String,
    base: String,
    fingerprint: String,
    reason: String,
    /// Whether it must be confirmed even without a risk.
    provisional: Option<String>,
    confirm_secure: Option<String>,
}

impl CriticalForm for SaveForm {}

/// `POST /admin/policy/review`
pub async fn save(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, form): ConfirmedVisitor<Admin, Form<SaveForm>>,
) -> Result<HttpResponse, PageError> {
    let form = form.0;
    let draft = parse_draft_id(&form.draft)?;
    let reason = reason_of(&form.reason);
    let reviewed = ReviewedDraft {
        draft,
        base: form.base.parse().map_err(|_| unknown_base())?,
        fingerprint: form.fingerprint,
        reason: reason.clone(),
        provisional: form.provisional.is_some(),
        confirm_secure: form.confirm_secure.is_some(),
        has_passkeys: passkeys_work_here(&req, &ctx),
    };
    let outcome = policy::save_draft(&ctx, &admin.0.initiator, reviewed).await?;
    let (review, refusal) = match outcome.ok_or(PageError::NotFound)? {
        DraftSaveOutcome::Saved {
            revision,
            changes,
            kind,
            is_provisional,
        } => {
            let message = describe_save(revision, &changes, &kind, is_provisional);
            let scope = changes.first().map_or(Scope::Everyone, |change| change.scope.clone());
            return Ok(redirect(&req, &editor::href(&scope, None), &Flash::ok(message)));
        }
        DraftSaveOutcome::Unchanged => {
            return Ok(redirect(
                &req,
                paths::ADMIN_POLICY,
                &Flash::info("The current policy already says the same, so nothing was saved."),
            ));
        }
        DraftSaveOutcome::Refused(review, refusal) => (review, refusal),
    };
    let (status, faults) = match refusal {
        SaveRefusal::SecureUnconfirmed => {
            let fault =
                "Confirm that you understand the effect of Secure, or go back and leave it unchanged.".to_owned();
            let faults = vec![("confirm_secure".to_owned(), fault)];
            (StatusCode::UNPROCESSABLE_ENTITY, faults)
        }
        // The page lists them.
        SaveRefusal::Faulty(_) => (StatusCode::UNPROCESSABLE_ENTITY, Vec::new()),
        // The page shows who saved first, or whose save is waiting for confirmation.
        SaveRefusal::Stale | SaveRefusal::Provisional => (StatusCode::CONFLICT, Vec::new()),
    };
    let view = render(&req, &ctx, &admin, &review, faults, Some(reason)).await?;
    render_page(status, &view)
}

fn unknown_base() -> PageError {
    PageError::BadRequest("The form does not name the revision it is based on. Open the review again.".to_owned())
}

/// `POST /admin/policy/review/resolve`: for each setting that both sides changed, `mine` or
/// `theirs`.
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
    let draft = parse_draft_id(field("draft").unwrap_or_default())?;
    let base: i64 = field("base")
        .and_then(|base| base.parse().ok())
        .ok_or_else(unknown_base)?;
    let answers = form
        .0
        .iter()
        .filter_map(|(field, value)| parse_conflict_choice(field, value))
        .collect();
    if policy::resolve(&ctx, &admin.0.initiator, draft, base, answers).await? {
        Ok(redirect_to(&review_href(draft)))
    } else {
        Err(PageError::NotFound)
    }
}

/// Parses `KEY@SCOPE` = `mine` or `theirs`.
fn parse_conflict_choice(field: &str, value: &str) -> Option<(Scope, Key, ConflictSide)> {
    let (key, scope) = field.split_once('@')?;
    let side = match value {
        "mine" => ConflictSide::Mine,
        "theirs" => ConflictSide::Theirs,
        _ => return None,
    };
    Some((scope.parse().ok()?, Key::parse(key)?, side))
}

/// `POST /admin/policy/review/discard`
pub async fn discard(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    form: Form<DraftQuery>,
) -> Result<HttpResponse, PageError> {
    if !policy::discard(&ctx, &admin.0.initiator, parse_draft_id(&form.0.draft)?).await? {
        return Err(PageError::NotFound);
    }
    let flash = Flash::info("The draft was discarded. The policy is unchanged.");
    Ok(redirect(&req, paths::ADMIN_POLICY, &flash))
}

async fn render(
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
    let interim = InterimSave {
        by: revision_line(newest, newest.revision),
        changes: review.since.iter().map(DiffLine::new).collect(),
    };
    let shell = Shell::admin(req, ctx, admin, "Review the policy", "policy").await?;
    Ok(ReviewPage {
        draft: review.draft.id.to_string(),
        base: newest.revision,
        fingerprint: review.fingerprint.clone(),
        kind: describe_kind(&review.kind),
        changes: review
            .changes
            .iter()
            .map(|change| review_line(change, &review.document))
            .collect(),
        conflicts: review.conflicts.iter().map(conflict_view).collect(),
        since: (!review.since.is_empty()).then_some(interim),
        kept: review
            .kept
            .iter()
            .map(|(scope, key)| format!("{} ({})", key.setting().label, scope.label()))
            .collect(),
        notes: review.draft.notes.clone(),
        loosened: describe_loosened(review),
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
        risks: review.risks.iter().map(|risk| describe_risk(req, risk)).collect(),
        confirm_secure: review.secure_mismatch.map(secure_message),
        held: shell.provisional.as_ref().map(|waiting| {
            format!(
                "Revision {} by {} is waiting to be kept or reverted. Nothing can be saved until then; your draft is \
                     kept.",
                waiting.revision, waiting.author
            )
        }),
        reason: reason.unwrap_or_else(|| review.draft.reason.clone()),
        back: editor_address(review),
        // Computed only for the page itself, not when a refused form is shown again.
        impact: None,
        past: None,
        shell,
    })
}

/// Describes what the draft makes less strict, each with its scope.
fn describe_loosened(review: &Review) -> Vec<String> {
    let old = &review.current.in_force.policy;
    let new = Policy::in_environment(0, review.document.clone(), old.environment().clone());
    let describe = |one: &LoosenedSetting| {
        let setting = one.key.setting();
        let (old, new) = (setting.display(&one.old), setting.display(&one.new));
        format!("{} ({}): {old} → {new}", setting.label, one.scope.label())
    };
    loosened(old, &new).iter().map(describe).collect()
}
/// Returns the editor's address with this draft, in the scope of its first change.
fn editor_address(review: &Review) -> String {
    let first = review.draft.changes.first();
    let scope = first.map_or(Scope::Everyone, |change| change.scope.clone());
    editor::href(&scope, Some(review.draft.id))
}

fn describe_kind(kind: &SaveKind) -> String {
    match kind {
        SaveKind::Saved => "Your changes".to_owned(),
        SaveKind::Restored { from } => format!("Restoring revision {from}"),
        SaveKind::Imported => "An import".to_owned(),
        SaveKind::Reset => "Reset to defaults".to_owned(),
        SaveKind::Baseline { id } => format!("Baseline {id}"),
    }
}

fn review_line(change: &Change, document: &PolicyDocument) -> ReviewLine {
    ReviewLine {
        diff: DiffLine::new(change),
        affected: describe_audience(change, document),
    }
}

/// Returns who is affected by a change: the scope, without the scopes that override the setting.
fn describe_audience(change: &Change, document: &PolicyDocument) -> String {
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
                format!("Everyone except: {}", overriding.join(", "))
            }
        }
        Scope::Administrators => "Administrators".to_owned(),
        Scope::Application(name) => format!("Users of {name}"),
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

fn describe_risk(req: &HttpRequest, risk: &Risk) -> String {
    match risk {
        Risk::OwnSessionEnds { within: None, reason } => {
            format!("Your own session ends on your next click ({reason}). You would have to sign in again.")
        }
        Risk::OwnSessionEnds {
            within: Some(span),
            reason,
        } => format!(
            "Your own session would end in {} ({reason}).",
            humanize(span.as_secs_ceil().max(1))
        ),
        Risk::SecureFlips { on: true } => {
            "The session cookie becomes Secure: browsers send it only over HTTPS.".to_owned()
        }
        Risk::SecureFlips { on: false } => "The session cookie loses Secure.".to_owned(),
        Risk::FactorOutOfReach => "You have no second factor that meets the new requirement, and could not enrol one: \
             you would reach nothing but the page that asks for it."
            .to_owned(),
        Risk::PasskeyOutOfReach => {
            let host = host_name(req).map_or_else(String::new, |host| format!(" ({host})"));
            format!(
                "Passkeys do not work under this address{host}. You could not enrol one here, and would reach nothing \
                 but the page that asks for it."
            )
        }
        Risk::DeviceUnbound => "Your own session is not bound to this device and would be refused on your next \
             click. You would have to sign in again with a browser that can bind it."
            .to_owned(),
        Risk::SaverLockedOut => "A lockout would refuse your next sign-in from this IP address.".to_owned(),
    }
}

/// Explains why the drafted `session.secure` does not match the public URL.
fn secure_message(mismatch: SecureMismatch) -> String {
    match mismatch {
        SecureMismatch::LocksOut => {
            "This console is served over plain HTTP. With Secure on, browsers no longer send the session cookie: you \
                 and \
             everyone else are signed out and cannot sign in again until HTTPS is in place."
        }
        SecureMismatch::Exposes => {
            "This console is served over HTTPS. With Secure off, browsers also send the session cookie over plain \
                 HTTP, \
             where anyone on the network path can read it."
        }
    }
    .to_owned()
}

fn describe_save(revision: i64, changes: &[Change], kind: &SaveKind, provisional: bool) -> String {
    let changed = match (kind, changes) {
        (SaveKind::Restored { from }, _) => format!("revision {from} restored"),
        (_, [change]) => change.sentence(),
        (_, changes) => format!("{} changes", changes.len()),
    };
    let until = if provisional {
        " It reverts by itself after 60 s, unless an administrator whose session works under it keeps it."
    } else {
        ""
    };
    format!("Saved as revision {revision}: {changed}. It now applies to every live session.{until}")
}
