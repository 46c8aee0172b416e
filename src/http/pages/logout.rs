//! `/logout`: by POST only; the browser is told to forget what it kept.

use super::see_other;
use crate::domain::audit::Actor;
use crate::{
    flows::{Acting, Ctx, logout::sign_out},
    http::{
        error::PageError,
        paths,
        session_cookie::{self, Jar},
        site::Site,
        visitor::Anyone,
    },
};
use actix_identity::Identity;
use actix_web::{
    HttpResponse,
    http::header::{HeaderName, HeaderValue},
    web,
};

pub async fn submit(
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    identity: Option<Identity>,
) -> Result<HttpResponse, PageError> {
    leave(&ctx, &Site::Own, anyone, identity, see_other(paths::LOGIN)).await
}

/// Ends the session behind the cookie, and has the browser that gets `response` forget it. Signing out twice, or without a
/// session, is no mistake.
pub(in crate::http) async fn leave(
    ctx: &Ctx,
    site: &Site,
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
        HeaderValue::from_static(match site {
            Site::Own => "\"cache\", \"storage\"",
            // An application's own drafts are not ours to destroy.
            Site::Application(_) => "\"cache\"",
        }),
    );
    session_cookie::expire_all(headers, Jar::of(&ctx.config, site));
    Ok(response)
}
