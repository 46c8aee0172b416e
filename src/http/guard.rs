//! The endpoints of the page guard (`static/guard.js`): the state of the session, activity reports,
//! signing in and out in place. Requests and responses are JSON and use the flows of the pages;
//! refusals are codes, never redirects (docs/architecture.md, "The page guard").

mod duty;
mod events;
mod factor;

use super::{
    assets,
    error::{NO_ENTRY, PageError},
    forms::{EmptyBody, Json},
    judged::{JudgedRequest, JudgedSession, TokenRecipient},
    negotiation::wants_html,
    no_entry::render_no_entry,
    paths,
    problem::Problem,
    respond::render_page,
    route::{Audience, Route},
    second_step,
    session_cookie::{self, CookieScope},
    session_proof::{self, passkey_place},
    sign_in::{describe_refusal, hand_over_session, sign_in_attempt},
    sign_out::leave,
    site::Site,
    visitor::{Anyone, Member, signed_in_name},
};
use crate::{
    domain::{
        account::Account,
        application::RequestTarget,
        login::SignInRefusal,
        session::{Duty, EndReason, candidates, ends_at, heartbeat, warning},
        time::{Span, Timestamp},
    },
    flows::{
        Ctx,
        access::AdmittedSession,
        factors::{self, FactorMethods},
        login::{FactorDue, SignInOutcome, sign_in},
        providers::{ProviderButton, buttons, find_confirming_source},
    },
};
use actix_identity::Identity;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use duty::must_change;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Lists the routes of the guard.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::GUARD_SCRIPT, Audience::Anyone, script),
        Route::get(paths::GUARD_STYLE, Audience::Anyone, style),
        Route::get(paths::GUARD_SESSION, Audience::Anyone, session),
        Route::get(paths::GUARD_EVENTS, Audience::Pending, events::events),
        Route::post(paths::GUARD_TOUCH, Audience::Member, sign_of_life),
        Route::post(paths::GUARD_HEARTBEAT, Audience::Member, sign_of_life),
        Route::post(paths::GUARD_LOGIN, Audience::Anyone, login),
        Route::post(paths::GUARD_FACTOR, Audience::Anyone, factor::submit),
        Route::post(paths::GUARD_FACTOR_OPTIONS, Audience::Anyone, factor::options),
        Route::post(paths::GUARD_LOGOUT, Audience::Anyone, logout),
        Route::get(paths::GUARD_FORBIDDEN, Audience::Anyone, forbidden),
        Route::get(paths::GUARD_SIGNED_IN, Audience::Anyone, signed_in),
    ]
}

/// The fields that the lock screen sends to sign in again.
#[derive(Deserialize)]
pub struct Credentials {
    username: String,
    password: String,
}

/// The state of the session. Times are seconds from now: the page measures them with its own clock.
#[derive(Serialize, Default)]
struct Status<'a> {
    /// `live`, `warning`, `ended` or `anonymous`.
    state: &'static str,
    user: Option<&'a str>,
    ends_in: Option<f64>,
    /// The code of the rule that ends it.
    ends_by: Option<&'static str>,
    idle_ends_in: Option<f64>,
    /// How long before the end the page warns.
    warn_at: Option<f64>,
    /// How often an open page reports that it is open.
    heartbeat_every: Option<f64>,
    /// The duty before anything else.
    duty: Option<&'static str>,
    /// How the account can prove the required second factor; `None`: it must set one up. A code
    /// is listed beside a required passkey only if the account has no passkey yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    methods: Option<Vec<&'static str>>,
    /// The second factor that is required, if that is the duty: `any` or `passkey`.
    #[serde(skip_serializing_if = "Option::is_none")]
    required: Option<&'static str>,
    /// Where a passkey can be used: on this host (`here`), or only on Nightlatch's own host
    /// (`elsewhere`).
    #[serde(skip_serializing_if = "Option::is_none")]
    passkey: Option<&'static str>,
    /// The reason of its end, as a code and as a sentence.
    reason: Option<&'static str>,
    message: Option<&'static str>,
    /// The identity providers at which a covered page can sign in again: that of the account while
    /// it is signed in, else all; left out if there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    providers: Vec<ProviderWay>,
    /// The account that is signed in.
    #[serde(skip)]
    account: Option<&'a Account>,
    /// Whether the account has access to the application of the page.
    may_enter: Option<bool>,
    /// The addresses of our pages, as reached from here.
    login_url: Cow<'a, str>,
    password_url: Cow<'a, str>,
    /// Where a required second factor is proved or set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    factor_url: Option<Cow<'a, str>>,
}

/// An identity provider, as the lock screen offers it.
#[derive(Serialize)]
struct ProviderWay {
    /// Its title.
    title: String,
    /// Where to sign in again there; the script adds who, and where it ends.
    address: String,
}

/// Converts to whole milliseconds, rounded up, so that an end is never reported too early.
fn seconds(span: Span) -> f64 {
    let millis = span.as_micros().max(0).saturating_add(999) / 1000;
    millis as f64 / 1000.0
}

impl<'a> Status<'a> {
    fn live(admitted: &'a AdmittedSession, now: Timestamp) -> Self {
        let (life, policy) = (admitted.session.life(), &admitted.policy);
        let end = ends_at(&life, policy);
        let warn = end.and_then(|end| warning(&end, &life, policy));
        let warns = end.zip(warn).is_some_and(|(end, before)| end.at.since(now) <= before);
        let idle = candidates(&life, policy)
            .filter(|end| end.reason == EndReason::Idle)
            .map(|end| end.at)
            .min();
        let required = policy.factors.required;
        let factor = match admitted.duty {
            Some(Duty::Factor(duty)) => Some(duty),
            Some(Duty::PasswordChange | Duty::DeviceProof(_)) | None => None,
        };
        Self {
            state: if warns { "warning" } else { "live" },
            user: Some(&admitted.account.name),
            account: Some(&admitted.account),
            ends_in: end.map(|end| seconds(end.at.since(now))),
            ends_by: end.map(|end| end.reason.as_str()),
            idle_ends_in: idle.map(|at| seconds(at.since(now))),
            warn_at: warn.map(seconds),
            heartbeat_every: heartbeat(policy).map(seconds),
            duty: admitted.duty.map(Duty::as_str),
            methods: factor
                .and_then(|duty| session_proof::methods(admitted, duty, required))
                .map(FactorMethods::codes),
            required: factor.map(|_| required.as_str()),
            ..Self::default()
        }
    }

    fn from_judged(judged: &'a JudgedRequest, now: Timestamp) -> Self {
        match &judged.state {
            JudgedSession::Admitted(admitted) => Self {
                may_enter: Some(judged.may_enter),
                ..Self::live(admitted, now)
            },
            JudgedSession::Ended(reason, _) => Self {
                state: "ended",
                reason: Some(reason.as_str()),
                message: Some(reason.sentence()),
                ..Self::default()
            },
            // The lock screen asks to sign in again, which binds the new session.
            JudgedSession::Unproved(fault) => Self {
                state: "anonymous",
                reason: Some(fault.as_str()),
                message: Some(fault.sentence()),
                ..Self::default()
            },
            // Only a sign-out gets here unjudged.
            JudgedSession::Anonymous | JudgedSession::Unjudged(_) => Self {
                state: "anonymous",
                ..Self::default()
            },
        }
    }

    /// Leaves passkeys out if all were made for another passkey domain.
    async fn without_dead_passkeys(mut self, ctx: &Ctx) -> Result<Self, PageError> {
        if let (Some(methods), Some(account)) = (&mut self.methods, self.account)
            && methods.contains(&"passkey")
            && !factors::has_passkeys_here(ctx, account.id).await?
        {
            methods.retain(|method| *method != "passkey");
        }
        Ok(self)
    }

    fn with_links(self, req: &HttpRequest, site: &Site, ctx: &Ctx) -> Self {
        let is_signed_out = matches!(self.state, "ended" | "anonymous");
        let signs_in = is_signed_out && ctx.in_force().everyone().factors.passwordless;
        let is_of_use = self.methods.is_some() || signs_in;
        let offered = match self.account {
            Some(account) => find_confirming_source(ctx, account).into_iter().collect(),
            None => buttons(ctx),
        };
        Self {
            providers: offered
                .into_iter()
                .map(|button| provider_way(site, ctx, &button))
                .collect(),
            passkey: is_of_use.then(|| passkey_place(req, ctx)).flatten(),
            login_url: site.link(&ctx.config, paths::LOGIN),
            password_url: site.link(&ctx.config, paths::PASSWORD),
            factor_url: (self.duty == Some("factor")).then(|| site.link(&ctx.config, paths::FACTOR)),
            ..self
        }
    }
}

fn provider_way(site: &Site, ctx: &Ctx, button: &ProviderButton) -> ProviderWay {
    let path = paths::LOGIN_OIDC_AGAIN.replace("{source}", &button.name);
    ProviderWay {
        title: button.title.clone(),
        address: site.link(&ctx.config, &path).into_owned(),
    }
}

/// The page on which a sign-in in a window of its own ends.
#[derive(Template)]
#[template(path = "pages/signed_in.html")]
struct SignedInPage;

/// `GET /nightlatch/signed-in`: its script tells the covered pages of this host that they can check
/// their session again, and closes the window.
pub async fn signed_in() -> Result<HttpResponse, PageError> {
    render_page(StatusCode::OK, &SignedInPage)
}

/// `GET /nightlatch/guard.js`
pub async fn script(req: HttpRequest) -> HttpResponse {
    assets::serve_file(&req, "guard.js")
}

/// Serves the only other file that is available on the hosts of applications.
pub async fn style(req: HttpRequest) -> HttpResponse {
    assets::serve_file(&req, "app.css")
}

/// Serves the page that a proxy shows on an application's host to users without access.
pub async fn forbidden(req: HttpRequest, ctx: web::Data<Ctx>) -> Result<HttpResponse, PageError> {
    let Site::Application(entrance) = Site::from_request(&req) else {
        return Err(PageError::NotFound);
    };
    if !wants_html(&req) {
        return Ok(Problem::new(StatusCode::FORBIDDEN, "forbidden", NO_ENTRY).into_response());
    }
    // Only the application's proxy gets here; it sends the refused address.
    let refused = req.headers().get("x-original-url").and_then(|url| url.to_str().ok());
    let return_to = refused.map_or_else(|| entrance.front_page(), str::to_owned);
    let target = RequestTarget::of_url(&return_to).ok();
    let application = target.and_then(|target| ctx.live.applications().of_page(&target));
    let name = application.as_ref().map(|application| application.name.as_str());
    render_no_entry(&ctx, name, signed_in_name(&req).as_deref(), &return_to)
}

/// Returns the state of the session. This refreshes nothing, and queries no database while the
/// session is in memory, unless it lacks a passkey.
pub async fn session(req: HttpRequest, ctx: web::Data<Ctx>) -> Result<HttpResponse, PageError> {
    let judged = req
        .extensions()
        .get::<JudgedRequest>()
        .cloned()
        .ok_or(PageError::missing_middleware())?;
    let site = Site::from_request(&req);
    let status = Status::from_judged(&judged, ctx.now());
    let status = status.without_dead_passkeys(&ctx).await?;
    let mut response = HttpResponse::Ok().json(status.with_links(&req, &site, &ctx));
    if judged.ambiguous {
        // A second cookie was planted: both are deleted, because otherwise the user could no longer
        // sign in.
        session_cookie::expire_all(response.headers_mut(), CookieScope::for_site(&ctx.config, &site));
    }
    Ok(response)
}

/// Reports real input or an open window: the gate has judged which, and refreshed the times.
pub async fn sign_of_life(req: HttpRequest, ctx: web::Data<Ctx>, member: Member, _: Json<EmptyBody>) -> HttpResponse {
    let status = Status {
        may_enter: Some(true),
        ..Status::live(&member.0.admitted, ctx.now())
    };
    HttpResponse::Ok().json(status.with_links(&req, &Site::from_request(&req), &ctx))
}

/// `POST /nightlatch/session/login`: signs in on the lock screen.
pub async fn login(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Json(given): Json<Credentials>,
) -> Result<HttpResponse, PageError> {
    let site = Site::from_request(&req);
    let mut attempt = sign_in_attempt(&ctx, &site, &anyone, given.username, given.password);
    attempt.trusted = second_step::trusted_token(&req);
    match sign_in(&ctx, attempt).await? {
        SignInOutcome::Accepted(opened) => {
            hand_over_session(
                &req,
                opened.account.id,
                TokenRecipient::from_opened(&opened),
                &opened.token,
            )?;
            let mut response = match opened.must_change {
                None => HttpResponse::Ok().json(serde_json::json!({ "user": opened.account.name })),
                Some(_) => must_change(&site, &ctx),
            };
            second_step::abandon(&req, &ctx, response.headers_mut()).await;
            Ok(response)
        }
        SignInOutcome::FactorNeeded(due) => Ok(ask_for_factor(&req, &ctx, &due).await),
        SignInOutcome::Refused(refusal) => Ok(describe_refusal_problem(&refusal, ctx.now())),
        SignInOutcome::NotAllowed => Ok(Problem::new(StatusCode::FORBIDDEN, "forbidden", NO_ENTRY).into_response()),
    }
}

/// Asks for the second factor on the lock screen after the correct password.
async fn ask_for_factor(req: &HttpRequest, ctx: &Ctx, due: &FactorDue) -> HttpResponse {
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, "factor", "Your second factor is required.")
        .with_member("methods", due.methods.codes())
        .with_member("required", due.methods.required.as_str())
        .with_member("passkey", passkey_place(req, ctx))
        .into_response();
    second_step::remember(req, ctx, response.headers_mut(), &due.token).await;
    response
}

/// Returns a refusal with the text of the page; a wrong password is a 401 here.
fn describe_refusal_problem(refusal: &SignInRefusal, now: Timestamp) -> HttpResponse {
    let (status, retry_after, words) = describe_refusal(refusal, now);
    let status = match refusal {
        SignInRefusal::Credentials => StatusCode::UNAUTHORIZED,
        SignInRefusal::Disabled | SignInRefusal::Expired | SignInRefusal::Busy | SignInRefusal::Locked(_) => status,
    };
    let problem = Problem::new(status, refusal.code(), &words).retry_after(retry_after);
    match retry_after {
        Some(seconds) => problem.with_member("retry_after", seconds),
        None => problem,
    }
    .into_response()
}

/// `POST /nightlatch/session/logout`: signs out from any page of the host.
pub async fn logout(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    identity: Option<Identity>,
    _: Json<EmptyBody>,
) -> Result<HttpResponse, PageError> {
    let site = Site::from_request(&req);
    let left = HttpResponse::Ok().json(serde_json::json!({ "location": site.link(&ctx.config, paths::LOGIN) }));
    leave(&req, &ctx, &site, anyone, identity, left).await
}
