//! Signing out, on our own pages and through the page guard.

use super::{
    error::PageError,
    second_step,
    session_cookie::{self, CookieScope},
    site::Site,
    visitor::Anyone,
};
use crate::{
    domain::audit::Actor,
    flows::{
        Ctx, Initiator,
        logout::{sign_out, sign_out_bearer},
    },
};
use actix_identity::Identity;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderName, HeaderValue},
};

/// Ends the session of the cookie and a sign-in that waits for its second step, and removes both
/// cookies with `response`. Signing out twice, or without a session, is not an error.
pub async fn leave(
    req: &HttpRequest,
    ctx: &Ctx,
    site: &Site,
    anyone: Anyone,
    identity: Option<Identity>,
    mut response: HttpResponse,
) -> Result<HttpResponse, PageError> {
    if let Some(digest) = anyone.unjudged {
        let initiator = Initiator {
            actor: Actor::Anonymous,
            origin: anyone.client.origin(),
            session: None,
        };
        sign_out_bearer(ctx, &initiator, digest).await?;
    } else if let Some(session) = anyone.session {
        let initiator = match anyone.visitor {
            Some(visitor) => visitor.initiator,
            None => Initiator {
                actor: Actor::Anonymous,
                origin: anyone.client.origin(),
                session: Some(session),
            },
        };
        sign_out(ctx, &initiator, session).await?;
    }
    if let Some(identity) = identity {
        identity.logout();
    }
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("clear-site-data"),
        HeaderValue::from_static(match site {
            Site::Own => "\"cache\", \"storage\"",
            // An application's own drafts must not be deleted.
            Site::Application(_) => "\"cache\"",
        }),
    );
    second_step::abandon(req, ctx, headers).await;
    session_cookie::expire_all(headers, CookieScope::for_site(&ctx.config, site));
    Ok(response)
}
