//! `/api/authz/…`: what proxies ask before they forward a request. One small reader per dialect finds the original request; the
//! answer is a status and headers. Never a cookie, never a page, and never 200 in doubt. It stands beside the layers that people's
//! requests pass (no session of ours is opened, nothing is changed for a browser), and dresses its answers itself.

mod answer;
mod auth_request;
mod ext_authz;
mod forwarded;
mod refused;
mod told;

use super::{
    Route, Who, client_ip,
    error::accepts,
    headers, paths,
    session_cookie::{self, Jar},
    site::token_host,
};
use crate::{
    domain::{
        activity::RequestKind, agent, application::Target, audit::Origin, forwarded::Dialect,
        policy::effective::EffectivePolicy, session::RequestFacts,
    },
    flows::{
        Ctx, FlowError,
        access::{self, Passage},
    },
    live::forwarded::By,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    web,
};
use answer::{Question, answer, problem};
use futures_util::FutureExt;
use session_cookie::CookieKeys;
use std::{borrow::Cow, panic::AssertUnwindSafe};
pub use told::{Told, told};

pub fn routes() -> Vec<Route> {
    vec![
        Route::any(paths::AUTH_REQUEST, Who::Anyone, auth_request),
        Route::any(paths::FORWARD_AUTH, Who::Anyone, forward_auth),
        Route::any(paths::EXT_AUTHZ_PATH, Who::Anyone, ext_authz),
    ]
}

pub fn register(config: &mut web::ServiceConfig) {
    for route in routes() {
        config.service(web::resource(route.path).route(route.handler));
    }
}

/// The request that waits at the proxy.
struct Original {
    target: Target,
    method: Method,
}

/// A header that proxies write: as their documentation spells it, and as it is looked up.
struct Field {
    shown: &'static str,
    name: HeaderName,
}

impl Field {
    const fn new(shown: &'static str, lower_case: &'static str) -> Self {
        Self {
            shown,
            name: HeaderName::from_static(lower_case),
        }
    }
}

static FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static BACKGROUND: HeaderName = HeaderName::from_static("x-nightlatch-background");
static REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// A header that the dialect needs and that is missing or cannot be read.
struct Malformed {
    header: &'static str,
    why: String,
}

/// nginx `auth_request`.
async fn auth_request(req: HttpRequest, ctx: web::Data<Ctx>, keys: web::Data<CookieKeys>) -> HttpResponse {
    dressed(&req, &ctx, &keys, Dialect::AuthRequest).await
}

/// Traefik ForwardAuth, Caddy `forward_auth`.
async fn forward_auth(req: HttpRequest, ctx: web::Data<Ctx>, keys: web::Data<CookieKeys>) -> HttpResponse {
    dressed(&req, &ctx, &keys, Dialect::ForwardAuth).await
}

/// Envoy HTTP ext_authz.
async fn ext_authz(req: HttpRequest, ctx: web::Data<Ctx>, keys: web::Data<CookieKeys>) -> HttpResponse {
    dressed(&req, &ctx, &keys, Dialect::ExtAuthz).await
}

/// The decision with what every response carries; a fault of ours is one too.
async fn dressed(req: &HttpRequest, ctx: &Ctx, keys: &CookieKeys, dialect: Dialect) -> HttpResponse {
    let id = headers::request_id(ctx);
    let deciding = AssertUnwindSafe(decide(req, ctx, keys, dialect, &id)).catch_unwind();
    let mut response = deciding.await.unwrap_or_else(|_| {
        tracing::error!("a forwarded request made its handler panic");
        let why = "The fault is ours. It has been logged.";
        problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", why, None)
    });
    // The answer may reach a browser on the application's host: whether that host is https only is not ours to say.
    headers::dress(response.headers_mut(), false, &id);
    response
}

async fn decide(req: &HttpRequest, ctx: &Ctx, keys: &CookieKeys, dialect: Dialect, id: &str) -> HttpResponse {
    let peer = client_ip::peer(req.peer_addr());
    if !client_ip::trusted(peer, &ctx.config.trusted_proxies) {
        refused::untrusted(ctx, peer, dialect);
        let why = "This address may not ask: it is not one of the trusted proxies.";
        return problem(StatusCode::FORBIDDEN, "untrusted_proxy", why, None);
    }
    // The router decodes: a proxy that closes our paths to the public may not.
    if !req.uri().path().starts_with(path_of(dialect)) {
        let why = "The path of this question is spelled with escapes.";
        return problem(StatusCode::BAD_REQUEST, "malformed", why, None);
    }
    let read = match dialect {
        Dialect::AuthRequest => auth_request::read(req),
        Dialect::ForwardAuth => forwarded::read(req),
        Dialect::ExtAuthz => ext_authz::read(req),
    };
    let original = match read {
        Ok(original) => original,
        Err(malformed) => {
            refused::malformed(req, ctx, peer, dialect, &malformed);
            let Malformed { header, why } = malformed;
            return problem(StatusCode::BAD_REQUEST, "malformed", &format!("{header}: {why}"), None);
        }
    };
    let lacks = client_ip::unnamed(req.headers(), &ctx.config);
    match ask(req, ctx, keys, &original, By { peer, dialect, lacks }, id).await {
        Ok(passage) => {
            let question = Question {
                dialect,
                navigation: &|| is_navigation(req),
                repeatable: matches!(original.method, Method::GET | Method::HEAD | Method::OPTIONS),
                target: &original.target,
            };
            answer(&question, ctx, &passage)
        }
        Err(error) => {
            tracing::error!(%error, "a forwarded request cannot be judged");
            let why = "Try again shortly.";
            let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", why, None);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(2));
            response
        }
    }
}

const fn path_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::AuthRequest => paths::AUTH_REQUEST,
        Dialect::ForwardAuth => paths::FORWARD_AUTH,
        Dialect::ExtAuthz => paths::EXT_AUTHZ,
    }
}

async fn ask(
    req: &HttpRequest,
    ctx: &Ctx,
    keys: &CookieKeys,
    original: &Original,
    by: By,
    id: &str,
) -> Result<Passage, FlowError> {
    let host = original.target.host();
    let presented = session_cookie::read(req.headers(), Jar::at(&ctx.config, host), keys);
    let ip = client_ip::client_ip(req.peer_addr(), req.headers(), &ctx.config);
    let agent = req.headers().get(header::USER_AGENT);
    let agent = agent.map(|agent| text_of(agent));
    let agent = agent.as_deref().map(agent::cut);
    let header_is = |name: &HeaderName, value: &str| {
        let given = req.headers().get(name);
        given.is_some_and(|given| given.as_bytes() == value.as_bytes())
    };
    let request = RequestFacts {
        ip,
        user_agent: agent,
        kind: RequestKind {
            path: original.target.path(),
            navigation: header_is(&FETCH_MODE, "navigate"),
            background: header_is(&BACKGROUND, "1"),
            ..RequestKind::default()
        },
    };
    let forwarded = access::Forwarded {
        target: &original.target,
        host: token_host(&ctx.config, host),
        token: presented.token.as_deref(),
        request,
        by,
    };
    // Made only when something is recorded.
    let origin = || Origin {
        ip: Some(ip),
        user_agent: agent.map(str::to_owned),
        request_id: Some(id.to_owned()),
    };
    let acceptable = |policy: &EffectivePolicy, form: &str| presented.counts(policy, form);
    access::verify(ctx, &forwarded, origin, acceptable).await
}

/// Whether a redirect is any use to who asks.
fn is_navigation(req: &HttpRequest) -> bool {
    let text = |name: &HeaderName| req.headers().get(name).and_then(|value| value.to_str().ok());
    let script = text(&REQUESTED_WITH).is_some_and(|value| value.eq_ignore_ascii_case("xmlhttprequest"));
    let fetched = text(&FETCH_MODE).is_some_and(|mode| mode != "navigate");
    !script && !fetched && text(&header::ACCEPT).is_some_and(|accept| accepts(accept, &["text/html"]))
}

/// What a header says, whatever its encoding.
fn text_of(value: &HeaderValue) -> Cow<'_, str> {
    // Looks at whole words where the lossy reading looks at each character; nearly all are plain.
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(value.as_bytes()),
    }
}

/// The one value of a header, as text.
fn one<'a>(req: &'a HttpRequest, field: &'static Field) -> Result<&'a str, Malformed> {
    let refuse = |why: &str| Malformed {
        header: field.shown,
        why: why.to_owned(),
    };
    let mut lines = req.headers().get_all(&field.name);
    match (lines.next(), lines.next()) {
        (None, _) => Err(refuse("the header is missing")),
        (Some(_), Some(_)) => Err(refuse("the header came twice")),
        (Some(value), None) => std::str::from_utf8(value.as_bytes()).map_err(|_| refuse("the header is no UTF-8")),
    }
}

/// The original method from its header.
fn method(req: &HttpRequest, field: &'static Field) -> Result<Method, Malformed> {
    Method::from_bytes(one(req, field)?.as_bytes()).map_err(|_| Malformed {
        header: field.shown,
        why: "the method cannot be read".to_owned(),
    })
}
