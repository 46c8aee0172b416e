//! Explains on the page and in the log why a browser that has just signed in is back at the form:
//! it did not keep the cookie.

use crate::{
    domain::lost_cookie::{CookieFacts, lost_cookie_causes},
    flows::Ctx,
    http::{client_ip, log_once, visitor::Anyone},
};
use actix_web::{HttpRequest, http::header};

/// Lists why the browser did not keep the cookie. Empty if nobody signed in with it a moment ago.
pub fn causes(req: &HttpRequest, ctx: &Ctx, anyone: &Anyone) -> Vec<String> {
    let client = &anyone.client;
    let awaited = &ctx.live.awaited_cookies;
    if !awaited.take_lost(client.ip, client.user_agent.as_deref(), ctx.now()) {
        return Vec::new();
    }
    let text = |name: &str| req.headers().get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str()).unwrap_or_default();
    let peer = client_ip::peer(req.peer_addr());
    let scheme = text("x-forwarded-proto").and_then(|list| list.split(',').next());
    let in_force = ctx.in_force();
    let cookie = &in_force.everyone().cookie;
    let base_url = ctx.config.base_url();
    let causes = lost_cookie_causes(&CookieFacts {
        secure: cookie.secure,
        same_site: cookie.same_site,
        https: ctx.config.https(),
        base_url: &base_url,
        host: host.rsplit_once(':').map_or(host, |(name, _)| name),
        scheme: scheme
            .map(str::trim)
            .filter(|_| client_ip::trusted(peer, &ctx.config.trusted_proxies)),
        cookie_domain: ctx.config.cookie_domain.as_deref(),
    });
    if let Some(likeliest) = causes.first() {
        log_once::warn(&format!(
            "someone signed in with the correct password, and the browser did not keep the session cookie. {likeliest}"
        ));
    }
    causes
}
