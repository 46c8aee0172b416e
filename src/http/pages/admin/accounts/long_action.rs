//! `/admin/accounts/acts/{id}`: the progress and result of a long import or bulk action, which a
//! person can leave and return to, without scripts. A form that is submitted twice has its effect
//! once, and both responses show the result.
use super::view::{BulkDonePage, FaultLine, ImportedPage, LongActPage};
use crate::{
    domain::secret::Secret,
    flows::{
        Ctx, FormSubmission, KeptForm,
        accounts::{ImportSummary, StoredImport, fetch_import, find_import},
        find_form,
    },
    http::{
        error::PageError,
        flash::{Flash, redirect},
        form_key::parse_key,
        pages::admin::{
            form_answer::FormAnswer,
            once::{self, Once},
        },
        paths,
        respond::{redirect_to, render_page},
        shell::Shell,
        step_up::ConfirmedVisitor,
        visitor::Admin,
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web,
};
use uuid::Uuid;

/// Title of an import.
pub const IMPORT: &str = "Import accounts";
/// Seconds after which that page reloads.
const REFRESH: &str = "2";

/// The result of an action on accounts.
pub enum ActionResult {
    /// An action on many accounts.
    Bulk(FormAnswer),
    /// An import; its result is in the database.
    Imported,
    /// Nothing was done, for this reason.
    NotDone(String),
}

/// Responds with the result of an action, or redirects to its progress page.
pub async fn answer_once(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    key: Uuid,
    once: Once<ActionResult>,
) -> Result<HttpResponse, PageError> {
    let Once::Done { result, is_waiting } = once else {
        return Ok(redirect_to(&address(key)));
    };
    match &*result {
        Ok(result) => answer(req, ctx, admin, key, (result, is_waiting)).await,
        Err(error) => Err(error.clone().into()),
    }
}

/// Returns the address of an act's page.
fn address(key: Uuid) -> String {
    paths::ADMIN_ACCOUNTS_ACT.replace("{id}", &key.to_string())
}

/// Responds with the result of an action. One-time passwords are shown to the person who waited for
/// it; later they can be fetched once.
pub async fn answer(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    key: Uuid,
    (result, shows_passwords): (&ActionResult, bool),
) -> Result<HttpResponse, PageError> {
    match result {
        ActionResult::Bulk(done) => answer_bulk(req, ctx, admin, done).await,
        ActionResult::Imported => match find_import(ctx, submission(admin, key)).await? {
            Some(kept @ StoredImport::Done { .. }) => show_import(req, ctx, admin, key, (kept, shows_passwords)).await,
            Some(StoredImport::Running) | None => Err(PageError::NotFound),
        },
        ActionResult::NotDone(message) => Ok(redirect(
            req,
            paths::ADMIN_ACCOUNTS_IMPORT,
            &Flash::error(message.clone()),
        )),
    }
}

/// Responds with the result of an action on many accounts.
async fn answer_bulk(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    done: &FormAnswer,
) -> Result<HttpResponse, PageError> {
    if done.skipped.is_empty() {
        return Ok(done.respond(req));
    }
    let view = BulkDonePage {
        shell: Shell::admin(req, ctx, admin, "Accounts", "accounts").await?,
        summary: done.flash.text.clone(),
        skipped: done.skipped.clone(),
        back: done.to.clone(),
    };
    render_page(StatusCode::OK, &view)
}

/// Shows the result of an import. Passwords that were not fetched are shown if `shows_passwords`,
/// otherwise offered to be fetched.
async fn show_import(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    key: Uuid,
    (kept, shows_passwords): (StoredImport, bool),
) -> Result<HttpResponse, PageError> {
    let StoredImport::Done {
        summary,
        passwords,
        is_fetched,
    } = kept
    else {
        return Err(PageError::NotFound);
    };
    let unfetched = if is_fetched { Vec::new() } else { passwords };
    if shows_passwords {
        return imported(req, ctx, admin, summary, &unfetched, None).await;
    }
    let fetch = (!unfetched.is_empty()).then(|| format!("{}/passwords", address(key)));
    imported(req, ctx, admin, summary, &[], fetch).await
}

/// Identifies an action by its administrator and the form that asked for it.
pub fn submission(admin: &Admin, key: Uuid) -> FormSubmission {
    FormSubmission {
        owner: admin.0.account,
        key,
    }
}

/// Maximum number of faults that a page lists.
const MAX_LISTED: usize = 200;

/// Renders the result of an import.
pub async fn imported(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    summary: ImportSummary,
    passwords: &[(String, Secret)],
    fetch: Option<String>,
) -> Result<HttpResponse, PageError> {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let view = ImportedPage {
        shell: Shell::admin(req, ctx, admin, "Accounts imported", "accounts").await?,
        created: number(summary.created),
        changed: number(summary.changed),
        unchanged: number(summary.unchanged),
        ended: number(summary.ended),
        until: summary.until(),
        invited: summary.invited,
        passwords: passwords
            .iter()
            .map(|(name, password)| (name.clone(), password.expose().to_owned()))
            .collect(),
        fetch,
        faults: summary
            .faults
            .into_iter()
            .take(MAX_LISTED)
            .map(|fault| FaultLine {
                number: fault.line,
                column: fault.column.unwrap_or_else(|| "–".to_owned()),
                message: fault.message,
            })
            .collect(),
    };
    render_page(StatusCode::OK, &view)
}

/// `GET /admin/accounts/acts/{id}`: shows the progress of the action, or its result.
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let key = parse_key(&id).ok_or(PageError::NotFound)?;
    if let Some(act) = ctx.live.long_actions.find(admin.0.account, key, ctx.now()) {
        if act.result().is_some() {
            return answer_once(&req, &ctx, &admin, key, once::join(&act).await).await;
        }
        return show_progress(&req, &ctx, &admin, key, (&act.title, act.progress())).await;
    }
    let kept = find_form(&ctx, submission(&admin, key)).await?;
    show_kept(&req, &ctx, &admin, key, kept.ok_or(PageError::NotFound)?).await
}

/// Shows an action that another server performed, or does so now.
pub async fn show_kept(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    key: Uuid,
    kept: KeptForm,
) -> Result<HttpResponse, PageError> {
    let is_import = kept.route == paths::ADMIN_ACCOUNTS_IMPORT_APPLY;
    let title = if is_import { IMPORT } else { "Accounts" };
    match &kept.outcome {
        None => show_progress(req, ctx, admin, key, (title, (0, 0))).await,
        Some(_) if is_import => show_import(req, ctx, admin, key, (StoredImport::read(kept)?, false)).await,
        Some(outcome) => answer_bulk(req, ctx, admin, &FormAnswer::from_outcome(outcome)?).await,
    }
}

async fn show_progress(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    key: Uuid,
    (title, (done, total)): (&str, (usize, usize)),
) -> Result<HttpResponse, PageError> {
    let view = LongActPage {
        shell: Shell::admin(req, ctx, admin, title.to_owned(), "accounts").await?,
        title: title.to_owned(),
        done,
        total,
        address: address(key),
    };
    let mut response = render_page(StatusCode::OK, &view)?;
    response
        .headers_mut()
        .insert(HeaderName::from_static("refresh"), HeaderValue::from_static(REFRESH));
    Ok(response)
}

/// `POST /admin/accounts/acts/{id}/passwords`: shows the one-time passwords of an import, once.
pub async fn fetch_passwords(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, ()): ConfirmedVisitor<Admin, ()>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let key = parse_key(&id).ok_or(PageError::NotFound)?;
    match fetch_import(&ctx, submission(&admin, key)).await? {
        Some(StoredImport::Done { summary, passwords, .. }) => {
            imported(&req, &ctx, &admin, summary, &passwords, None).await
        }
        Some(StoredImport::Running) | None => Err(PageError::NotFound),
    }
}
