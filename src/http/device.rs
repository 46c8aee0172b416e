//! `/nightlatch/device/…`: where browsers register the key of their device and prove it (W3C Device
//! Bound Session Credentials). A refresh skips the middleware of pages, because browsers drop a
//! device key permanently after any response but these: 204, 403 with a challenge, 404 (the session
//! is over) and 503 (not now).

use super::{
    client::read_request_client,
    device_cookie::DeviceScope,
    headers, host,
    judged::{JudgedRequest, JudgedSession},
    paths,
    problem::Problem,
    route::{Audience, Route},
    site::Site,
};
use crate::{
    domain::client::Client,
    flows::{
        self, Ctx,
        devices::{BearerToBind, DeviceAnswerRequest, DeviceRefresh, ProvedDevice, refresh_device, register_device},
    },
};
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    web,
};
use futures_util::FutureExt;
use serde_json::json;
use std::panic::AssertUnwindSafe;

static ANSWER: HeaderName = HeaderName::from_static("secure-session-response");
static CHALLENGE: HeaderName = HeaderName::from_static("secure-session-challenge");
static SESSION_ID: HeaderName = HeaderName::from_static("sec-secure-session-id");

/// Lists the routes behind the middleware of pages.
pub fn routes() -> Vec<Route> {
    vec![Route::post(paths::DEVICE_START, Audience::Anyone, start)]
}

/// Lists the routes without that middleware.
pub fn bare_routes() -> Vec<Route> {
    vec![Route::post(paths::DEVICE_REFRESH, Audience::Anyone, refresh)]
}

/// Adds the routes without that middleware to the server.
pub fn register(config: &mut web::ServiceConfig) {
    for route in bare_routes() {
        config.service(web::resource(route.path).route(route.handler));
    }
}

/// `POST /nightlatch/device/start`: binds the session of the cookie to the key of the answer.
pub async fn start(req: HttpRequest, ctx: web::Data<Ctx>) -> HttpResponse {
    let site = Site::from_request(&req);
    let judged = req.extensions().get::<JudgedRequest>().cloned();
    let Some(JudgedRequest {
        client,
        state: JudgedSession::Admitted(admitted),
        ..
    }) = judged
    else {
        return refuse(StatusCode::NOT_FOUND);
    };
    let Some(scope) = DeviceScope::find(&ctx.config, &site) else {
        return refuse(StatusCode::NOT_FOUND);
    };
    let Some(request) = read_answer(&req, &ctx, &site, &client, paths::DEVICE_START) else {
        return refuse(StatusCode::NOT_FOUND);
    };
    let bearer = BearerToBind {
        session: &admitted.session,
        account: &admitted.account,
        token_digest: &admitted.token_digest,
        binding: admitted.policy.device.binding,
    };
    match register_device(&ctx, bearer, request).await {
        Ok(Some(proved)) => {
            let mut response = HttpResponse::Ok().json(describe_session(&ctx, &site, scope, &proved));
            hand_over(&ctx, scope, response.headers_mut(), &proved);
            response
        }
        Ok(None) => refuse(StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::error!(%error, "a device could not be registered");
            refuse(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

/// `POST /nightlatch/device/refresh`: takes a proof of a key, and asks for one.
pub async fn refresh(req: HttpRequest, ctx: web::Data<Ctx>) -> HttpResponse {
    let id = headers::request_id(&ctx);
    let work = flows::answer_in_time(answer_refresh(&req, &ctx, &id));
    let mut response = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("the refresh of a device made its handler panic");
        refuse(StatusCode::SERVICE_UNAVAILABLE)
    });
    headers::add_security_headers(response.headers_mut(), false, &id);
    response
}

async fn answer_refresh(req: &HttpRequest, ctx: &Ctx, id: &str) -> HttpResponse {
    let site = match host::find_site(ctx, req).await {
        Ok(Some(site)) => site,
        // A proxy that names another host will be fixed some day; the device key should not be lost
        // until then.
        Ok(None) => return refuse(StatusCode::SERVICE_UNAVAILABLE),
        Err(error) => {
            tracing::error!(%error, "the host of a device is not known");
            return refuse(StatusCode::SERVICE_UNAVAILABLE);
        }
    };
    let Some(scope) = DeviceScope::find(&ctx.config, &site) else {
        return refuse(StatusCode::NOT_FOUND);
    };
    let client = read_request_client(req, ctx, Some(id.to_owned()));
    let answer = read_answer(req, ctx, &site, &client, paths::DEVICE_REFRESH);
    let key = text_of(req, &SESSION_ID).unwrap_or_default();
    match refresh_device(ctx, key.trim_matches('"'), site.token_host(), answer).await {
        Ok(DeviceRefresh::Proved(proved)) => {
            let mut response = HttpResponse::NoContent().finish();
            hand_over(ctx, scope, response.headers_mut(), &proved);
            response
        }
        Ok(DeviceRefresh::Challenged { key, challenge }) => {
            let mut response = refuse(StatusCode::FORBIDDEN);
            add_challenge(response.headers_mut(), &challenge, &key.0.to_string());
            response
        }
        Ok(DeviceRefresh::Gone) => refuse(StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::error!(%error, "the proof of a device could not be checked");
            refuse(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

/// Reads the signed answer of a request. `None`: it has none.
fn read_answer(req: &HttpRequest, ctx: &Ctx, site: &Site, client: &Client, path: &str) -> Option<DeviceAnswerRequest> {
    let origins = match site {
        Site::Own => host::own_origins(&ctx.config, req.head()),
        Site::Application(entrance) => entrance.origins.clone(),
    };
    Some(DeviceAnswerRequest {
        answer: text_of(req, &ANSWER)?.to_owned(),
        addresses: origins.iter().map(|origin| format!("{origin}{path}")).collect(),
        origin: client.origin(),
    })
}

/// Describes the device session to the browser: which requests wait for a fresh proof, and which
/// cookie carries it. Another site's link must lead to a proof too.
fn describe_session(ctx: &Ctx, site: &Site, scope: DeviceScope<'_>, proved: &ProvedDevice) -> serde_json::Value {
    let host = match site {
        Site::Own => ctx.config.own_host().into_owned(),
        Site::Application(entrance) => entrance.host.clone(),
    };
    let mut covered = json!({
        "include_site": scope != DeviceScope::Host,
        "scope_specification": [{ "type": "exclude", "domain": host, "path": paths::DEVICE }],
    });
    if let (DeviceScope::Domain(domain), Some(mut origin)) = (scope, ctx.config.public_url.clone())
        && origin.set_host(Some(domain)).is_ok()
    {
        covered["origin"] = origin.origin().ascii_serialization().into();
    }
    json!({
        "session_identifier": proved.key.0,
        "refresh_url": paths::DEVICE_REFRESH,
        "scope": covered,
        "allowed_refresh_initiators": ["*"],
        "credentials": [{
            "type": "cookie",
            "name": scope.cookie_name(&ctx.config),
            "attributes": scope.attributes(),
        }],
    })
}

/// Adds the cookie of a proof, and the challenge of the next one.
fn hand_over(ctx: &Ctx, scope: DeviceScope<'_>, headers: &mut HeaderMap, proved: &ProvedDevice) {
    let cookie = scope.issue(&ctx.config, &proved.cookie, proved.lifetime);
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.append(header::SET_COOKIE, cookie);
    }
    add_challenge(headers, &proved.challenge, &proved.key.0.to_string());
}

fn add_challenge(headers: &mut HeaderMap, challenge: &str, key: &str) {
    if let Ok(challenge) = HeaderValue::from_str(&format!("\"{challenge}\";id=\"{key}\"")) {
        headers.insert(CHALLENGE.clone(), challenge);
    }
}

/// Returns one of the refusals that browsers understand.
fn refuse(status: StatusCode) -> HttpResponse {
    let (code, why) = match status {
        StatusCode::NOT_FOUND => ("not_found", "There is no session to bind to this device."),
        StatusCode::FORBIDDEN => ("device_challenge", "Sign the challenge of this response."),
        _ => ("unavailable", "Try again shortly."),
    };
    Problem::new(status, code, why).into_response()
}

/// Returns the only value of a header.
fn text_of<'a>(req: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    let mut lines = req.headers().get_all(name);
    let first = lines.next()?.to_str().ok()?;
    lines.next().is_none().then_some(first)
}
