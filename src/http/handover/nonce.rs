//! What a browser holds on an application's host while a session is on its way there: a random value in a cookie of two minutes, so
//! that a code that somebody else was given opens nothing in it.

use crate::{
    domain::secret::{self, Secret},
    flows::Ctx,
    http::session_cookie::{self, Jar, trimmed},
};
use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
    http::header::{self, HeaderMap, HeaderValue},
};

/// Long enough for the way there and back, and for the tabs that a browser opens at its start.
const KEPT: Duration = Duration::minutes(2);

fn name(jar: Jar<'_>, secure: bool) -> String {
    let prefix = if secure { "__Host-" } else { "" };
    format!("{prefix}{}-handover", jar.plain())
}

fn secure(ctx: &Ctx) -> bool {
    ctx.in_force().everyone().cookie.secure
}

/// Whether this is what [`secret::digest`] makes.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The one that the browser holds; `None` as well for several: one of them was planted.
pub fn held(req: &HttpRequest, jar: Jar<'_>, ctx: &Ctx) -> Option<Secret> {
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

/// The one held, so that several tabs can be on their way at once, or a fresh one.
pub fn held_or_new(req: &HttpRequest, jar: Jar<'_>, ctx: &Ctx) -> Secret {
    held(req, jar, ctx).unwrap_or_else(|| secret::token(ctx.random_bytes()))
}

/// Has the browser hold it, and no other that a sibling of the host planted.
pub fn give(headers: &mut HeaderMap, jar: Jar<'_>, ctx: &Ctx, nonce: &Secret) {
    let secure = secure(ctx);
    let name = name(jar, secure);
    let mut cookie = Cookie::new(name.as_str(), nonce.expose());
    cookie.set_path("/");
    cookie.set_http_only(true);
    cookie.set_secure(secure);
    // It must come along when our own host sends the browser back.
    cookie.set_same_site(SameSite::Lax);
    cookie.set_max_age(KEPT);
    let planted = session_cookie::planted(jar, &name);
    for line in planted.into_iter().chain([cookie.to_string()]) {
        if let Ok(line) = HeaderValue::from_str(&line) {
            headers.append(header::SET_COOKIE, line);
        }
    }
}
