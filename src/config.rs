//! The operator's configuration: flags > environment > `nightlatch.toml` > defaults. All faults are
//! reported together, and unknown keys are refused. The session policy is not here: it is in the
//! database.

mod audit_targets;
mod checker;
mod cookie_domain;
mod environment;
mod error;
mod identity_sources;
mod mail;
mod passkey_domain;
mod secrets;
mod settings;
mod sources;

pub use error::ConfigError;
pub use identity_sources::ConfiguredSource;
pub use mail::{MailConfig, MailFrom, SmtpEncryption, SmtpUrl};
pub use secrets::{DatabaseUrl, SecretKey};
pub use settings::{SETTINGS, Secrecy, SettingInfo};
pub use sources::{Flags, SettingOrigin};

use crate::{
    domain::{
        audit::shipping::AuditTarget,
        duration,
        origin::is_within,
        policy::{Key, Pins},
    },
    hashing::HashCost,
};
use audit_targets::comparable;
use checker::Checker;
use cookie_domain::{check_cookie_domain, parse_cookie_domain, registrable_domain};
use environment::PIN_PREFIX;
use ipnetwork::IpNetwork;
use passkey_domain::{check_passkey_domain, parse_passkey_domain};
use sources::{Settings, SettingsReader};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use url::{Host, Url};

/// Largest cost of a password hash, in KiB or passes.
const MAX_HASH_COST: u32 = 4_194_304;
/// Maximum `stop_delay` in seconds.
const MAX_STOP_DELAY: u64 = 300;

/// Maximum `client_timeout` in seconds.
const MAX_CLIENT_TIMEOUT: u64 = 600;

/// A checked configuration. Its secrets never show in `Debug`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the database is.
    pub database_url: DatabaseUrl,
    /// Addresses to listen on.
    pub bind: Vec<SocketAddr>,
    /// The address people use. Links, redirects, the scheme of cookies and the origin for CSRF
    /// checks come from it, never from a request.
    pub public_url: Option<Url>,
    /// Peers whose forwarded client IP address is trusted. Empty: none.
    pub trusted_proxies: Vec<IpNetwork>,
    /// The header in which trusted proxies send the client's IP address.
    pub forwarded_header: ForwardedHeader,
    /// Name of the session cookie, without its prefix.
    pub cookie_name: String,
    /// Domain with which the cookie is shared.
    pub cookie_domain: Option<String>,
    /// Configured domain for passkeys, unless it is the default ([`Self::passkey_domain`]).
    pub passkey_domain: Option<String>,
    /// Cookie keys, newest first. Empty: one is generated and kept in the database.
    pub secret_keys: Vec<SecretKey>,
    /// Address of the metrics.
    pub metrics_bind: Option<SocketAddr>,
    /// Further host names under which the metrics endpoint answers.
    pub metrics_hosts: Vec<String>,
    /// Path of the security log.
    pub security_log: Option<PathBuf>,
    /// The format of log lines.
    pub log_format: LogFormat,
    /// How emails are sent.
    pub mail: MailConfig,
    /// Cost of a password hash.
    pub hash_cost: HashCost,
    /// Maximum number of sessions kept in memory.
    pub session_cache: usize,
    /// Maximum number of database connections.
    pub database_connections: u32,
    /// Policy settings that the environment pins.
    pub pins: Pins,
    /// Sources of identities that the file sets.
    pub sources: Vec<ConfiguredSource>,
    /// Systems to which the audit is shipped.
    pub audit_targets: Vec<AuditTarget>,
    /// Whether pending migrations are applied at start.
    pub migrate: bool,
    /// Development mode: no session ends for inactivity.
    pub dev: bool,
    /// Time between SIGTERM, when `/readyz` starts to answer 503, and the end of accepting
    /// connections.
    pub stop_delay: Duration,
    /// Time within which a client must send a request that it has started, and must continue to
    /// receive a response.
    pub client_timeout: Duration,
    /// Each value and where it comes from, for `config show`.
    pub provenance: BTreeMap<&'static str, (String, SettingOrigin)>,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line, for collectors.
    Json,
}

/// The header in which a trusted proxy sends the client's IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

impl Config {
    /// Reads the file (which may be absent unless it was given), the environment and the flags.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: Flags,
    ) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let (settings, pins, tables) = SettingsReader::read(file, environment, &flags, &mut faults);
        let mut config = Self::check(settings, pins, &flags, &mut faults);
        config.sources = tables.sources;
        config.audit_targets = tables.audit_targets;
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError(faults))
        }
    }

    fn check(settings: Settings, pins: BTreeMap<String, String>, flags: &Flags, faults: &mut Vec<String>) -> Self {
        let mut checker = Checker { settings, faults };
        let public_url = checker.optional("public_url", parse_public_url);
        let cookie_domain = checker.optional("cookie_domain", parse_cookie_domain);
        check_cookie_domain(cookie_domain.as_deref(), public_url.as_ref(), checker.faults);
        let passkey_domain = checker.optional("passkey_domain", parse_passkey_domain);
        check_passkey_domain(passkey_domain.as_deref(), public_url.as_ref(), checker.faults);
        Self {
            database_url: checker.value("database_url", "nightlatch.db", DatabaseUrl::parse),
            bind: checker.list("bind", "127.0.0.1:8080", |text| parse_address(text, 8080)),
            trusted_proxies: checker.list("trusted_proxies", "", |text| {
                text.parse::<IpNetwork>()
                    .map_err(|_| "IP addresses or networks, such as 10.0.0.0/8".into())
            }),
            forwarded_header: checker.value("forwarded_header", "x-forwarded-for", parse_forwarded_header),
            cookie_name: checker.value("cookie_name", "nightlatch", parse_cookie_name),
            cookie_domain,
            passkey_domain,
            secret_keys: checker.list("secret_key", "", |text| {
                SecretKey::new(text.as_bytes().to_vec()).ok_or_else(|| {
                    "a random key of 64 bytes or more, such as `openssl rand -hex 64` prints (several separated by \
                     commas)"
                        .into()
                })
            }),
            metrics_bind: checker.optional("metrics_bind", |text| parse_address(text, 9100)),
            metrics_hosts: checker.list("metrics_hosts", "", parse_host_name),
            security_log: checker.optional("security_log", |text| Ok(PathBuf::from(text))),
            log_format: checker.value("log_format", "text", parse_log_format),
            mail: MailConfig::check(&mut checker, public_url.as_ref()),
            hash_cost: HashCost {
                memory_kib: checker.value("argon2_memory_kib", "19456", |text| {
                    parse_cost(text, HashCost::FLOOR.memory_kib)
                }),
                iterations: checker.value("argon2_iterations", "2", |text| {
                    parse_cost(text, HashCost::FLOOR.iterations)
                }),
            },
            session_cache: checker.value("session_cache", "1000000", parse_positive) as usize,
            database_connections: checker.value("database_connections", "8", parse_positive),
            pins: check_pins(pins, checker.faults),
            sources: Vec::new(),
            audit_targets: Vec::new(),
            migrate: !flags.no_migrate,
            dev: flags.dev,
            stop_delay: checker.value("stop_delay", "0", parse_stop_delay),
            client_timeout: checker.value("client_timeout", "30s", parse_client_timeout),
            public_url,
            provenance: checker.settings.shown(),
        }
    }

    /// Returns the names of the settings whose values differ in `other`, also those of secrets.
    pub fn changed_settings(&self, other: &Self) -> Vec<String> {
        let mut changed: Vec<String> = SETTINGS
            .iter()
            .map(|info| info.name)
            .filter(|name| {
                self.provenance.get(name) != other.provenance.get(name) || self.has_other_secret(other, name)
            })
            .map(str::to_owned)
            .collect();
        let keys = self.pins.keys().chain(other.pins.keys());
        let differing = keys.filter(|key| self.pins.get(key) != other.pins.get(key));
        changed.extend(differing.map(|key| key.env_name()));
        let sources = |config: &Self| {
            let all = config.sources.iter();
            all.map(|source| format!("{:?} {:?}", source.settings(), source.secret_texts()))
                .collect::<Vec<_>>()
        };
        if sources(self) != sources(other) {
            changed.push("sources".to_owned());
        }
        let targets = |config: &Self| -> Vec<String> { config.audit_targets.iter().map(comparable).collect() };
        if targets(self) != targets(other) {
            changed.push("audit_targets".to_owned());
        }
        changed.dedup();
        changed
    }

    fn has_other_secret(&self, other: &Self, name: &str) -> bool {
        match name {
            "database_url" => self.database_url.expose() != other.database_url.expose(),
            "secret_key" => {
                let keys = |config: &Self| {
                    config
                        .secret_keys
                        .iter()
                        .map(|key| key.expose().to_vec())
                        .collect::<Vec<_>>()
                };
                keys(self) != keys(other)
            }
            "smtp_url" => self.mail.smtp_url != other.mail.smtp_url,
            _ => false,
        }
    }

    /// Returns whether people use https, by the public URL.
    pub fn https(&self) -> bool {
        self.public_url.as_ref().is_some_and(|url| url.scheme() == "https")
    }

    /// Returns whether the cookie domain is the whole domain of one owner, so that browsers let one
    /// of its hosts speak for all of them.
    pub fn owns_cookie_domain(&self) -> bool {
        let domain = self.cookie_domain.as_deref();
        domain.is_some_and(|domain| registrable_domain(domain) == Some(domain))
    }

    /// Returns the host of [`Self::base_url`], without a port.
    pub fn own_host(&self) -> Cow<'_, str> {
        match (&self.public_url, self.bind.first()) {
            (Some(url), _) => url.host_str().unwrap_or_default().into(),
            (None, Some(address)) => address.ip().to_string().into(),
            (None, None) => "".into(),
        }
    }

    /// Returns whether browsers send our own cookie to a host: our own, or one within the cookie
    /// domain.
    pub fn cookie_reaches(&self, host: &str) -> bool {
        let is_below = self
            .cookie_domain
            .as_ref()
            .is_some_and(|domain| is_within(host, domain));
        is_below || self.own_host() == host
    }

    /// Returns the domain for which passkeys are made, which WebAuthn calls the relying party's id:
    /// the configured domain, else the cookie domain, else the host of the public URL. `None`: the
    /// host is an IP address, for which browsers support no passkeys.
    pub fn passkey_domain(&self) -> Option<String> {
        let shared = self.passkey_domain.as_ref().or(self.cookie_domain.as_ref());
        match (shared, self.passkey_origin()?.host()?) {
            (Some(domain), Host::Domain(_)) => Some(domain.clone()),
            (None, Host::Domain(host)) => Some(host.to_owned()),
            (_, Host::Ipv4(_) | Host::Ipv6(_)) => None,
        }
    }

    /// Returns Nightlatch's own origin as passkeys know it. Without a public URL, a server on the
    /// address that `localhost` names is reached by that name, which browsers treat as secure.
    pub fn passkey_origin(&self) -> Option<Url> {
        match (&self.public_url, self.bind.first()) {
            (Some(url), _) => Some(url.clone()),
            (None, Some(address)) if is_localhost(address.ip()) => {
                Url::parse(&format!("http://localhost:{}", address.port())).ok()
            }
            (None, _) => None,
        }
    }

    /// Returns `https://host[:port]` or, without a public URL, `http://` and the first bound
    /// address.
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

/// Returns whether the name `localhost` leads to this address.
fn is_localhost(ip: IpAddr) -> bool {
    ip == IpAddr::from(Ipv4Addr::LOCALHOST) || ip == IpAddr::from(Ipv6Addr::LOCALHOST)
}

fn parse_address(text: &str, port: u16) -> Result<SocketAddr, String> {
    text.parse::<SocketAddr>()
        .map_err(|_| format!("an address and port, such as 127.0.0.1:{port}"))
}

fn parse_public_url(text: &str) -> Result<Url, String> {
    let expected = || "an http or https URL without path, user or query, such as https://login.example.org".to_owned();
    let url = Url::parse(text).map_err(|_| expected())?;
    let is_origin = matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.path() == "/"
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    is_origin.then_some(url).ok_or_else(expected)
}

fn parse_cookie_name(text: &str) -> Result<String, String> {
    let is_valid = !text.is_empty()
        && !text.starts_with("__")
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_valid
        .then(|| text.to_owned())
        .ok_or("letters, digits, - and _ (the prefix is added automatically)".to_owned())
}

fn parse_forwarded_header(text: &str) -> Result<ForwardedHeader, String> {
    match text.to_ascii_lowercase().as_str() {
        "x-forwarded-for" => Ok(ForwardedHeader::XForwardedFor),
        "forwarded" => Ok(ForwardedHeader::Forwarded),
        _ => Err("x-forwarded-for or forwarded".into()),
    }
}

fn parse_log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json".into()),
    }
}

fn parse_host_name(text: &str) -> Result<String, String> {
    let is_name = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    is_name
        .then(|| text.to_owned())
        .ok_or("host names without port, such as nightlatch.monitoring".to_owned())
}

fn parse_positive(text: &str) -> Result<u32, String> {
    let number = text.parse::<u32>().ok().filter(|number| *number > 0);
    number.ok_or("a whole number from 1".to_owned())
}

fn parse_cost(text: &str, least: u32) -> Result<u32, String> {
    let number = text.parse::<u32>().ok();
    number
        .filter(|number| (least..=MAX_HASH_COST).contains(number))
        .ok_or(format!("a whole number from {least} to {MAX_HASH_COST}"))
}

fn parse_stop_delay(text: &str) -> Result<Duration, String> {
    let secs = duration::parse(text).ok().and_then(|secs| u64::try_from(secs).ok());
    secs.filter(|secs| *secs <= MAX_STOP_DELAY)
        .map(Duration::from_secs)
        .ok_or(format!("a duration up to {MAX_STOP_DELAY} seconds, such as 10s"))
}

fn parse_client_timeout(text: &str) -> Result<Duration, String> {
    let secs = duration::parse(text).ok().and_then(|secs| u64::try_from(secs).ok());
    secs.filter(|secs| (1..=MAX_CLIENT_TIMEOUT).contains(secs))
        .map(Duration::from_secs)
        .ok_or(format!(
            "a duration from 1 to {MAX_CLIENT_TIMEOUT} seconds, such as 30s"
        ))
}

fn check_pins(pins: BTreeMap<String, String>, faults: &mut Vec<String>) -> Pins {
    let mut checked = Pins::new();
    for (variable, text) in pins {
        let name = variable
            .trim_start_matches(PIN_PREFIX)
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
