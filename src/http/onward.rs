//! Where somebody goes on after a password change that was demanded: an encrypted cookie of that page, so that every way there keeps its
//! one address. What it names is judged anew by whoever reads it.

use super::{paths, session_cookie::CookieKeys};
use crate::flows::Ctx;
use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, CookieJar, SameSite, time::Duration},
    http::header::{self, HeaderValue},
    web,
};

const NAME: &str = "nightlatch-onward";
/// Time to change a password in.
const KEPT: Duration = Duration::hours(1);
/// Longer ones do not fit into a cookie once encrypted.
const LONGEST: usize = 2_048;

/// Remembers where it goes on; `None` forgets an earlier one.
pub fn keep(req: &HttpRequest, response: &mut HttpResponse, target: Option<&str>) {
    let (Some(keys), Some(ctx)) = (
        req.app_data::<web::Data<CookieKeys>>(),
        req.app_data::<web::Data<Ctx>>(),
    ) else {
        return;
    };
    let target = target.filter(|target| target.len() <= LONGEST);
    let mut cookie = Cookie::new(NAME, target.unwrap_or_default().to_owned());
    cookie.set_path(paths::PASSWORD);
    cookie.set_http_only(true);
    cookie.set_secure(ctx.in_force().everyone().cookie.secure);
    // Lax, so that a redirect from another host's page carries it.
    cookie.set_same_site(SameSite::Lax);
    cookie.set_max_age(if target.is_some() { KEPT } else { Duration::ZERO });
    let line = if target.is_some() {
        let mut jar = CookieJar::new();
        jar.private_mut(keys.newest()).add(cookie);
        jar.get(NAME).map(|cookie| cookie.encoded().to_string())
    } else {
        Some(cookie.to_string())
    };
    if let Some(line) = line.and_then(|line| HeaderValue::from_str(&line).ok()) {
        response.headers_mut().append(header::SET_COOKIE, line);
    }
}

/// What was remembered.
pub fn kept(req: &HttpRequest) -> Option<String> {
    let keys = req.app_data::<web::Data<CookieKeys>>()?;
    let mut jar = CookieJar::new();
    jar.add_original(req.cookie(NAME)?);
    let opened = jar.private(keys.newest()).get(NAME)?;
    Some(opened.value().to_owned())
}
