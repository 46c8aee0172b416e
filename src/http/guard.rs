//! What the page guard (`static/guard.js`) asks for: how long the session lives, signs of life, signing in and out in place.
//! JSON both ways, the flows of the pages; refusals are codes, never redirects (http.md, "Page guard").

use super::{
    Route, Who, assets,
    error::{NO_ENTRY, PageError, problem_body, problem_response},
    forms::Json,
    gate::{IssuedTo, Judged, State},
    pages::{
        login::{answer, attempt, remember},
        logout::leave,
    },
    paths,
    session_cookie::{self, Jar},
    site::Site,
    visitor::{Anyone, Member},
};
use crate::{
    domain::{
        activity::RequestKind,
        login::Refusal,
        session::{Duty, EndReason, candidates, ends_at, heartbeat, warning},
        time::{Span, Timestamp},
    },
    flows::{
        Ctx,
        access::Admitted,
        login::{SignIn, sign_in},
    },
};
use actix_identity::Identity;
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderValue},
    },
    web,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The routes of the guard.
pub fn routes() -> Vec<Route> {
    vec![
        Route::get(paths::GUARD_SCRIPT, Who::Anyone, script),
        Route::get(paths::GUARD_STYLE, Who::Anyone, style),
        Route::get(paths::GUARD_SESSION, Who::Anyone, session),
        Route::post(paths::GUARD_TOUCH, Who::Member, sign_of_life),
        Route::post(paths::GUARD_HEARTBEAT, Who::Member, sign_of_life),
        Route::post(paths::GUARD_LOGIN, Who::Anyone, login),
        Route::post(paths::GUARD_LOGOUT, Who::Anyone, logout),
    ]
}

/// What kind of request the gate judges: the guard's own refresh only what their address says, however they come.
pub fn kind<'a>(method: &Method, path: &'a str) -> RequestKind<'a> {
    let kind = RequestKind {
        path,
        ..RequestKind::default()
    };
    if !path.starts_with(paths::GUARD) {
        return kind;
    }
    let posted = method == Method::POST;
    let (interaction, heartbeat) = (
        posted && path == paths::GUARD_TOUCH,
        posted && path == paths::GUARD_HEARTBEAT,
    );
    RequestKind {
        interaction,
        heartbeat,
        check: !interaction && !heartbeat,
        ..kind
    }
}

/// The body of a request that says everything by its address: `{}`.
#[derive(Deserialize)]
pub struct Nothing {}

#[derive(Deserialize)]
pub struct Credentials {
    username: String,
    password: String,
}

/// How the session stands. Times are seconds from now: the page measures them with its own clock, whatever that says.
#[derive(Serialize, Default)]
struct Status<'a> {
    /// `live`, `warning`, `ended` or `anonymous`.
    state: &'static str,
    user: Option<&'a str>,
    ends_in: Option<f64>,
    /// The code of the rule that ends it.
    ends_by: Option<&'static str>,
    idle_ends_in: Option<f64>,
    /// So long before the end the page warns.
    warn_at: Option<f64>,
    /// So often an open page says that it is open.
    heartbeat_every: Option<f64>,
    /// What must be done before anything else.
    duty: Option<&'static str>,
    /// Why it ended, as a code and as a sentence.
    reason: Option<&'static str>,
    message: Option<&'static str>,
    /// Whether the account may enter the application whose page this is.
    may_enter: Option<bool>,
    /// Our pages, as they are reached from here.
    login_url: Cow<'a, str>,
    password_url: Cow<'a, str>,
}

/// Whole milliseconds, rounded up: nobody is told of an end before it is one.
fn seconds(span: Span) -> f64 {
    let millis = span.as_micros().max(0).saturating_add(999) / 1000;
    millis as f64 / 1000.0
}

impl<'a> Status<'a> {
    fn live(admitted: &'a Admitted, now: Timestamp) -> Self {
        let (life, policy) = (admitted.session.life(), &admitted.policy);
        let end = ends_at(&life, policy);
        let warn = end.and_then(|end| warning(&end, &life, policy));
        let warns = end.zip(warn).is_some_and(|(end, before)| end.at.since(now) <= before);
        let idle = candidates(&life, policy)
            .filter(|end| end.reason == EndReason::Idle)
            .map(|end| end.at)
            .min();
        Self {
            state: if warns { "warning" } else { "live" },
            user: Some(&admitted.account.name),
            ends_in: end.map(|end| seconds(end.at.since(now))),
            ends_by: end.map(|end| end.reason.as_str()),
            idle_ends_in: idle.map(|at| seconds(at.since(now))),
            warn_at: warn.map(seconds),
            heartbeat_every: heartbeat(policy).map(seconds),
            duty: admitted.duty.map(|duty| match duty {
                Duty::PasswordChange => "password_change",
            }),
            ..Self::default()
        }
    }

    fn of(judged: &'a Judged, now: Timestamp) -> Self {
        match &judged.state {
            State::Admitted(admitted) => Self {
                may_enter: Some(judged.may_enter),
                ..Self::live(admitted, now)
            },
            State::Ended(reason) => Self {
                state: "ended",
                reason: Some(reason.as_str()),
                message: Some(reason.sentence()),
                ..Self::default()
            },
            State::Anonymous => Self {
                state: "anonymous",
                ..Self::default()
            },
        }
    }

    fn seen_from(self, site: &Site, ctx: &Ctx) -> Self {
        Self {
            login_url: site.link(&ctx.config, paths::LOGIN),
            password_url: site.link(&ctx.config, paths::PASSWORD),
            ..self
        }
    }
}

pub async fn script(req: HttpRequest) -> HttpResponse {
    assets::named(&req, "guard.js")
}

/// On the hosts of applications no other of our files is to be had.
pub async fn style(req: HttpRequest) -> HttpResponse {
    assets::named(&req, "app.css")
}

/// Refreshes nothing, and asks no database as long as the session is remembered.
pub async fn session(req: HttpRequest, ctx: web::Data<Ctx>) -> Result<HttpResponse, PageError> {
    let judged = req.extensions().get::<Judged>().cloned().ok_or(PageError::misbuilt())?;
    let site = Site::of(&req);
    let mut response = HttpResponse::Ok().json(Status::of(&judged, ctx.now()).seen_from(&site, &ctx));
    if judged.ambiguous {
        // Somebody planted a second cookie: both go, or nobody could sign in any more.
        session_cookie::expire_all(response.headers_mut(), Jar::of(&ctx.config, &site));
    }
    Ok(response)
}

/// Real input, or a window that is open: the gate has judged which, and refreshed what it refreshes.
pub async fn sign_of_life(req: HttpRequest, ctx: web::Data<Ctx>, member: Member, _: Json<Nothing>) -> HttpResponse {
    let status = Status {
        may_enter: Some(true),
        ..Status::live(&member.0.admitted, ctx.now())
    };
    HttpResponse::Ok().json(status.seen_from(&Site::of(&req), &ctx))
}

pub async fn login(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    Json(given): Json<Credentials>,
) -> Result<HttpResponse, PageError> {
    let site = Site::of(&req);
    let attempt = attempt(&ctx, &site, &anyone, given.username, given.password);
    match sign_in(&ctx, attempt).await? {
        SignIn::Accepted(opened) => {
            remember(&req, opened.account.id, IssuedTo::of(&opened), &opened.token)?;
            Ok(match opened.must_change {
                None => HttpResponse::Ok().json(serde_json::json!({ "user": opened.account.name })),
                Some(_) => must_change(&site, &ctx),
            })
        }
        SignIn::Refused(refusal) => Ok(refused(&refusal, ctx.now())),
        SignIn::NotAllowed => {
            let status = StatusCode::FORBIDDEN;
            Ok(problem_response(status, &problem_body(status, "forbidden", NO_ENTRY)))
        }
    }
}

/// Signed in, but one page only answers.
fn must_change(site: &Site, ctx: &Ctx) -> HttpResponse {
    let status = StatusCode::CONFLICT;
    let mut body = problem_body(status, "password_change", "You must choose a new password first.");
    body["location"] = serde_json::json!(site.link(&ctx.config, paths::PASSWORD));
    problem_response(status, &body)
}

/// The page's words; what was typed wrong is a 401 here.
fn refused(refusal: &Refusal, now: Timestamp) -> HttpResponse {
    let (status, retry_after, words) = answer(refusal, now);
    let status = match refusal {
        Refusal::Credentials => StatusCode::UNAUTHORIZED,
        Refusal::Disabled | Refusal::Expired | Refusal::Busy | Refusal::Locked(_) => status,
    };
    let mut body = problem_body(status, refusal.code(), &words);
    if let Some(secs) = retry_after {
        body["retry_after"] = serde_json::json!(secs);
    }
    let mut response = problem_response(status, &body);
    if let Some(secs) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

pub async fn logout(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    anyone: Anyone,
    identity: Option<Identity>,
    _: Json<Nothing>,
) -> Result<HttpResponse, PageError> {
    let site = Site::of(&req);
    let left = HttpResponse::Ok().json(serde_json::json!({ "location": site.link(&ctx.config, paths::LOGIN) }));
    leave(&ctx, &site, anyone, identity, left).await
}
