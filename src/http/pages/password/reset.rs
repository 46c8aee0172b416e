//! `/password/reset`: choosing a password with an emailed link. The link's token moves from the
//! address to an encrypted cookie of this path immediately. Opening the link does not consume it,
//! so that mail scanners do no harm; only the form does.

use crate::{
    domain::{reset::LinkKind, secret::Secret},
    flows::{
        Ctx,
        password_reset::{self, LinkedAccount, PasswordChoice, PasswordChoiceOutcome},
    },
    http::{
        error::PageError,
        filters,
        flash::{self, Flash},
        forms::{Form, Query, ShortForm},
        link_token::{LinkCookie, omit_referrer},
        pages::strength::{self, StrengthForm, field_of},
        paths,
        respond::render_page,
        shell::Shell,
        visitor::Anyone,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

/// Holds the token while a password is chosen.
const COOKIE: LinkCookie = LinkCookie::new("reset");

#[derive(Template)]
#[template(path = "pages/password/reset.html")]
struct ResetPage {
    shell: Shell,
    /// The account's name; `None`: the link is not valid.
    name: Option<String>,
    invited: bool,
    /// Fields with their error messages.
    faults: Vec<(String, String)>,
    min_length: usize,
}

/// The token of a mailed link.
#[derive(Deserialize)]
pub struct ResetQuery {
    #[serde(default)]
    token: String,
}

/// The form that chooses a password.
#[derive(Deserialize)]
pub struct ResetForm {
    #[serde(default)]
    new_password: String,
    #[serde(default)]
    new_password_again: String,
}

/// `GET /password/reset`
pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Query(query): Query<ResetQuery>,
) -> Result<HttpResponse, PageError> {
    if !query.token.is_empty() {
        return Ok(COOKIE.exchange(&req, &query.token));
    }
    let opened = match read_token(&req) {
        Some(token) => password_reset::find_linked_account(&ctx, &token).await?,
        None => None,
    };
    let status = if opened.is_some() {
        StatusCode::OK
    } else {
        StatusCode::GONE
    };
    show(&req, &ctx, status, opened, Vec::new())
}

/// `POST /password/reset`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(form): ShortForm<ResetForm>,
) -> Result<HttpResponse, PageError> {
    let Some(token) = read_token(&req) else {
        return show(&req, &ctx, StatusCode::GONE, None, Vec::new());
    };
    let choice = PasswordChoice {
        token,
        new: Secret::new(form.new_password),
        again: Secret::new(form.new_password_again),
        origin: anyone.client.origin(),
    };
    match password_reset::choose(&ctx, choice).await? {
        PasswordChoiceOutcome::Done { kind } => {
            let words = match kind {
                LinkKind::Reset => {
                    "Your password was changed, and you were signed out everywhere. Sign in with the new one."
                }
                LinkKind::Invitation => "Your password is set. Sign in with it.",
            };
            let mut response = flash::redirect(&req, paths::LOGIN, &Flash::ok(words));
            COOKIE.forget(&req, &mut response);
            Ok(response)
        }
        PasswordChoiceOutcome::Faulty(opened, faults) => {
            let faults = faults
                .iter()
                .map(|fault| (field_of(fault).to_owned(), fault.message()))
                .collect();
            show(&req, &ctx, StatusCode::UNPROCESSABLE_ENTITY, Some(opened), faults)
        }
        PasswordChoiceOutcome::Refused => {
            let mut response = show(&req, &ctx, StatusCode::GONE, None, Vec::new())?;
            COOKIE.forget(&req, &mut response);
            Ok(response)
        }
    }
}

/// `POST /password/reset/strength`: judges the password while it is typed, if the link is valid.
/// Stores nothing.
pub async fn strength(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(typing): ShortForm<StrengthForm>,
) -> Result<HttpResponse, PageError> {
    let token = read_token(&req).ok_or(PageError::NotFound)?;
    let opened = password_reset::find_linked_account(&ctx, &token)
        .await?
        .ok_or(PageError::NotFound)?;
    let policy = ctx.in_force().everyone().password.clone();
    strength::answer(&ctx, &anyone.client, typing.new_password, opened.account_words, policy).await
}

fn read_token(req: &HttpRequest) -> Option<Secret> {
    COOKIE.read(req).map(Secret::new)
}

fn show(
    req: &HttpRequest,
    ctx: &Ctx,
    status: StatusCode,
    opened: Option<LinkedAccount>,
    faults: Vec<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let invited = opened
        .as_ref()
        .is_some_and(|opened| opened.kind == LinkKind::Invitation);
    Ok(omit_referrer(render_page(
        status,
        &ResetPage {
            shell: Shell::anonymous(
                req,
                ctx,
                if opened.is_some() {
                    "Choose a password"
                } else {
                    "This link does not work"
                },
            ),
            name: opened.map(|opened| opened.name),
            invited,
            faults,
            min_length: ctx.in_force().everyone().password.min_length,
        },
    )?))
}
