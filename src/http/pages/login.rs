//! `/login`: the form, and the response to an attempt.

mod bounce;
pub mod factor;
mod lost_cookie;
pub mod passkey;
pub mod provider;

use crate::{
    domain::{
        duration::humanize,
        login::SignInRefusal,
        origin::ReturnTo,
        policy::effective::{EffectivePolicy, IdleTimeout},
        session::{DeviceFault, Duty, EndReason},
    },
    flows::{
        Ctx,
        login::{SignInOutcome, sign_in},
        providers,
        sessions::{self, OwnEnd},
        setup,
    },
    http::{
        destination::{destination_address, query, return_to},
        error::{PageError, factor_url},
        filters,
        forms::{Form, Query, ShortForm},
        headers,
        judged::TokenRecipient,
        negotiation::wants_html,
        onward, paths,
        problem::{Problem, set_retry_after},
        respond::{redirect_to, render_page},
        second_step,
        session_cookie::{self, CookieScope},
        session_proof::passkey_place,
        shell::Shell,
        sign_in::{describe_refusal, hand_over_session, sign_in_attempt},
        site::Site,
        visitor::Anyone,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use url::Origin;

#[derive(Template)]
#[template(path = "pages/login.html")]
struct LoginPage {
    shell: Shell,
    username: String,
    return_to: Option<String>,
    /// The destination after the sign-in, for display.
    destination: Option<String>,
    /// Why the last session ended.
    reason: Option<String>,
    /// When, and under which limit, if the browser still has its cookie.
    own_end: Option<OwnEnd>,
    error: Option<String>,
    /// The idle timeout for display: `15 minutes`.
    idle: Option<String>,
    /// Whether there is no account yet.
    unset: bool,
    /// Why the browser did not keep the cookie of the last sign-in; empty if it did or there was
    /// none.
    lost_cookie: Vec<String>,
    /// Whether passkeys sign in here without a password.
    passkeys: bool,
    /// The identity providers, each with the address that leads there.
    providers: Vec<ProviderLink>,
}

/// A link to sign in at an identity provider.
struct ProviderLink {
    title: String,
    address: String,
}

/// The destination of the sign-in, and why the last session ended.
#[derive(Deserialize)]
pub struct LoginQuery {
    #[serde(default)]
    return_to: String,
    #[serde(default)]
    reason: String,
    /// Keeps the page from leading to an identity provider at once.
    #[serde(default)]
    local: String,
}

/// The sign-in form.
#[derive(Deserialize)]
pub struct LoginForm {
    username: String,
    password: String,
    #[serde(default)]
    return_to: String,
}

/// `GET /login`
pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Query(asked): Query<LoginQuery>,
) -> Result<HttpResponse, PageError> {
    let (return_to, origin) = return_to(&ctx, &asked.return_to);
    let device_fault = DeviceFault::parse(&asked.reason).filter(|fault| !is_settling(&ctx, &anyone, *fault));
    // An application's host has lost its binding: only a new sign-in binds it again.
    if anyone.visitor.is_some() && device_fault.is_none() {
        let go_on = redirect_to(&destination_address(&ctx, return_to.as_ref(), origin.as_ref()));
        return match (&return_to, &origin) {
            (Some(return_to), Some(origin)) => bounce::watched(&req, &ctx, return_to, origin, go_on),
            (_, _) => Ok(go_on),
        };
    }
    let target = return_to.as_ref().map(ReturnTo::as_str);
    match anyone.duty {
        Some(Duty::PasswordChange) => {
            let mut response = redirect_to(paths::PASSWORD);
            onward::store_target(&req, &mut response, target);
            return Ok(response);
        }
        Some(Duty::Factor(_)) => return Ok(redirect_to(&factor_url(target))),
        Some(Duty::DeviceProof(_)) | None => {}
    }
    let ended = EndReason::parse(&asked.reason).or(anyone.ended);
    let reason = device_fault
        .map(DeviceFault::sentence)
        .or(ended.map(EndReason::sentence));
    let target_text = target.map(str::to_owned);
    let mut login = LoginPage::new(&req, &ctx, String::new(), return_to);
    login.reason = reason.map(str::to_owned);
    login.own_end = explain_end(&ctx, &anyone).await;
    login.lost_cookie = lost_cookie::causes(&req, &ctx, &anyone);
    // The form is shown even while the database is not available.
    login.unset = setup::is_awaited(&ctx).await.unwrap_or(false);
    let is_plain = reason.is_none() && asked.local.is_empty() && login.lost_cookie.is_empty() && !login.unset;
    if is_plain && let Some(address) = only_provider(&ctx, target_text.as_deref()) {
        return Ok(redirect_to(&address));
    }
    let mut response = login.render_response(StatusCode::OK, origin)?;
    if anyone.ambiguous {
        // A second cookie was planted: both are expired, because the user could not sign in
        // otherwise.
        session_cookie::expire_all(response.headers_mut(), CookieScope::own_host(&ctx.config));
    }
    Ok(response)
}

/// Returns whether a request without a proof may have left the browser just before it had one: the
/// same request again will have it.
fn is_settling(ctx: &Ctx, anyone: &Anyone, fault: DeviceFault) -> bool {
    let visitor = anyone.visitor.as_ref();
    fault == DeviceFault::Unproved && visitor.is_some_and(|one| one.admitted.session.row.was_just_bound(ctx.now()))
}

/// `POST /login`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Form(form): ShortForm<LoginForm>,
) -> Result<HttpResponse, PageError> {
    let (return_to, origin) = return_to(&ctx, &form.return_to);
    let mut attempt = sign_in_attempt(&ctx, &Site::Own, &anyone, form.username.clone(), form.password);
    attempt.return_to = return_to
        .as_ref()
        .map(|target| target.as_str().to_owned())
        .unwrap_or_default();
    attempt.trusted = second_step::trusted_token(&req);
    match sign_in(&ctx, attempt).await? {
        SignInOutcome::Accepted(opened) => {
            hand_over_session(
                &req,
                opened.account.id,
                TokenRecipient::from_opened(&opened),
                &opened.token,
            )?;
            let client = &anyone.client;
            ctx.live
                .awaited_cookies
                .await_cookie(client.ip, client.user_agent.as_deref(), opened.session, ctx.now());
            let mut response = match opened.must_change {
                Some(_) => {
                    let mut response = redirect_to(paths::PASSWORD);
                    onward::store_target(&req, &mut response, return_to.as_ref().map(ReturnTo::as_str));
                    response
                }
                None => redirect_to(&destination_address(&ctx, return_to.as_ref(), origin.as_ref())),
            };
            second_step::abandon(&req, &ctx, response.headers_mut()).await;
            Ok(response)
        }
        SignInOutcome::FactorNeeded(due) => {
            let mut response = redirect_to(paths::LOGIN_FACTOR);
            second_step::remember(&req, &ctx, response.headers_mut(), &due.token).await;
            Ok(response)
        }
        SignInOutcome::Refused(refusal) => {
            let login = LoginPage::new(&req, &ctx, form.username, return_to);
            refuse(&req, &ctx, login, origin, &refusal)
        }
        // Our own pages belong to no application.
        SignInOutcome::NotAllowed => Err(PageError::NoEntry),
    }
}

fn refuse(
    req: &HttpRequest,
    ctx: &Ctx,
    mut login: LoginPage,
    origin: Option<Origin>,
    refusal: &SignInRefusal,
) -> Result<HttpResponse, PageError> {
    let (status, retry_after, words) = describe_refusal(refusal, ctx.now());
    let mut response = if wants_html(req) {
        login.error = Some(words);
        login.render_response(status, origin)?
    } else {
        Problem::new(status, refusal.code(), &words).into_response()
    };
    set_retry_after(&mut response, retry_after);
    Ok(response)
}

impl LoginPage {
    fn new(req: &HttpRequest, ctx: &Ctx, username: String, return_to: Option<ReturnTo>) -> Self {
        let return_to = return_to.map(|target| target.as_str().to_owned());
        Self {
            shell: Shell::anonymous(req, ctx, "Sign in"),
            username: username.chars().take(256).collect(),
            destination: return_to.as_deref().and_then(destination),
            return_to: return_to.clone(),
            reason: None,
            own_end: None,
            error: None,
            idle: idle_words(ctx.in_force().everyone()),
            unset: false,
            lost_cookie: Vec::new(),
            providers: provider_links(ctx, return_to.as_deref()),
            passkeys: ctx.in_force().everyone().factors.passwordless && passkey_place(req, ctx).is_some(),
        }
    }

    /// Renders the form. `origin`: where the form may end besides our own pages.
    fn render_response(&self, status: StatusCode, origin: Option<Origin>) -> Result<HttpResponse, PageError> {
        let mut response = render_page(status, self)?;
        if let Some(origin) = origin {
            headers::allow_form_action(response.headers_mut(), &origin);
        }
        Ok(response)
    }
}

/// Explains the end of the session whose cookie the browser sent. Without the database the page
/// says only the reason.
async fn explain_end(ctx: &Ctx, anyone: &Anyone) -> Option<OwnEnd> {
    let explained = sessions::explain_own_end(ctx, anyone.ended_token.clone()?).await;
    explained.unwrap_or_else(|error| {
        tracing::warn!(%error, "the end of a session cannot be explained");
        None
    })
}

/// Describes the destination of a return address.
pub(super) fn destination(return_to: &str) -> Option<String> {
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

/// Lists the identity providers as last learned, so that the form is shown without the database.
fn provider_links(ctx: &Ctx, return_to: Option<&str>) -> Vec<ProviderLink> {
    providers::buttons(ctx)
        .into_iter()
        .map(|button| ProviderLink {
            address: provider_address(&button.name, return_to),
            title: button.title,
        })
        .collect()
}

/// Returns the address that leads to the identity provider if it is the only source and the source
/// wants that.
fn only_provider(ctx: &Ctx, return_to: Option<&str>) -> Option<String> {
    let only = providers::find_automatic(ctx)?;
    Some(provider_address(&only.name, return_to))
}

fn provider_address(source: &str, return_to: Option<&str>) -> String {
    let path = paths::LOGIN_OIDC.replace("{source}", source);
    match return_to {
        Some(return_to) => format!("{path}?{}", query(&[("return_to", return_to)])),
        None => path,
    }
}

fn idle_words(policy: &EffectivePolicy) -> Option<String> {
    policy.lifetimes.iter().find_map(|rule| match rule.idle {
        IdleTimeout::After(idle) => Some(humanize(idle.as_secs())),
        IdleTimeout::Never | IdleTimeout::WindowOpen => None,
    })
}
