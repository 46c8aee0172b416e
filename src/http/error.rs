//! Every refusal and fault as a page for people and problem+json for programs (RFC 9457); never a backtrace, SQL or path.

use super::{filters, gate::RequestId, onward, pages::Shell, paths, site::Site};
use crate::{
    domain::session::EndReason,
    flows::{Ctx, FlowError},
};
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderValue},
    },
    middleware::Next,
    web,
};
use askama::Template;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use url::form_urlencoded;

/// Why a page is not given.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    #[error("not signed in")]
    SignIn {
        return_to: Option<String>,
        reason: Option<EndReason>,
    },
    #[error("the password must be changed first")]
    PasswordChange,
    #[error("not allowed")]
    Forbidden,
    #[error("the application is not for this account")]
    NoEntry,
    /// The act asks for the password again; people get the page of `step_up` instead.
    #[error("the password must be confirmed first")]
    StepUp,
    #[error("started by another site")]
    CrossSite,
    /// The sentence is shown.
    #[error("{0}")]
    TooOften(&'static str),
    #[error("not found")]
    NotFound,
    #[error("served under another name")]
    Misdirected,
    /// The sentence is shown.
    #[error("{0}")]
    BadRequest(String),
    #[error("too large")]
    TooLarge,
    #[error("unsupported media type")]
    UnsupportedMedia,
    #[error("too slow")]
    Timeout,
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// A fault of ours; the words go to the log only.
    #[error("{0}")]
    Internal(String),
}

impl PageError {
    /// A layer is missing: a fault in how the application is put together.
    pub fn misbuilt() -> Self {
        Self::Internal("a layer of the application is missing".to_owned())
    }

    fn code(&self) -> &'static str {
        match self {
            Self::SignIn {
                reason: Some(reason), ..
            } => reason.as_str(),
            Self::SignIn { reason: None, .. } => "sign_in",
            Self::PasswordChange => "password_change",
            Self::Forbidden | Self::NoEntry => "forbidden",
            Self::StepUp => "step_up",
            Self::CrossSite => "cross_site",
            Self::TooOften(_) => "too_many_requests",
            Self::NotFound | Self::Flow(FlowError::NotFound) => "not_found",
            Self::Misdirected => "misdirected",
            Self::BadRequest(_) => "bad_request",
            Self::TooLarge => "too_large",
            Self::UnsupportedMedia => "unsupported_media_type",
            Self::Timeout => "timeout",
            Self::Flow(FlowError::Unavailable(_)) => "unavailable",
            Self::Flow(FlowError::HashingBusy(_)) => "busy",
            Self::Flow(FlowError::Internal(_)) | Self::Internal(_) => "internal",
        }
    }
}

/// What the outer layer needs to make a page of it.
#[derive(Debug, Clone)]
struct Problem {
    code: String,
    message: Option<String>,
    sign_in: Option<SignIn>,
}

#[derive(Debug, Clone)]
struct SignIn {
    location: String,
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignIn { .. } | Self::PasswordChange => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::NoEntry | Self::CrossSite | Self::StepUp => StatusCode::FORBIDDEN,
            Self::NotFound | Self::Flow(FlowError::NotFound) => StatusCode::NOT_FOUND,
            Self::TooOften(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::Flow(FlowError::Unavailable(_) | FlowError::HashingBusy(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Flow(FlowError::Internal(_)) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response = HttpResponse::new(self.status_code());
        if response.status().is_server_error() {
            tracing::error!(error = %self, "a request failed");
        }
        if let Self::Flow(FlowError::HashingBusy(busy)) = self {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(busy.retry_after_secs));
        } else if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(2));
        }
        if let Self::TooOften(_) = self {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(30));
        }
        let location = match self {
            Self::SignIn { return_to, reason } => Some(login_url(return_to.as_deref(), *reason)),
            Self::PasswordChange => Some(paths::PASSWORD.to_owned()),
            _ => None,
        };
        let message = match self {
            Self::BadRequest(message) => Some(message.clone()),
            Self::NoEntry => Some(NO_ENTRY.to_owned()),
            Self::StepUp => {
                Some("This act asks for your password again: send it along as `step_up_password`.".to_owned())
            }
            Self::TooOften(message) => Some((*message).to_owned()),
            _ => None,
        };
        let sign_in = location.map(|location| SignIn { location });
        response.extensions_mut().insert(Problem {
            code: self.code().to_owned(),
            message,
            sign_in,
        });
        response
    }
}

/// What people are told whose account may not enter an application.
pub const NO_ENTRY: &str = "Your account may not enter this application.";

/// `/login?return_to=…&reason=CODE`.
pub fn login_url(return_to: Option<&str>, reason: Option<EndReason>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(target) = return_to.filter(|target| *target != "/") {
        query.append_pair("return_to", target);
    }
    if let Some(reason) = reason {
        query.append_pair("reason", reason.as_str());
    }
    let query = query.finish();
    if query.is_empty() {
        paths::LOGIN.to_owned()
    } else {
        format!("{}?{query}", paths::LOGIN)
    }
}

/// Whether a redirect or a page is any use to who asks: browsers' navigations, not `fetch`.
pub fn wants_html(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let accept = text("accept").unwrap_or("*/*");
    accepts(accept, &["text/html", "text/*", "application/xhtml+xml"])
        || (accepts(accept, &["*/*"]) && text("sec-fetch-mode").is_none_or(|mode| mode == "navigate"))
}

/// Whether an `Accept` names one of these media ranges, and not to refuse it (RFC 9110, 12.5.1).
pub fn accepts(accept: &str, ranges: &[&str]) -> bool {
    accept.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        let range = words.next().unwrap_or_default();
        let weight = words.find_map(|word| word.strip_prefix("q=").or(word.strip_prefix("Q=")));
        let refused = weight.is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0));
        !refused && ranges.iter().any(|known| range.eq_ignore_ascii_case(known))
    })
}

#[derive(Template)]
#[template(path = "pages/error.html")]
struct ErrorPage {
    shell: Shell,
    status: u16,
    title: String,
    message: String,
    code: String,
    request_id: String,
}

/// Turns a panic of a handler into a bare refusal. Stands around each resource: further out, holding the request
/// would forbid the layers and the router to change it.
pub async fn catch(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let request = req.request().clone();
    Ok(match AssertUnwindSafe(next.call(req)).catch_unwind().await {
        Ok(Ok(response)) => response.map_into_boxed_body(),
        Ok(Err(error)) => ServiceResponse::new(request, error.error_response()),
        Err(_) => {
            tracing::error!("a handler panicked");
            ServiceResponse::new(request, PageError::Internal("panic".to_owned()).error_response())
        }
    })
}

/// Gives a bare refusal its page or its problem+json; everything else passes.
pub fn render(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let bare = !response.headers().contains_key(header::CONTENT_TYPE)
        || response.response().extensions().contains::<Problem>();
    if !bare || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (request, inner) = response.into_parts();
    let page = page(&request, inner);
    ServiceResponse::new(request, page)
}

fn page(request: &HttpRequest, bare: HttpResponse) -> HttpResponse {
    let status = bare.status();
    let problem = bare.extensions().get::<Problem>().cloned();
    let problem = problem.unwrap_or_else(|| Problem {
        code: code_of(status).to_owned(),
        message: None,
        sign_in: None,
    });
    let html = wants_html(request.headers()) && !request.path().starts_with(paths::GUARD);
    let mut response = match (&problem.sign_in, html) {
        (Some(sign_in), true) => sent_on(request, sign_in),
        (_, true) => html_page(request, status, &problem),
        (_, false) => json(request, status, &problem),
    };
    for (name, value) in bare.headers() {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    response
}

/// To the sign-in, whose address says where it goes on; or to the change of a password, beside which that is remembered.
fn sent_on(request: &HttpRequest, sign_in: &SignIn) -> HttpResponse {
    let mut response = HttpResponse::SeeOther()
        .insert_header((header::LOCATION, sign_in.location.as_str()))
        .finish();
    let target = request.uri().path_and_query().map(|target| target.as_str());
    if sign_in.location == paths::PASSWORD && request.method() == Method::GET {
        onward::keep(request, &mut response, target);
    }
    response
}

fn json(request: &HttpRequest, status: StatusCode, problem: &Problem) -> HttpResponse {
    let message = words(status).1;
    let mut body = problem_body(status, &problem.code, problem.message.as_deref().unwrap_or(message));
    if let (Some(sign_in), Some(ctx)) = (&problem.sign_in, request.app_data::<web::Data<Ctx>>()) {
        body["login_url"] = serde_json::json!(Site::of(request).link(&ctx.config, &sign_in.location));
    }
    problem_response(status, &body)
}

/// The members that every problem has; `title` goes with the status.
pub fn problem_body(status: StatusCode, code: &str, detail: &str) -> serde_json::Value {
    serde_json::json!({
        "type": "about:blank",
        "title": words(status).0,
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
    })
}

pub fn problem_response(status: StatusCode, body: &serde_json::Value) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("application/problem+json")
        .body(body.to_string())
}

fn html_page(request: &HttpRequest, status: StatusCode, problem: &Problem) -> HttpResponse {
    let (title, message) = words(status);
    let page = ErrorPage {
        shell: Shell::bare(request, title),
        status: status.as_u16(),
        title: title.to_owned(),
        message: problem.message.clone().unwrap_or_else(|| message.to_owned()),
        code: problem.code.clone(),
        request_id: request
            .extensions()
            .get::<RequestId>()
            .map(|id| id.0.clone())
            .unwrap_or_default(),
    };
    match page.render() {
        Ok(html) => HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .body(html),
        Err(error) => {
            tracing::error!(%error, "the error page cannot be rendered");
            HttpResponse::build(status)
                .content_type("text/plain; charset=utf-8")
                .body(title)
        }
    }
}

fn code_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        status if status.is_server_error() => "internal",
        _ => "bad_request",
    }
}

fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        400 => ("Bad request", "The request could not be understood."),
        401 => ("Not signed in", "Sign in to carry on."),
        403 => (
            "Not allowed",
            "Your account may not do this, or another site started it.",
        ),
        404 => ("Not found", "There is nothing here, or it is not yours."),
        409 => ("Conflict", "Something else must be done first."),
        405 => ("Method not allowed", "This address does not answer that method."),
        408 => ("Too slow", "The request did not arrive in time."),
        413 => ("Too large", "The request is larger than anything we accept here."),
        415 => (
            "Unsupported media type",
            "This address does not take content of that type.",
        ),
        421 => ("Misdirected request", "This server does not answer under that name."),
        422 => ("Not accepted", "What was sent cannot be accepted as it is."),
        429 => ("Too many requests", "Wait a little and try again."),
        503 => (
            "Not available",
            "Nightlatch cannot answer at the moment. Try again shortly.",
        ),
        500..=599 => (
            "Something went wrong",
            "The fault is ours. It has been logged under the number below.",
        ),
        _ => ("The request failed", "The request could not be carried out."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accept_is_read_as_it_is_meant() {
        let html = |accept: &str| accepts(accept, &["text/html", "text/*"]);
        for accept in [
            "text/html",
            "TEXT/HTML",
            "a/b, text/html;q=0.1",
            "text/*",
            "text/html ; level=1; q=0.5",
        ] {
            assert!(html(accept), "{accept}");
        }
        for accept in [
            "",
            "text/html;q=0",
            "text/html; Q=0.0",
            "text/html-sandboxed",
            "*/*",
            "application/json",
        ] {
            assert!(!html(accept), "{accept}");
        }
    }
}
