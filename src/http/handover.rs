//! A session's way to the host of an application beyond the cookie domain: that host gives the browser a nonce, ours a one-time code
//! for it, and that host an id of its own for both. The one state that a GET changes (http.md); what a code is bound to is the flow's.

mod nonce;

use super::{
    Route, Who,
    error::{NO_ENTRY, PageError, login_url, problem_body, problem_response, wants_html},
    forms::Query,
    gate::{Client, IssuedTo},
    onward,
    pages::{login::remember, page, see_other},
    paths,
    session_cookie::{self, Jar},
    site::{Entrance, Site, token_host},
    visitor::Anyone,
};
use crate::{
    domain::{
        origin::ReturnTo,
        policy::effective::SameSite,
        secret::{Secret, digest},
    },
    flows::{
        Ctx,
        access::{self, Issued, Redeemed, Traveller},
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderValue},
    },
    web,
};
use askama::Template;
use serde::Deserialize;
use std::sync::Arc;
use url::{Origin, form_urlencoded};

pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::GUARD_HANDOVER_START, Who::Anyone, start),
        Route::get(paths::HANDOVER, Who::Anyone, issue),
        Route::get(paths::GUARD_HANDOVER, Who::Anyone, arrive),
    ]
}

/// What an application's host shows when nobody is let in, or to go on under a strict cookie.
#[derive(Template)]
#[template(path = "pages/handover.html")]
struct HandoverPage {
    title: &'static str,
    message: &'static str,
    /// Where it begins anew.
    again: Option<&'static str>,
    /// Where it goes on.
    on: Option<String>,
}

#[derive(Deserialize)]
pub struct StartQuery {
    #[serde(default)]
    return_to: String,
}

#[derive(Deserialize)]
pub struct IssueQuery {
    #[serde(default)]
    return_to: String,
    #[serde(default)]
    nonce: String,
}

#[derive(Deserialize)]
pub struct ArriveQuery {
    #[serde(default)]
    code: String,
}

/// Where to go on after the sign-in, and the application's origin when that is not one of our own pages.
pub fn return_to(ctx: &Ctx, text: &str) -> (Option<ReturnTo>, Option<Origin>) {
    let own_scheme = if ctx.config.https() { "https" } else { "http" };
    let origin = ctx.live.applications().origin_of(text, own_scheme);
    (ReturnTo::parse(text, origin.as_slice()), origin)
}

/// The host of an application beyond the cookie domain, as tokens name it.
fn beyond(ctx: &Ctx, origin: &Origin) -> Option<String> {
    let Origin::Tuple(_, host, _) = origin else { return None };
    let host = host.to_string();
    Some(token_host(&ctx.config, &host).to_owned()).filter(|host| !host.is_empty())
}

/// The address that leads somebody signed in where they wanted to go: beyond the cookie domain by a hand-over.
pub fn way_to(ctx: &Ctx, return_to: Option<&ReturnTo>, origin: Option<&Origin>) -> String {
    let target = return_to.map_or(paths::HOME, ReturnTo::as_str);
    match origin.filter(|origin| return_to.is_some() && beyond(ctx, origin).is_some()) {
        Some(origin) => {
            let query = query(&[("return_to", target)]);
            format!(
                "{}{}?{query}",
                origin.ascii_serialization(),
                paths::GUARD_HANDOVER_START
            )
        }
        None => target.to_owned(),
    }
}

fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// The application's host that is asked; ours, and those that share our cookie, have nothing handed over to them.
fn entrance(req: &HttpRequest) -> Result<Arc<Entrance>, PageError> {
    match Site::of(req) {
        Site::Application(entrance) if !entrance.token_host.is_empty() => Ok(entrance),
        Site::Application(_) | Site::Own => Err(PageError::NotFound),
    }
}

/// To another of the two hosts; the address that has a code in it is told to nobody.
fn on(location: &str) -> HttpResponse {
    discreet(see_other(location))
}

fn discreet(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// On the application's host: the browser gets what only it will hold, and asks ours for a code.
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
    let jar = Jar::at(&ctx.config, &entrance.host);
    let nonce = nonce::held_or_new(&req, jar, &ctx);
    let query = query(&[("return_to", target.as_str()), ("nonce", &digest(nonce.expose()))]);
    let mut response = on(&format!("{}{}?{query}", ctx.config.base_url(), paths::HANDOVER));
    nonce::give(response.headers_mut(), jar, &ctx, &nonce);
    Ok(response)
}

/// On our own host: a code for whoever is signed in here and may enter there.
pub async fn issue(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Query(asked): Query<IssueQuery>,
) -> Result<HttpResponse, PageError> {
    let nowhere = || PageError::BadRequest("This way leads to no application.".to_owned());
    let (Some(target), Some(origin)) = return_to(&ctx, &asked.return_to) else {
        return Err(nowhere());
    };
    let Some(host) = beyond(&ctx, &origin) else {
        return Ok(see_other(target.as_str()));
    };
    if !nonce::is_digest(&asked.nonce) {
        return Err(nowhere());
    }
    let Some(visitor) = anyone.visitor else {
        return Ok(match anyone.session {
            Some(_) => {
                let mut response = on(paths::PASSWORD);
                onward::keep(&req, &mut response, Some(target.as_str()));
                response
            }
            None => on(&login_url(Some(target.as_str()), anyone.ended)),
        });
    };
    let traveller = traveller(host, asked.nonce, anyone.client.clone());
    let client = anyone.client.origin();
    match access::hand_over(&ctx, &visitor.admitted, &traveller, target.as_str(), client).await? {
        Issued::Code(code) => {
            let query = query(&[("code", code.expose())]);
            let there = origin.ascii_serialization();
            Ok(on(&format!("{there}{}?{query}", paths::GUARD_HANDOVER)))
        }
        Issued::NotAllowed => Err(PageError::NoEntry),
        Issued::TooMany => Err(PageError::TooOften(
            "Your browser has asked for this application too often at once; perhaps it keeps no cookie there. Try again in a moment.",
        )),
        Issued::Unknown => Err(nowhere()),
    }
}

fn traveller(host: String, nonce: String, client: Client) -> Traveller {
    Traveller {
        host,
        nonce,
        ip: client.ip,
        user_agent: client.user_agent,
    }
}

/// On the application's host again: the code and what the browser holds become an id that counts here.
pub async fn arrive(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Query(asked): Query<ArriveQuery>,
) -> Result<HttpResponse, PageError> {
    // A code is used up by whoever arrives, not by a look at where a link leads.
    if *req.method() == Method::HEAD {
        return refused(&req, &CLOSED);
    }
    let entrance = entrance(&req)?;
    let jar = Jar::at(&ctx.config, &entrance.host);
    let Some(nonce) = nonce::held(&req, jar, &ctx) else {
        return refused(&req, &CLOSED);
    };
    let origin = anyone.client.origin();
    let traveller = traveller(entrance.host.clone(), digest(nonce.expose()), anyone.client);
    let policy = ctx.in_force().everyone().clone();
    let form = session_cookie::form(jar, &policy);
    match access::redeem(&ctx, &Secret::new(asked.code), traveller, form, origin).await? {
        Redeemed::Carried(carried) => {
            let told = IssuedTo {
                role: carried.account.role,
                signed_in_at: carried.signed_in_at,
            };
            remember(&req, carried.account.id, told, &carried.token)?;
            if policy.cookie.same_site != SameSite::Strict {
                return Ok(on(&carried.return_to));
            }
            // A strict cookie is not sent on a way that began elsewhere: it goes on from a page of this host.
            let go_on = HandoverPage {
                title: "One moment",
                message: "You are signed in. The page opens by itself.",
                again: None,
                on: Some(carried.return_to),
            };
            Ok(discreet(page(StatusCode::OK, &go_on)?))
        }
        Redeemed::Refused => refused(&req, &CLOSED),
        Redeemed::NotAllowed => refused(&req, &NOT_YOURS),
    }
}

/// Why nobody is let in.
struct Refusal {
    code: &'static str,
    title: &'static str,
    message: &'static str,
}

const CLOSED: Refusal = Refusal {
    code: "handover",
    title: "This way in is closed",
    message: "It works once, for a short moment, and only in the browser that asked for it.",
};
const NOT_YOURS: Refusal = Refusal {
    code: "forbidden",
    title: "Not for your account",
    message: NO_ENTRY,
};

/// Never a cookie; a page that offers to begin anew.
fn refused(req: &HttpRequest, refusal: &Refusal) -> Result<HttpResponse, PageError> {
    let status = StatusCode::FORBIDDEN;
    let Refusal { code, title, message } = *refusal;
    Ok(discreet(match wants_html(req.headers()) {
        true => page(
            status,
            &HandoverPage {
                title,
                message,
                again: Some(paths::GUARD_HANDOVER_START),
                on: None,
            },
        )?,
        false => problem_response(status, &problem_body(status, code, message)),
    }))
}
