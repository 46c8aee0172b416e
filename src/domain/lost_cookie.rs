//! Why a browser did not keep the session cookie, and what to change, as far as the configuration
//! shows.

use crate::{origin::is_within, policy::effective::SameSite};

/// The facts that decide whether a browser keeps Nightlatch's cookie.
#[derive(Debug, Clone, Copy)]
pub struct CookieFacts<'a> {
    /// `session.secure`
    pub secure: bool,
    /// `session.same_site`
    pub same_site: SameSite,
    /// Whether the public URL is an https address.
    pub https: bool,
    /// The address that people use.
    pub base_url: &'a str,
    /// The requested host, without port.
    pub host: &'a str,
    /// The scheme that a trusted proxy names.
    pub scheme: Option<&'a str>,
    /// `cookie_domain`
    pub cookie_domain: Option<&'a str>,
}

/// Lists the possible causes, most likely first. The last one is the browser itself.
pub fn lost_cookie_causes(facts: &CookieFacts<'_>) -> Vec<String> {
    let CookieFacts {
        secure,
        same_site,
        https,
        base_url,
        host,
        scheme,
        cookie_domain,
    } = *facts;
    let is_plain = !https || scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"));
    let plain = (secure && is_plain).then(|| {
        "The cookie is marked Secure (session.secure is on), and this page was opened over plain http, where browsers \
             refuse such a \
         cookie. An administrator must serve Nightlatch over https and set public_url to the https address, or switch \
         session.secure off: nightlatch policy set session.secure false."
            .to_owned()
    });
    let maybe_plain = (secure && !is_plain).then(|| {
        format!(
            "The cookie is kept over https only (session.secure is on). If the address bar shows http, open {base_url} \
                 instead; an \
             administrator must make the proxy redirect http to https."
        )
    });
    let elsewhere = cookie_domain.filter(|domain| !is_within(host, domain)).map(|domain| {
        format!(
            "cookie_domain is {domain}, and this page was opened as {host}, which is not part of it. An administrator \
                 must set \
             cookie_domain to a domain of this host, or to leave it out."
        )
    });
    let refused = (same_site == SameSite::None && !secure).then(|| {
        "Browsers refuse a cookie with SameSite=None that is not Secure. An administrator must switch session.secure \
             on, or set \
         session.same_site to Lax."
            .to_owned()
    });
    let blocked = format!("Cookies are blocked for {host} in this browser: allow them and sign in again.");
    [plain, elsewhere, refused, maybe_plain, Some(blocked)]
        .into_iter()
        .flatten()
        .collect()
}
