//! The nonce that a browser holds on an application's host during a handover: a random value in a
//! cookie that lives two minutes, so that a code that was issued to another browser is refused.

use crate::{
    domain::secret::{self, Secret},
    flows::Ctx,
    http::session_cookie::{self, CookieScope, trimmed},
};
use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
    http::header::{self, HeaderMap, HeaderValue},
};

/// Long enough for the redirects, and for the tabs that a browser opens at start.
const LIFETIME: Duration = Duration::minutes(2);

fn name(jar: CookieScope<'_>, secure: bool) -> String {
    let prefix = if secure { "__Host-" } else { "" };
    format!("{prefix}{}-handover", jar.unprefixed())
}

fn secure(ctx: &Ctx) -> bool {
    ctx.in_force().everyone().cookie.secure
}

/// Returns whether the text has the form of [`secret::digest`].
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Returns the browser's nonce; `None` also if there are several, because one of them was planted.
pub fn read(req: &HttpRequest, jar: CookieScope<'_>, ctx: &Ctx) -> Option<Secret> {
    let name = name(jar, secure(ctx));
    let lines = req.headers().get_all(header::COOKIE);
    let mut held = lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| trimmed(std::str::from_utf8(pair).ok()?).split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let (first, second) = (held.next()?, held.next());
    let ours = first.len() == 43
        && first
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    (ours && second.is_none()).then(|| Secret::new(first.to_owned()))
}

/// Returns the existing nonce, so that several tabs can be handed over together, or a new one.
pub fn read_or_create(req: &HttpRequest, jar: CookieScope<'_>, ctx: &Ctx) -> Secret {
    read(req, jar, ctx).unwrap_or_else(|| secret::token(ctx.random_bytes()))
}

/// Sets the nonce, and removes others that a sibling host planted.
pub fn store(headers: &mut HeaderMap, jar: CookieScope<'_>, ctx: &Ctx, nonce: &Secret) {
    let secure = secure(ctx);
    let name = name(jar, secure);
    let mut cookie = Cookie::new(name.as_str(), nonce.expose());
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_secure(secure);
    // The browser must send it after the redirect from our own host.
    cookie.set_same_site(SameSite::Lax);
    cookie.set_max_age(LIFETIME);
    let planted = session_cookie::expire_on_parent_domains(jar, &name);
    for line in planted.into_iter().chain([cookie.to_string()]) {
        if let Ok(line) = HeaderValue::from_str(&line) {
            headers.append(header::SET_COOKIE, line);
        }
    }
}
