//! `/email`: requesting another email address, and the pages of its two links. One page serves both
//! sides; opening it changes nothing, and the token moves from the address to a cookie immediately.

use super::link_page::{LinkButton, LinkOffer, LinkToken, LinkVisit, anonymous_acting, render_link, visit_link};
use crate::{
    domain::email_change::MailboxSide,
    flows::{
        Ctx,
        email_change::{self, EmailChangeLink, EmailChangeOutcome, EmailLinkAnswer},
    },
    http::{
        error::PageError,
        flash::{self, Flash},
        forms::{Form, Query, ShortForm},
        paths,
        step_up::{ConfirmedVisitor, CriticalForm},
        visitor::{Anyone, Member},
    },
};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

/// The form of a change of email address.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct EmailChangeForm {
    email: String,
}

impl CriticalForm for EmailChangeForm {}

/// `POST /email`: requests a change of the visitor’s email address.
pub async fn request(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(member, form): ConfirmedVisitor<Member, Form<EmailChangeForm>>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let flash = match email_change::request(&ctx, &visitor.initiator, visitor.account, &form.0.email).await? {
        EmailChangeOutcome::Sent { to_both: true } => Flash::ok(
            "We sent one link to the new address and one to your current address. The change takes effect once you \
                 confirm both, within 24 hours.",
        ),
        EmailChangeOutcome::Sent { to_both: false } => Flash::ok(
            "We sent a link to the new address. The change takes effect once you confirm it, within 24 hours.",
        ),
        EmailChangeOutcome::Same => Flash::info("That is already your address."),
        EmailChangeOutcome::TooSoon => {
            Flash::error("A link was sent just now. Wait a minute before you request another.")
        }
        EmailChangeOutcome::TooOften => Flash::error("You requested this too often today. Try again later."),
        EmailChangeOutcome::Faulty(why) => Flash::error(why),
    };
    Ok(flash::redirect(&req, paths::HOME, &flash))
}

/// `GET /email/confirm` and `GET /email/cancel`: shows the change behind an emailed link.
pub async fn show_change(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    _: Anyone,
    Query(given): Query<LinkToken>,
) -> Result<HttpResponse, PageError> {
    let token = match visit_link(&req, &given) {
        LinkVisit::Exchange(response) => return Ok(response),
        LinkVisit::Token(token) => token,
    };
    let asked = email_change::find_link(&ctx, &token).await?;
    let offer = asked.map(|asked| LinkOffer {
        title: "Change of email address",
        lines: describe_change(&asked),
        buttons: vec![
            LinkButton {
                action: paths::EMAIL_CONFIRM,
                label: "Confirm",
                danger: false,
            },
            LinkButton {
                action: paths::EMAIL_CANCEL,
                label: "This was not me: cancel",
                danger: true,
            },
        ],
    });
    render_link(&req, &ctx, &token, offer)
}

fn describe_change(asked: &EmailChangeLink) -> Vec<String> {
    let first = format!("The account {} will use {} from now on.", asked.name, asked.new);
    let then = match (asked.awaits_other, asked.side) {
        (false, MailboxSide::New) if asked.old.is_none() => "Confirm it to use it immediately.".to_owned(),
        (false, _) => {
            "The other address is already confirmed: once you confirm too, the change takes effect immediately."
                .to_owned()
        }
        (true, side) => format!("The change takes effect once {} is confirmed too.", other_link(side)),
    };
    let mut lines = vec![first, then];
    if asked.side == MailboxSide::Old {
        lines.push(
            "If you did not request this, someone else knows your password: cancel, then choose a new one.".to_owned(),
        );
    }
    lines
}

/// The old address is not shown: the reader may hold only the new mailbox.
fn other_link(side: MailboxSide) -> &'static str {
    match side {
        MailboxSide::New => "the link sent to the current address",
        MailboxSide::Old => "the link sent to the new address",
    }
}

/// `POST /email/confirm`
pub async fn confirm(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(given): ShortForm<LinkToken>,
) -> Result<HttpResponse, PageError> {
    match email_change::answer(&ctx, &anonymous_acting(&anyone), &given.token, EmailLinkAnswer::Confirm).await? {
        Some(asked) => {
            let message = if asked.awaits_other {
                let other = other_link(asked.side);
                format!(
                    "Confirmed. The account {} will use {} once {other} is confirmed too.",
                    asked.name, asked.new
                )
            } else {
                format!("The account {} uses {} from now on.", asked.name, asked.new)
            };
            Ok(flash::redirect(&req, paths::HOME, &Flash::ok(message)))
        }
        None => render_link(&req, &ctx, &given.token, None),
    }
}

/// `POST /email/cancel`
pub async fn cancel(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(given): ShortForm<LinkToken>,
) -> Result<HttpResponse, PageError> {
    match email_change::answer(&ctx, &anonymous_acting(&anyone), &given.token, EmailLinkAnswer::Cancel).await? {
        Some(asked) => {
            let advice = match asked.side {
                MailboxSide::New => "",
                MailboxSide::Old => " If someone else requested it, choose a new password now.",
            };
            let message = format!(
                "Cancelled: the email address of the account {} stays unchanged.{advice}",
                asked.name
            );
            Ok(flash::redirect(&req, paths::HOME, &Flash::ok(message)))
        }
        None => render_link(&req, &ctx, &given.token, None),
    }
}
