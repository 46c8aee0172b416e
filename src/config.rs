//! What the operator decides before the start: flags > environment > `nightlatch.toml` > defaults.
//! All faults are reported at once; unknown keys refuse to start. Session policy is not here: it lives in the database.

use crate::{
    domain::{
        origin::within,
        policy::{Key, Pins},
    },
    hashing::HashCost,
};
use ipnetwork::IpNetwork;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use url::Url;

mod mail;
mod sources;
pub use mail::{MailConfig, MailFrom, SmtpUrl};
pub use sources::{Flags, Origin, SETTINGS, SettingInfo};
use sources::{Settings, read};

/// A checked configuration. Secrets in it never show in `Debug`.
#[derive(Debug, Clone)]
pub struct Config {
    pub database_url: DatabaseUrl,
    pub bind: Vec<SocketAddr>,
    /// The address people use; links, redirects, cookies' scheme and the CSRF origin come from it, never from a request.
    pub public_url: Option<Url>,
    /// Peers whose `X-Forwarded-For` is believed. Empty: nobody.
    pub trusted_proxies: Vec<IpNetwork>,
    pub forwarded_header: ForwardedHeader,
    pub cookie_name: String,
    pub cookie_domain: Option<String>,
    /// Cookie keys, newest first. Empty: one is made and kept in the database.
    pub secret_keys: Vec<SecretKey>,
    pub metrics_bind: Option<SocketAddr>,
    pub security_log: Option<PathBuf>,
    pub mail: MailConfig,
    pub hash_cost: HashCost,
    /// Sessions kept in memory at most.
    pub session_cache: usize,
    /// Database connections at most.
    pub database_connections: u32,
    pub pins: Pins,
    /// Apply pending migrations at start.
    pub migrate: bool,
    /// Development mode: idle endings off.
    pub dev: bool,
    /// Where each value came from, for `config show`.
    pub provenance: BTreeMap<&'static str, (String, Origin)>,
}

/// A database URL whose password never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // libpq reads more than the URL standard allows, so what cannot be told apart is not shown.
        match self.0.split_once("://") {
            Some((scheme, rest)) if scheme.starts_with("postgres") => {
                let (credentials, place) = rest.rsplit_once('@').unwrap_or(("", rest));
                let user = credentials.split(':').next().unwrap_or_default();
                let place = place.split('?').next().unwrap_or_default();
                match (rest.contains("password"), user) {
                    (true, _) => write!(f, "{scheme}://…"),
                    (false, "") => write!(f, "{scheme}://{place}"),
                    (false, user) => write!(f, "{scheme}://{user}@{place}"),
                }
            }
            // Mistyped, most likely: what stands before an @ may be a password.
            Some(_) | None if self.0.contains('@') => f.write_str("…"),
            Some(_) | None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Key material for signing cookies: at least 64 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Vec<u8>);

impl SecretKey {
    /// None: shorter than 64 bytes.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() >= 64).then_some(Self(bytes))
    }

    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// Which header a trusted proxy tells the client's address in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeader {
    XForwardedFor,
    /// RFC 7239
    Forwarded,
}

/// Everything that is wrong with the configuration, each naming what and where.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [fault] => f.write_str(fault),
            faults => {
                write!(f, "{} faults in the configuration:", faults.len())?;
                faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
            }
        }
    }
}

impl Config {
    /// Reads `file` (absent is fine unless it was asked for), the environment and the flags.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: Flags,
    ) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let (settings, pins) = read(file, environment, &flags, &mut faults);
        let config = Self::check(settings, pins, &flags, &mut faults);
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(faults))
        }
    }

    fn check(settings: Settings, pins: BTreeMap<String, String>, flags: &Flags, faults: &mut Vec<String>) -> Self {
        let mut s = Checker { settings, faults };
        let bind = s.list("bind", "127.0.0.1:8080", |text| {
            text.parse::<SocketAddr>()
                .map_err(|_| "an address and port, such as 127.0.0.1:8080".into())
        });
        let cookie_name = s.value("cookie_name", "nightlatch", |text| {
            let valid = !text.is_empty()
                && !text.starts_with("__")
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            valid
                .then(|| text.to_owned())
                .ok_or("letters, digits, - and _ (the prefix is added by itself)".to_owned())
        });
        let cookie_domain = s.optional("cookie_domain", |text| {
            let domain = text.trim_start_matches('.').to_ascii_lowercase();
            let valid = domain.contains('.')
                && domain
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
            valid
                .then_some(domain)
                .ok_or("a domain with a dot, such as example.org".to_owned())
        });
        let secret_keys = s.optional_list("secret_key", |text| {
            SecretKey::new(text.as_bytes().to_vec())
                .ok_or("a key of 64 bytes or more (several separated by commas)".into())
        });
        let public_url = s.optional("public_url", public_url);
        if let (Some(domain), Some(url)) = (&cookie_domain, &public_url)
            && let Some(host) = url.host_str()
            && host != domain
            && !host.ends_with(&format!(".{domain}"))
        {
            s.faults.push(format!(
                "cookie_domain: {domain} does not cover the host of public_url ({host})"
            ));
        }
        let mail = MailConfig {
            smtp_url: s.optional("smtp_url", SmtpUrl::parse),
            from: s
                .optional("mail_from", MailFrom::parse)
                .unwrap_or_else(|| MailFrom::of_host(public_url.as_ref().and_then(Url::host_str))),
            outbox: s.value("mail_outbox", "mail-outbox", |text| {
                (!text.is_empty())
                    .then(|| PathBuf::from(text))
                    .ok_or("a folder".to_owned())
            }),
        };
        let positive = |text: &str| {
            text.parse::<u32>()
                .ok()
                .filter(|n| *n > 0)
                .ok_or("a whole number from 1".to_owned())
        };
        let floor = |least: u32| {
            move |text: &str| {
                text.parse::<u32>()
                    .ok()
                    .filter(|n| (least..=4_194_304).contains(n))
                    .ok_or(format!("a whole number from {least} to 4194304"))
            }
        };
        Self {
            database_url: DatabaseUrl(s.value("database_url", "nightlatch.db", |text| {
                (!text.is_empty())
                    .then(|| text.to_owned())
                    .ok_or("sqlite:PATH, a path, or postgres://…".to_owned())
            })),
            bind,
            public_url,
            trusted_proxies: s.list("trusted_proxies", "", |text| {
                text.parse::<IpNetwork>()
                    .map_err(|_| "addresses or networks, such as 10.0.0.0/8".into())
            }),
            forwarded_header: s.value("forwarded_header", "x-forwarded-for", |text| {
                match text.to_ascii_lowercase().as_str() {
                    "x-forwarded-for" => Ok(ForwardedHeader::XForwardedFor),
                    "forwarded" => Ok(ForwardedHeader::Forwarded),
                    _ => Err("x-forwarded-for or forwarded".into()),
                }
            }),
            cookie_name,
            cookie_domain,
            secret_keys,
            metrics_bind: s.optional("metrics_bind", |text| {
                text.parse::<SocketAddr>()
                    .map_err(|_| "an address and port, such as 127.0.0.1:9100".into())
            }),
            security_log: s.optional("security_log", |text| Ok(PathBuf::from(text))),
            mail,
            hash_cost: HashCost {
                memory_kib: s.value("argon2_memory_kib", "19456", floor(HashCost::FLOOR.memory_kib)),
                iterations: s.value("argon2_iterations", "2", floor(HashCost::FLOOR.iterations)),
            },
            session_cache: s.value("session_cache", "1000000", positive) as usize,
            database_connections: s.value("database_connections", "8", positive),
            pins: check_pins(pins, s.faults),
            migrate: !flags.no_migrate,
            dev: flags.dev,
            provenance: s.settings.shown(),
        }
    }

    /// The scheme people use, from the public URL.
    pub fn https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }

    /// The host of [`Self::base_url`], without a port.
    pub fn own_host(&self) -> Cow<'_, str> {
        match (&self.public_url, self.bind.first()) {
            (Some(url), _) => url.host_str().unwrap_or_default().into(),
            (None, Some(address)) => address.ip().to_string().into(),
            (None, None) => "".into(),
        }
    }

    /// Whether browsers send our own cookie there: to our own host, or within the configured domain.
    pub fn cookie_reaches(&self, host: &str) -> bool {
        let below = self.cookie_domain.as_ref().is_some_and(|domain| within(host, domain));
        below || self.own_host() == host
    }

    /// `https://host[:port]` or, without a public URL, `http://` and the first bound address.
    pub fn base_url(&self) -> String {
        match &self.public_url {
            Some(url) => url.origin().ascii_serialization(),
            None => self
                .bind
                .first()
                .map_or_else(String::new, |address| format!("http://{address}")),
        }
    }
}

fn public_url(text: &str) -> Result<Url, String> {
    let expected = || "an http or https URL without path, user or query, such as https://login.example.org".to_owned();
    let url = Url::parse(text).map_err(|_| expected())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.path() == "/"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then_some(url).ok_or_else(expected)
}

fn check_pins(pins: BTreeMap<String, String>, faults: &mut Vec<String>) -> Pins {
    let mut checked = Pins::new();
    for (variable, text) in pins {
        let name = variable
            .trim_start_matches(sources::PIN_PREFIX)
            .to_ascii_lowercase()
            .replacen("__", ".", 1);
        match Key::parse(&name) {
            None => faults.push(format!("{variable}: there is no policy setting {name}")),
            Some(key) => match key.setting().parse(&text) {
                Ok(value) => {
                    checked.insert(key, value);
                }
                Err(why) => faults.push(format!("{variable}={text}: {why}")),
            },
        }
    }
    checked
}

/// Takes typed values out of the settings and notes what is wrong with each.
struct Checker<'a> {
    settings: Settings,
    faults: &'a mut Vec<String>,
}

impl Checker<'_> {
    fn value<T>(&mut self, name: &'static str, default: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let text = self.settings.text_or(name, default);
        match parse(&text) {
            Ok(value) => value,
            Err(expected) => {
                self.fault(name, &text, &expected);
                // Only reached with faults, and then the configuration is not used; the default always parses.
                parse(default).unwrap_or_else(|_| unreachable!("the default of {name} is valid"))
            }
        }
    }

    fn optional<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.settings.text(name).filter(|text| !text.is_empty())?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.fault(name, &text, &expected);
                None
            }
        }
    }

    fn list<T>(&mut self, name: &'static str, default: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let text = self.settings.text_or(name, default);
        let items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        if items.is_empty() && !default.is_empty() {
            self.fault(name, &text, "at least one entry");
        }
        items
            .into_iter()
            .filter_map(|item| parse(item).map_err(|expected| self.fault(name, item, &expected)).ok())
            .collect()
    }

    fn optional_list<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.list(name, "", parse)
    }

    fn fault(&mut self, name: &'static str, text: &str, expected: &str) {
        let shown = if sources::is_secret(name) {
            "(not shown)".to_owned()
        } else {
            format!("{text:?}")
        };
        let origin = self.settings.origin(name);
        self.faults
            .push(format!("{name} = {shown} ({origin}): expected {expected}"));
    }
}

#[cfg(test)]
mod tests {
    use super::DatabaseUrl;

    #[test]
    fn a_database_url_never_shows_its_password() {
        for url in [
            "postgres://ada:hunter2@db/x",
            "postgres://ada:hun/ter2#hunter2@db:5432/x?sslmode=require",
            "postgres://ada:hunter2@one:5432,two:5432/x",
            "postgresql://db/x?user=ada&password=hunter2",
            "postgres://ada@db/x?password=hunter2@hunter2",
            "postgres:/ada:hunter2@db/x",
            "mysql://ada:hunter2@db/x",
        ] {
            let shown = DatabaseUrl::new(url).to_string();
            assert!(!shown.contains("ter2"), "{shown}");
        }
        assert_eq!(
            DatabaseUrl::new("postgres://ada:x@db/x").to_string(),
            "postgres://ada@db/x"
        );
        assert_eq!(DatabaseUrl::new("sqlite:here.db").to_string(), "sqlite:here.db");
    }
}
