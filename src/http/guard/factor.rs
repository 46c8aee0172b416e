//! The second step on the lock screen. What is proved depends on what the browser holds: a pending
//! sign-in, a live session that must prove a factor, or neither, in which case a passkey signs in
//! without a password.

use super::duty::must_change;
use crate::{
    domain::session::Duty,
    flows::Ctx,
    http::{
        error::PageError,
        forms::{EmptyBody, Json},
        judged::{JudgedRequest, JudgedSession},
        second_step::{self, FinishedSignIn, StepRefusal},
        session_proof,
        site::Site,
        visitor::{Anyone, Visitor},
    },
};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use serde::Deserialize;

/// What proves a factor: a code, or a browser's answer to a passkey request.
#[derive(Deserialize)]
pub struct FactorAnswer {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    credential: Option<serde_json::Value>,
}

/// `POST /nightlatch/session/factor/options`: returns what the browser's passkey request needs.
pub async fn options(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    _: Json<EmptyBody>,
) -> Result<HttpResponse, PageError> {
    let begun = match find_unproved_visitor(&req) {
        Some(visitor) => session_proof::start_passkey(&ctx, &visitor).await?,
        None if second_step::find(&req, &ctx, &Site::from_request(&req), &anyone)
            .await?
            .is_some() =>
        {
            second_step::start_proof(&req, &ctx, &Site::from_request(&req), &anyone).await?
        }
        None => second_step::start_sign_in(&ctx, &anyone).await?,
    };
    Ok(match begun {
        Ok(options) => HttpResponse::Ok().json(options),
        Err(refusal) => refusal.into_problem(&ctx),
    })
}

/// `POST /nightlatch/session/factor`: takes a code or a passkey's answer.
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Json(answer): Json<FactorAnswer>,
) -> Result<HttpResponse, PageError> {
    let site = Site::from_request(&req);
    if let Some(visitor) = find_unproved_visitor(&req) {
        return prove(&req, &ctx, &visitor, answer).await;
    }
    let waits = second_step::find(&req, &ctx, &Site::from_request(&req), &anyone)
        .await?
        .is_some();
    let settled = match answer {
        FactorAnswer {
            credential: Some(credential),
            ..
        } if waits => second_step::settle_passkey(&req, &ctx, &site, &anyone, credential, false).await?,
        FactorAnswer {
            credential: Some(credential),
            ..
        } => second_step::finish_sign_in(&req, &ctx, &site, &anyone, credential).await?,
        FactorAnswer { code: Some(code), .. } => {
            second_step::settle_code(&req, &ctx, &site, &anyone, code, false).await?
        }
        FactorAnswer { .. } => return Err(nothing_sent()),
    };
    Ok(match settled {
        Ok(signed_in) => answer_signed_in(&req, &ctx, &site, &signed_in),
        Err(refusal) => into_unauthorized(refusal, &ctx),
    })
}

/// Proves a factor of a live session.
async fn prove(
    req: &HttpRequest,
    ctx: &Ctx,
    visitor: &Visitor,
    answer: FactorAnswer,
) -> Result<HttpResponse, PageError> {
    let proved = match answer {
        FactorAnswer {
            credential: Some(credential),
            ..
        } => session_proof::prove_passkey(req, ctx, visitor, credential).await?,
        FactorAnswer { code: Some(code), .. } => session_proof::prove_code(req, ctx, visitor, code).await?,
        FactorAnswer { .. } => return Err(nothing_sent()),
    };
    Ok(match proved {
        Ok(()) => HttpResponse::Ok().json(serde_json::json!({ "user": visitor.name })),
        Err(refusal) => into_unauthorized(refusal, ctx),
    })
}

/// Returns the session of this request if it lacks only a factor.
fn find_unproved_visitor(req: &HttpRequest) -> Option<Visitor> {
    let extensions = req.extensions();
    let judged = extensions.get::<JudgedRequest>()?;
    match &judged.state {
        JudgedSession::Admitted(admitted) => match admitted.duty {
            Some(Duty::Factor(duty)) => session_proof::methods(admitted, duty, admitted.policy.factors.required)
                .map(|_| Visitor::new(&judged.client, admitted)),
            Some(Duty::PasswordChange | Duty::DeviceProof(_)) | None => None,
        },
        JudgedSession::Anonymous
        | JudgedSession::Unproved(_)
        | JudgedSession::Unjudged(_)
        | JudgedSession::Ended(..) => None,
    }
}

fn answer_signed_in(req: &HttpRequest, ctx: &Ctx, site: &Site, signed_in: &FinishedSignIn) -> HttpResponse {
    let mut response = if signed_in.must_change() {
        must_change(site, ctx)
    } else {
        HttpResponse::Ok().json(serde_json::json!({ "user": signed_in.user }))
    };
    signed_in.update_cookies(req, response.headers_mut());
    response
}

/// Returns a 401 for wrong input here, as for a wrong password.
fn into_unauthorized(mut refusal: StepRefusal, ctx: &Ctx) -> HttpResponse {
    refusal.make_unauthorized();
    refusal.into_problem(ctx)
}

fn nothing_sent() -> PageError {
    PageError::BadRequest("Send a code or a credential.".to_owned())
}
