//! `/password/reset`: choosing a password with a mailed link. The link's token leaves the address at once, for an encrypted cookie of this
//! path; looking uses nothing up, so that a mail scanner breaks no link; only the form does.

use super::field_of;
use crate::{
    domain::{reset::LinkKind, secret::Secret},
    flows::{
        Ctx,
        password_reset::{self, Choice, Chosen, Opened},
    },
    http::{
        error::PageError,
        flash::{self, Flash},
        forms::{Form, Query, ShortForm},
        pages::{
            Shell, filters, page, see_other,
            strength::{self, Typing},
        },
        paths,
        session_cookie::CookieKeys,
        visitor::Anyone,
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, CookieJar, SameSite, time::Duration},
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web,
};
use askama::Template;
use serde::Deserialize;

const COOKIE: &str = "nightlatch-reset";
/// Time to choose in.
const KEPT: Duration = Duration::minutes(15);
/// A token of ours is far shorter.
const LONGEST_TOKEN: usize = 128;

#[derive(Template)]
#[template(path = "pages/password/reset.html")]
struct ResetPage {
    shell: Shell,
    /// Whose password; `None`: the link opens nothing.
    name: Option<String>,
    invited: bool,
    /// Field and sentence.
    faults: Vec<(String, String)>,
    min_length: usize,
}

#[derive(Deserialize)]
pub struct ResetQuery {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
pub struct ResetForm {
    #[serde(default)]
    new_password: String,
    #[serde(default)]
    new_password_again: String,
}

pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    keys: web::Data<CookieKeys>,
    Query(query): Query<ResetQuery>,
) -> Result<HttpResponse, PageError> {
    if !query.token.is_empty() {
        return Ok(exchange(&ctx, &keys, &query.token));
    }
    let opened = match carried(&req, &keys) {
        Some(token) => password_reset::look(&ctx, &token).await?,
        None => None,
    };
    let status = if opened.is_some() {
        StatusCode::OK
    } else {
        StatusCode::GONE
    };
    show(&req, &ctx, status, opened, Vec::new())
}

pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    keys: web::Data<CookieKeys>,
    anyone: Anyone,
    Form(form): ShortForm<ResetForm>,
) -> Result<HttpResponse, PageError> {
    let Some(token) = carried(&req, &keys) else {
        return show(&req, &ctx, StatusCode::GONE, None, Vec::new());
    };
    let choice = Choice {
        token,
        new: Secret::new(form.new_password),
        again: Secret::new(form.new_password_again),
        origin: anyone.client.origin(),
    };
    match password_reset::choose(&ctx, choice).await? {
        Chosen::Done { kind } => {
            let words = match kind {
                LinkKind::Reset => {
                    "Your password was changed, and you were signed out everywhere. Sign in with the new one."
                }
                LinkKind::Invitation => "Your password is set. Sign in with it.",
            };
            let mut response = flash::redirect(&req, paths::LOGIN, &Flash::ok(words));
            set_cookie(&mut response, removal(&ctx));
            Ok(response)
        }
        Chosen::Faulty(opened, faults) => {
            let faults = faults
                .iter()
                .map(|fault| (field_of(fault).to_owned(), fault.message()))
                .collect();
            show(&req, &ctx, StatusCode::UNPROCESSABLE_ENTITY, Some(opened), faults)
        }
        Chosen::Refused => {
            let mut response = show(&req, &ctx, StatusCode::GONE, None, Vec::new())?;
            set_cookie(&mut response, removal(&ctx));
            Ok(response)
        }
    }
}

/// `POST /password/reset/strength`: how what was typed so far stands, for whom a link works. Keeps nothing.
pub async fn strength(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    keys: web::Data<CookieKeys>,
    Form(typing): ShortForm<Typing>,
) -> Result<HttpResponse, PageError> {
    let token = carried(&req, &keys).ok_or(PageError::NotFound)?;
    let opened = password_reset::look(&ctx, &token).await?.ok_or(PageError::NotFound)?;
    let policy = ctx.in_force().everyone().password.clone();
    strength::answer(typing.new_password, opened.own_words, policy).await
}

/// The address without the token, which goes on in a cookie; nobody that the page links to learns of it.
fn exchange(ctx: &Ctx, keys: &CookieKeys, token: &str) -> HttpResponse {
    let mut response = see_other(paths::PASSWORD_RESET);
    response
        .headers_mut()
        .insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if token.len() <= LONGEST_TOKEN {
        let mut cookie = Cookie::new(COOKIE, token.to_owned());
        dress(&mut cookie, ctx);
        cookie.set_max_age(KEPT);
        let mut jar = CookieJar::new();
        jar.private_mut(keys.newest()).add(cookie);
        let line = jar.get(COOKIE).map(|cookie| cookie.encoded().to_string());
        set_cookie(&mut response, line.unwrap_or_default());
    }
    response
}

fn carried(req: &HttpRequest, keys: &CookieKeys) -> Option<Secret> {
    let mut jar = CookieJar::new();
    jar.add_original(req.cookie(COOKIE)?);
    let opened = jar.private(keys.newest()).get(COOKIE)?;
    Some(Secret::new(opened.value().to_owned()))
}

fn removal(ctx: &Ctx) -> String {
    let mut cookie = Cookie::new(COOKIE, "");
    dress(&mut cookie, ctx);
    cookie.set_max_age(Duration::ZERO);
    cookie.to_string()
}

fn set_cookie(response: &mut HttpResponse, line: String) {
    if let Ok(line) = HeaderValue::from_str(&line) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
}

/// Lax, so that the redirect from a link in a mail program carries it.
fn dress(cookie: &mut Cookie<'_>, ctx: &Ctx) {
    cookie.set_path(paths::PASSWORD_RESET);
    cookie.set_http_only(true);
    cookie.set_secure(ctx.in_force().everyone().cookie.secure);
    cookie.set_same_site(SameSite::Lax);
}

fn show(
    req: &HttpRequest,
    ctx: &Ctx,
    status: StatusCode,
    opened: Option<Opened>,
    faults: Vec<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let invited = opened
        .as_ref()
        .is_some_and(|opened| opened.kind == LinkKind::Invitation);
    page(
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
    )
}
