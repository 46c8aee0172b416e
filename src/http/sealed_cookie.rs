//! Cookies whose content only this installation can read and write. `session_cookie` handles the
//! session's own cookie.

use super::session_cookie::CookieKeys;
use crate::flows::Ctx;
use actix_web::{
    HttpRequest,
    cookie::{Cookie, CookieJar, SameSite, time::Duration},
    http::header::{self, HeaderMap, HeaderValue},
    web,
};

/// A cookie that is encrypted with the newest key and lives for a short time.
///
/// Over https its name begins with `__Host-`, so that no neighboring host can plant one (RFC
/// 6265bis, 4.1.3.2): such a cookie could be sealed by us, but for another browser.
pub struct SealedCookie {
    suffix: &'static str,
    lifetime: Duration,
}

impl SealedCookie {
    /// Describes a cookie with the name of the session's cookie and a suffix.
    pub const fn new(suffix: &'static str, lifetime: Duration) -> Self {
        Self { suffix, lifetime }
    }

    /// Returns the content of the request's cookie, if this installation sealed it.
    pub fn read(&self, req: &HttpRequest) -> Option<String> {
        let (keys, name) = (keys(req)?, self.name(context(req)?));
        let mut jar = CookieJar::new();
        jar.add_original(req.cookie(&name)?);
        let opened = jar.private(keys.newest()).get(&name)?;
        Some(opened.value().to_owned())
    }

    /// Returns whether a header contains such a cookie, genuine or not.
    pub fn is_sent(&self, ctx: &Ctx, headers: &HeaderMap) -> bool {
        let name = self.name(ctx);
        headers
            .get_all(header::COOKIE)
            .any(|line| line.to_str().is_ok_and(|line| line.contains(&name)))
    }

    /// Stores `content` in the browser for the lifetime.
    pub fn write(&self, req: &HttpRequest, headers: &mut HeaderMap, content: String) {
        self.write_for(req, headers, content, self.lifetime);
    }

    /// Stores `content` in the browser for the given lifetime.
    pub fn write_for(&self, req: &HttpRequest, headers: &mut HeaderMap, content: String, lifetime: Duration) {
        let (Some(ctx), Some(keys)) = (context(req), keys(req)) else {
            return;
        };
        let cookie = self.cookie(ctx, content, lifetime);
        let name = cookie.name().to_owned();
        let mut jar = CookieJar::new();
        jar.private_mut(keys.newest()).add(cookie);
        if let Some(sealed) = jar.get(&name) {
            append(headers, &sealed.encoded().to_string());
        }
    }

    /// Removes it from the browser.
    pub fn remove(&self, req: &HttpRequest, headers: &mut HeaderMap) {
        if let Some(ctx) = context(req) {
            append(headers, &self.cookie(ctx, String::new(), Duration::ZERO).to_string());
        }
    }

    fn name(&self, ctx: &Ctx) -> String {
        let prefix = if is_secure(ctx) { "__Host-" } else { "" };
        format!("{prefix}{}-{}", ctx.config.cookie_name, self.suffix)
    }

    fn cookie(&self, ctx: &Ctx, content: String, max_age: Duration) -> Cookie<'static> {
        let mut cookie = Cookie::new(self.name(ctx), content);
        cookie.set_path("/");
        cookie.set_http_only(true);
        cookie.set_secure(is_secure(ctx));
        // Lax, so that a redirect from another host's page, or a link in an email, includes it.
        cookie.set_same_site(SameSite::Lax);
        cookie.set_max_age(max_age);
        cookie
    }
}

fn is_secure(ctx: &Ctx) -> bool {
    ctx.in_force().everyone().cookie.secure
}

fn context(req: &HttpRequest) -> Option<&Ctx> {
    req.app_data::<web::Data<Ctx>>().map(web::Data::get_ref)
}

fn keys(req: &HttpRequest) -> Option<&CookieKeys> {
    req.app_data::<web::Data<CookieKeys>>().map(web::Data::get_ref)
}

fn append(headers: &mut HeaderMap, line: &str) {
    if let Ok(line) = HeaderValue::from_str(line) {
        headers.append(header::SET_COOKIE, line);
    }
}
