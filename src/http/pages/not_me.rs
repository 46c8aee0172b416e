//! `/not-me`: reports that a sign-in was someone else's. Opening the link changes nothing; the
//! button ends every session of the account.

use super::link_page::{LinkButton, LinkOffer, LinkToken, LinkVisit, anonymous_acting, render_link, visit_link};
use crate::{
    flows::{Ctx, notices},
    http::{
        error::PageError,
        filters::{format_count, format_utc},
        flash::{self, Flash},
        forms::{Form, Query, ShortForm},
        paths,
        visitor::Anyone,
    },
};
use actix_web::{HttpRequest, HttpResponse, web};

/// `GET /not-me`
pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    _: Anyone,
    Query(given): Query<LinkToken>,
) -> Result<HttpResponse, PageError> {
    let token = match visit_link(&req, &given) {
        LinkVisit::Exchange(response) => return Ok(response),
        LinkVisit::Token(token) => token,
    };
    let offer = notices::find_report(&ctx, &token).await?.map(|(link, name)| LinkOffer {
        title: "Was this you?",
        lines: vec![
            format!(
                "Someone signed in to the account {name} on {}, with {} from {}.",
                format_utc(link.made_at),
                link.device,
                link.ip
            ),
            "If this was not you, report it: every session of the account ends, its password stops working, and we \
                 email you a link to choose a new one."
                .to_owned(),
        ],
        buttons: vec![LinkButton {
            action: paths::NOT_ME,
            label: "This was not me: sign out everywhere",
            danger: true,
        }],
    });
    render_link(&req, &ctx, &token, offer)
}

/// `POST /not-me`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(given): ShortForm<LinkToken>,
) -> Result<HttpResponse, PageError> {
    match notices::report_sign_in(&ctx, &anonymous_acting(&anyone), &given.token).await? {
        Some(ended) => {
            let ended = format_count(i64::try_from(ended).unwrap_or(i64::MAX), "session");
            let message = format!(
                "{ended} ended, and the password no longer works. Choose a new one with the link we emailed you."
            );
            Ok(flash::redirect(&req, paths::HOME, &Flash::ok(message)))
        }
        None => render_link(&req, &ctx, &given.token, None),
    }
}
