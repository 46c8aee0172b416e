//! The `Set-Cookie` lines that issue or remove the session cookie.

use super::{
    keys::CookieKeys,
    scope::{CookieScope, name, shortest_ttl},
};
use crate::{
    config::Config,
    domain::{
        policy::effective::{CookiePolicy, EffectivePolicy, SameSite},
        time::Timestamp,
    },
};
use actix_web::{
    cookie::{self, Cookie, time::Duration},
    http::header::{HeaderMap, HeaderValue, SET_COOKIE},
};

/// How long a browser keeps the cookie of a session that the policy ended in the same request: the
/// next page reads from it why the session ended.
const AFTER_THE_END: Duration = Duration::minutes(1);

/// Returns the `Set-Cookie` values that give the browser `token` under the live policy and expire
/// the other name.
pub fn issue(
    scope: CookieScope<'_>,
    keys: &CookieKeys,
    policy: &EffectivePolicy,
    token: &str,
    signed_in_at: Timestamp,
    now: Timestamp,
) -> Vec<String> {
    let name = name(scope, &policy.cookie);
    let mut cookie = Cookie::new(name.clone(), keys.sign(&name, token));
    set_attributes(&mut cookie, scope, &policy.cookie);
    if !policy.cookie.expire_at_browser_close {
        let left = signed_in_at
            .saturating_add(shortest_ttl(policy))
            .since(now)
            .as_secs_ceil();
        cookie.set_max_age(if left > 0 {
            Duration::seconds(left)
        } else {
            AFTER_THE_END
        });
    }
    let mut lines = vec![cookie.encoded().to_string()];
    let other = if policy.cookie.secure {
        scope.unprefixed().to_owned()
    } else {
        scope.prefixed()
    };
    lines.push(removal(&other, scope.domain));
    lines
}

/// Returns the lines that remove cookies of an earlier `cookie_domain` under the name that is
/// issued now: the browser would send them too, and it would be unclear which one is valid.
pub fn expire_other_scopes(scope: CookieScope<'_>, policy: &CookiePolicy) -> Vec<String> {
    let name = name(scope, policy);
    // Browsers accept a name with `__Host-` only for the host itself.
    if name.starts_with("__Host-") {
        return Vec::new();
    }
    let host_only = scope.domain.map(|_| removal(&name, None));
    let domains = scope.domains();
    let others = domains
        .iter()
        .filter(|domain| scope.domain.map_or(!scope.is_host(domain), |own| own != *domain));
    host_only
        .into_iter()
        .chain(others.map(|domain| removal(&name, Some(domain))))
        .collect()
}

/// Returns the lines that expire every variant of the session cookie, for the host and for every
/// parent domain: a planted cookie must not lock a user out.
pub fn expire(scope: CookieScope<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for name in [scope.unprefixed().to_owned(), scope.prefixed()] {
        lines.push(removal(&name, None));
        lines.extend(expire_on_parent_domains(scope, &name));
    }
    lines
}

/// Returns the lines that expire cookies of a name that are visible here and that another host of a
/// parent domain may have set.
pub fn expire_on_parent_domains(scope: CookieScope<'_>, name: &str) -> Vec<String> {
    let domains = scope.domains();
    domains.iter().map(|domain| removal(name, Some(domain))).collect()
}

/// Maximum number of path segments that [`expire_below`] checks; our paths have fewer.
const MAX_DEPTH: usize = 6;

/// Removes cookies that were planted for a part of our paths. The browser sends them with ours on
/// this `path`, so that it is unclear which one is valid, but not on the sign-in page, which
/// therefore could not expire them. Cookies for all paths are left to that page.
pub fn expire_below(headers: &mut HeaderMap, scope: CookieScope<'_>, path: &str) {
    let domains: Vec<String> = std::iter::once(String::new())
        .chain(scope.domains().iter().map(|domain| format!("; Domain={domain}")))
        .collect();
    // Browsers accept a name with `__Host-` only for all paths.
    let prefixed = scope.domain.is_some().then(|| scope.prefixed());
    for name in prefixed.iter().map(String::as_str).chain([scope.unprefixed()]) {
        let secure = if name == scope.unprefixed() { "" } else { "; Secure" };
        for part in cookie_paths(path) {
            for domain in &domains {
                let line = format!("{name}=; Path={part}{domain}; Max-Age=0{secure}");
                if let Ok(line) = HeaderValue::from_str(&line) {
                    headers.append(SET_COOKIE, line);
                }
            }
        }
    }
}

/// Returns the paths, other than `/`, whose cookies are sent to `path`: `/admin`, `/admin/`,
/// `/admin/policy` for `/admin/policy`.
fn cookie_paths(path: &str) -> Vec<&str> {
    // A cookie's path cannot contain a semicolon.
    let path = path.split(';').next().unwrap_or_default();
    let slashes: Vec<usize> = path
        .match_indices('/')
        .map(|(slash, _)| slash)
        .skip(1)
        .take(MAX_DEPTH)
        .collect();
    let mut parts: Vec<&str> = slashes
        .iter()
        .flat_map(|slash| [&path[..*slash], &path[..=*slash]])
        .collect();
    if slashes.len() < MAX_DEPTH {
        parts.push(path);
    }
    parts.retain(|part| part.len() > 1);
    parts.dedup();
    parts
}

/// Adds headers that remove all of them from the browser.
pub fn expire_all(headers: &mut HeaderMap, scope: CookieScope<'_>) {
    let lines = expire(scope);
    for line in lines.iter().filter_map(|line| HeaderValue::from_str(line).ok()) {
        headers.append(SET_COOKIE, line);
    }
}

fn removal(name: &str, domain: Option<&str>) -> String {
    let mut cookie = Cookie::new(name.to_owned(), "");
    cookie.set_path("/");
    cookie.set_http_only(true);
    // Browsers refuse prefixed names without Secure, removals included.
    cookie.set_secure(name.starts_with("__"));
    cookie.set_same_site(cookie::SameSite::Lax);
    if let Some(domain) = domain {
        cookie.set_domain(domain.to_owned());
    }
    cookie.set_max_age(Duration::ZERO);
    cookie.set_expires(cookie::time::OffsetDateTime::UNIX_EPOCH);
    cookie.to_string()
}

fn set_attributes(cookie: &mut Cookie<'_>, scope: CookieScope<'_>, policy: &CookiePolicy) {
    cookie.set_path("/");
    cookie.set_secure(policy.secure);
    cookie.set_http_only(policy.http_only);
    cookie.set_same_site(match policy.same_site {
        SameSite::Strict => cookie::SameSite::Strict,
        SameSite::Lax => cookie::SameSite::Lax,
        SameSite::None => cookie::SameSite::None,
    });
    if let Some(domain) = scope.domain {
        cookie.set_domain(domain.to_owned());
    }
}

/// Returns the token in a `Set-Cookie` line, if actix-session wrote it.
pub fn token_in(line: &str, config: &Config, keys: &CookieKeys) -> WrittenCookie {
    match Cookie::parse_encoded(line.to_owned()) {
        Ok(cookie) if cookie.name() == config.cookie_name => match keys.verify(cookie.value()) {
            Some(verified) => WrittenCookie::Token(verified.token),
            None => WrittenCookie::Removal,
        },
        Ok(_) | Err(_) => WrittenCookie::Other,
    }
}

/// The kind of a `Set-Cookie` line of the inner middleware.
pub enum WrittenCookie {
    Token(String),
    Removal,
    Other,
}

#[cfg(test)]
mod tests;
