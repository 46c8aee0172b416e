//! `/admin/accounts/acts/{id}`: the progress and result of a long import or bulk action, which a
//! person can leave and return to, without scripts. A form that is submitted twice has its effect
//! once, and both responses show the result.
use super::view::{BulkDonePage, FaultLine, ImportedPage, LongActPage};
use crate::{
    domain::secret::Secret,
    flows::{
        Ctx,
        accounts::{ImportSubmission, ImportSummary, KeptImport, fetch_import, find_import},
    },
    http::{
        error::PageError,
        flash::{Flash, redirect},
        pages::admin::once::{self, Once},
        paths,
        respond::{redirect_to, render_page},
        shell::Shell,
        step_up::Confirmed,
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
pub enum ActResult {
    /// An action on many accounts.
    Bulk {
        summary: String,
        /// Address of the account, its name, and why it was left as it is.
        skipped: Vec<(String, String, &'static str)>,
        back: String,
    },
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
    once: Once<ActResult>,
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
    (result, shows_passwords): (&ActResult, bool),
) -> Result<HttpResponse, PageError> {
    match result {
        ActResult::Bulk { summary, skipped, back } if skipped.is_empty() => {
            Ok(redirect(req, back, &Flash::ok(summary.clone())))
        }
        ActResult::Bulk { summary, skipped, back } => {
            let view = BulkDonePage {
                shell: Shell::admin(req, ctx, admin, "Accounts", "accounts").await?,
                summary: summary.clone(),
                skipped: skipped.clone(),
                back: back.clone(),
            };
            render_page(StatusCode::OK, &view)
        }
        ActResult::Imported => match find_import(ctx, submission(admin, key)).await? {
            Some(kept @ KeptImport::Done { .. }) => show_import(req, ctx, admin, key, (kept, shows_passwords)).await,
            Some(KeptImport::Running) | None => Err(PageError::NotFound),
        },
        ActResult::NotDone(message) => Ok(redirect(
            req,
            paths::ADMIN_ACCOUNTS_IMPORT,
            &Flash::error(message.clone()),
        )),
    }
}

/// Shows the result of an import. Passwords that were not fetched are shown if `shows_passwords`,
/// otherwise offered to be fetched.
async fn show_import(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    key: Uuid,
    (kept, shows_passwords): (KeptImport, bool),
) -> Result<HttpResponse, PageError> {
    let KeptImport::Done {
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

/// Identifies an import by its administrator and the form that asked for it.
pub fn submission(admin: &Admin, key: Uuid) -> ImportSubmission {
    ImportSubmission {
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
    let key = once::key_of(&id).ok_or(PageError::NotFound)?;
    if let Some(act) = ctx.live.long_acts.find(admin.0.account, key, ctx.now()) {
        if act.result().is_some() {
            return answer_once(&req, &ctx, &admin, key, once::join(&act).await).await;
        }
        return show_progress(&req, &ctx, &admin, key, (&act.title, act.progress())).await;
    }
    // Another server performed it, or does so now.
    match find_import(&ctx, submission(&admin, key)).await? {
        Some(KeptImport::Running) => show_progress(&req, &ctx, &admin, key, (IMPORT, (0, 0))).await,
        Some(kept @ KeptImport::Done { .. }) => show_import(&req, &ctx, &admin, key, (kept, false)).await,
        None => Err(PageError::NotFound),
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
    Confirmed(admin, ()): Confirmed<Admin, ()>,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let key = once::key_of(&id).ok_or(PageError::NotFound)?;
    match fetch_import(&ctx, submission(&admin, key)).await? {
        Some(KeptImport::Done { summary, passwords, .. }) => {
            imported(&req, &ctx, &admin, summary, &passwords, None).await
        }
        Some(KeptImport::Running) | None => Err(PageError::NotFound),
    }
}
