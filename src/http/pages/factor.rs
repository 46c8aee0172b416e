//! `/factor`: the only page that a session can open while it must prove or set up a second factor.
//! Its passkey addresses also serve step-up.

use super::factors::{EnrolmentChoices, PasskeyOffer, name_to_use};
use crate::{
    domain::{
        factor::{FactorDuty, FactorRequirement},
        origin::ReturnTo,
    },
    flows::{
        Ctx,
        access::FactorDutyAt,
        factors::{EnrolmentRefusal, find_enrolment_refusals},
    },
    http::{
        destination::{destination_address, return_to},
        error::PageError,
        filters,
        forms::{EmptyBody, Form, Json, Query, ShortForm},
        headers,
        negotiation::wants_html,
        onward,
        prove_form::ProveForm,
        respond::{redirect_to, render_page},
        session_proof,
        shell::Shell,
        visitor::{FactorVisitor, Visitor},
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "pages/factor.html")]
struct FactorPage {
    shell: Shell,
    step: FactorStep,
    /// A sentence that says who requires a second factor.
    reason: String,
    /// Whether nothing but a passkey is enough.
    needs_passkey: bool,
    /// Whether only an application requires it, so that the visitor's own pages are open.
    is_only_there: bool,
    /// Why a passkey that the account has cannot be used under this address.
    unusable: Option<String>,
    /// The username.
    name: String,
}

/// The step that the page asks for.
enum FactorStep {
    /// One of the account's factors.
    Prove(ProveForm),
    /// A new factor, or one that the account has.
    Enrol(EnrolmentChoices, Option<ProveForm>),
    /// A link from an administrator, without which no factor can be added.
    Link,
}

/// The query: the address to continue to after the step.
#[derive(Deserialize)]
pub struct FactorQuery {
    #[serde(default)]
    return_to: String,
}

/// The form with a code.
#[derive(Deserialize)]
pub struct DutyCodeForm {
    #[serde(default)]
    code: String,
    #[serde(default)]
    return_to: String,
}

/// A browser's answer to a passkey request.
#[derive(Deserialize)]
pub struct DutyPasskey {
    credential: serde_json::Value,
    #[serde(default)]
    return_to: String,
}

/// `GET /factor`
pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    visitor: FactorVisitor,
    Query(query): Query<FactorQuery>,
) -> Result<HttpResponse, PageError> {
    show(&req, &ctx, &visitor, &query.return_to, StatusCode::OK, None).await
}

/// `POST /factor`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    visitor: FactorVisitor,
    Form(form): ShortForm<DutyCodeForm>,
) -> Result<HttpResponse, PageError> {
    match session_proof::prove_code(&req, &ctx, &visitor.0, form.code).await? {
        Ok(()) => Ok(redirect_to(&destination_of(&ctx, &form.return_to))),
        Err(refusal) if wants_html(&req) => {
            let fault = Some(refusal.words.clone());
            let mut response = show(&req, &ctx, &visitor, &form.return_to, refusal.status, fault).await?;
            refusal.set_retry_after(&mut response);
            Ok(response)
        }
        Err(refusal) => Ok(refusal.into_problem(&ctx)),
    }
}

/// `POST /factor/options`
pub async fn options(
    ctx: web::Data<Ctx>,
    visitor: FactorVisitor,
    _: Json<EmptyBody>,
) -> Result<HttpResponse, PageError> {
    Ok(match session_proof::start_passkey(&ctx, &visitor.0).await? {
        Ok(options) => HttpResponse::Ok().json(options),
        Err(refusal) => refusal.into_problem(&ctx),
    })
}

/// `POST /factor/passkey`
pub async fn passkey(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    visitor: FactorVisitor,
    Json(answer): Json<DutyPasskey>,
) -> Result<HttpResponse, PageError> {
    Ok(
        match session_proof::prove_passkey(&req, &ctx, &visitor.0, answer.credential).await? {
            Ok(()) => {
                HttpResponse::Ok().json(serde_json::json!({ "location": destination_of(&ctx, &answer.return_to) }))
            }
            Err(refusal) => refusal.into_problem(&ctx),
        },
    )
}

fn destination_of(ctx: &Ctx, target: &str) -> String {
    let (target, origin) = return_to(ctx, target);
    destination_address(ctx, target.as_ref(), origin.as_ref())
}

async fn show(
    req: &HttpRequest,
    ctx: &Ctx,
    visitor: &FactorVisitor,
    target: &str,
    status: StatusCode,
    fault: Option<String>,
) -> Result<HttpResponse, PageError> {
    let (target, origin) = return_to(ctx, target);
    let (visitor, admitted) = (&visitor.0, &visitor.0.admitted);
    let Some(duty) = session_proof::find_duty(ctx, admitted, target.as_ref()).await? else {
        return Ok(redirect_to(&destination_address(ctx, target.as_ref(), origin.as_ref())));
    };
    let prove = session_proof::prove_form(req, ctx, visitor, &duty).await?;
    let prove = prove.map(|form| ProveForm {
        return_to: target
            .as_ref()
            .map(|target| target.as_str().to_owned())
            .unwrap_or_default(),
        fault,
        ..form
    });
    let step = match (duty.duty, prove) {
        (FactorDuty::Prove, Some(form)) => FactorStep::Prove(form),
        (_, None) if needs_link(req, ctx, visitor).await? => FactorStep::Link,
        (_, prove) => {
            let choices = EnrolmentChoices::under(req, ctx, visitor, duty.required);
            FactorStep::Enrol(choices, prove.filter(|form| form.passkey))
        }
    };
    let page = FactorPage {
        shell: Shell::anonymous(req, ctx, "Second factor"),
        reason: reason(&duty),
        needs_passkey: duty.required == FactorRequirement::Passkey,
        is_only_there: session_proof::find_duty(ctx, admitted, None).await?.is_none(),
        unusable: match &step {
            FactorStep::Prove(form) if !form.passkey && !form.dead_passkeys && form.code.is_none() => {
                Some(name_to_use(ctx))
            }
            FactorStep::Prove(_) | FactorStep::Enrol(_, _) | FactorStep::Link => None,
        },
        name: visitor.name.clone(),
        step,
    };
    let mut response = render_page(status, &page)?;
    if matches!(page.step, FactorStep::Enrol(_, _)) {
        onward::store_target(req, &mut response, target.as_ref().map(ReturnTo::as_str));
    }
    if let Some(origin) = origin {
        headers::allow_form_action(response.headers_mut(), &origin);
    }
    Ok(response)
}

/// Returns whether the visitor can add a factor only with an enrolment link and has opened none
/// that works for the account.
async fn needs_link(req: &HttpRequest, ctx: &Ctx, visitor: &Visitor) -> Result<bool, PageError> {
    let refusals = find_enrolment_refusals(ctx, &session_proof::factor_owner(req, visitor)).await?;
    Ok(refusals.of_every_kind() == Some(EnrolmentRefusal::LinkNeeded))
}

/// Returns a sentence that says who requires it.
fn reason(duty: &FactorDutyAt) -> String {
    let what = match duty.required {
        FactorRequirement::Passkey => "a passkey",
        FactorRequirement::Any | FactorRequirement::Off => "a second factor",
    };
    match &duty.application {
        Some(name) => format!("The application {name} requires {what}."),
        None => format!("Your account requires {what}."),
    }
}
