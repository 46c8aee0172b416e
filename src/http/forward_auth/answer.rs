//! What a proxy is told: the status and headers of each passage, in each dialect. Whether there is one is `flows::access`'s.

use crate::{
    domain::{
        application::Target,
        forwarded::Dialect,
        origin::ReturnTo,
        session::{EndReason, ends_at},
    },
    flows::{
        Ctx,
        access::{Admitted, Passage},
    },
    http::{error::login_url, paths},
};
use actix_web::{
    HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
};

/// Why a request does not pass, for the application and the log of the proxy.
const REASON: HeaderName = HeaderName::from_static("x-nightlatch-reason");
/// Seconds until the session ends if nothing happens; empty where nobody is looked for.
const SESSION_ENDS: HeaderName = HeaderName::from_static("x-nightlatch-session-ends");
/// Who it is.
const USER: HeaderName = HeaderName::from_static("remote-user");
const NAME: HeaderName = HeaderName::from_static("remote-name");
const EMAIL: HeaderName = HeaderName::from_static("remote-email");
const GROUPS: HeaderName = HeaderName::from_static("remote-groups");

/// What an answer depends on beside the passage.
pub struct Question<'a> {
    pub dialect: Dialect,
    /// Whether a redirect is of use to who asks; looked at only when there is one.
    pub navigation: &'a dyn Fn() -> bool,
    /// It can be asked for again after a sign-in.
    pub repeatable: bool,
    pub target: &'a Target,
}

pub fn answer(question: &Question<'_>, ctx: &Ctx, passage: &Passage) -> HttpResponse {
    match passage {
        Passage::Public => pass(None, ctx),
        Passage::Admitted(admitted) => pass(Some(admitted), ctx),
        Passage::NotSignedIn(reason) => {
            let address = question.target.url();
            // What nobody would be sent back to only makes the answer too big for a proxy.
            let return_to = Some(address.as_str()).filter(|to| question.repeatable && to.len() <= ReturnTo::MAX_LEN);
            let code = reason.map_or("sign_in", EndReason::as_str);
            send_away(question, ctx, &login_url(return_to, *reason), code)
        }
        Passage::PasswordChange => send_away(question, ctx, paths::PASSWORD, "password_change"),
        Passage::NotAllowed => {
            let why = "Your account may not enter this application.";
            problem(StatusCode::FORBIDDEN, "forbidden", why, None)
        }
        Passage::Unknown => {
            let why = "No application is registered for this address.";
            problem(StatusCode::FORBIDDEN, "unknown_application", why, None)
        }
        Passage::NotCanonical => {
            let why = "The path has more than one reading.";
            problem(StatusCode::BAD_REQUEST, "not_canonical", why, None)
        }
    }
}

/// 200 without a body. Identity headers are always there, if empty, so that a client's own copies never survive.
fn pass(admitted: Option<&Admitted>, ctx: &Ctx) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    dress(&mut response);
    let account = admitted.map(|admitted| &admitted.account);
    let groups = account.map(|account| account.groups.join(","));
    for (name, value) in [
        (USER, account.map(|account| account.name.as_str())),
        (NAME, account.map(|account| account.display_name.as_str())),
        (EMAIL, account.and_then(|account| account.email.as_deref())),
        (GROUPS, groups.as_deref()),
    ] {
        match HeaderValue::from_bytes(value.unwrap_or_default().as_bytes()) {
            Ok(value) => response.insert_header((name, value)),
            // Names with control characters are refused when they are made: this one was not made by us.
            Err(_) => {
                tracing::error!("an account's {name} does not fit into a header");
                let why = "An account is unreadable.";
                return problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", why, None);
            }
        };
    }
    let end = admitted.and_then(|admitted| ends_at(&admitted.session.life(), &admitted.policy));
    let left = end.map(|end| HeaderValue::from(end.at.since(ctx.now()).as_secs().max(0)));
    response.insert_header((SESSION_ENDS, left.unwrap_or(const { HeaderValue::from_static("") })));
    response.finish()
}

/// To one of our pages: a redirect for navigations, 401 for everything else. nginx makes the redirect itself.
fn send_away(question: &Question<'_>, ctx: &Ctx, page: &str, code: &'static str) -> HttpResponse {
    let location = format!("{}{page}", ctx.config.base_url());
    let redirects = match question.dialect {
        Dialect::AuthRequest => false,
        Dialect::ForwardAuth | Dialect::ExtAuthz => (question.navigation)(),
    };
    if !redirects {
        return problem(StatusCode::UNAUTHORIZED, code, "Sign in to carry on.", Some(&location));
    }
    let mut response = if question.repeatable {
        HttpResponse::Found()
    } else {
        HttpResponse::SeeOther()
    };
    dress(&mut response);
    response.insert_header((REASON, HeaderValue::from_static(code)));
    response.insert_header((header::LOCATION, location));
    response.finish()
}

/// A refusal for programs; proxies show it as it is, or their own page.
pub fn problem(status: StatusCode, code: &'static str, detail: &str, location: Option<&str>) -> HttpResponse {
    let mut body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
    });
    let mut response = HttpResponse::build(status);
    dress(&mut response);
    response.insert_header((REASON, HeaderValue::from_static(code)));
    if let Some(location) = location {
        body["login_url"] = location.into();
        response.insert_header((header::LOCATION, location));
    }
    response.content_type("application/problem+json").body(body.to_string())
}

/// A decision is nobody else's.
fn dress(response: &mut HttpResponseBuilder) {
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    response.insert_header((header::VARY, HeaderValue::from_static("Cookie")));
}
