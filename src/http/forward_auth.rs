//! `/api/authz/…`: what proxies ask before they forward a request. One small reader per dialect finds the original request; the
//! answer is a status and headers. Never a cookie, never a page, and never 200 in doubt.

mod auth_request;
mod ext_authz;
mod forwarded;
mod untrusted;

use super::{
    Route, Who, client_ip,
    error::login_url,
    gate, paths,
    session_cookie::{self, CookieKeys, Jar},
    site::token_host,
};
use crate::{
    domain::{
        activity::RequestKind,
        application::Target,
        network::canonical,
        session::{EndReason, RequestFacts, ends_at},
    },
    flows::{
        Ctx, FlowError,
        access::{self, Admitted, Passage},
    },
};
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    web,
};

/// Why a request does not pass, for the application and the log of the proxy.
const REASON: HeaderName = HeaderName::from_static("x-nightlatch-reason");
/// Seconds until the session ends if nothing happens.
const SESSION_ENDS: HeaderName = HeaderName::from_static("x-nightlatch-session-ends");

pub fn routes() -> Vec<Route> {
    vec![
        Route::any(paths::AUTH_REQUEST, Who::Anyone, auth_request),
        Route::any(paths::FORWARD_AUTH, Who::Anyone, forward_auth),
        Route::any(paths::EXT_AUTHZ_PATH, Who::Anyone, ext_authz),
    ]
}

/// The request that waits at the proxy.
struct Original {
    target: Target,
    method: Method,
}

/// A header that the dialect needs and that is missing or cannot be read.
struct Malformed {
    header: &'static str,
    why: String,
}

/// How people who are not signed in are sent to the sign-in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// nginx makes the redirect itself.
    AlwaysUnauthorized,
    /// The answer goes to the browser as it is.
    Redirects,
}

/// nginx `auth_request`.
async fn auth_request(req: HttpRequest, ctx: web::Data<Ctx>) -> HttpResponse {
    decide(&req, &ctx, Dialect::AlwaysUnauthorized, auth_request::read).await
}

/// Traefik ForwardAuth, Caddy `forward_auth`.
async fn forward_auth(req: HttpRequest, ctx: web::Data<Ctx>) -> HttpResponse {
    decide(&req, &ctx, Dialect::Redirects, forwarded::read).await
}

/// Envoy HTTP ext_authz.
async fn ext_authz(req: HttpRequest, ctx: web::Data<Ctx>) -> HttpResponse {
    decide(&req, &ctx, Dialect::Redirects, ext_authz::read).await
}

async fn decide(
    req: &HttpRequest,
    ctx: &Ctx,
    dialect: Dialect,
    read: impl Fn(&HttpRequest) -> Result<Original, Malformed>,
) -> HttpResponse {
    let peer = req.peer_addr().map(|peer| canonical(peer.ip()));
    if !peer.is_some_and(|peer| client_ip::trusted(peer, &ctx.config.trusted_proxies)) {
        untrusted::say_once(peer);
        let why = "This address may not ask: it is not one of the trusted proxies.";
        return problem(StatusCode::FORBIDDEN, "untrusted_proxy", why, None);
    }
    let original = match read(req) {
        Ok(original) => original,
        Err(Malformed { header, why }) => {
            tracing::warn!(peer = ?peer, "a proxy's question cannot be read: {header}: {why}");
            return problem(StatusCode::BAD_REQUEST, "malformed", &format!("{header}: {why}"), None);
        }
    };
    match ask(req, ctx, &original).await {
        Ok(passage) => answer(req, ctx, dialect, &original, passage),
        Err(error) => {
            tracing::error!(%error, "a forwarded request cannot be judged");
            let mut response = problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Try again shortly.",
                None,
            );
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(2));
            response
        }
    }
}

async fn ask(req: &HttpRequest, ctx: &Ctx, original: &Original) -> Result<Passage, FlowError> {
    let asking = req.extensions_mut().remove::<gate::Forwarded>();
    let (Some(gate::Forwarded { client, cookies }), Some(keys)) = (asking, req.app_data::<web::Data<CookieKeys>>())
    else {
        return Err(FlowError::Internal("the gate was passed by".to_owned()));
    };
    let host = original.target.host();
    let presented = session_cookie::read(&cookies, Jar::at(&ctx.config, host), keys);
    let header_is = |name: &str, value: &str| {
        let given = req.headers().get(name);
        given.is_some_and(|given| given.as_bytes() == value.as_bytes())
    };
    let request = RequestFacts {
        ip: client.ip,
        user_agent: client.user_agent.as_deref(),
        kind: RequestKind {
            path: original.target.path(),
            navigation: header_is("sec-fetch-mode", "navigate"),
            background: header_is("x-nightlatch-background", "1"),
            ..RequestKind::default()
        },
    };
    let forwarded = access::Forwarded {
        target: &original.target,
        host: token_host(&ctx.config, host),
        token: presented.token.as_deref(),
        request,
    };
    let acceptable = |policy: &_, form: &str| presented.counts(policy, form);
    access::verify(ctx, &forwarded, || client.origin(), acceptable).await
}

fn answer(req: &HttpRequest, ctx: &Ctx, dialect: Dialect, original: &Original, passage: Passage) -> HttpResponse {
    match passage {
        Passage::Public => pass(None, ctx),
        Passage::Admitted(admitted) => pass(Some(&admitted), ctx),
        Passage::NotSignedIn(reason) => {
            let address = original.target.url();
            // Only what can be asked for again is returned to.
            let return_to = repeatable(&original.method).then_some(address.as_str());
            let code = reason.map_or("sign_in", EndReason::as_str);
            send_away(req, ctx, dialect, original, &login_url(return_to, reason), code)
        }
        Passage::PasswordChange => send_away(req, ctx, dialect, original, paths::PASSWORD, "password_change"),
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

fn repeatable(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// 200 without a body. Identity headers are always there, if empty, so that a client's own copies never survive.
fn pass(admitted: Option<&Admitted>, ctx: &Ctx) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    dress(&mut response);
    let account = admitted.map(|admitted| &admitted.account);
    let text = |value: Option<&str>| HeaderValue::from_bytes(value.unwrap_or_default().as_bytes());
    let groups = account.map(|account| account.groups.join(","));
    for (name, value) in [
        ("remote-user", text(account.map(|account| account.name.as_str()))),
        (
            "remote-name",
            text(account.map(|account| account.display_name.as_str())),
        ),
        (
            "remote-email",
            text(account.and_then(|account| account.email.as_deref())),
        ),
        ("remote-groups", text(groups.as_deref())),
    ] {
        match value {
            Ok(value) => response.insert_header((HeaderName::from_static(name), value)),
            // Names with control characters are refused when they are made: this one was not made by us.
            Err(_) => {
                tracing::error!("an account's {name} does not fit into a header");
                return problem(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "An account is unreadable.",
                    None,
                );
            }
        };
    }
    if let Some(end) = admitted.and_then(|admitted| ends_at(&admitted.session.life(), &admitted.policy)) {
        let left = end.at.since(ctx.now()).as_secs().max(0);
        response.insert_header((SESSION_ENDS, HeaderValue::from(left)));
    }
    response.finish()
}

/// To one of our pages: a redirect for navigations, 401 for everything else.
fn send_away(
    req: &HttpRequest,
    ctx: &Ctx,
    dialect: Dialect,
    original: &Original,
    page: &str,
    code: &'static str,
) -> HttpResponse {
    let location = format!("{}{page}", ctx.config.base_url());
    if dialect == Dialect::AlwaysUnauthorized || !is_navigation(req) {
        return problem(StatusCode::UNAUTHORIZED, code, "Sign in to carry on.", Some(&location));
    }
    let mut response = if repeatable(&original.method) {
        HttpResponse::Found()
    } else {
        HttpResponse::SeeOther()
    };
    dress(&mut response);
    response.insert_header((REASON, HeaderValue::from_static(code)));
    response.insert_header((header::LOCATION, location));
    response.finish()
}

/// Whether a redirect is any use to who asks.
fn is_navigation(req: &HttpRequest) -> bool {
    let text = |name: &str| req.headers().get(name).and_then(|value| value.to_str().ok());
    let script = text("x-requested-with").is_some_and(|value| value.eq_ignore_ascii_case("xmlhttprequest"));
    let fetched = text("sec-fetch-mode").is_some_and(|mode| mode != "navigate");
    !script && !fetched && text("accept").is_some_and(|accept| accept.contains("text/html"))
}

/// A refusal for programs; proxies show it as it is, or their own page.
fn problem(status: StatusCode, code: &'static str, detail: &str, location: Option<&str>) -> HttpResponse {
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

/// The one value of a header, as text.
fn one<'a>(req: &'a HttpRequest, header: &'static str) -> Result<&'a str, Malformed> {
    let refuse = |why: &str| Malformed {
        header,
        why: why.to_owned(),
    };
    let mut lines = req.headers().get_all(header.to_ascii_lowercase());
    match (lines.next(), lines.next()) {
        (None, _) => Err(refuse("the header is missing")),
        (Some(_), Some(_)) => Err(refuse("the header came twice")),
        (Some(value), None) => std::str::from_utf8(value.as_bytes()).map_err(|_| refuse("the header is no UTF-8")),
    }
}

/// The original method from its header.
fn method(req: &HttpRequest, header: &'static str) -> Result<Method, Malformed> {
    Method::from_bytes(one(req, header)?.as_bytes()).map_err(|_| Malformed {
        header,
        why: "the method cannot be read".to_owned(),
    })
}
