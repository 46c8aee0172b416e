//! `/password/forgot`: asking for a link. The answer is the same for every name.

use crate::{
    flows::{
        Ctx,
        password_reset::{self, Request},
    },
    http::{
        error::PageError,
        flash::{self, Flash},
        forms::{Form, ShortForm},
        pages::{Shell, filters, page, see_other},
        paths,
        visitor::Anyone,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "pages/password/forgot.html")]
struct ForgotPage {
    shell: Shell,
    /// Field and sentence.
    faults: Vec<(String, String)>,
}

#[derive(Deserialize)]
pub struct ForgotForm {
    #[serde(default)]
    username: String,
}

/// Said whether or not there is such an account, and whether or not a letter goes out.
const SAID: &str = "If there is such an account and it has an e-mail address, a letter with a link is on its way. The link works for 30 minutes.";

pub async fn form(req: HttpRequest, ctx: web::Data<Ctx>, anyone: Anyone) -> Result<HttpResponse, PageError> {
    if anyone.session.is_some() && anyone.visitor.is_none() {
        return Ok(see_other(paths::PASSWORD));
    }
    show(&req, &ctx, StatusCode::OK, Vec::new())
}

pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(form): ShortForm<ForgotForm>,
) -> Result<HttpResponse, PageError> {
    if form.username.trim().is_empty() {
        let fault = ("username".to_owned(), "Enter your user name.".to_owned());
        return show(&req, &ctx, StatusCode::UNPROCESSABLE_ENTITY, vec![fault]);
    }
    let wanted = Request {
        username: form.username,
        ip: anyone.client.ip,
        user_agent: anyone.client.user_agent.clone(),
        request_id: Some(anyone.client.request_id.clone()),
    };
    password_reset::request(&ctx, wanted).await?;
    Ok(flash::redirect(&req, paths::LOGIN, &Flash::info(SAID)))
}

fn show(
    req: &HttpRequest,
    ctx: &Ctx,
    status: StatusCode,
    faults: Vec<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let shell = Shell::anonymous(req, ctx, "Forgotten password");
    page(status, &ForgotPage { shell, faults })
}
