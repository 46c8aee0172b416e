//! The scope of the session cookie: its host, its name, and its form under a policy.

use crate::{
    config::Config,
    domain::{
        policy::effective::{CookiePolicy, EffectivePolicy, SameSite},
        time::Span,
    },
    http::site::{Site, shares_cookie},
};

/// The scope of a cookie: our own host and the cookie domain, or an application's host outside it,
/// which has a separate cookie.
#[derive(Clone, Copy)]
pub struct CookieScope<'a> {
    config: &'a Config,
    pub(super) domain: Option<&'a str>,
    /// The host that receives it.
    host: &'a str,
}

impl<'a> CookieScope<'a> {
    /// Returns the scope of Nightlatch's own host.
    pub fn own_host(config: &'a Config) -> Self {
        let host = config.public_url.as_ref().and_then(url::Url::domain);
        Self {
            config,
            domain: config.cookie_domain.as_deref(),
            host: host.unwrap_or_default(),
        }
    }

    /// Returns the scope of an application's host.
    pub fn for_host(config: &'a Config, host: &'a str) -> Self {
        let domain = config.cookie_domain.as_deref();
        Self {
            config,
            domain: domain.filter(|_| shares_cookie(config, host)),
            host,
        }
    }

    /// Returns the scope of a site.
    pub fn for_site(config: &'a Config, site: &'a Site) -> Self {
        match site {
            Site::Own => Self::own_host(config),
            Site::Application(entrance) => Self::for_host(config, &entrance.host),
        }
    }

    /// Returns the name without a prefix.
    pub fn unprefixed(&self) -> &'a str {
        &self.config.cookie_name
    }

    /// Returns the prefix: `__Host-` without a domain, `__Secure-` with one (RFC 6265bis, 4.1.3).
    pub(super) fn prefix(&self) -> &'static str {
        if self.domain.is_some() { "__Secure-" } else { "__Host-" }
    }

    pub(super) fn prefixed(&self) -> String {
        format!("{}{}", self.prefix(), self.config.cookie_name)
    }

    pub(super) fn is_host(&self, name: &str) -> bool {
        self.host == name
    }

    /// Returns the domain of the cookie, the host itself and its parents: all places where a cookie
    /// that is visible here may have been set.
    pub(super) fn domains(&self) -> Vec<String> {
        let parents = self
            .host
            .match_indices('.')
            .map(|(dot, _)| &self.host[dot + 1..])
            .filter(|parent| parent.contains('.'));
        let mut domains: Vec<String> = std::iter::once(self.host)
            .filter(|host| host.contains('.'))
            .chain(parents)
            .chain(self.domain)
            .map(str::to_owned)
            .collect();
        domains.sort();
        domains.dedup();
        domains
    }
}

/// Returns the name that is issued under this policy.
pub fn name(scope: CookieScope<'_>, policy: &CookiePolicy) -> String {
    if policy.secure {
        scope.prefixed()
    } else {
        scope.unprefixed().to_owned()
    }
}

/// Returns a short description of how a cookie is issued: if it differs from the token's, the
/// cookie is issued again, once.
pub fn form(scope: CookieScope<'_>, policy: &EffectivePolicy) -> String {
    let cookie = &policy.cookie;
    let flags = [
        (cookie.secure, 's'),
        (cookie.http_only, 'h'),
        (cookie.expire_at_browser_close, 'b'),
    ];
    let flags: String = flags.iter().filter(|(on, _)| *on).map(|(_, letter)| *letter).collect();
    let site = match cookie.same_site {
        SameSite::Strict => "strict",
        SameSite::Lax => "lax",
        SameSite::None => "none",
    };
    let domain = scope.domain.unwrap_or_default();
    format!("{flags}:{site}:{}:{domain}", shortest_ttl(policy).as_secs())
}

/// Returns whether a token of this form was issued under the prefixed name, so that the plain one
/// is not valid for it.
pub fn issued_secure(form: &str) -> bool {
    form.split(':').next().is_some_and(|flags| flags.contains('s'))
}

/// Returns whether a cookie issued in the first form expires before the session ends by the second,
/// because the lifetime was raised since.
pub fn is_shorter_lived(issued: &str, current: &str) -> bool {
    let ttl = |form: &str| form.split(':').nth(2).and_then(|secs| secs.parse::<i64>().ok());
    // Without Max-Age the browser keeps it until it is closed.
    let has_age = issued.split(':').next().is_some_and(|flags| !flags.contains('b'));
    has_age
        && ttl(issued)
            .zip(ttl(current))
            .is_some_and(|(issued, current)| issued < current)
}

pub(super) fn shortest_ttl(policy: &EffectivePolicy) -> Span {
    policy.lifetimes.iter().map(|rule| rule.ttl).min().unwrap_or_default()
}
