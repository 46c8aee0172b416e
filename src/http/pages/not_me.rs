//! `/not-me`: a mailed sign-in was somebody else's. Looking changes nothing; the button ends every session of the account.

use super::link_page::{Button, Offer, Token, acting, show};
use crate::{
    flows::{Ctx, notices},
    http::{
        error::PageError,
        filters::{counted, utc_words},
        flash::{self, Flash},
        forms::{Form, Query, ShortForm},
        paths,
        visitor::Anyone,
    },
};
use actix_web::{HttpRequest, HttpResponse, web};

pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    _: Anyone,
    Query(given): Query<Token>,
) -> Result<HttpResponse, PageError> {
    let offer = notices::look(&ctx, &given.token).await?.map(|(link, name)| Offer {
        title: "Was this not you?",
        words: vec![
            format!(
                "Somebody signed in to the account {name} on {}, with {} from {}.",
                utc_words(link.made_at),
                link.device,
                link.ip
            ),
            "If it was not you: every session of the account ends, its password stops working, and a link to choose a new one is mailed to you.".to_owned(),
        ],
        buttons: vec![Button {
            action: paths::NOT_ME,
            label: "It was not me: sign out everywhere",
            danger: true,
        }],
    });
    show(&req, &ctx, &given.token, offer)
}

pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(given): ShortForm<Token>,
) -> Result<HttpResponse, PageError> {
    match notices::disown(&ctx, &acting(&anyone), &given.token).await? {
        Some(ended) => {
            let ended = counted(i64::try_from(ended).unwrap_or(i64::MAX), "session");
            let said = format!(
                "{ended} ended, and the password works no more. Choose a new one with the link that is on its way to you."
            );
            Ok(flash::redirect(&req, paths::HOME, &Flash::ok(said)))
        }
        None => show(&req, &ctx, &given.token, None),
    }
}
