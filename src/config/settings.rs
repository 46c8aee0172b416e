//! The settings of the configuration file and the environment. `config` checks their values.

/// One setting of the configuration file and the environment.
#[derive(Debug, Clone, Copy)]
pub struct SettingInfo {
    /// Key in `nightlatch.toml`.
    pub name: &'static str,
    /// Environment variable.
    pub env: &'static str,
    /// Value where nothing is set.
    pub default: &'static str,
    /// Meaning, for `config show`.
    pub meaning: &'static str,
    /// Whether its value may be shown.
    pub secrecy: Secrecy,
}

/// Whether the value of a setting may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// The value is shown.
    Public,
    /// The value is shown without the password in it. It may be read from a file (`…_FILE`).
    HasPassword,
    /// The value is never shown. It may be read from a file (`…_FILE`).
    Secret,
}

impl SettingInfo {
    /// Returns whether the value may be read from a file of its own, which `…_FILE` names.
    pub fn may_be_a_file(&self) -> bool {
        self.secrecy != Secrecy::Public
    }

    /// Finds a setting by its key.
    pub fn find(name: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|info| info.name == name)
    }

    const fn new(name: &'static str, env: &'static str, default: &'static str, meaning: &'static str) -> Self {
        Self {
            name,
            env,
            default,
            meaning,
            secrecy: Secrecy::Public,
        }
    }

    const fn with_secrecy(self, secrecy: Secrecy) -> Self {
        Self { secrecy, ..self }
    }
}

/// Every setting. Anything else is refused at start.
pub const SETTINGS: &[SettingInfo] = &[
    SettingInfo::new(
        "database_url",
        "DATABASE_URL",
        "nightlatch.db",
        "`sqlite:PATH`, a bare path, or `postgres://…`",
    )
    .with_secrecy(Secrecy::HasPassword),
    SettingInfo::new(
        "bind",
        "NIGHTLATCH_BIND",
        "127.0.0.1:8080",
        "addresses to listen on, comma-separated",
    ),
    SettingInfo::new(
        "public_url",
        "NIGHTLATCH_PUBLIC_URL",
        "",
        "the address people use; needed when they reach it by a name",
    ),
    SettingInfo::new(
        "trusted_proxies",
        "NIGHTLATCH_TRUSTED_PROXIES",
        "",
        "networks whose forwarded client IP address is believed",
    ),
    SettingInfo::new(
        "forwarded_header",
        "NIGHTLATCH_FORWARDED_HEADER",
        "x-forwarded-for",
        "`x-forwarded-for` or `forwarded` (RFC 7239)",
    ),
    SettingInfo::new(
        "cookie_name",
        "NIGHTLATCH_COOKIE_NAME",
        "nightlatch",
        "session cookie, without its prefix",
    ),
    SettingInfo::new(
        "cookie_domain",
        "NIGHTLATCH_COOKIE_DOMAIN",
        "",
        "only to share the cookie across subdomains",
    ),
    SettingInfo::new(
        "passkey_domain",
        "NIGHTLATCH_PASSKEY_DOMAIN",
        "",
        "domain of passkeys; without one, the cookie domain, else the public URL's host",
    ),
    SettingInfo::new(
        "secret_key",
        "NIGHTLATCH_SECRET_KEY",
        "",
        "cookie keys of 64 bytes or more, newest first; without one, a key is generated and kept in the database",
    )
    .with_secrecy(Secrecy::Secret),
    SettingInfo::new(
        "metrics_bind",
        "NIGHTLATCH_METRICS_BIND",
        "",
        "address to serve Prometheus metrics on",
    ),
    SettingInfo::new(
        "metrics_hosts",
        "NIGHTLATCH_METRICS_HOSTS",
        "",
        "names by which the collector reaches the metrics, beside its address and the public URL's host",
    ),
    SettingInfo::new(
        "security_log",
        "NIGHTLATCH_SECURITY_LOG",
        "",
        "security log file (JSON lines); reopened on SIGHUP",
    ),
    SettingInfo::new(
        "log_format",
        "NIGHTLATCH_LOG_FORMAT",
        "text",
        "`text`, or `json` for one JSON object per line",
    ),
    SettingInfo::new(
        "smtp_url",
        "NIGHTLATCH_SMTP_URL",
        "",
        "mail server: `smtps://USER:PASSWORD@HOST`, or `smtp://` with `?tls=required`; without one, emails are written \
         to files",
    )
    .with_secrecy(Secrecy::Secret),
    SettingInfo::new(
        "smtp_hello",
        "NIGHTLATCH_SMTP_HELLO",
        "",
        "name in EHLO; without one, the public URL's host",
    ),
    SettingInfo::new(
        "mail_from",
        "NIGHTLATCH_MAIL_FROM",
        "",
        "sender of emails; without one, `nightlatch@` the public URL's host",
    ),
    SettingInfo::new(
        "mail_outbox",
        "NIGHTLATCH_MAIL_OUTBOX",
        "mail-outbox",
        "folder for emails (`.eml` files) without a mail server",
    ),
    SettingInfo::new(
        "argon2_memory_kib",
        "NIGHTLATCH_ARGON2_MEMORY_KIB",
        "19456",
        "memory of a password hash",
    ),
    SettingInfo::new(
        "argon2_iterations",
        "NIGHTLATCH_ARGON2_ITERATIONS",
        "2",
        "passes of a password hash",
    ),
    SettingInfo::new(
        "session_cache",
        "NIGHTLATCH_SESSION_CACHE",
        "1000000",
        "maximum number of sessions kept in memory",
    ),
    SettingInfo::new(
        "database_connections",
        "NIGHTLATCH_DATABASE_CONNECTIONS",
        "8",
        "maximum number of database connections",
    ),
    SettingInfo::new(
        "stop_delay",
        "NIGHTLATCH_STOP_DELAY",
        "0",
        "time between SIGTERM, when `/readyz` turns to 503, and the last accepted connection",
    ),
    SettingInfo::new(
        "client_timeout",
        "NIGHTLATCH_CLIENT_TIMEOUT",
        "30s",
        "time in which a client must have sent a request once it began, and must go on taking an answer",
    ),
];
