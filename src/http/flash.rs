//! A message for the next page, after a POST was answered with a redirect. It is encrypted in a
//! cookie that lives one minute, because it may contain a one-time password that is shown once.

use super::{respond::redirect_to, sealed_cookie::SealedCookie};
use crate::flows::Ctx;
use actix_web::{
    HttpRequest, HttpResponse,
    cookie::time::Duration,
    dev::ServiceResponse,
    http::header::{self, HeaderMap},
};
use serde::{Deserialize, Serialize};

const COOKIE: SealedCookie = SealedCookie::new("flash", Duration::minutes(1));

/// The message and its style: `ok`, `error` or `info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    pub kind: String,
    pub text: String,
    /// A secret that is shown once, with a copy button.
    pub secret: Option<String>,
    /// A link that is shown once, with a copy button.
    #[serde(default)]
    pub link: Option<String>,
    /// One of our addresses that returns a file, which the page fetches.
    #[serde(default)]
    pub download: Option<String>,
}

impl Flash {
    /// Creates the message of a success.
    pub fn ok(text: impl Into<String>) -> Self {
        Self::new("ok", text)
    }

    /// Creates the message of a failure.
    pub fn error(text: impl Into<String>) -> Self {
        Self::new("error", text)
    }

    /// Creates a neutral message.
    pub fn info(text: impl Into<String>) -> Self {
        Self::new("info", text)
    }

    /// Adds a secret that the next page shows once.
    pub fn with_secret(self, secret: &crate::domain::secret::Secret) -> Self {
        Self {
            secret: Some(secret.expose().to_owned()),
            ..self
        }
    }

    /// Adds a link to enrol a second factor, shown once.
    pub fn with_link(self, link: &crate::domain::secret::Secret) -> Self {
        Self {
            link: Some(link.expose().to_owned()),
            ..self
        }
    }

    /// Adds the address of a file that the next page fetches.
    pub fn with_download(self, address: String) -> Self {
        Self {
            download: Some(address),
            ..self
        }
    }

    fn new(kind: &str, text: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            text: text.into(),
            secret: None,
            link: None,
            download: None,
        }
    }
}

/// Redirects with 303 to `path`, where the message is shown.
pub fn redirect(req: &HttpRequest, path: &str, flash: &Flash) -> HttpResponse {
    let mut response = redirect_to(path);
    let content = serde_json::to_string(flash).unwrap_or_default();
    COOKIE.write(req, response.headers_mut(), content);
    response
}

/// Returns the message of the request.
pub fn read(req: &HttpRequest) -> Option<Flash> {
    serde_json::from_str(&COOKIE.read(req)?).ok()
}

pub(super) fn is_carried(ctx: &Ctx, headers: &HeaderMap) -> bool {
    COOKIE.is_sent(ctx, headers)
}

/// Removes the message from the browser once a page has shown it. Redirects and assets leave it.
pub(super) fn expire_when_shown(response: &mut ServiceResponse) {
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|content| content.as_bytes().starts_with(b"text/html"));
    if is_page && !response.status().is_redirection() {
        let request = response.request().clone();
        COOKIE.remove(&request, response.headers_mut());
    }
}
