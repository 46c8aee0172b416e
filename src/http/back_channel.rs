//! `POST /oidc/{source}/backchannel-logout`: an identity provider reports that one of its sessions
//! has ended (OpenID Connect Back-Channel Logout 1.0). The sessions here end before the answer.

use super::{
    error::PageError,
    forms::{Form, ShortForm},
    paths,
    route::{Audience, Route},
    visitor::Anyone,
};
use crate::{
    domain::secret::Secret,
    flows::{
        Ctx,
        providers::{BackChannelOutcome, accept_sign_out},
    },
};
use actix_web::{HttpResponse, web};
use serde::Deserialize;

/// Lists the route.
pub fn routes() -> Vec<Route> {
    vec![Route::post(paths::OIDC_BACK_CHANNEL, Audience::Anyone, accept)]
}

/// The provider's form.
#[derive(Deserialize)]
pub struct LogoutTokenForm {
    #[serde(default)]
    logout_token: String,
}

/// Ends the sessions that the token names. A refusal has the error code of the specification (2.8).
pub async fn accept(
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    source: web::Path<String>,
    Form(form): ShortForm<LogoutTokenForm>,
) -> Result<HttpResponse, PageError> {
    let token = Secret::new(form.logout_token);
    match accept_sign_out(&ctx, anyone.client.origin(), &source, &token).await? {
        // Every response already has `no-store`.
        BackChannelOutcome::Ended(_) => Ok(HttpResponse::Ok().finish()),
        BackChannelOutcome::Refused(fault) => Ok(HttpResponse::BadRequest().json(serde_json::json!({
            "error": "invalid_request", "error_description": fault.code(),
        }))),
        BackChannelOutcome::Unknown => Err(PageError::NotFound),
    }
}
