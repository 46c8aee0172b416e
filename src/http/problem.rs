//! problem+json for programs (RFC 9457), and the message for each status.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use serde_json::Value;

/// A refusal for programs: the members of RFC 9457, and `code` with the reason.
pub struct Problem {
    status: StatusCode,
    body: Value,
    retry_after: Option<i64>,
}

impl Problem {
    /// Creates a problem whose `title` is the phrase of its status, as RFC 9457 (4.2.1) requires.
    pub fn new(status: StatusCode, code: &str, detail: &str) -> Self {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "code": code,
            "detail": detail,
        });
        Self {
            status,
            body,
            retry_after: None,
        }
    }

    /// Adds a member.
    pub fn with_member(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.body[member] = value.into();
        self
    }

    /// Sets after how many seconds the request may be repeated, if at all.
    pub fn retry_after(self, seconds: Option<i64>) -> Self {
        Self {
            retry_after: seconds,
            ..self
        }
    }

    /// Creates the response.
    pub fn into_response(self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status)
            .content_type("application/problem+json")
            .body(self.body.to_string());
        set_retry_after(&mut response, self.retry_after);
        response
    }
}

/// Sets `Retry-After` in seconds; `None` leaves the response unchanged.
pub fn set_retry_after(response: &mut HttpResponse, seconds: Option<i64>) {
    if let Some(seconds) = seconds {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
}

/// Returns the title of a status and a message for people.
pub fn describe_status(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        400 => ("Bad request", "The request could not be understood."),
        401 => ("Not signed in", "Sign in to continue."),
        403 => (
            "Not allowed",
            "Your account does not have permission to open this page or to do this.",
        ),
        404 => ("Not found", "Page not found, or you don’t have access to it."),
        409 => ("Conflict", "Another step is required first."),
        405 => ("Method not allowed", "This address does not accept that method."),
        408 => ("Too slow", "The request did not arrive in time."),
        413 => ("Too large", "The request is larger than the limit."),
        415 => (
            "Unsupported media type",
            "This address does not accept that content type.",
        ),
        421 => ("Misdirected request", "This server does not answer to that host name."),
        422 => ("Not accepted", "The submitted data is not valid."),
        429 => ("Too many requests", "Wait a moment and try again."),
        503 => (
            "Not available",
            "Nightlatch is temporarily unavailable. Try again shortly.",
        ),
        500..=599 => (
            "Something went wrong",
            "This is an error on our side. It was logged under the request number below.",
        ),
        _ => ("The request failed", "The request could not be carried out."),
    }
}
