//! `/login`: the form, and what becomes of an attempt.

use super::{Shell, filters, page, see_other};
use crate::{
    domain::{
        duration::humanize,
        lockout::Locked,
        login::Refusal,
        origin::ReturnTo,
        policy::effective::{EffectivePolicy, Idle},
        secret::Secret,
        session::EndReason,
        time::Timestamp,
    },
    flows::{
        Ctx,
        login::{Attempt, Opened, SignIn, sign_in},
    },
    http::{
        error::PageError,
        forms::{Form, Query},
        gate::IssuedTo,
        paths, session_cookie,
        visitor::Anyone,
    },
    live::session_store::PREPARED_TOKEN,
};
use actix_identity::Identity;
use actix_session::SessionExt;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web,
};
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "pages/login.html")]
struct LoginPage {
    shell: Shell,
    username: String,
    return_to: Option<String>,
    /// Where it goes on, in words.
    destination: Option<String>,
    /// Why the last session ended.
    reason: Option<String>,
    error: Option<String>,
    /// `15 minutes`: when idle sessions end.
    idle: Option<String>,
}

#[derive(Deserialize)]
pub struct LoginQuery {
    #[serde(default)]
    return_to: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
pub struct LoginForm {
    username: String,
    password: String,
    #[serde(default)]
    return_to: String,
}

pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Query(query): Query<LoginQuery>,
) -> Result<HttpResponse, PageError> {
    let return_to = ReturnTo::parse(&query.return_to, &[]);
    if anyone.visitor.is_some() {
        return Ok(see_other(return_to.as_ref().map_or(paths::HOME, ReturnTo::as_str)));
    }
    let reason = EndReason::parse(&query.reason).or(anyone.ended);
    let mut login = LoginPage::new(&req, &ctx, String::new(), return_to);
    login.reason = reason.map(|reason| reason.sentence().to_owned());
    let mut response = page(StatusCode::OK, &login)?;
    if anyone.ambiguous {
        // Somebody planted a second cookie: both go, or nobody could sign in any more.
        for line in session_cookie::expire(&ctx.config) {
            if let Ok(line) = HeaderValue::from_str(&line) {
                response.headers_mut().append(header::SET_COOKIE, line);
            }
        }
    }
    Ok(response)
}

pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(form): Form<LoginForm>,
) -> Result<HttpResponse, PageError> {
    let return_to = ReturnTo::parse(&form.return_to, &[]);
    let attempt = Attempt {
        username: form.username.clone(),
        password: Secret::new(form.password),
        ip: anyone.client.ip,
        user_agent: anyone.client.user_agent.clone(),
        request_id: Some(anyone.client.request_id.clone()),
        replaces: anyone.session,
        cookie_form: session_cookie::form(&ctx.config, ctx.in_force().everyone()),
    };
    match sign_in(&ctx, attempt).await? {
        SignIn::Accepted(opened) => {
            remember(&req, &opened)?;
            Ok(see_other(match opened.must_change {
                Some(_) => paths::PASSWORD,
                None => return_to.as_ref().map_or(paths::HOME, ReturnTo::as_str),
            }))
        }
        SignIn::Refused(refusal) => refuse(&req, &ctx, form.username, return_to, &refusal),
    }
}

/// Hands the new session to actix-identity and actix-session, which set the cookie.
pub(super) fn remember(req: &HttpRequest, opened: &Opened) -> Result<(), PageError> {
    let fault =
        |error: &dyn std::fmt::Display| PageError::Internal(format!("the session cannot be handed over: {error}"));
    req.extensions_mut().insert(IssuedTo {
        role: opened.account.role,
        signed_in_at: opened.signed_in_at,
    });
    Identity::login(&req.extensions(), opened.account.id.0.to_string()).map_err(|error| fault(&error))?;
    req.get_session()
        .insert(PREPARED_TOKEN, opened.token.expose())
        .map_err(|error| fault(&error))
}

fn refuse(
    req: &HttpRequest,
    ctx: &Ctx,
    username: String,
    return_to: Option<ReturnTo>,
    refusal: &Refusal,
) -> Result<HttpResponse, PageError> {
    let (status, retry_after, words) = answer(refusal, ctx.now());
    let mut login = LoginPage::new(req, ctx, username, return_to);
    login.error = Some(words);
    let mut response = page(status, &login)?;
    if let Some(secs) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    Ok(response)
}

/// Status, `Retry-After` and words of a refusal: the same whether or not the account exists.
pub(super) fn answer(refusal: &Refusal, now: Timestamp) -> (StatusCode, Option<i64>, String) {
    match refusal {
        Refusal::Credentials => (
            StatusCode::UNPROCESSABLE_ENTITY,
            None,
            "User name or password is wrong.".to_owned(),
        ),
        Refusal::Disabled => (
            StatusCode::FORBIDDEN,
            None,
            "This account is disabled. An administrator can enable it again.".to_owned(),
        ),
        Refusal::Expired => (
            StatusCode::FORBIDDEN,
            None,
            "This account has expired. An administrator can re-activate it.".to_owned(),
        ),
        Refusal::Busy => (
            StatusCode::TOO_MANY_REQUESTS,
            Some(1),
            "Several attempts are being checked right now. Try again in a moment.".to_owned(),
        ),
        Refusal::Locked(Locked::Until(until)) => {
            let secs = until.since(now).as_secs_ceil().max(1);
            (
                StatusCode::TOO_MANY_REQUESTS,
                Some(secs),
                format!("Too many attempts. Try again in {}.", wait_words(secs)),
            )
        }
        Refusal::Locked(Locked::UntilUnlocked) => (
            StatusCode::FORBIDDEN,
            None,
            "Too many attempts. An administrator must unlock it before you can try again.".to_owned(),
        ),
    }
}

/// Rounded up, so that nobody comes too early: seconds within a minute, else minutes.
fn wait_words(secs: i64) -> String {
    if secs <= 60 {
        humanize(secs)
    } else {
        humanize((secs + 59) / 60 * 60)
    }
}

impl LoginPage {
    fn new(req: &HttpRequest, ctx: &Ctx, username: String, return_to: Option<ReturnTo>) -> Self {
        let return_to = return_to.map(|target| target.as_str().to_owned());
        Self {
            shell: Shell::anonymous(req, ctx, "Sign in"),
            username: username.chars().take(256).collect(),
            destination: return_to.as_deref().and_then(destination),
            return_to,
            reason: None,
            error: None,
            idle: idle_words(ctx.in_force().everyone()),
        }
    }
}

/// Where a return leads, in words.
fn destination(return_to: &str) -> Option<String> {
    let path = return_to.split(['?', '#']).next().unwrap_or_default();
    let words = match path {
        "/" => return None,
        paths::PASSWORD => "your password",
        path if path.starts_with("/admin") => "the console",
        path => path,
    };
    Some(words.to_owned())
}

fn idle_words(policy: &EffectivePolicy) -> Option<String> {
    policy.lifetimes.iter().find_map(|rule| match rule.idle {
        Idle::After(idle) => Some(humanize(idle.as_secs())),
        Idle::Never | Idle::WindowOpen => None,
    })
}
