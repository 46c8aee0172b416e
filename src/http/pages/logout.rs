//! `/logout`: only by POST; the response tells the browser to delete what it stored. A session that
//! began at an identity provider may end there too, from a separate page: a form that led to
//! another site would be blocked by our content security policy.

use crate::{
    domain::{origin::ReturnTo, session::SessionId},
    flows::{Ctx, providers},
    http::{
        destination::return_to,
        error::{PageError, login_url},
        filters,
        forms::{Form, ShortForm},
        link_token::omit_referrer,
        paths,
        respond::{redirect_to, render_page},
        sealed_cookie::SealedCookie,
        shell::Shell,
        sign_out::leave,
        site::Site,
        visitor::Anyone,
    },
};
use actix_identity::Identity;
use actix_web::{HttpRequest, HttpResponse, cookie::time::Duration, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

/// The session that was signed out, for the page that leads to its provider.
const COOKIE: SealedCookie = SealedCookie::new("signed-out", Duration::minutes(10));

/// The page after a sign-out from a session that began at an identity provider.
#[derive(Template)]
#[template(path = "pages/logout.html")]
struct ProviderSignOutView {
    shell: Shell,
    /// The provider's title.
    title: String,
    /// The provider's address that signs out there.
    address: String,
    /// Whether the browser goes there automatically.
    is_automatic: bool,
    back: String,
}

/// The address to which another account continues.
#[derive(Deserialize)]
pub struct LogoutForm {
    #[serde(default)]
    return_to: String,
}

/// `POST /logout`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    identity: Option<Identity>,
    form: Option<ShortForm<LogoutForm>>,
) -> Result<HttpResponse, PageError> {
    let asked = form.map(|Form(form)| form.return_to).unwrap_or_default();
    let (target, _) = return_to(&ctx, &asked);
    let login = login_url(target.as_ref().map(ReturnTo::as_str), None);
    let mut response = match providers::find_automatic(&ctx) {
        // The sign-in page would lead to the provider at once, and sign in again there.
        Some(_) if target.is_none() => redirect_to(&format!("{}?local=1", paths::LOGIN)),
        Some(_) | None => redirect_to(&login),
    };
    if let Some(visitor) = &anyone.visitor
        && providers::has_sign_out_page(&ctx, &visitor.admitted.account)
    {
        response = redirect_to(paths::LOGOUT_PROVIDER);
        COOKIE.write(&req, response.headers_mut(), visitor.session.0.to_string());
    }
    leave(&req, &ctx, &Site::Own, anyone, identity, response).await
}

/// `GET /logout/provider`
pub async fn provider(req: HttpRequest, ctx: web::Data<Ctx>) -> Result<HttpResponse, PageError> {
    let signed_out = format!("{}?local=1", paths::LOGIN);
    let session = COOKIE.read(&req).and_then(|id| Uuid::parse_str(&id).ok());
    let found = match session {
        Some(session) => {
            let back = format!("{}{}", ctx.config.base_url(), paths::LOGIN);
            providers::find_sign_out(&ctx, SessionId(session), &back).await?
        }
        None => None,
    };
    let mut response = match found {
        Some(page) => {
            let page = ProviderSignOutView {
                shell: Shell::anonymous(&req, &ctx, "Signed out"),
                title: page.title,
                address: page.url.to_string(),
                is_automatic: page.is_automatic,
                back: signed_out,
            };
            omit_referrer(render_page(StatusCode::OK, &page)?)
        }
        None if session.is_some() => redirect_to(&signed_out),
        None => redirect_to(paths::HOME),
    };
    if session.is_some() {
        COOKIE.remove(&req, response.headers_mut());
    }
    Ok(response)
}
