//! Signing in with a passkey alone: no name, no password. JSON for `static/passkeys.js`.

use crate::{
    domain::origin::ReturnTo,
    flows::Ctx,
    http::{
        destination::return_to,
        error::PageError,
        forms::{EmptyBody, Json},
        second_step,
        site::Site,
        visitor::Anyone,
    },
};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

/// A browser's answer, and where to redirect.
#[derive(Deserialize)]
pub struct PasskeySignInBody {
    credential: serde_json::Value,
    #[serde(default)]
    return_to: String,
}

/// `POST /login/passkey/options`: the same for every client, so that it reveals nothing.
pub async fn options(ctx: web::Data<Ctx>, anyone: Anyone, _: Json<EmptyBody>) -> Result<HttpResponse, PageError> {
    Ok(match second_step::start_sign_in(&ctx, &anyone).await? {
        Ok(options) => HttpResponse::Ok().json(options),
        Err(refusal) => refusal.into_problem(&ctx),
    })
}

/// `POST /login/passkey`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Json(sent): Json<PasskeySignInBody>,
) -> Result<HttpResponse, PageError> {
    let (target, _) = return_to(&ctx, &sent.return_to);
    match second_step::finish_sign_in(&req, &ctx, &Site::Own, &anyone, sent.credential).await? {
        Ok(signed_in) => signed_in
            .with_target(target.as_ref().map(ReturnTo::as_str))
            .location(&req, &ctx),
        Err(refusal) => Ok(refusal.into_problem(&ctx)),
    }
}
