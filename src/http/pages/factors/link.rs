//! `/factors/enrol`: the page of an enrolment link. The link alone sets nothing up: its owner signs
//! in with the password, and meanwhile the browser keeps the link's token.

use crate::{
    domain::secret::Secret,
    flows::{Ctx, factors::find_enrolment_link},
    http::{
        enrolment_link,
        error::PageError,
        filters,
        forms::{Form, Query, ShortForm},
        link_token::omit_referrer,
        pages::link_page::{LinkToken, LinkVisit, visit_link},
        paths,
        respond::{redirect_to, render_page},
        shell::Shell,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/factors/link.html")]
struct EnrolmentLinkPage {
    shell: Shell,
    token: String,
    /// Name of the account; `None`: the link does not work.
    name: Option<String>,
}

/// `GET /factors/enrol`
pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Query(given): Query<LinkToken>,
) -> Result<HttpResponse, PageError> {
    match visit_link(&req, &given) {
        LinkVisit::Exchange(response) => Ok(response),
        LinkVisit::Token(token) => show(&req, &ctx, token).await,
    }
}

/// `POST /factors/enrol`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Form(given): ShortForm<LinkToken>,
) -> Result<HttpResponse, PageError> {
    let token = Secret::new(given.token);
    if find_enrolment_link(&ctx, &token).await?.is_none() {
        return show(&req, &ctx, token.expose().to_owned()).await;
    }
    // The sign-in and the page for a required factor come first if they are due.
    let mut response = redirect_to(paths::FACTORS);
    enrolment_link::keep(&req, response.headers_mut(), &token);
    Ok(response)
}

async fn show(req: &HttpRequest, ctx: &Ctx, token: String) -> Result<HttpResponse, PageError> {
    let found = find_enrolment_link(ctx, &Secret::new(token.clone())).await?;
    let status = match found {
        Some(_) => StatusCode::OK,
        None => StatusCode::NOT_FOUND,
    };
    let page = EnrolmentLinkPage {
        shell: Shell::anonymous(req, ctx, "Set up a second factor"),
        token,
        name: found.map(|(_, name)| name),
    };
    Ok(omit_referrer(render_page(status, &page)?))
}
