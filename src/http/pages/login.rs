//! `/login`: the form, and what becomes of an attempt.

mod bounce;

use super::{Shell, filters, page, see_other};
use crate::{
    domain::{
        account::AccountId,
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
        login::{Attempt, SignIn, sign_in},
        setup,
    },
    http::{
        error::{PageError, problem_body, problem_response, wants_html},
        forms::{Form, Query, ShortForm},
        gate::IssuedTo,
        handover::{return_to, way_to},
        headers, onward, paths,
        session_cookie::{self, Jar},
        site::Site,
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
use url::Origin;

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
    /// There is no account yet.
    unset: bool,
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
    let (return_to, origin) = return_to(&ctx, &query.return_to);
    if anyone.visitor.is_some() {
        let go_on = see_other(&way_to(&ctx, return_to.as_ref(), origin.as_ref()));
        return match (&return_to, &origin) {
            (Some(return_to), Some(origin)) => bounce::watched(&req, &ctx, return_to, origin, go_on),
            (_, _) => Ok(go_on),
        };
    }
    if anyone.session.is_some() {
        // Signed in, and first of all the password must be changed.
        let mut response = see_other(paths::PASSWORD);
        onward::keep(&req, &mut response, return_to.as_ref().map(ReturnTo::as_str));
        return Ok(response);
    }
    let reason = EndReason::parse(&query.reason).or(anyone.ended);
    let mut login = LoginPage::new(&req, &ctx, String::new(), return_to);
    login.reason = reason.map(|reason| reason.sentence().to_owned());
    // The form stands also while the database is away.
    login.unset = setup::is_awaited(&ctx).await.unwrap_or(false);
    let mut response = login.answer(StatusCode::OK, origin)?;
    if anyone.ambiguous {
        // Somebody planted a second cookie: both go, or nobody could sign in any more.
        session_cookie::expire_all(response.headers_mut(), Jar::own(&ctx.config));
    }
    Ok(response)
}

pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(form): ShortForm<LoginForm>,
) -> Result<HttpResponse, PageError> {
    let (return_to, origin) = return_to(&ctx, &form.return_to);
    let attempt = attempt(&ctx, &Site::Own, &anyone, form.username.clone(), form.password);
    match sign_in(&ctx, attempt).await? {
        SignIn::Accepted(opened) => {
            remember(&req, opened.account.id, IssuedTo::of(&opened), &opened.token)?;
            Ok(match opened.must_change {
                Some(_) => {
                    let mut response = see_other(paths::PASSWORD);
                    onward::keep(&req, &mut response, return_to.as_ref().map(ReturnTo::as_str));
                    response
                }
                None => see_other(&way_to(&ctx, return_to.as_ref(), origin.as_ref())),
            })
        }
        SignIn::Refused(refusal) => {
            let login = LoginPage::new(&req, &ctx, form.username, return_to);
            refuse(&req, &ctx, login, origin, &refusal)
        }
        // Our own pages are no application's.
        SignIn::NotAllowed => Err(PageError::NoEntry),
    }
}

/// An attempt of whoever asks; a live session of the same browser ends when it succeeds.
pub(in crate::http) fn attempt(ctx: &Ctx, site: &Site, anyone: &Anyone, username: String, password: String) -> Attempt {
    Attempt {
        username,
        password: Secret::new(password),
        ip: anyone.client.ip,
        user_agent: anyone.client.user_agent.clone(),
        request_id: Some(anyone.client.request_id.clone()),
        replaces: anyone.session,
        cookie_form: session_cookie::form(Jar::of(&ctx.config, site), ctx.in_force().everyone()),
        host: site.token_host().to_owned(),
        entering: site.application().cloned(),
    }
}

/// Hands a session under its new id to actix-identity and actix-session, which set the cookie.
pub(in crate::http) fn remember(
    req: &HttpRequest,
    account: AccountId,
    told: IssuedTo,
    token: &Secret,
) -> Result<(), PageError> {
    let fault =
        |error: &dyn std::fmt::Display| PageError::Internal(format!("the session cannot be handed over: {error}"));
    req.extensions_mut().insert(told);
    Identity::login(&req.extensions(), account.0.to_string()).map_err(|error| fault(&error))?;
    req.get_session()
        .insert(PREPARED_TOKEN, token.expose())
        .map_err(|error| fault(&error))
}

fn refuse(
    req: &HttpRequest,
    ctx: &Ctx,
    mut login: LoginPage,
    origin: Option<Origin>,
    refusal: &Refusal,
) -> Result<HttpResponse, PageError> {
    let (status, retry_after, words) = answer(refusal, ctx.now());
    let mut response = if wants_html(req.headers()) {
        login.error = Some(words);
        login.answer(status, origin)?
    } else {
        problem_response(status, &problem_body(status, refusal.code(), &words))
    };
    if let Some(secs) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    Ok(response)
}

/// Status, `Retry-After` and words of a refusal: the same whether or not the account exists.
pub(in crate::http) fn answer(refusal: &Refusal, now: Timestamp) -> (StatusCode, Option<i64>, String) {
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
            unset: false,
        }
    }

    /// `origin`: where the form may end beside our own pages.
    fn answer(&self, status: StatusCode, origin: Option<Origin>) -> Result<HttpResponse, PageError> {
        let mut response = page(status, self)?;
        if let Some(origin) = origin {
            headers::allow_form_action(response.headers_mut(), &origin);
        }
        Ok(response)
    }
}

/// Where a return leads, in words.
fn destination(return_to: &str) -> Option<String> {
    let path = return_to.split(['?', '#']).next().unwrap_or_default();
    if let Some((_, place)) = path.split_once("://") {
        return place.split('/').next().map(str::to_owned);
    }
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
