//! One message for the next page, after a POST was answered with a redirect. Encrypted in a cookie of a minute, because it may
//! carry a one-time password that is shown once.

use super::session_cookie::CookieKeys;
use crate::flows::Ctx;
use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, CookieJar, SameSite, time::Duration},
    dev::ServiceResponse,
    http::header::{self, HeaderMap, HeaderValue},
    web,
};
use serde::{Deserialize, Serialize};

const NAME: &str = "nightlatch-flash";

/// What is said, and how it looks: `ok`, `error` or `info`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    pub kind: String,
    pub text: String,
    /// Shown once, with a copy button.
    pub secret: Option<String>,
    /// An address of ours that answers with a file: the page fetches it.
    #[serde(default)]
    pub download: Option<String>,
}

impl Flash {
    pub fn ok(text: impl Into<String>) -> Self {
        Self::of("ok", text)
    }

    pub fn error(text: impl Into<String>) -> Self {
        Self::of("error", text)
    }

    pub fn info(text: impl Into<String>) -> Self {
        Self::of("info", text)
    }

    pub fn with_secret(self, secret: &crate::domain::secret::Secret) -> Self {
        Self {
            secret: Some(secret.expose().to_owned()),
            ..self
        }
    }

    pub fn with_download(self, address: String) -> Self {
        Self {
            download: Some(address),
            ..self
        }
    }

    fn of(kind: &str, text: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            text: text.into(),
            secret: None,
            download: None,
        }
    }
}

/// 303 to `path`, where `flash` is shown.
pub fn redirect(req: &HttpRequest, path: &str, flash: &Flash) -> HttpResponse {
    let mut response = super::pages::see_other(path);
    if let (Some(keys), Some(ctx)) = (
        req.app_data::<web::Data<CookieKeys>>(),
        req.app_data::<web::Data<Ctx>>(),
    ) {
        let mut cookie = Cookie::new(NAME, serde_json::to_string(flash).unwrap_or_default());
        dress(&mut cookie, ctx.in_force().everyone().cookie.secure);
        cookie.set_max_age(Duration::minutes(1));
        let mut jar = CookieJar::new();
        jar.private_mut(keys.newest()).add(cookie);
        let line = jar.get(NAME).map(|cookie| cookie.encoded().to_string());
        if let Some(line) = line.and_then(|line| HeaderValue::from_str(&line).ok()) {
            response.headers_mut().append(header::SET_COOKIE, line);
        }
    }
    response
}

/// The message that this request carries.
pub fn carried(req: &HttpRequest) -> Option<Flash> {
    let keys = req.app_data::<web::Data<CookieKeys>>()?;
    let cookie = req.cookie(NAME)?;
    let mut jar = CookieJar::new();
    jar.add_original(cookie);
    let opened = jar.private(keys.newest()).get(NAME)?;
    serde_json::from_str(opened.value()).ok()
}

pub(super) fn is_carried(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::COOKIE)
        .any(|line| line.to_str().is_ok_and(|line| line.contains(NAME)))
}

/// A page was shown: the message is done. Redirects and assets leave it.
pub(super) fn expire_when_shown(ctx: &Ctx, response: &mut ServiceResponse) {
    let is_page = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|content| content.as_bytes().starts_with(b"text/html"));
    if is_page && !response.status().is_redirection() {
        let mut cookie = Cookie::new(NAME, "");
        dress(&mut cookie, ctx.in_force().everyone().cookie.secure);
        cookie.set_max_age(Duration::ZERO);
        if let Ok(line) = HeaderValue::from_str(&cookie.to_string()) {
            response.headers_mut().append(header::SET_COOKIE, line);
        }
    }
}

fn dress(cookie: &mut Cookie<'_>, secure: bool) {
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_secure(secure);
    cookie.set_same_site(SameSite::Lax);
}
