//! The offer to bind a session to the device, on the answer that gives a browser its session cookie
//! and on the state of the session, as long as the session is not bound.

use super::{device_cookie::DeviceScope, paths, site::Site};
use crate::{
    domain::secret,
    flows::{
        Ctx, FlowError,
        access::{self, AdmittedSession},
        devices,
    },
};
use actix_web::{
    dev::ServiceResponse,
    http::header::{HeaderName, HeaderValue},
};

static REGISTRATION: HeaderName = HeaderName::from_static("secure-session-registration");

/// Adds the offer to an answer. `issued`: the new token of the answer. An offer that cannot be made
/// is left out, because the answer is complete without it.
pub async fn add<B>(
    ctx: &Ctx,
    site: &Site,
    response: &mut ServiceResponse<B>,
    issued: Option<&str>,
    admitted: Option<&AdmittedSession>,
) {
    if DeviceScope::find(&ctx.config, site).is_none() {
        return;
    }
    let challenge = match (issued, admitted) {
        (Some(token), _) => offer_new(ctx, token).await,
        (None, Some(admitted)) if response.request().path() == paths::GUARD_SESSION => {
            devices::offer_binding(ctx, &admitted.session, &admitted.token_digest, &admitted.policy)
        }
        (None, _) => return,
    };
    match challenge {
        Ok(Some(challenge)) => {
            let offer = format!(
                "(ES256 RS256);path=\"{}\";challenge=\"{challenge}\"",
                paths::DEVICE_START
            );
            if let Ok(offer) = HeaderValue::from_str(&offer) {
                response.headers_mut().insert(REGISTRATION.clone(), offer);
            }
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "a session could not be offered to be bound to its device"),
    }
}

/// Makes the offer for a token that the browser is about to get.
async fn offer_new(ctx: &Ctx, token: &str) -> Result<Option<String>, FlowError> {
    match access::find_bearer(ctx, token).await? {
        Some((session, policy)) => devices::offer_binding(ctx, &session, &secret::digest(token), &policy),
        None => Ok(None),
    }
}
