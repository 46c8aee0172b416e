//! Recovery codes: shown once, when they are made.

use crate::{
    domain::secret::Secret,
    flows::{Ctx, factors::make_recovery_codes},
    http::{
        error::PageError,
        filters,
        flash::{self, Flash},
        paths,
        respond::render_page,
        shell::Shell,
        step_up::ConfirmedVisitor,
        visitor::{EnrollingVisitor, Member},
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;

#[derive(Template)]
#[template(path = "pages/factors/codes.html")]
struct CodesPage<'a> {
    shell: Shell,
    /// What was done, as a sentence.
    done: &'a str,
    codes: Vec<&'a str>,
    /// The address to continue to.
    onward: &'a str,
}

/// `POST /factors/recovery`
pub async fn make(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(member, ()): ConfirmedVisitor<Member, ()>,
) -> Result<HttpResponse, PageError> {
    let visitor = &member.0;
    let Some(codes) = make_recovery_codes(&ctx, &visitor.initiator, visitor.account).await? else {
        let words = Flash::error("Recovery codes stand in for a second factor. Set one up first.");
        return Ok(flash::redirect(&req, paths::FACTORS, &words));
    };
    let enrolling = EnrollingVisitor(visitor.clone());
    let done = "The earlier codes no longer work.";
    show(&req, &ctx, &enrolling, done, &codes, paths::FACTORS)
}

/// Shows the codes, only once.
pub(super) fn show(
    req: &HttpRequest,
    ctx: &Ctx,
    enrolling: &EnrollingVisitor,
    done: &str,
    codes: &[Secret],
    onward: &str,
) -> Result<HttpResponse, PageError> {
    let page = CodesPage {
        shell: Shell::enrolling(req, ctx, enrolling, "Recovery codes"),
        done,
        codes: codes.iter().map(Secret::expose).collect(),
        onward,
    };
    render_page(StatusCode::OK, &page)
}
