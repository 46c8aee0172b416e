//! `/password`: changing one's own password, by choice or because it must be. With a mailed link: `forgot` and `reset`.

pub mod forgot;
pub mod reset;

use super::{
    Shell, filters, page,
    strength::{self, Typing},
};
use crate::{
    domain::{
        login::Refusal,
        origin::ReturnTo,
        password::{ChangeReason, PasswordFault},
        secret::Secret,
    },
    flows::{
        Ctx,
        password_change::{Changed, PasswordChange, change, demanded},
        sessions,
    },
    http::{
        error::PageError,
        flash::{self, Flash},
        forms::{Form, ShortForm},
        handover::{return_to, way_to},
        headers, onward, paths,
        session_cookie::{self, Jar},
        visitor::{Pending, Visitor},
    },
    live::session_store::PREPARED_TOKEN,
};
use actix_session::SessionExt;
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web,
};
use askama::Template;
use serde::Deserialize;
use url::Origin;

#[derive(Template)]
#[template(path = "pages/password.html")]
struct PasswordPage {
    shell: Shell,
    /// Why it must be changed before anything else.
    forced: Option<String>,
    /// Field and sentence.
    faults: Vec<(String, String)>,
    min_length: usize,
    /// Other sessions, which the change ends.
    others: usize,
    /// For password managers.
    name: String,
}

#[derive(Deserialize)]
pub struct PasswordForm {
    #[serde(default)]
    current_password: String,
    #[serde(default)]
    new_password: String,
    #[serde(default)]
    new_password_again: String,
}

/// `/.well-known/change-password` (W3C): where password managers look.
pub async fn well_known() -> HttpResponse {
    HttpResponse::Found()
        .insert_header((header::LOCATION, paths::PASSWORD))
        .finish()
}

pub async fn form(req: HttpRequest, ctx: web::Data<Ctx>, pending: Pending) -> Result<HttpResponse, PageError> {
    show(&req, &ctx, &pending, StatusCode::OK, Vec::new()).await
}

/// Where it goes on, and the application's origin when that is not one of our own pages.
fn going_on(req: &HttpRequest, ctx: &Ctx) -> (Option<ReturnTo>, Option<Origin>) {
    onward::kept(req).map_or((None, None), |target| return_to(ctx, &target))
}

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
        ip: visitor.client.ip,
        user_agent: visitor.client.user_agent.clone(),
        current: Secret::new(form.current_password),
        new: Secret::new(form.new_password),
        again: Secret::new(form.new_password_again),
        cookie_form: session_cookie::form(Jar::own(&ctx.config), &visitor.policy),
    };
    match change(&ctx, &visitor.acting, wanted).await? {
        Changed::Done { token, ended } => {
            // Renewed: the old id is dead, the browser gets the new one.
            let session = req.get_session();
            session.renew();
            session
                .insert(PREPARED_TOKEN, token.expose())
                .map_err(|error| PageError::Internal(format!("the session cannot be handed over: {error}")))?;
            let (target, origin) = going_on(&req, &ctx);
            let way = way_to(&ctx, target.as_ref(), origin.as_ref());
            let mut response = flash::redirect(&req, &way, &Flash::ok(done_words(ended)));
            onward::keep(&req, &mut response, None);
            Ok(response)
        }
        Changed::WrongCurrent => {
            let fault = (
                "current_password".to_owned(),
                "The current password is wrong.".to_owned(),
            );
            show(&req, &ctx, &pending, StatusCode::UNPROCESSABLE_ENTITY, vec![fault]).await
        }
        Changed::Faulty(faults) => {
            let faults = faults
                .iter()
                .map(|fault| (field_of(fault).to_owned(), fault.message()))
                .collect();
            show(&req, &ctx, &pending, StatusCode::UNPROCESSABLE_ENTITY, faults).await
        }
        Changed::Refused(refusal) => refused(&req, &ctx, &pending, &refusal).await,
    }
}

/// `POST /password/strength`: how what was typed so far stands, for the page's script. Keeps nothing.
pub async fn strength(pending: Pending, Form(typing): ShortForm<Typing>) -> Result<HttpResponse, PageError> {
    let account = &pending.0.admitted.account;
    let email = account.email.clone().unwrap_or_default();
    let own_words = vec![account.name.clone(), account.display_name.clone(), email];
    strength::answer(typing.new_password, own_words, pending.0.policy.password.clone()).await
}

async fn refused(
    req: &HttpRequest,
    ctx: &Ctx,
    pending: &Pending,
    refusal: &Refusal,
) -> Result<HttpResponse, PageError> {
    let (status, retry_after, words) = super::login::answer(refusal, ctx.now());
    let mut response = show(req, ctx, pending, status, vec![("current_password".to_owned(), words)]).await?;
    if let Some(secs) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    Ok(response)
}

fn field_of(fault: &PasswordFault) -> &'static str {
    match fault {
        PasswordFault::Mismatch => "new_password_again",
        _ => "new_password",
    }
}

fn done_words(ended: usize) -> String {
    match ended {
        0 => "Your password was changed.".to_owned(),
        1 => "Your password was changed. One other session was ended.".to_owned(),
        ended => format!("Your password was changed. {ended} other sessions were ended."),
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
    let others = sessions::mine(ctx, visitor.account).await?.len().saturating_sub(1);
    let forced = why(ctx, visitor).await?.map(|reason| {
        match reason {
            ChangeReason::Demanded => "An administrator asks you to choose a new password before you go on.",
            ChangeReason::SetByOther => "Somebody else chose your password. Choose your own before you go on.",
            ChangeReason::TooOld => "Your password is older than allowed. Choose a new one before you go on.",
        }
        .to_owned()
    });
    let mut response = page(
        status,
        &PasswordPage {
            shell: Shell::pending(req, ctx, pending, "Change password", "password"),
            forced,
            faults,
            min_length: visitor.policy.password.min_length,
            others,
            name: visitor.name.clone(),
        },
    )?;
    if let (_, Some(origin)) = going_on(req, ctx) {
        headers::allow_form_action(response.headers_mut(), &origin);
    }
    Ok(response)
}

async fn why(ctx: &Ctx, visitor: &Visitor) -> Result<Option<ChangeReason>, PageError> {
    let admitted = &visitor.admitted;
    Ok(demanded(ctx, &admitted.account, admitted.session.row.signed_in_at).await?)
}
