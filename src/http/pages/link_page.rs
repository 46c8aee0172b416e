//! What a mailed link opens: it says what it is for and has buttons, as programs that look at links must not be able to do anything.

use super::{Shell, filters, page};
use crate::{
    domain::audit::Actor,
    flows::{Acting, Ctx},
    http::{error::PageError, visitor::Anyone},
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode};
use askama::Template;
use serde::Deserialize;

/// The token, in the query of the link and in the form of its page.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Token {
    pub token: String,
}

/// What the page of a good link says.
pub struct Offer {
    pub title: &'static str,
    pub words: Vec<String>,
    pub buttons: Vec<Button>,
}

pub struct Button {
    /// Where it leads.
    pub action: &'static str,
    pub label: &'static str,
    /// What it does is no small thing.
    pub danger: bool,
}

#[derive(Template)]
#[template(path = "pages/link.html")]
struct LinkPage {
    shell: Shell,
    /// `None`: the link is not good (any more).
    offer: Option<Offer>,
    token: String,
}

pub fn show(req: &HttpRequest, ctx: &Ctx, token: &str, offer: Option<Offer>) -> Result<HttpResponse, PageError> {
    let status = if offer.is_some() {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    };
    let title = offer.as_ref().map_or("This link does not work", |offer| offer.title);
    page(
        status,
        &LinkPage {
            shell: Shell::anonymous(req, ctx, title),
            offer,
            token: token.to_owned(),
        },
    )
}

/// Whoever opens a link is known by having it alone.
pub fn acting(anyone: &Anyone) -> Acting {
    Acting {
        actor: Actor::Anonymous,
        origin: anyone.client.origin(),
        session: None,
    }
}
