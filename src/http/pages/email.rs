//! `/email`: asking for another e-mail address, and what the two links that decide about it open. One page serves both sides; looking
//! changes nothing.

use super::link_page::{Button, Offer, Token, acting, show};
use crate::{
    domain::email_change::Side,
    flows::{
        Ctx,
        email_change::{self, Answer, Asked, Requested},
    },
    http::{
        error::PageError,
        flash::{self, Flash},
        forms::{Form, Query, ShortForm},
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
        Requested::Sent { to_both: true } => Flash::ok(
            "A link was sent to the new address and one to that of today. The new one is used once both were confirmed, within 24 hours.",
        ),
        Requested::Sent { to_both: false } => Flash::ok(
            "A link was sent to the new address. It becomes yours once you confirmed it there, within 24 hours.",
        ),
        Requested::Same => Flash::info("That is your address already."),
        Requested::TooSoon => Flash::error("A link was sent just now: wait a minute before you ask for another."),
        Requested::TooOften => Flash::error("You asked for this too often today: try it again later."),
        Requested::Faulty(why) => Flash::error(why),
    };
    Ok(flash::redirect(&req, paths::HOME, &said))
}

pub async fn look(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    _: Anyone,
    Query(given): Query<Token>,
) -> Result<HttpResponse, PageError> {
    let asked = email_change::look(&ctx, &given.token).await?;
    let offer = asked.map(|asked| Offer {
        title: "Another e-mail address",
        words: words_of(&asked),
        buttons: vec![
            Button {
                action: paths::EMAIL_CONFIRM,
                label: "Confirm",
                danger: false,
            },
            Button {
                action: paths::EMAIL_CANCEL,
                label: "It was not me: cancel",
                danger: true,
            },
        ],
    });
    show(&req, &ctx, &given.token, offer)
}

fn words_of(asked: &Asked) -> Vec<String> {
    let first = format!("The account {} is to use {} from now on.", asked.name, asked.new);
    let then = match (asked.awaits_other, asked.side) {
        (false, Side::New) if asked.old.is_none() => "Confirm it, and it is used at once.".to_owned(),
        (false, _) => "The other address has confirmed it: with yours it is used at once.".to_owned(),
        (true, side) => format!("It is used once {} is confirmed too.", other_link(side)),
    };
    let mut words = vec![first, then];
    if asked.side == Side::Old {
        words.push(
            "If you did not ask for this, somebody else knows your password: cancel, then choose another one."
                .to_owned(),
        );
    }
    words
}

/// Who only holds the new mailbox is not told the old address.
fn other_link(side: Side) -> &'static str {
    match side {
        Side::New => "the link that was sent to the address of today",
        Side::Old => "the link that was sent to the new address",
    }
}

pub async fn confirm(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(given): ShortForm<Token>,
) -> Result<HttpResponse, PageError> {
    match email_change::answer(&ctx, &acting(&anyone), &given.token, Answer::Confirm).await? {
        Some(asked) => {
            let said = if asked.awaits_other {
                let other = other_link(asked.side);
                format!(
                    "Confirmed. The account {} uses {} once {other} is confirmed too.",
                    asked.name, asked.new
                )
            } else {
                format!("The account {} uses {} from now on.", asked.name, asked.new)
            };
            Ok(flash::redirect(&req, paths::HOME, &Flash::ok(said)))
        }
        None => show(&req, &ctx, &given.token, None),
    }
}

pub async fn cancel(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(given): ShortForm<Token>,
) -> Result<HttpResponse, PageError> {
    match email_change::answer(&ctx, &acting(&anyone), &given.token, Answer::Cancel).await? {
        Some(asked) => {
            let advice = match asked.side {
                Side::New => "",
                Side::Old => " If somebody else asked for it, choose another password now.",
            };
            let said = format!(
                "Cancelled: the address of the account {} stays as it is.{advice}",
                asked.name
            );
            Ok(flash::redirect(&req, paths::HOME, &Flash::ok(said)))
        }
        None => show(&req, &ctx, &given.token, None),
    }
}
