//! The page of an emailed link: it explains the link and has buttons, so that programs that open
//! links cannot cause anything.

use crate::{
    domain::audit::Actor,
    flows::{Ctx, Initiator},
    http::{
        error::PageError,
        filters,
        link_token::{LinkCookie, omit_referrer},
        respond::render_page,
        shell::Shell,
        visitor::Anyone,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;
use serde::Deserialize;

/// The token, in the query of the link and in the form of its page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct LinkToken {
    pub token: String,
}

/// The text of a valid link's page.
pub struct LinkOffer {
    pub title: &'static str,
    pub lines: Vec<String>,
    pub buttons: Vec<LinkButton>,
}

/// One button of the page.
pub struct LinkButton {
    /// The address of the form.
    pub action: &'static str,
    pub label: &'static str,
    /// Whether it is a dangerous action.
    pub danger: bool,
}

/// The cookie with the token of a link while its page is open.
const COOKIE: LinkCookie = LinkCookie::new("link");

/// The request for a link's page.
pub enum LinkVisit {
    /// The token is in the address; this redirect moves it to the cookie.
    Exchange(HttpResponse),
    /// The token in the browser's cookie; empty if there is none.
    Token(String),
}

/// Moves the token of a link from the address to the cookie, or reads it from there.
pub fn visit_link(req: &HttpRequest, given: &LinkToken) -> LinkVisit {
    if given.token.is_empty() {
        LinkVisit::Token(COOKIE.read(req).unwrap_or_default())
    } else {
        LinkVisit::Exchange(COOKIE.exchange(req, &given.token))
    }
}

#[derive(Template)]
#[template(path = "pages/link.html")]
struct LinkPage {
    shell: Shell,
    /// `None`: the link is not valid.
    offer: Option<LinkOffer>,
    token: String,
}

/// Renders the page of an emailed link; without an offer the link does not work.
pub fn render_link(
    req: &HttpRequest,
    ctx: &Ctx,
    token: &str,
    offer: Option<LinkOffer>,
) -> Result<HttpResponse, PageError> {
    let status = if offer.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    let title = offer.as_ref().map_or("This link does not work", |offer| offer.title);
    Ok(omit_referrer(render_page(
        status,
        &LinkPage {
            shell: Shell::anonymous(req, ctx, title),
            offer,
            token: token.to_owned(),
        },
    )?))
}

/// Returns the actor behind an emailed link: anonymous, because only the link is known.
pub fn anonymous_acting(anyone: &Anyone) -> Initiator {
    Initiator {
        actor: Actor::Anonymous,
        origin: anyone.client.origin(),
        session: None,
    }
}
