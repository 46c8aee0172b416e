//! `/login/factor`: the second step of a sign-in. The password was correct; no session is open yet.

use crate::{
    domain::origin::ReturnTo,
    flows::{Ctx, factors::PendingView},
    http::{
        destination::return_to,
        error::PageError,
        filters,
        flash::{self, Flash},
        forms::{EmptyBody, Form, Json, ShortForm},
        headers,
        negotiation::wants_html,
        pages::login::destination,
        paths,
        prove_form::ProveForm,
        respond::{redirect_to, render_page},
        second_step,
        session_proof::passkey_place,
        shell::Shell,
        site::Site,
        visitor::Anyone,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "pages/login/second_step.html")]
struct SecondStepPage {
    shell: Shell,
    prove: ProveForm,
    /// The place to continue to, as people know it.
    destination: Option<String>,
}

/// The form of the second step.
#[derive(Deserialize)]
pub struct SecondStepForm {
    #[serde(default)]
    code: String,
    #[serde(default)]
    trust: String,
}

/// The passkey of the second step.
#[derive(Deserialize)]
pub struct SecondStepPasskey {
    credential: serde_json::Value,
    #[serde(default)]
    trust: bool,
}

/// `GET /login/factor`
pub async fn form(req: HttpRequest, ctx: web::Data<Ctx>, anyone: Anyone) -> Result<HttpResponse, PageError> {
    match second_step::find(&req, &ctx, &Site::Own, &anyone).await? {
        Some(pending) => show(&req, &ctx, &pending, StatusCode::OK, None),
        None => Ok(start_again(&req)),
    }
}

/// `POST /login/factor`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(form): ShortForm<SecondStepForm>,
) -> Result<HttpResponse, PageError> {
    let Some(pending) = second_step::find(&req, &ctx, &Site::Own, &anyone).await? else {
        return answer_expired(&req);
    };
    let trust = form.trust == "on";
    let settled = second_step::settle_code(&req, &ctx, &Site::Own, &anyone, form.code, trust).await?;
    match settled {
        Ok(signed_in) => signed_in.redirect(&req, &ctx),
        Err(refusal) if refusal.is_gone() => answer_expired(&req),
        Err(refusal) if wants_html(&req) => {
            let mut response = show(&req, &ctx, &pending, refusal.status, Some(refusal.words.clone()))?;
            refusal.set_retry_after(&mut response);
            Ok(response)
        }
        Err(refusal) => Ok(refusal.into_problem(&ctx)),
    }
}

/// `POST /login/factor/options`
pub async fn options(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    _: Json<EmptyBody>,
) -> Result<HttpResponse, PageError> {
    Ok(match second_step::start_proof(&req, &ctx, &Site::Own, &anyone).await? {
        Ok(options) => HttpResponse::Ok().json(options),
        Err(refusal) => refusal.into_problem(&ctx),
    })
}

/// `POST /login/factor/passkey`
pub async fn passkey(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Json(answer): Json<SecondStepPasskey>,
) -> Result<HttpResponse, PageError> {
    let settled = second_step::settle_passkey(&req, &ctx, &Site::Own, &anyone, answer.credential, answer.trust).await?;
    match settled {
        Ok(signed_in) => signed_in.location(&req, &ctx),
        Err(refusal) => Ok(refusal.into_problem(&ctx)),
    }
}

/// Shows the page of the step, or of a refused attempt.
fn show(
    req: &HttpRequest,
    ctx: &Ctx,
    pending: &PendingView,
    status: StatusCode,
    fault: Option<String>,
) -> Result<HttpResponse, PageError> {
    let (target, origin) = return_to(ctx, &pending.return_to);
    let mut methods = pending.methods;
    methods.passkey &= passkey_place(req, ctx).is_some();
    let mut prove = ProveForm::new(paths::LOGIN_FACTOR, methods, pending.trust_for);
    prove.fault = fault;
    let page = SecondStepPage {
        shell: Shell::anonymous(req, ctx, "Confirm it’s you"),
        prove,
        destination: target.as_ref().map(ReturnTo::as_str).and_then(destination),
    };
    let mut response = render_page(status, &page)?;
    if let Some(origin) = origin {
        headers::allow_form_action(response.headers_mut(), &origin);
    }
    Ok(response)
}

/// Answers that there is nothing to continue: people get the sign-in page, programs a 401.
fn answer_expired(req: &HttpRequest) -> Result<HttpResponse, PageError> {
    if wants_html(req) {
        return Ok(start_again(req));
    }
    Err(PageError::SignIn {
        return_to: None,
        reason: None,
    })
}

fn start_again(req: &HttpRequest) -> HttpResponse {
    if !second_step::is_carried(req) {
        return redirect_to(paths::LOGIN);
    }
    let words = Flash::info("The second step took too long or was already used. Sign in again.");
    let mut response = flash::redirect(req, paths::LOGIN, &words);
    second_step::forget(req, response.headers_mut());
    response
}
