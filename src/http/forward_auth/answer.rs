//! The responses to proxies: status and headers of each decision, in each dialect. `flows::access`
//! decides.

use crate::{
    domain::{
        application::RequestTarget,
        forwarded::Dialect,
        origin::ReturnTo,
        session::{Duty, EndReason, ends_at},
    },
    flows::{
        Ctx,
        access::{AccessDecision, AdmittedSession},
    },
    http::{
        error::{NO_ENTRY, device_login_url, factor_url, login_url},
        no_entry::render_no_entry,
        paths,
        problem::Problem,
    },
};
use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};

/// The reason why a request does not pass, for the application and the log of the proxy.
const REASON: HeaderName = HeaderName::from_static("x-nightlatch-reason");
/// Seconds until the session ends without further activity; empty on public paths.
const SESSION_ENDS: HeaderName = HeaderName::from_static("x-nightlatch-session-ends");
/// What the session proved: codes of `domain::factor`, separated by spaces.
const FACTORS: HeaderName = HeaderName::from_static("x-nightlatch-factors");
/// The username.
const USER: HeaderName = HeaderName::from_static("remote-user");
const NAME: HeaderName = HeaderName::from_static("remote-name");
const EMAIL: HeaderName = HeaderName::from_static("remote-email");
const GROUPS: HeaderName = HeaderName::from_static("remote-groups");

/// What to do without a session.
const SIGN_IN: &str = "Sign in to continue.";

/// The facts of a request on which a response depends besides the decision.
pub struct AnswerContext<'a> {
    pub dialect: Dialect,
    /// Whether the client can use a redirect; called only if there is one.
    pub navigation: &'a dyn Fn() -> bool,
    /// Whether the request can be repeated after a sign-in.
    pub repeatable: bool,
    pub target: &'a RequestTarget,
}

/// Makes the response to a proxy from a decision.
pub fn answer(question: &AnswerContext<'_>, ctx: &Ctx, decision: &AccessDecision) -> HttpResponse {
    match decision {
        AccessDecision::Public => pass(None, ctx),
        AccessDecision::Admitted(admitted) => pass(Some(admitted), ctx),
        AccessDecision::NotSignedIn(reason) => {
            let code = reason.map_or("sign_in", EndReason::as_str);
            let page = login_url(return_address(question).as_deref(), *reason);
            send_away(question, ctx, &page, (code, SIGN_IN))
        }
        AccessDecision::Unproved(fault) => {
            let page = device_login_url(return_address(question).as_deref(), *fault);
            send_away(question, ctx, &page, (fault.as_str(), fault.sentence()))
        }
        AccessDecision::Duty(duty) => {
            let page = match duty {
                Duty::DeviceProof(fault) => device_login_url(return_address(question).as_deref(), *fault),
                Duty::PasswordChange => paths::PASSWORD.to_owned(),
                Duty::Factor(_) => factor_url(return_address(question).as_deref()),
            };
            send_away(question, ctx, &page, (duty.as_str(), duty.sentence()))
        }
        AccessDecision::NotAllowed(user) => no_entry(question, ctx, user),
        AccessDecision::Unknown => {
            let why = "No application is registered for this address.";
            problem(StatusCode::FORBIDDEN, "unknown_application", why, None)
        }
        AccessDecision::NotCanonical => {
            let why = "The path is ambiguous.";
            problem(StatusCode::BAD_REQUEST, "not_canonical", why, None)
        }
    }
}

/// Returns the return address. An address that cannot be returned to would only make the response
/// too large for a proxy.
fn return_address(question: &AnswerContext<'_>) -> Option<String> {
    Some(question.target.url()).filter(|to| question.repeatable && to.len() <= ReturnTo::MAX_LEN)
}

/// Returns 403: a page for people if the proxy passes it on, otherwise a problem.
fn no_entry(question: &AnswerContext<'_>, ctx: &Ctx, user: &str) -> HttpResponse {
    let shows_pages = match question.dialect {
        Dialect::AuthRequest => false,
        Dialect::ForwardAuth | Dialect::ExtAuthz => (question.navigation)(),
    };
    let application = ctx.live.applications().of_page(question.target);
    let name = application.as_ref().map(|application| application.name.as_str());
    let page = shows_pages.then(|| render_no_entry(ctx, name, Some(user), &question.target.url()));
    let Some(Ok(mut response)) = page else {
        return problem(StatusCode::FORBIDDEN, "forbidden", NO_ENTRY, None);
    };
    let headers = response.headers_mut();
    forbid_storing(headers);
    headers.insert(REASON, HeaderValue::from_static("forbidden"));
    response
}

/// Redirects a page request to the sign-in page, which redirects a signed-in browser straight back
/// with a cookie of the current lifetime.
pub fn renew_cookie(question: &AnswerContext<'_>, ctx: &Ctx) -> HttpResponse {
    let page = login_url(return_address(question).as_deref(), None);
    send_away(question, ctx, &page, ("cookie_renewal", SIGN_IN))
}

/// Returns 200 without a body. Identity headers are always set, if empty, so that a client's own
/// copies never survive.
fn pass(admitted: Option<&AdmittedSession>, ctx: &Ctx) -> HttpResponse {
    let mut response = HttpResponse::Ok().finish();
    let headers = response.headers_mut();
    forbid_storing(headers);
    let account = admitted.map(|admitted| &admitted.account);
    let groups = account.map(|account| account.groups.join(","));
    let proofs = admitted.map(|admitted| admitted.proofs().to_string());
    for (name, value) in [
        (USER, account.map(|account| account.name.as_str())),
        (NAME, account.map(|account| account.display_name.as_str())),
        (EMAIL, account.and_then(|account| account.email.as_deref())),
        (GROUPS, groups.as_deref()),
        (FACTORS, proofs.as_deref()),
    ] {
        let Ok(value) = HeaderValue::from_bytes(value.unwrap_or_default().as_bytes()) else {
            // Names with control characters are refused when they are created, so this one was not
            // created by us.
            tracing::error!("an account's {name} cannot be sent in a header");
            let why = "An account is unreadable.";
            return problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", why, None);
        };
        headers.insert(name, value);
    }
    let end = admitted.and_then(|admitted| ends_at(&admitted.session.life(), &admitted.policy));
    let left = end.map(|end| HeaderValue::from(end.at.since(ctx.now()).as_secs().max(0)));
    headers.insert(SESSION_ENDS, left.unwrap_or(const { HeaderValue::from_static("") }));
    response
}

/// Redirects a navigation to one of our pages, and returns 401 to other requests, with the code and
/// the sentence of the reason. nginx makes the redirect itself.
fn send_away(question: &AnswerContext<'_>, ctx: &Ctx, page: &str, (code, why): (&'static str, &str)) -> HttpResponse {
    let location = format!("{}{page}", ctx.config.base_url());
    let redirects = match question.dialect {
        Dialect::AuthRequest => false,
        Dialect::ForwardAuth | Dialect::ExtAuthz => (question.navigation)(),
    };
    if !redirects {
        return problem(StatusCode::UNAUTHORIZED, code, why, Some(&location));
    }
    let status = if question.repeatable {
        StatusCode::FOUND
    } else {
        StatusCode::SEE_OTHER
    };
    let mut response = HttpResponse::build(status)
        .insert_header((header::LOCATION, location))
        .finish();
    let headers = response.headers_mut();
    forbid_storing(headers);
    headers.insert(REASON, HeaderValue::from_static(code));
    response
}

/// Creates a refusal for programs; proxies show it unchanged, or their own page.
pub fn problem(status: StatusCode, code: &'static str, detail: &str, location: Option<&str>) -> HttpResponse {
    let problem = Problem::new(status, code, detail);
    let mut response = match location {
        Some(location) => problem.with_member("login_url", location),
        None => problem,
    }
    .into_response();
    let headers = response.headers_mut();
    forbid_storing(headers);
    headers.insert(REASON, HeaderValue::from_static(code));
    if let Some(location) = location.and_then(|location| HeaderValue::from_str(location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    response
}

/// Adds headers that forbid storing the response: a decision is for one request only.
fn forbid_storing(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::VARY, HeaderValue::from_static("Cookie"));
}
