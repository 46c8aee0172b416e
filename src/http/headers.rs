//! Pages for bare refusals, security headers and the request ID, on every response (ASVS V3.4).

use super::{error::PageError, error_page, judged::RequestId, site::Site};
use crate::flows::{self, Ctx};
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

/// Allows the page's forms to end at another origin too: Chromium applies `form-action` to the
/// redirect after a POST.
pub fn allow_form_action(headers: &mut HeaderMap, origin: &Origin) {
    let policy = format!("{CONTENT_SECURITY_POLICY} {}", origin.ascii_serialization());
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
}

/// Headers that are set unless a handler set them.
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

/// Two years, subdomains included; sent only over https.
static STRICT_TRANSPORT_SECURITY: HeaderValue = HeaderValue::from_static("max-age=63072000; includeSubDomains");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Adds the security headers and the request ID to every response, and renders errors as pages.
pub async fn apply(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let ctx = req
        .app_data::<web::Data<Ctx>>()
        .ok_or(PageError::missing_middleware())?
        .clone();
    let id = request_id(&ctx);
    req.extensions_mut().insert(RequestId(id.clone()));
    let answer = flows::answer_in_time(next.call(req)).await?;
    let mut response = error_page::render(answer.map_into_boxed_body());
    // The header applies to the whole host, which on an application's host is not ours to decide.
    let own = matches!(Site::from_request(response.request()), Site::Own);
    add_security_headers(response.headers_mut(), ctx.config.https() && own, &id);
    Ok(response)
}

/// Creates an ID for each request, for logs and records.
pub fn request_id(ctx: &Ctx) -> String {
    ctx.request_id(ctx.now()).simple().to_string()
}

/// Adds the headers of every response. `https_only`: the response's host must never be reached over
/// plain http.
pub fn add_security_headers(headers: &mut HeaderMap, https_only: bool, request_id: &str) {
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

/// Returns the header lines for a response that the HTTP library makes itself, below all
/// middleware.
pub fn lines_for_bare_answer(request_id: &str) -> String {
    let mut lines = format!("{REQUEST_ID}: {request_id}\r\n");
    for (name, value) in &ALWAYS {
        lines.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap_or_default()));
    }
    lines
}

fn set(headers: &mut HeaderMap, name: &HeaderName, value: &HeaderValue) {
    if !headers.contains_key(name) {
        headers.insert(name.clone(), value.clone());
    }
}
