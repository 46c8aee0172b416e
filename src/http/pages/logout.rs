//! `/logout`: by POST only; the browser is told to forget what it kept.

use super::see_other;
use crate::domain::audit::Actor;
use crate::{
    flows::{Acting, Ctx, logout::sign_out},
    http::{error::PageError, paths, session_cookie, visitor::Anyone},
};
use actix_identity::Identity;
use actix_web::{
    HttpResponse,
    http::header::{self, HeaderName, HeaderValue},
    web,
};

pub async fn submit(
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    identity: Option<Identity>,
) -> Result<HttpResponse, PageError> {
    leave(&ctx, anyone, identity, see_other(paths::LOGIN)).await
}

/// Ends the session behind the cookie, and has the browser that gets `response` forget it. Signing out twice, or without a
/// session, is no mistake.
pub(in crate::http) async fn leave(
    ctx: &Ctx,
    anyone: Anyone,
    identity: Option<Identity>,
    mut response: HttpResponse,
) -> Result<HttpResponse, PageError> {
    if let Some(session) = anyone.session {
        let acting = match anyone.visitor {
            Some(visitor) => visitor.acting,
            None => Acting {
                actor: Actor::Anonymous,
                origin: anyone.client.origin(),
                session: Some(session),
            },
        };
        sign_out(ctx, &acting, session).await?;
    }
    if let Some(identity) = identity {
        identity.logout();
    }
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("clear-site-data"),
        HeaderValue::from_static("\"cache\", \"storage\""),
    );
    for line in session_cookie::expire(&ctx.config) {
        if let Ok(line) = HeaderValue::from_str(&line) {
            headers.append(header::SET_COOKIE, line);
        }
    }
    Ok(response)
}
