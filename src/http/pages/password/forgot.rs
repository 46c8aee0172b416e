//! `/password/forgot`: requesting a link. The response is the same for every name.

use crate::{
    domain::session::Duty,
    flows::{
        Ctx,
        password_reset::{self, PasswordResetRequest},
    },
    http::{
        error::PageError,
        filters,
        flash::{self, Flash},
        forms::{Form, ShortForm},
        paths,
        respond::{redirect_to, render_page},
        shell::Shell,
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
    /// Fields with their error messages.
    faults: Vec<(String, String)>,
}

/// The form that requests a reset link.
#[derive(Deserialize)]
pub struct ForgotForm {
    #[serde(default)]
    username: String,
}

/// The response, whether or not the account exists and an email is sent.
const SAID: &str =
    "If this account exists and has an email address, we have sent it a link. The link works for 30 minutes.";

/// `GET /password/forgot`
pub async fn form(req: HttpRequest, ctx: web::Data<Ctx>, anyone: Anyone) -> Result<HttpResponse, PageError> {
    if anyone.duty == Some(Duty::PasswordChange) {
        return Ok(redirect_to(paths::PASSWORD));
    }
    show(&req, &ctx, StatusCode::OK, Vec::new())
}

/// `POST /password/forgot`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(form): ShortForm<ForgotForm>,
) -> Result<HttpResponse, PageError> {
    if form.username.trim().is_empty() {
        let fault = ("username".to_owned(), "Enter your username.".to_owned());
        return show(&req, &ctx, StatusCode::UNPROCESSABLE_ENTITY, vec![fault]);
    }
    let wanted = PasswordResetRequest {
        username: form.username,
        client: anyone.client.clone(),
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
    let shell = Shell::anonymous(req, ctx, "Reset your password");
    render_page(status, &ForgotPage { shell, faults })
}
