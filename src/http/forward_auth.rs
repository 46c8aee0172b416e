//! `/api/authz/…`: decisions for proxies before they forward a request. A small reader per dialect
//! finds the original request; the response is a status and headers. It is never a cookie or a
//! page, and never 200 in doubt. It skips the middleware of pages (it opens no session and changes
//! nothing for a browser), and adds headers itself.

mod answer;
mod auth_request;
mod ext_authz;
mod forwarded;
mod original;
mod proxy_answer;
mod refusal;

use super::{
    client_ip, device_cookie, headers,
    negotiation::accepts,
    paths,
    route::{Audience, Route},
    session_cookie::{self, CookieScope},
    site::token_host,
};
use crate::{
    domain::{
        activity::RequestKind, agent, audit::RequestOrigin, forwarded::Dialect, policy::effective::EffectivePolicy,
        session::RequestFacts,
    },
    flows::{
        self, Ctx, FlowError,
        access::{self, AccessDecision, AdmittedSession},
    },
    live::forwarded::RequestSource,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    web,
};
use answer::{AnswerContext, answer, problem, renew_cookie};
use futures_util::FutureExt;
use original::{MalformedHeader, OriginalRequest};
pub use proxy_answer::{ProxyAnswer, list_answers};
use session_cookie::CookieKeys;
use std::{
    borrow::Cow,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

/// Lists the endpoints of proxies, for the documentation and the tests.
pub fn routes() -> Vec<Route> {
    vec![
        Route::any_method(paths::AUTH_REQUEST, Audience::Anyone, auth_request),
        Route::any_method(paths::FORWARD_AUTH, Audience::Anyone, forward_auth),
        Route::any_method(paths::EXT_AUTHZ_PATH, Audience::Anyone, ext_authz),
    ]
}

/// Adds the endpoints to the server, apart from the middleware of pages.
pub fn register(config: &mut web::ServiceConfig) {
    for route in routes() {
        config.service(web::resource(route.path).route(route.handler));
    }
}

static FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
static BACKGROUND: HeaderName = HeaderName::from_static("x-nightlatch-background");
static REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Answers nginx `auth_request`.
async fn auth_request(req: HttpRequest, ctx: web::Data<Ctx>, keys: web::Data<CookieKeys>) -> HttpResponse {
    respond(&req, &ctx, &keys, Dialect::AuthRequest).await
}

/// Answers Traefik ForwardAuth and Caddy `forward_auth`.
async fn forward_auth(req: HttpRequest, ctx: web::Data<Ctx>, keys: web::Data<CookieKeys>) -> HttpResponse {
    respond(&req, &ctx, &keys, Dialect::ForwardAuth).await
}

/// Answers Envoy HTTP ext_authz.
async fn ext_authz(req: HttpRequest, ctx: web::Data<Ctx>, keys: web::Data<CookieKeys>) -> HttpResponse {
    respond(&req, &ctx, &keys, Dialect::ExtAuthz).await
}

/// Makes the decision and adds the headers of every response; an internal error is a decision too.
async fn respond(req: &HttpRequest, ctx: &Ctx, keys: &CookieKeys, dialect: Dialect) -> HttpResponse {
    let began = Instant::now();
    let id = headers::request_id(ctx);
    let deciding = flows::answer_in_time(decide(req, ctx, keys, dialect, &id));
    let deciding = AssertUnwindSafe(deciding).catch_unwind();
    let mut response = deciding.await.unwrap_or_else(|_| {
        tracing::error!("a forwarded request made its handler panic");
        let why = "This is an error on our side. It was logged.";
        problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", why, None)
    });
    // The response may reach a browser on the application's host; it is not for us to decide
    // whether that host is https only.
    headers::add_security_headers(response.headers_mut(), false, &id);
    count_answer(response.status(), began.elapsed());
    response
}

/// Counts a response and its duration.
fn count_answer(status: StatusCode, took: Duration) {
    // Literal labels need no lookup.
    let times = match status.as_u16() {
        200 => metrics::histogram!("nightlatch_verify_seconds", "status" => "200"),
        302 => metrics::histogram!("nightlatch_verify_seconds", "status" => "302"),
        303 => metrics::histogram!("nightlatch_verify_seconds", "status" => "303"),
        400 => metrics::histogram!("nightlatch_verify_seconds", "status" => "400"),
        401 => metrics::histogram!("nightlatch_verify_seconds", "status" => "401"),
        403 => metrics::histogram!("nightlatch_verify_seconds", "status" => "403"),
        503 => metrics::histogram!("nightlatch_verify_seconds", "status" => "503"),
        _ => metrics::histogram!("nightlatch_verify_seconds", "status" => "500"),
    };
    times.record(took);
}

async fn decide(req: &HttpRequest, ctx: &Ctx, keys: &CookieKeys, dialect: Dialect, id: &str) -> HttpResponse {
    let peer = client_ip::peer(req.peer_addr());
    if !client_ip::trusted(peer, &ctx.config.trusted_proxies) {
        refusal::untrusted(ctx, peer, dialect);
        let why = "This IP address is not a trusted proxy.";
        return problem(StatusCode::FORBIDDEN, "untrusted_proxy", why, None);
    }
    // The router decodes paths, but a proxy that blocks our paths for the public may not.
    if !req.uri().path().starts_with(path_of(dialect)) {
        let why = "The path of this request contains escapes.";
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
            refusal::malformed(req, ctx, peer, dialect, &malformed);
            let MalformedHeader { header, why } = malformed;
            return problem(StatusCode::BAD_REQUEST, "malformed", &format!("{header}: {why}"), None);
        }
    };
    let lacks = client_ip::missing_header(req.headers(), &ctx.config);
    match ask(req, ctx, keys, &original, RequestSource { peer, dialect, lacks }, id).await {
        Ok(decision) => {
            let question = AnswerContext {
                dialect,
                navigation: &|| is_navigation(req),
                repeatable: matches!(original.method, Method::GET | Method::HEAD | Method::OPTIONS),
                target: &original.target,
            };
            match &decision {
                AccessDecision::Admitted(admitted) if is_renewal_due(req, ctx, &original, admitted) => {
                    renew_cookie(&question, ctx)
                }
                _ => answer(&question, ctx, &decision),
            }
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
    original: &OriginalRequest,
    by: RequestSource,
    id: &str,
) -> Result<AccessDecision, FlowError> {
    let host = original.target.host();
    let presented = session_cookie::read(req.headers(), CookieScope::for_host(&ctx.config, host), keys);
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
    let forwarded = access::ForwardedRequest {
        target: &original.target,
        method: original.method.as_str(),
        host: token_host(&ctx.config, host),
        token: presented.token.as_deref(),
        request,
        device: device_cookie::read(req.headers(), ctx),
        by,
    };
    // Made only if something is recorded.
    let origin = || RequestOrigin {
        ip: Some(ip),
        user_agent: agent.map(str::to_owned),
        request_id: Some(id.to_owned()),
    };
    let acceptable = |policy: &EffectivePolicy, form: &str| presented.counts(policy, form);
    access::verify(ctx, &forwarded, origin, acceptable).await
}

/// Returns whether the browser should visit Nightlatch's own host first, because its cookie expires
/// before the session: the policy raised the lifetime, and proxies drop cookies from the answer to
/// their question. Only page requests can be redirected.
fn is_renewal_due(req: &HttpRequest, ctx: &Ctx, original: &OriginalRequest, admitted: &AdmittedSession) -> bool {
    let scope = CookieScope::for_host(&ctx.config, original.target.host());
    original.method == Method::GET
        && session_cookie::is_shorter_lived(&admitted.cookie_form, &session_cookie::form(scope, &admitted.policy))
        && is_navigation(req)
        && admitted.session.may_renew_cookie(&admitted.token_digest, ctx.now())
}

/// Returns whether the client can use a redirect.
fn is_navigation(req: &HttpRequest) -> bool {
    let text = |name: &HeaderName| req.headers().get(name).and_then(|value| value.to_str().ok());
    let script = text(&REQUESTED_WITH).is_some_and(|value| value.eq_ignore_ascii_case("xmlhttprequest"));
    let fetched = text(&FETCH_MODE).is_some_and(|mode| mode != "navigate");
    !script && !fetched && accepts(req, &["text/html"])
}

/// Returns the text of a header, whatever its encoding.
fn text_of(value: &HeaderValue) -> Cow<'_, str> {
    // The check of whole words is faster than the lossy conversion by character, and nearly all
    // headers are plain.
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(value.as_bytes()),
    }
}
