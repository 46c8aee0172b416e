//! The handover of a session to an application's host outside the cookie domain: that host gives
//! the browser a nonce, our host gives it a one-time code, and that host exchanges both for its own
//! token. All three steps are GET requests, because they are redirects; the flow decides what a
//! code is bound to.

mod nonce;

use super::{
    destination::{handover_host, query, return_to},
    device_cookie,
    error::{NO_ENTRY, PageError, device_login_url, factor_url, login_url},
    forms::Query,
    judged::TokenRecipient,
    link_token::omit_referrer,
    negotiation::wants_html,
    no_entry::render_no_entry,
    onward, paths,
    problem::Problem,
    respond::{redirect_to, render_page},
    route::{Audience, Route},
    session_cookie::{self, CookieScope},
    session_proof::find_duty,
    sign_in::hand_over_session,
    site::{ApplicationHost, Site},
    visitor::Anyone,
};
use crate::{
    domain::{
        client::Client,
        policy::effective::SameSite,
        secret::{Secret, digest},
        session::Duty,
    },
    flows::{
        Ctx,
        access::{self, HandoverIssue, HandoverOutcome, HandoverRequest},
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode},
    web,
};
use askama::Template;
use serde::Deserialize;
use std::sync::Arc;

/// Lists the routes of a handover.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::GUARD_HANDOVER_START, Audience::Anyone, start),
        Route::get(paths::HANDOVER, Audience::Anyone, issue),
        Route::get(paths::GUARD_HANDOVER, Audience::Anyone, arrive),
    ]
}

/// The page on an application's host for a refused handover, or for continuing with a cookie that
/// is `SameSite=Strict`.
#[derive(Template)]
#[template(path = "pages/handover.html")]
struct HandoverPage {
    title: &'static str,
    message: &'static str,
    /// The address that starts again.
    again: Option<&'static str>,
    /// The address that continues.
    on: Option<String>,
}

/// The query of the first step, on the application's host.
#[derive(Deserialize)]
pub struct StartQuery {
    #[serde(default)]
    return_to: String,
}

/// The query of the second step, on Nightlatch's own host.
#[derive(Deserialize)]
pub struct IssueQuery {
    #[serde(default)]
    return_to: String,
    #[serde(default)]
    nonce: String,
}

/// The query of the third step, on the application's host again.
#[derive(Deserialize)]
pub struct HandoverCodeQuery {
    #[serde(default)]
    code: String,
}

/// Returns the requested application's host; our own host and those that share our cookie need no
/// handover.
fn entrance(req: &HttpRequest) -> Result<Arc<ApplicationHost>, PageError> {
    match Site::from_request(req) {
        Site::Application(entrance) if !entrance.token_host.is_empty() => Ok(entrance),
        Site::Application(_) | Site::Own => Err(PageError::NotFound),
    }
}

/// Redirects to the other host; the address with the code is not passed on as a referrer.
fn redirect_onward(location: &str) -> HttpResponse {
    omit_referrer(redirect_to(location))
}

/// On the application's host: sets the nonce and requests a code from our host.
pub async fn start(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Query(asked): Query<StartQuery>,
) -> Result<HttpResponse, PageError> {
    let entrance = entrance(&req)?;
    let target = match return_to(&ctx, &asked.return_to) {
        (Some(target), Some(origin)) if entrance.origins.contains(&origin.ascii_serialization()) => {
            target.as_str().to_owned()
        }
        (_, _) => entrance.front_page(),
    };
    let jar = CookieScope::for_host(&ctx.config, &entrance.host);
    let nonce = nonce::read_or_create(&req, jar, &ctx);
    let query = query(&[("return_to", target.as_str()), ("nonce", &digest(nonce.expose()))]);
    let mut response = redirect_onward(&format!("{}{}?{query}", ctx.config.base_url(), paths::HANDOVER));
    nonce::store(response.headers_mut(), jar, &ctx, &nonce);
    Ok(response)
}

/// On our own host: issues a code if the signed-in user has access there.
pub async fn issue(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Query(asked): Query<IssueQuery>,
) -> Result<HttpResponse, PageError> {
    let nowhere = || PageError::BadRequest("This address leads to no application.".to_owned());
    let (Some(target), Some(origin)) = return_to(&ctx, &asked.return_to) else {
        return Err(nowhere());
    };
    let Some(host) = handover_host(&ctx, &origin) else {
        return Ok(redirect_to(target.as_str()));
    };
    if !nonce::is_digest(&asked.nonce) {
        return Err(nowhere());
    }
    let Some(visitor) = anyone.visitor else {
        return Ok(match (anyone.session, anyone.duty) {
            (Some(_), Some(Duty::Factor(_))) => redirect_onward(&factor_url(Some(target.as_str()))),
            (Some(_), _) => {
                let mut response = redirect_onward(paths::PASSWORD);
                onward::store_target(&req, &mut response, Some(target.as_str()));
                response
            }
            (None, _) => redirect_onward(&login_url(Some(target.as_str()), anyone.ended)),
        });
    };
    if find_duty(&ctx, &visitor.admitted, Some(&target)).await?.is_some() {
        return Ok(redirect_onward(&factor_url(Some(target.as_str()))));
    }
    let request = handover_request(host, asked.nonce, anyone.client.clone());
    let client = anyone.client.origin();
    match access::issue_handover(&ctx, &visitor.admitted, &request, target.as_str(), client).await? {
        HandoverIssue::Code(code) => {
            let query = query(&[("code", code.expose())]);
            let there = origin.ascii_serialization();
            Ok(redirect_onward(&format!("{there}{}?{query}", paths::GUARD_HANDOVER)))
        }
        HandoverIssue::NotAllowed if wants_html(&req) => {
            let response = render_no_entry(&ctx, None, Some(&visitor.name), target.as_str())?;
            Ok(omit_referrer(response))
        }
        HandoverIssue::NotAllowed => Err(PageError::NoEntry),
        HandoverIssue::TooMany => Err(PageError::TooOften(
            "Your browser requested this application too many times in a row; it may not be keeping cookies for it. \
             Try again in a moment.",
        )),
        HandoverIssue::Unknown => Err(nowhere()),
    }
}

fn handover_request(host: String, nonce: String, client: Client) -> HandoverRequest {
    HandoverRequest {
        host,
        nonce,
        client,
        device: None,
    }
}

/// On the application's host again: exchanges the code and the nonce for a token that is valid
/// here.
pub async fn arrive(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Query(asked): Query<HandoverCodeQuery>,
) -> Result<HttpResponse, PageError> {
    // A HEAD request checks the link; only a browser that follows it consumes the code.
    if *req.method() == Method::HEAD {
        return refused(&req, &CLOSED);
    }
    let entrance = entrance(&req)?;
    let jar = CookieScope::for_host(&ctx.config, &entrance.host);
    let code = Secret::new(asked.code);
    let Some(nonce) = nonce::read(&req, jar, &ctx) else {
        access::void_handover(&ctx, &code).await?;
        return refused(&req, &CLOSED);
    };
    let origin = anyone.client.origin();
    let request = HandoverRequest {
        device: device_cookie::read(req.headers(), &ctx),
        ..handover_request(entrance.host.clone(), digest(nonce.expose()), anyone.client)
    };
    let policy = ctx.in_force().everyone().clone();
    let form = session_cookie::form(jar, &policy);
    match access::redeem(&ctx, &code, request, form, origin).await? {
        HandoverOutcome::Carried(carried) => {
            let issued_to = TokenRecipient {
                role: carried.account.role,
                signed_in_at: carried.signed_in_at,
            };
            hand_over_session(&req, carried.account.id, issued_to, &carried.token)?;
            if policy.cookie.same_site != SameSite::Strict {
                return Ok(redirect_onward(&carried.return_to));
            }
            // A strict cookie is not sent after a redirect from another site, so the user continues
            // from a page of this host.
            let go_on = HandoverPage {
                title: "One moment",
                message: "You are signed in. The page opens automatically.",
                again: None,
                on: Some(carried.return_to),
            };
            Ok(omit_referrer(render_page(StatusCode::OK, &go_on)?))
        }
        // Only a new sign-in binds the session anew.
        HandoverOutcome::Unproved { fault, return_to } => {
            let page = device_login_url(Some(&return_to), fault);
            Ok(redirect_onward(&format!("{}{page}", ctx.config.base_url())))
        }
        HandoverOutcome::Refused => refused(&req, &CLOSED),
        HandoverOutcome::NotAllowed => refused(&req, &NOT_YOURS),
    }
}

/// The reason for a refusal.
struct HandoverRefusal {
    code: &'static str,
    title: &'static str,
    message: &'static str,
}

const CLOSED: HandoverRefusal = HandoverRefusal {
    code: "handover",
    title: "This link is no longer valid",
    message: "It works once, for a short time, and only in the browser that requested it.",
};
const NOT_YOURS: HandoverRefusal = HandoverRefusal {
    code: "forbidden",
    title: "No access to this application",
    message: NO_ENTRY,
};

/// Returns a page that offers to start again, never a cookie.
fn refused(req: &HttpRequest, refusal: &HandoverRefusal) -> Result<HttpResponse, PageError> {
    let status = StatusCode::FORBIDDEN;
    let HandoverRefusal { code, title, message } = *refusal;
    Ok(omit_referrer(match wants_html(req) {
        true => render_page(
            status,
            &HandoverPage {
                title,
                message,
                again: Some(paths::GUARD_HANDOVER_START),
                on: None,
            },
        )?,
        false => Problem::new(status, code, message).into_response(),
    }))
}
