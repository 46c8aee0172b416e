//! Where settings are read from, and which there are. What a value may be is checked in `config`.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

pub(super) const PIN_PREFIX: &str = "NIGHTLATCH_POLICY__";
const ENV_PREFIX: &str = "NIGHTLATCH_";
const DEFAULT_FILE: &str = "nightlatch.toml";

/// One setting of the configuration file and the environment.
#[derive(Debug, Clone, Copy)]
pub struct SettingInfo {
    /// Key in `nightlatch.toml`.
    pub name: &'static str,
    /// Environment variable.
    pub env: &'static str,
    pub default: &'static str,
    pub meaning: &'static str,
    /// Its value never shows, and it may be given as `…_FILE`.
    pub secret: bool,
}

const fn setting(name: &'static str, env: &'static str, default: &'static str, meaning: &'static str) -> SettingInfo {
    SettingInfo {
        name,
        env,
        default,
        meaning,
        secret: false,
    }
}

/// Every setting there is; anything else refuses to start.
pub const SETTINGS: &[SettingInfo] = &[
    setting(
        "database_url",
        "DATABASE_URL",
        "nightlatch.db",
        "`sqlite:PATH`, a bare path, or `postgres://…`",
    ),
    setting(
        "bind",
        "NIGHTLATCH_BIND",
        "127.0.0.1:8080",
        "addresses to serve on, separated by commas",
    ),
    setting(
        "public_url",
        "NIGHTLATCH_PUBLIC_URL",
        "",
        "the address people use; needed when they reach it by a name",
    ),
    setting(
        "trusted_proxies",
        "NIGHTLATCH_TRUSTED_PROXIES",
        "",
        "networks whose forwarded client address is believed",
    ),
    setting(
        "forwarded_header",
        "NIGHTLATCH_FORWARDED_HEADER",
        "x-forwarded-for",
        "`x-forwarded-for` or `forwarded` (RFC 7239)",
    ),
    setting(
        "cookie_name",
        "NIGHTLATCH_COOKIE_NAME",
        "nightlatch",
        "session cookie, without its prefix",
    ),
    setting(
        "cookie_domain",
        "NIGHTLATCH_COOKIE_DOMAIN",
        "",
        "only to share the cookie across subdomains",
    ),
    SettingInfo {
        name: "secret_key",
        env: "NIGHTLATCH_SECRET_KEY",
        default: "",
        meaning: "cookie keys of 64 bytes or more, newest first; absent: made once and kept in the database",
        secret: true,
    },
    setting(
        "metrics_bind",
        "NIGHTLATCH_METRICS_BIND",
        "",
        "serve Prometheus metrics on this address",
    ),
    setting(
        "security_log",
        "NIGHTLATCH_SECURITY_LOG",
        "",
        "security log file (JSON lines)",
    ),
    SettingInfo {
        name: "smtp_url",
        env: "NIGHTLATCH_SMTP_URL",
        default: "",
        meaning: "mail server: `smtps://USER:PASSWORD@HOST`, or `smtp://` with `?tls=required`; absent: letters become files",
        secret: true,
    },
    setting(
        "mail_from",
        "NIGHTLATCH_MAIL_FROM",
        "",
        "whom letters come from; absent: `nightlatch@` the public URL's host",
    ),
    setting(
        "mail_outbox",
        "NIGHTLATCH_MAIL_OUTBOX",
        "mail-outbox",
        "folder for letters (`.eml` files) where there is no mail server",
    ),
    setting(
        "argon2_memory_kib",
        "NIGHTLATCH_ARGON2_MEMORY_KIB",
        "19456",
        "memory of a password hash",
    ),
    setting(
        "argon2_iterations",
        "NIGHTLATCH_ARGON2_ITERATIONS",
        "2",
        "passes of a password hash",
    ),
    setting(
        "session_cache",
        "NIGHTLATCH_SESSION_CACHE",
        "1000000",
        "sessions kept in memory at most",
    ),
    setting(
        "database_connections",
        "NIGHTLATCH_DATABASE_CONNECTIONS",
        "8",
        "database connections at most",
    ),
];

pub(super) fn is_secret(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name && setting.secret)
}

/// What the command line may override.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    pub database_url: Option<String>,
    pub bind: Option<String>,
    pub no_migrate: bool,
    pub dev: bool,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    Environment(String),
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// Texts by name, the strongest source winning.
#[derive(Debug, Default)]
pub(super) struct Settings(BTreeMap<&'static str, (String, Origin)>);

impl Settings {
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|(text, _)| text.trim().to_owned())
    }

    pub fn text_or(&self, name: &str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    pub fn origin(&self, name: &str) -> Origin {
        self.0.get(name).map_or(Origin::Default, |(_, origin)| origin.clone())
    }

    /// Name → value and origin, secrets hidden.
    pub fn shown(&self) -> BTreeMap<&'static str, (String, Origin)> {
        SETTINGS
            .iter()
            .map(|info| {
                let text = match (info.secret, self.0.get(info.name)) {
                    (true, Some(_)) => "(set, not shown)".to_owned(),
                    (_, Some((text, _))) if info.name == "database_url" => super::DatabaseUrl::new(text).to_string(),
                    (_, Some((text, _))) => text.clone(),
                    (_, None) => info.default.to_owned(),
                };
                (info.name, (text, self.origin(info.name)))
            })
            .collect()
    }
}

/// Everything that was given, and the policy pins (variable → text) apart.
pub(super) fn read(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    flags: &Flags,
    faults: &mut Vec<String>,
) -> (Settings, BTreeMap<String, String>) {
    let mut settings = Settings::default();
    read_file(file, &mut settings, faults);
    let pins = read_environment(environment, &mut settings, faults);
    for (name, value) in [("database_url", &flags.database_url), ("bind", &flags.bind)] {
        if let Some(text) = value {
            settings.0.insert(name, (text.clone(), Origin::Flag));
        }
    }
    (settings, pins)
}

fn read_file(asked: Option<&Path>, settings: &mut Settings, faults: &mut Vec<String>) {
    let path = asked.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && asked.is_none() => return,
        Err(error) => return faults.push(format!("{}: {error}", path.display())),
    };
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return faults.push(format!("{}: {}", path.display(), error.to_string().trim())),
    };
    for (key, value) in table {
        let Some(info) = SETTINGS.iter().find(|info| info.name == key) else {
            faults.push(format!("{}: unknown key {key}", path.display()));
            continue;
        };
        match text_of(&value) {
            Some(text) => {
                settings.0.insert(info.name, (text, Origin::File(path.to_owned())));
            }
            None => faults.push(format!(
                "{}: {key} must be text, a number, or a list of texts",
                path.display()
            )),
        }
    }
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map(|all| all.join(",")),
        toml::Value::Float(_) | toml::Value::Boolean(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}

fn read_environment(
    environment: impl Iterator<Item = (String, String)>,
    settings: &mut Settings,
    faults: &mut Vec<String>,
) -> BTreeMap<String, String> {
    let mut pins = BTreeMap::new();
    for (variable, text) in environment {
        if variable.starts_with(PIN_PREFIX) {
            pins.insert(variable, text);
        } else if let Some(info) = SETTINGS.iter().find(|info| info.env == variable) {
            settings.0.insert(info.name, (text, Origin::Environment(variable)));
        } else if let Some(info) = SETTINGS
            .iter()
            .find(|info| info.secret && variable == format!("{}_FILE", info.env))
        {
            match std::fs::read_to_string(&text) {
                Ok(content) => {
                    settings
                        .0
                        .insert(info.name, (content.trim().to_owned(), Origin::Environment(variable)));
                }
                Err(error) => faults.push(format!("{variable}={text}: {error}")),
            }
        } else if variable.starts_with(ENV_PREFIX) {
            faults.push(format!("{variable}: unknown variable"));
        }
    }
    pins
}
