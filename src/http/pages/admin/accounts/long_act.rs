//! `/admin/accounts/acts/{id}`: the progress and result of a long import or bulk action, which a
//! person can leave and return to, without scripts. A form that is submitted twice acts once, and
//! both responses show the result.
use super::view::{BulkDonePage, FaultLine, ImportedPage, LongActPage};
use crate::{
    domain::{
        secret::Secret,
        time::{Span, Timestamp},
    },
    flows::{Ctx, FlowError},
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
    live::long_acts::LongAct,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web,
};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// Seconds after which that page reloads.
const REFRESH: &str = "2";

/// The result of an action on accounts.
pub enum ActResult {
    /// An action on many accounts.
    Bulk {
        said: String,
        /// Address of the account, its name, and why it was left as it is.
        skipped: Vec<(String, String, &'static str)>,
        back: String,
    },
    Imported(ImportResult),
    /// Nothing was done, for this reason.
    NotDone(String),
}

/// The result of an import.
pub struct ImportResult {
    pub created: i64,
    pub changed: i64,
    pub unchanged: i64,
    pub ended: i64,
    pub until: Timestamp,
    pub invited: bool,
    pub faults: Vec<FaultLine>,
    /// Usernames and one-time passwords, until they are fetched.
    pub passwords: Mutex<KeptPasswords>,
}

impl ImportResult {
    fn fetch_passwords(&self, now: Timestamp) -> Vec<(String, Secret)> {
        self.passwords.lock().unwrap_or_else(PoisonError::into_inner).fetch(now)
    }
}

/// How long one-time passwords are shown again after they were fetched: the second click of two
/// replaces the page of the first.
const SHOWN_AGAIN: Span = Span::from_secs(10);

/// Usernames and one-time passwords that can be fetched once.
pub struct KeptPasswords {
    list: Vec<(String, Secret)>,
    fetched_at: Option<Timestamp>,
}

impl KeptPasswords {
    /// Keeps these until they are fetched.
    pub fn new(list: Vec<(String, Secret)>) -> Self {
        Self { list, fetched_at: None }
    }

    /// Returns them for the first time, or for a click at nearly the same time; after that nothing.
    fn fetch(&mut self, now: Timestamp) -> Vec<(String, Secret)> {
        let first = *self.fetched_at.get_or_insert(now);
        if now.since(first) > SHOWN_AGAIN {
            self.list.clear();
        }
        self.list.clone()
    }

    /// Returns them if they were not fetched.
    fn unfetched(&self) -> Vec<(String, Secret)> {
        if self.fetched_at.is_none() {
            self.list.clone()
        } else {
            Vec::new()
        }
    }
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
        ActResult::Bulk { said, skipped, back } if skipped.is_empty() => {
            Ok(redirect(req, back, &Flash::ok(said.clone())))
        }
        ActResult::Bulk { said, skipped, back } => {
            let view = BulkDonePage {
                shell: Shell::admin(req, ctx, admin, "Accounts", "accounts").await?,
                said: said.clone(),
                skipped: skipped.clone(),
                back: back.clone(),
            };
            render_page(StatusCode::OK, &view)
        }
        ActResult::Imported(import) => {
            let passwords = import
                .passwords
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .unfetched();
            let (shown, kept) = if shows_passwords {
                (passwords, Vec::new())
            } else {
                (Vec::new(), passwords)
            };
            let fetch = (!kept.is_empty()).then(|| format!("{}/passwords", address(key)));
            imported(req, ctx, admin, import, &shown, fetch).await
        }
        ActResult::NotDone(message) => Ok(redirect(
            req,
            paths::ADMIN_ACCOUNTS_IMPORT,
            &Flash::error(message.clone()),
        )),
    }
}

async fn imported(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    import: &ImportResult,
    passwords: &[(String, Secret)],
    fetch: Option<String>,
) -> Result<HttpResponse, PageError> {
    let view = ImportedPage {
        shell: Shell::admin(req, ctx, admin, "Accounts imported", "accounts").await?,
        created: import.created,
        changed: import.changed,
        unchanged: import.unchanged,
        ended: import.ended,
        until: import.until,
        invited: import.invited,
        passwords: passwords
            .iter()
            .map(|(name, password)| (name.clone(), password.expose().to_owned()))
            .collect(),
        fetch,
        faults: import.faults.clone(),
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
    let act = find(&ctx, &admin, &id)?;
    if act.result().is_some() {
        return answer_once(&req, &ctx, &admin, act.key, once::join(&act).await).await;
    }
    let (done, total) = act.progress();
    let view = LongActPage {
        shell: Shell::admin(&req, &ctx, &admin, act.title.clone(), "accounts").await?,
        title: act.title.clone(),
        done,
        total,
        address: address(act.key),
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
    let act = find(&ctx, &admin, &id)?;
    let result = act
        .result()
        .and_then(|result| result.downcast::<Result<ActResult, FlowError>>().ok());
    match result.as_deref() {
        Some(Ok(ActResult::Imported(import))) => {
            let passwords = import.fetch_passwords(ctx.now());
            imported(&req, &ctx, &admin, import, &passwords, None).await
        }
        Some(Ok(ActResult::Bulk { .. } | ActResult::NotDone(_)) | Err(_)) | None => Err(PageError::NotFound),
    }
}

fn find(ctx: &Ctx, admin: &Admin, id: &str) -> Result<Arc<LongAct>, PageError> {
    let key = once::key_of(id).ok_or(PageError::NotFound)?;
    let found = ctx.live.long_acts.find(admin.0.account, key, ctx.now());
    found.ok_or(PageError::NotFound)
}
