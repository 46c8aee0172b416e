//! The systems to which audit entries are shipped, as the configuration names them.

use crate::secret::Secret;
use std::path::PathBuf;
use url::Url;

/// Longest name of a target, in characters.
const MAX_NAME: usize = 32;

/// The name of a target: 1 to 32 characters a-z, 0-9 and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetName(String);

/// A text is not the name of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a target's name has 1 to 32 characters: a-z, 0-9 and -; it begins with a letter or digit")]
pub struct TargetNameError;

impl TargetName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, TargetNameError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = !text.is_empty() && text.len() <= MAX_NAME && text.chars().all(allowed);
        if fits && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(TargetNameError)
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TargetName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A system that receives audit entries.
#[derive(Debug, Clone)]
pub struct AuditTarget {
    /// The name, under which the database remembers what was shipped.
    pub name: TargetName,
    /// The format of a record.
    pub format: RecordFormat,
    /// Where a new target begins.
    pub start: ShippingStart,
    /// How and where to.
    pub kind: TargetKind,
}

/// The format of a shipped record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordFormat {
    /// The fields of `audit list --json`.
    Json,
    /// Open Cybersecurity Schema Framework.
    Ocsf,
}

impl RecordFormat {
    /// Returns `json` or `ocsf`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ocsf => "ocsf",
        }
    }

    /// Parses `json` or `ocsf`.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Json, Self::Ocsf]
            .into_iter()
            .find(|format| format.as_str() == word)
    }
}

/// Where a new target begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShippingStart {
    /// At the oldest entry that is kept.
    Oldest,
    /// After the newest seal.
    Now,
}

impl ShippingStart {
    /// Returns `oldest` or `now`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oldest => "oldest",
            Self::Now => "now",
        }
    }

    /// Parses `oldest` or `now`.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Oldest, Self::Now]
            .into_iter()
            .find(|start| start.as_str() == word)
    }
}

/// How and where to entries are sent.
#[derive(Debug, Clone)]
pub enum TargetKind {
    /// RFC 5424 over TCP (RFC 6587) or TLS (RFC 5425).
    Syslog(SyslogTarget),
    /// CloudEvents by HTTP POST.
    Webhook(WebhookTarget),
    /// JSON lines, appended to a file.
    File(PathBuf),
}

/// A syslog receiver.
#[derive(Debug, Clone)]
pub struct SyslogTarget {
    /// Its address.
    pub address: SyslogAddress,
    /// The facility in the priority.
    pub facility: SyslogFacility,
    /// The name of this host in messages; `None`: the host of the public URL.
    pub hostname: Option<String>,
    /// The private enterprise number after `nightlatch@`.
    pub enterprise_number: u32,
    /// File with the authorities that are trusted; `None`: the system's.
    pub ca_file: Option<String>,
    /// Files with our own certificate and its key, for receivers that ask for one.
    pub identity: Option<(String, String)>,
    /// Whether the end of the TCP connection confirms a batch too, without close_notify (TLS).
    pub accepts_plain_close: bool,
}

/// Where a syslog receiver listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyslogAddress {
    /// A name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the connection uses TLS.
    pub tls: bool,
}

impl SyslogAddress {
    /// Parses `tls://HOST[:PORT]` (6514 by default) or `tcp://HOST:PORT`.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let (tls, default) = match url.scheme() {
            "tls" => (true, Some(6514)),
            "tcp" => (false, None),
            _ => return None,
        };
        let is_plain = url.username().is_empty() && url.password().is_none();
        let ends = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str().filter(|host| !host.is_empty())?;
        (is_plain && ends).then_some(())?;
        Some(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().or(default).filter(|port| *port != 0)?,
            tls,
        })
    }
}

/// Writes the address as it is configured.
impl std::fmt::Display for SyslogAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "tls" } else { "tcp" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

/// The facility of syslog messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyslogFacility(u8);

impl SyslogFacility {
    const NAMES: [(&'static str, u8); 12] = [
        ("user", 1),
        ("daemon", 3),
        ("auth", 4),
        ("authpriv", 10),
        ("local0", 16),
        ("local1", 17),
        ("local2", 18),
        ("local3", 19),
        ("local4", 20),
        ("local5", 21),
        ("local6", 22),
        ("local7", 23),
    ];

    /// Parses the name of a facility, such as `authpriv` or `local0`.
    pub fn parse(word: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == word);
        found.map(|(_, number)| Self(*number))
    }

    /// Returns the number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// A receiver of CloudEvents.
#[derive(Debug, Clone)]
pub struct WebhookTarget {
    /// Where events are posted.
    pub url: Url,
    /// The key of the signature.
    pub secret: Secret,
    /// File with the authorities that are trusted; `None`: the system's.
    pub ca_file: Option<String>,
}

impl TargetKind {
    /// Returns `syslog`, `webhook` or `file`.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Syslog(_) => "syslog",
            Self::Webhook(_) => "webhook",
            Self::File(_) => "file",
        }
    }

    /// Describes where entries go, without what may be secret: the path and query of a webhook.
    pub fn describe_address(&self) -> String {
        match self {
            Self::Syslog(target) => target.address.to_string(),
            Self::Webhook(target) => target.url.origin().ascii_serialization(),
            Self::File(path) => path.display().to_string(),
        }
    }
}
