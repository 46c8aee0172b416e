//! The session cookie on the wire: names, prefixes, signature and attributes, all following the live policy.

use super::site::{Site, shares_cookie};
use crate::{
    config::Config,
    domain::{
        policy::effective::{CookiePolicy, EffectivePolicy, SameSite},
        time::{Span, Timestamp},
    },
};
use actix_web::{
    cookie::{self, Cookie, CookieJar, Key, time::Duration},
    http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE},
};
use std::borrow::Cow;

/// Where a cookie lives: on our own host and the cookie domain, or on an application's host beyond it, which has its own alone.
#[derive(Clone, Copy)]
pub struct Jar<'a> {
    config: &'a Config,
    domain: Option<&'a str>,
    /// The host that sees it.
    host: &'a str,
}

impl<'a> Jar<'a> {
    pub fn own(config: &'a Config) -> Self {
        let host = config.public_url.as_ref().and_then(url::Url::domain);
        Self {
            config,
            domain: config.cookie_domain.as_deref(),
            host: host.unwrap_or_default(),
        }
    }

    /// That of an application's host.
    pub fn at(config: &'a Config, host: &'a str) -> Self {
        let domain = config.cookie_domain.as_deref();
        Self {
            config,
            domain: domain.filter(|_| shares_cookie(config, host)),
            host,
        }
    }

    pub fn of(config: &'a Config, site: &'a Site) -> Self {
        match site {
            Site::Own => Self::own(config),
            Site::Application(entrance) => Self::at(config, &entrance.host),
        }
    }

    /// The name without a prefix.
    pub fn plain(&self) -> &'a str {
        &self.config.cookie_name
    }

    /// `__Host-` without a domain, `__Secure-` with one; RFC 6265bis 4.1.3.
    fn prefix(&self) -> &'static str {
        if self.domain.is_some() { "__Secure-" } else { "__Host-" }
    }

    fn prefixed(&self) -> String {
        format!("{}{}", self.prefix(), self.config.cookie_name)
    }

    /// The domain of the cookie, the host itself and its parents: where a cookie that is seen here may have been set.
    fn domains(&self) -> Vec<String> {
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

/// Keys that sign cookies: the newest signs, all verify.
pub struct CookieKeys(Vec<Key>);

impl CookieKeys {
    /// `keys`: at least one of 64 bytes or more, newest first.
    pub fn new<'a>(keys: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let keys: Vec<Key> = keys.map(Key::from).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    pub fn newest(&self) -> &Key {
        &self.0[0]
    }

    /// The signature covers the value alone, whatever the cookie is called.
    fn verify(&self, value: &str) -> Option<Verified> {
        self.0.iter().enumerate().find_map(|(index, key)| {
            let cookie = Cookie::new("", value.to_owned());
            let token = CookieJar::new().signed(key).verify(cookie)?.value().to_owned();
            Some(Verified {
                token,
                newest_key: index == 0,
            })
        })
    }

    fn sign(&self, name: &str, token: &str) -> String {
        let mut jar = CookieJar::new();
        jar.signed_mut(self.newest())
            .add(Cookie::new(name.to_owned(), token.to_owned()));
        jar.get(name)
            .map(|cookie| cookie.value().to_owned())
            .unwrap_or_default()
    }
}

struct Verified {
    token: String,
    newest_key: bool,
}

/// What the request's cookies say.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Presented {
    /// The token, when there is exactly one that we signed.
    pub token: Option<String>,
    /// It came under the plain name.
    pub plain: bool,
    /// Two cookies of one name differ: nobody can tell which is ours.
    pub ambiguous: bool,
    /// The request already carries just what actix-session expects.
    canonical: bool,
    /// Some cookie has one of our names.
    pub any: bool,
}

/// The name that is written under this policy.
pub fn name(jar: Jar<'_>, policy: &CookiePolicy) -> String {
    if policy.secure {
        jar.prefixed()
    } else {
        jar.plain().to_owned()
    }
}

/// A short word for how a cookie is issued: when it differs from the token's, the cookie is issued anew, once.
pub fn form(jar: Jar<'_>, policy: &EffectivePolicy) -> String {
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
    let domain = jar.domain.unwrap_or_default();
    format!("{flags}:{site}:{}:{domain}", shortest_ttl(policy).as_secs())
}

/// Whether a token of this form was issued under the prefixed name: then the plain one does not count for it.
pub fn issued_secure(form: &str) -> bool {
    form.split(':').next().is_some_and(|flags| flags.contains('s'))
}

fn shortest_ttl(policy: &EffectivePolicy) -> Span {
    policy.lifetimes.iter().map(|rule| rule.ttl).min().unwrap_or_default()
}

/// The cookies that came under one of our names.
#[derive(Default)]
struct Sent {
    first: Option<String>,
    /// The same value came again.
    again: bool,
    /// Another value came too.
    differing: bool,
}

impl Sent {
    fn add(&mut self, value: String) {
        match &self.first {
            None => self.first = Some(value),
            Some(first) if *first == value => self.again = true,
            Some(_) => self.differing = true,
        }
    }
}

/// Without the blanks and tabs around it, and nothing else: to a browser a name that begins with any other kind of space has no prefix,
/// so that every neighbouring host may set it.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Reads the session cookie; the prefixed name wins.
pub fn read(headers: &HeaderMap, jar: Jar<'_>, keys: &CookieKeys) -> Presented {
    let (mut prefixed, mut plain) = (Sent::default(), Sent::default());
    let mut lines = 0;
    for line in headers.get_all(COOKIE) {
        lines += 1;
        for pair in line.as_bytes().split(|byte| *byte == b';') {
            // Looks at whole words where the lossy reading looks at each character.
            let pair = match std::str::from_utf8(pair) {
                Ok(pair) => Cow::Borrowed(pair),
                Err(_) => String::from_utf8_lossy(pair),
            };
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            let name = trimmed(name);
            let sent = if name.strip_prefix(jar.prefix()) == Some(jar.plain()) {
                &mut prefixed
            } else if name == jar.plain() {
                &mut plain
            } else {
                continue;
            };
            // What cannot be decoded is a value too: not ours, and so in doubt beside one that is.
            let decoded = plainly_decoded(value).or_else(|| {
                let cookie = Cookie::parse_encoded(trimmed(&pair)).ok()?;
                Some(cookie.value().to_owned())
            });
            sent.add(decoded.unwrap_or_else(|| value.to_owned()));
        }
    }
    let any = prefixed.first.is_some() || plain.first.is_some();
    let alone = prefixed.first.is_none() && !plain.again && lines == 1;
    for (sent, is_plain) in [(&prefixed, false), (&plain, true)] {
        if sent.differing {
            return Presented {
                ambiguous: true,
                any,
                ..Presented::default()
            };
        }
        if let Some(verified) = sent.first.as_ref().and_then(|value| keys.verify(value)) {
            return Presented {
                token: Some(verified.token),
                plain: is_plain,
                ambiguous: false,
                canonical: is_plain && alone && verified.newest_key,
                any,
            };
        }
    }
    Presented {
        any,
        ..Presented::default()
    }
}

/// The value as [`Cookie::parse_encoded`] reads it, in one go, for what our own values are made of: letters and digits, Base64's signs,
/// and escapes of ASCII. `None`: there is something else in it.
fn plainly_decoded(value: &str) -> Option<String> {
    let mut bytes = value.bytes();
    let mut decoded = String::with_capacity(value.len());
    while let Some(byte) = bytes.next() {
        let plain = match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            _ if byte.is_ascii_alphanumeric() || b"+/=-_.~".contains(&byte) => byte,
            _ => return None,
        };
        if !plain.is_ascii_graphic() {
            return None;
        }
        decoded.push(char::from(plain));
    }
    Some(decoded)
}

impl Presented {
    /// Whether a token whose cookie was issued in this form counts: under https-only cookies the plain name does so only for ids
    /// that were issued before the switch.
    pub fn counts(&self, policy: &EffectivePolicy, form: &str) -> bool {
        !(self.plain && policy.cookie.secure && issued_secure(form))
    }
}

/// Leaves exactly the judged token for actix-session to find, or none.
pub fn hand_on(headers: &mut HeaderMap, presented: &Presented, admitted: bool, jar: Jar<'_>, keys: &CookieKeys) {
    if !presented.any || (admitted && presented.canonical) {
        return;
    }
    let names = [jar.plain().to_owned(), jar.prefixed()];
    let mut kept: Vec<String> = Vec::new();
    for line in headers.get_all(COOKIE) {
        for pair in line.to_str().unwrap_or_default().split(';') {
            let name = trimmed(pair.split_once('=').map_or(pair, |(name, _)| name));
            if !name.is_empty() && !names.iter().any(|ours| ours == name) {
                kept.push(trimmed(pair).to_owned());
            }
        }
    }
    if let (true, Some(token)) = (admitted, &presented.token) {
        let value = keys.sign(jar.plain(), token);
        kept.push(Cookie::new(jar.plain(), value).encoded().stripped().to_string());
    }
    headers.remove(COOKIE);
    if let Ok(line) = HeaderValue::from_str(&kept.join("; "))
        && !kept.is_empty()
    {
        headers.insert(COOKIE, line);
    }
}

/// The `Set-Cookie` values that give the browser `token` under the live policy, the other name expired.
pub fn issue(
    jar: Jar<'_>,
    keys: &CookieKeys,
    policy: &EffectivePolicy,
    token: &str,
    signed_in_at: Timestamp,
    now: Timestamp,
) -> Vec<String> {
    let name = name(jar, &policy.cookie);
    let mut cookie = Cookie::new(name.clone(), keys.sign(&name, token));
    dress(&mut cookie, jar, &policy.cookie);
    if !policy.cookie.expire_at_browser_close {
        let left = signed_in_at
            .saturating_add(shortest_ttl(policy))
            .since(now)
            .as_secs_ceil()
            .max(0);
        cookie.set_max_age(Duration::seconds(left));
    }
    let mut lines = vec![cookie.encoded().to_string()];
    let other = if policy.cookie.secure {
        jar.plain().to_owned()
    } else {
        jar.prefixed()
    };
    lines.push(removal(&other, jar.domain));
    lines
}

/// Expires every variant of the session cookie, host-only and of every domain above: a planted one must not lock a person out.
pub fn expire(jar: Jar<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for name in [jar.plain().to_owned(), jar.prefixed()] {
        lines.push(removal(&name, None));
        lines.extend(planted(jar, &name));
    }
    lines
}

/// Expires the cookies of a name that are seen here and that another host of some domain above may have set.
pub fn planted(jar: Jar<'_>, name: &str) -> Vec<String> {
    let domains = jar.domains();
    domains.iter().map(|domain| removal(name, Some(domain))).collect()
}

/// Parts of a path that [`expire_below`] looks at: ours have fewer.
const DEEPEST: usize = 6;

/// Has the browser forget what was planted for a part of our paths: it is sent along with ours on this `path`, so that nobody can tell
/// which is which, and not on the sign-in page, which could not expire it. What counts on every path stays for that page.
pub fn expire_below(headers: &mut HeaderMap, jar: Jar<'_>, path: &str) {
    let domains: Vec<String> = std::iter::once(String::new())
        .chain(jar.domains().iter().map(|domain| format!("; Domain={domain}")))
        .collect();
    // A browser takes a name with `__Host-` for all paths only.
    let prefixed = jar.domain.is_some().then(|| jar.prefixed());
    for name in prefixed.iter().map(String::as_str).chain([jar.plain()]) {
        let secure = if name == jar.plain() { "" } else { "; Secure" };
        for part in parts_of(path) {
            for domain in &domains {
                let line = format!("{name}=; Path={part}{domain}; Max-Age=0{secure}");
                if let Ok(line) = HeaderValue::from_str(&line) {
                    headers.append(SET_COOKIE, line);
                }
            }
        }
    }
}

/// The paths, other than `/`, for which a cookie is sent to `path`: `/admin`, `/admin/`, `/admin/policy` for `/admin/policy`.
fn parts_of(path: &str) -> Vec<&str> {
    // No cookie's path has a semicolon in it.
    let path = path.split(';').next().unwrap_or_default();
    let slashes: Vec<usize> = path
        .match_indices('/')
        .map(|(slash, _)| slash)
        .skip(1)
        .take(DEEPEST)
        .collect();
    let mut parts: Vec<&str> = slashes
        .iter()
        .flat_map(|slash| [&path[..*slash], &path[..=*slash]])
        .collect();
    if slashes.len() < DEEPEST {
        parts.push(path);
    }
    parts.retain(|part| part.len() > 1);
    parts.dedup();
    parts
}

/// Has the browser that gets these headers forget all of them.
pub fn expire_all(headers: &mut HeaderMap, jar: Jar<'_>) {
    let lines = expire(jar);
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

fn dress(cookie: &mut Cookie<'_>, jar: Jar<'_>, policy: &CookiePolicy) {
    cookie.set_path("/");
    cookie.set_secure(policy.secure);
    cookie.set_http_only(policy.http_only);
    cookie.set_same_site(match policy.same_site {
        SameSite::Strict => cookie::SameSite::Strict,
        SameSite::Lax => cookie::SameSite::Lax,
        SameSite::None => cookie::SameSite::None,
    });
    if let Some(domain) = jar.domain {
        cookie.set_domain(domain.to_owned());
    }
}

/// The token in a `Set-Cookie` that actix-session wrote, if the line is one of its.
pub fn token_in(line: &str, config: &Config, keys: &CookieKeys) -> Written {
    match Cookie::parse_encoded(line.to_owned()) {
        Ok(cookie) if cookie.name() == config.cookie_name => match keys.verify(cookie.value()) {
            Some(verified) => Written::Token(verified.token),
            None => Written::Removal,
        },
        Ok(_) | Err(_) => Written::Other,
    }
}

/// What a `Set-Cookie` line of the inner layers is.
pub enum Written {
    Token(String),
    Removal,
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_decoded_in_one_go_is_decoded_as_the_library_does(value in "([a-zA-Z0-9+/=_.~\" ;,-]|%[0-9a-fA-F]{0,2}){0,40}") {
            let pair = format!("nightlatch={value}");
            if let Some(decoded) = plainly_decoded(&value) {
                let cookie = Cookie::parse_encoded(pair.as_str());
                prop_assert_eq!(cookie.ok().map(|cookie| cookie.value().to_owned()), Some(decoded));
            }
        }
    }

    #[test]
    fn a_name_behind_another_kind_of_space_is_another_name() {
        let config = Config::load(None, std::iter::empty(), Flags::default()).unwrap();
        let keys = CookieKeys::new(std::iter::once([7; 64].as_slice())).unwrap();
        let value = Cookie::new("", keys.sign("nightlatch", "token")).encoded().to_string();
        let read_line = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            read(&headers, Jar::own(&config), &keys)
        };
        for blank in ["", " ", "\t", " \t "] {
            let line = format!("a=b;{blank}__Host-nightlatch{value}; c=d");
            assert_eq!(read_line(&line).token.as_deref(), Some("token"), "{line:?}");
        }
        for space in ['\u{a0}', '\u{85}', '\u{2000}', '\u{2028}', '\u{3000}'] {
            for name in ["__Host-nightlatch", "nightlatch"] {
                let line = format!("{space}{name}{value}");
                assert_eq!(read_line(&line), Presented::default(), "{line:?}");
            }
            // Beside ours it changes nothing either.
            let line = format!("{space}__Host-nightlatch=x; __Host-nightlatch{value}");
            assert_eq!(read_line(&line).token.as_deref(), Some("token"), "{line:?}");
        }
    }

    #[test]
    fn our_own_values_are_decoded_in_one_go() {
        let keys = CookieKeys::new(std::iter::once([7; 64].as_slice())).unwrap();
        let value = keys.sign("nightlatch", "a-token_of+ours/=");
        let sent = Cookie::new("nightlatch", value.clone()).encoded().to_string();
        let sent = sent.strip_prefix("nightlatch=").unwrap();
        assert_eq!(plainly_decoded(sent), Some(value));
    }
}
