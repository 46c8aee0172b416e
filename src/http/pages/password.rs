//! `/password`: changing one's own password, by choice or because it is required. `forgot` and
//! `reset` handle emailed links.

pub mod forgot;
pub mod reset;

use super::strength::{self, StrengthForm};
use crate::{
    domain::{login::SignInRefusal, origin::ReturnTo, password::ChangeReason, secret::Secret},
    flows::{
        Ctx,
        password_change::{PasswordChange, PasswordChangeOutcome, change, find_reason},
        sessions,
    },
    http::{
        destination::{destination_address, return_to},
        error::PageError,
        filters,
        flash::{self, Flash},
        forms::{Form, ShortForm},
        headers, onward,
        pages::strength::field_of,
        paths,
        problem::set_retry_after,
        respond::render_page,
        session_cookie::{self, CookieScope},
        session_store::PREPARED_TOKEN,
        shell::Shell,
        sign_in::describe_refusal,
        visitor::{Pending, Visitor},
    },
};
use actix_session::SessionExt;
use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web,
};
use askama::Template;
use serde::Deserialize;
use url::Origin;

#[derive(Template)]
#[template(path = "pages/password.html")]
struct PasswordPage {
    shell: Shell,
    /// The reason why it must be changed before anything else.
    forced: Option<String>,
    /// Fields with their error messages.
    faults: Vec<(String, String)>,
    min_length: usize,
    /// The number of other sessions, which the change ends.
    others: usize,
    /// The username, for password managers.
    name: String,
    /// Where the password is changed, if the account's source keeps it.
    managed: Option<ManagedPassword>,
}

/// A source that keeps the password of the account.
struct ManagedPassword {
    title: String,
    /// Whether the password that is changed there is typed here.
    is_directory: bool,
    /// The page of the source where people change it.
    url: Option<String>,
}

/// Returns the source that keeps the password of the visitor's account.
fn managed_password(ctx: &Ctx, pending: &Pending) -> Option<ManagedPassword> {
    let account = &pending.0.admitted.account;
    let title = ctx.source_title(account)?;
    let known = ctx.live.sources();
    let settings = account
        .source
        .and_then(|id| known.by_id(id))
        .and_then(|live| live.source.ldap());
    Some(ManagedPassword {
        title,
        is_directory: settings.is_some(),
        url: settings.and_then(|settings| settings.password_url.clone()),
    })
}

/// The form of a password change.
#[derive(Deserialize)]
pub struct PasswordForm {
    #[serde(default)]
    current_password: String,
    #[serde(default)]
    new_password: String,
    #[serde(default)]
    new_password_again: String,
}

/// `/.well-known/change-password` (W3C): the address that password managers use.
pub async fn well_known() -> HttpResponse {
    HttpResponse::Found()
        .insert_header((header::LOCATION, paths::PASSWORD))
        .finish()
}

/// `GET /password`
pub async fn form(req: HttpRequest, ctx: web::Data<Ctx>, pending: Pending) -> Result<HttpResponse, PageError> {
    show(&req, &ctx, &pending, StatusCode::OK, Vec::new()).await
}

/// Returns the return address, and the application's origin if it is not one of our own pages.
fn read_destination(req: &HttpRequest, ctx: &Ctx) -> (Option<ReturnTo>, Option<Origin>) {
    onward::read_target(req).map_or((None, None), |target| return_to(ctx, &target))
}

/// `POST /password`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    pending: Pending,
    Form(form): ShortForm<PasswordForm>,
) -> Result<HttpResponse, PageError> {
    let visitor = &pending.0;
    let wanted = PasswordChange {
        account: visitor.account,
        session: visitor.session,
        client: visitor.client.clone(),
        current: Secret::new(form.current_password),
        new: Secret::new(form.new_password),
        again: Secret::new(form.new_password_again),
        cookie_form: session_cookie::form(CookieScope::own_host(&ctx.config), &visitor.policy),
    };
    match change(&ctx, &visitor.initiator, wanted).await? {
        PasswordChangeOutcome::Done { token, ended } => {
            // The session has a new token, which the browser gets; the old one is revoked.
            let session = req.get_session();
            session.renew();
            session
                .insert(PREPARED_TOKEN, token.expose())
                .map_err(|error| PageError::Internal(format!("the session cannot be handed over: {error}")))?;
            let (target, origin) = read_destination(&req, &ctx);
            let way = destination_address(&ctx, target.as_ref(), origin.as_ref());
            let mut response = flash::redirect(&req, &way, &Flash::ok(describe_change(ended)));
            onward::store_target(&req, &mut response, None);
            Ok(response)
        }
        PasswordChangeOutcome::WrongCurrent => {
            let fault = (
                "current_password".to_owned(),
                "The current password is wrong.".to_owned(),
            );
            show(&req, &ctx, &pending, StatusCode::UNPROCESSABLE_ENTITY, vec![fault]).await
        }
        PasswordChangeOutcome::Managed(title) => {
            let fault = (
                "new_password".to_owned(),
                format!("{title} keeps your password. Change it there."),
            );
            show(&req, &ctx, &pending, StatusCode::UNPROCESSABLE_ENTITY, vec![fault]).await
        }
        PasswordChangeOutcome::Faulty(faults) => {
            let faults = faults
                .iter()
                .map(|fault| (field_of(fault).to_owned(), fault.message()))
                .collect();
            show(&req, &ctx, &pending, StatusCode::UNPROCESSABLE_ENTITY, faults).await
        }
        PasswordChangeOutcome::Refused(refusal) => refused(&req, &ctx, &pending, &refusal).await,
    }
}

/// `POST /password/strength`: judges the password while it is typed, for the page's script. Stores
/// nothing.
pub async fn strength(
    ctx: web::Data<Ctx>,
    pending: Pending,
    Form(typing): ShortForm<StrengthForm>,
) -> Result<HttpResponse, PageError> {
    let account = &pending.0.admitted.account;
    let email = account.email.clone().unwrap_or_default();
    let account_words = vec![account.name.clone(), account.display_name.clone(), email];
    let policy = pending.0.policy.password.clone();
    strength::answer(&ctx, &pending.0.client, typing.new_password, account_words, policy).await
}

async fn refused(
    req: &HttpRequest,
    ctx: &Ctx,
    pending: &Pending,
    refusal: &SignInRefusal,
) -> Result<HttpResponse, PageError> {
    let (status, retry_after, words) = describe_refusal(refusal, ctx.now());
    let mut response = show(req, ctx, pending, status, vec![("current_password".to_owned(), words)]).await?;
    set_retry_after(&mut response, retry_after);
    Ok(response)
}

fn describe_change(ended: usize) -> String {
    match ended {
        0 => "Your password was changed.".to_owned(),
        1 => "Your password was changed. Your other session was ended.".to_owned(),
        ended => format!("Your password was changed. Your {ended} other sessions were ended."),
    }
}

async fn show(
    req: &HttpRequest,
    ctx: &Ctx,
    pending: &Pending,
    status: StatusCode,
    faults: Vec<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let visitor = &pending.0;
    let others = sessions::list_own(ctx, visitor.account).await?.len().saturating_sub(1);
    let forced = change_reason(ctx, visitor).await?.map(|reason| {
        match reason {
            ChangeReason::Demanded => "An administrator requires you to choose a new password.",
            ChangeReason::SetByOther => "Someone else set your password. Choose your own to continue.",
            ChangeReason::TooOld => "Your password has expired. Choose a new one to continue.",
        }
        .to_owned()
    });
    let mut response = render_page(
        status,
        &PasswordPage {
            managed: managed_password(ctx, pending),
            shell: Shell::pending(req, ctx, pending, "Change password", "password"),
            forced,
            faults,
            min_length: visitor.policy.password.min_length,
            others,
            name: visitor.name.clone(),
        },
    )?;
    if let (_, Some(origin)) = read_destination(req, ctx) {
        headers::allow_form_action(response.headers_mut(), &origin);
    }
    Ok(response)
}

async fn change_reason(ctx: &Ctx, visitor: &Visitor) -> Result<Option<ChangeReason>, PageError> {
    let admitted = &visitor.admitted;
    Ok(find_reason(ctx, &admitted.account, admitted.session.row.signed_in_at).await?)
}
