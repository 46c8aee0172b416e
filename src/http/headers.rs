//! Pages for bare refusals, security headers and the request id, on every response whatever made it (ASVS V3.4).

use super::{error, gate::RequestId, site::Site};
use crate::flows::Ctx;
use actix_web::{
    HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web,
};
use url::Origin;

const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'; form-action 'self'";

/// Lets the page's forms end at another origin too: Chromium holds `form-action` against the redirect after a POST.
pub fn allow_form_action(headers: &mut HeaderMap, origin: &Origin) {
    let policy = format!("{CONTENT_SECURITY_POLICY} {}", origin.ascii_serialization());
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// Set unless a handler said otherwise.
static ALWAYS: [(HeaderName, HeaderValue); 8] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_SECURITY_POLICY),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        header::CROSS_ORIGIN_OPENER_POLICY,
        HeaderValue::from_static("same-origin"),
    ),
    (
        header::CROSS_ORIGIN_RESOURCE_POLICY,
        HeaderValue::from_static("same-origin"),
    ),
    (
        header::PERMISSIONS_POLICY,
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Two years, subdomains included: only said over https.
static STRICT_TRANSPORT_SECURITY: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub async fn apply(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let ctx = req
        .app_data::<web::Data<Ctx>>()
        .ok_or(error::PageError::misbuilt())?
        .clone();
    let id = request_id(&ctx);
    req.extensions_mut().insert(RequestId(id.clone()));
    let mut response = error::render(next.call(req).await?.map_into_boxed_body());
    // What is said about a host holds for all of it: on an application's, that is not ours to say.
    let own = matches!(Site::of(response.request()), Site::Own);
    dress(response.headers_mut(), ctx.config.https() && own, &id);
    Ok(response)
}

/// A number of its own for each request, for logs and records.
pub fn request_id(ctx: &Ctx) -> String {
    ctx.request_id(ctx.now()).simple().to_string()
}

/// What every response carries; `https_only`: the host that it comes from is never to be asked over plain http.
pub fn dress(headers: &mut HeaderMap, https_only: bool, request_id: &str) {
    for (name, value) in &ALWAYS {
        set(headers, name, value);
    }
    if https_only {
        set(headers, &header::STRICT_TRANSPORT_SECURITY, &STRICT_TRANSPORT_SECURITY);
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
}

fn set(headers: &mut HeaderMap, name: &HeaderName, value: &HeaderValue) {
    if !headers.contains_key(name) {
        headers.insert(name.clone(), value.clone());
    }
}
