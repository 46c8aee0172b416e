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
const ALWAYS: [(&str, &str); 8] = [
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    ("x-frame-options", "DENY"),
    ("cache-control", "no-store"),
];

/// Two years, subdomains included: only said over https.
const STRICT_TRANSPORT_SECURITY: &str = "max-age=63072000; includeSubDomains";

pub async fn apply(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let ctx = req.app_data::<web::Data<Ctx>>().cloned();
    let https = ctx.as_ref().is_some_and(|ctx| ctx.config.https());
    let id = ctx.map_or_else(String::new, |ctx| ctx.new_id(ctx.now()).simple().to_string());
    req.extensions_mut().insert(RequestId(id.clone()));
    let mut response = error::render(next.call(req).await?.map_into_boxed_body());
    // What is said about a host holds for all of it: on an application's, that is not ours to say.
    let own = matches!(Site::of(response.request()), Site::Own);
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        set(headers, name, value);
    }
    if https && own {
        set(headers, "strict-transport-security", STRICT_TRANSPORT_SECURITY);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    Ok(response)
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &'static str) {
    let name = HeaderName::from_static(name);
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
