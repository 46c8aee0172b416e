//! `/email`: asking for another e-mail address, and the two links that decide about it.

use super::link_page::{Offer, Token, acting, show};
use crate::{
    flows::{
        Ctx,
        email_change::{self, Asked, Link, Requested},
    },
    http::{
        error::PageError,
        flash::{self, Flash},
        forms::{Form, Query},
        paths,
        step_up::{Confirmed, Critical},
        visitor::{Anyone, Member},
    },
};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    email: String,
}

impl Critical for Wanted {}

pub async fn request(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(member, form): Confirmed<Member, Form<Wanted>>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let said = match email_change::request(&ctx, &visitor.acting, visitor.account, &form.0.email).await? {
        Requested::Sent => {
            Flash::ok("A link was sent to the new address. It becomes yours once you open it, within 24 hours.")
        }
        Requested::Same => Flash::info("That is your address already."),
        Requested::TooSoon => Flash::error("A link was sent just now: wait a minute before you ask for another."),
        Requested::Faulty(why) => Flash::error(why),
    };
    Ok(flash::redirect(&req, paths::HOME, &said))
}

pub async fn confirm_form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    _: Anyone,
    Query(given): Query<Token>,
) -> Result<HttpResponse, PageError> {
    let asked = email_change::look(&ctx, Link::Confirm, &given.token).await?;
    let offer = asked.map(|asked| Offer {
        title: "Confirm your e-mail address",
        words: vec![format!(
            "The account {} is to use {} from now on.",
            asked.name, asked.new
        )],
        action: paths::EMAIL_CONFIRM,
        button: "Use this address",
        danger: false,
    });
    show(&req, &ctx, &given.token, offer)
}

pub async fn confirm(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(given): Form<Token>,
) -> Result<HttpResponse, PageError> {
    match email_change::confirm(&ctx, &acting(&anyone), &given.token).await? {
        Some(asked) => {
            let said = format!("The account {} uses {} from now on.", asked.name, asked.new);
            Ok(flash::redirect(&req, paths::HOME, &Flash::ok(said)))
        }
        None => show(&req, &ctx, &given.token, None),
    }
}

pub async fn cancel_form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    _: Anyone,
    Query(given): Query<Token>,
) -> Result<HttpResponse, PageError> {
    let asked = email_change::look(&ctx, Link::Cancel, &given.token).await?;
    let offer = asked.map(|asked| Offer {
        title: "Take back the change of address",
        words: vec![said_of(&asked)],
        action: paths::EMAIL_CANCEL,
        button: "Keep the old address",
        danger: false,
    });
    show(&req, &ctx, &given.token, offer)
}

fn said_of(asked: &Asked) -> String {
    let old = asked.old.as_deref().unwrap_or("no address");
    if asked.confirmed {
        format!(
            "The account {} uses {} now. It will use {old} again.",
            asked.name, asked.new
        )
    } else {
        format!(
            "The account {} was to use {}. It will keep {old}.",
            asked.name, asked.new
        )
    }
}

pub async fn cancel(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(given): Form<Token>,
) -> Result<HttpResponse, PageError> {
    match email_change::cancel(&ctx, &acting(&anyone), &given.token).await? {
        Some(asked) => {
            let old = asked.old.as_deref().unwrap_or("no address");
            let said = format!(
                "The account {} uses {old}. If somebody else asked for the change, choose another password.",
                asked.name
            );
            Ok(flash::redirect(&req, paths::HOME, &Flash::ok(said)))
        }
        None => show(&req, &ctx, &given.token, None),
    }
}
