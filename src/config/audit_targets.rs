//! The tables `[audit_targets.NAME]` of the configuration file: the systems to which the audit is
//! shipped.

use crate::domain::{
    audit::shipping::{
        AuditTarget, RecordFormat, ShippingStart, SyslogAddress, SyslogFacility, SyslogTarget, TargetKind, TargetName,
        WebhookTarget, syslog::DEFAULT_ENTERPRISE_NUMBER,
    },
    secret::Secret,
};
use std::{collections::BTreeMap, path::PathBuf};
use url::Url;

/// Least length of the key of signatures, in bytes.
const MIN_SECRET: usize = 32;

/// Reads the table `audit_targets`; what is wrong is added to `faults`, never with a value of a
/// secret.
pub(super) fn read_audit_targets(value: &toml::Value, faults: &mut Vec<String>) -> Vec<AuditTarget> {
    let Some(tables) = value.as_table() else {
        faults.push("audit_targets: write a table for each target, such as [audit_targets.siem]".to_owned());
        return Vec::new();
    };
    tables
        .iter()
        .filter_map(|(name, value)| read_target(name, value, faults))
        .collect()
}

/// Returns every setting of a target as text, for comparisons; secrets are in it.
pub(super) fn comparable(target: &AuditTarget) -> String {
    let secret = match &target.kind {
        TargetKind::Webhook(webhook) => webhook.secret.expose(),
        TargetKind::Syslog(_) | TargetKind::File(_) => "",
    };
    format!("{target:?} {secret}")
}

fn read_target(name: &str, value: &toml::Value, faults: &mut Vec<String>) -> Option<AuditTarget> {
    let mut reader = TargetReader {
        target: name,
        texts: BTreeMap::new(),
        found: Vec::new(),
    };
    let target = reader.read(value);
    let is_sound = reader.found.is_empty();
    faults.append(&mut reader.found);
    target.filter(|_| is_sound)
}

/// Takes settings out of a table and collects faults.
struct TargetReader<'a> {
    target: &'a str,
    texts: BTreeMap<String, String>,
    found: Vec<String>,
}

impl TargetReader<'_> {
    fn fault(&mut self, key: &str, message: &str) {
        let place = format!("[audit_targets.{}]", self.target);
        self.found.push(match key {
            "" => format!("{place} {message}"),
            key => format!("{place} {key} {message}"),
        });
    }

    fn read(&mut self, value: &toml::Value) -> Option<AuditTarget> {
        let Some(table) = value.as_table() else {
            self.fault("", "must be a table");
            return None;
        };
        for (key, value) in table {
            match value {
                toml::Value::String(text) => drop(self.texts.insert(key.clone(), text.trim().to_owned())),
                toml::Value::Integer(number) => drop(self.texts.insert(key.clone(), number.to_string())),
                _ => self.fault(key, "must be text or a number"),
            }
        }
        if !self.found.is_empty() {
            return None;
        }
        let name = match TargetName::parse(self.target) {
            Ok(name) => Some(name),
            Err(error) => {
                self.fault("", &format!("is not accepted: {error}"));
                None
            }
        };
        let kind = match self.texts.remove("kind").as_deref() {
            Some("syslog") => self.read_syslog(),
            Some("webhook") => self.read_webhook(),
            Some("file") => self.read_path().map(TargetKind::File),
            _ => {
                self.fault("kind", "must be syslog, webhook or file");
                return None;
            }
        };
        let format = self.read_or(
            "format",
            RecordFormat::Json,
            "must be json or ocsf",
            RecordFormat::parse,
        );
        let start = self.read_or(
            "from",
            ShippingStart::Oldest,
            "must be oldest or now",
            ShippingStart::parse,
        );
        for key in std::mem::take(&mut self.texts).keys() {
            self.fault(key, "is not a setting of this kind of target");
        }
        Some(AuditTarget {
            name: name?,
            format,
            start,
            kind: kind?,
        })
    }

    fn read_syslog(&mut self) -> Option<TargetKind> {
        let expected = "must be tls://HOST, tls://HOST:PORT or tcp://HOST:PORT";
        let address = self.require("address", expected, SyslogAddress::parse);
        let facilities = "must be user, daemon, auth, authpriv or local0 to local7";
        let facility = self.texts.remove("facility").unwrap_or_else(|| "authpriv".to_owned());
        let facility = SyslogFacility::parse(&facility);
        if facility.is_none() {
            self.fault("facility", facilities);
        }
        let number = "must be a private enterprise number";
        let enterprise_number = self.read_or("enterprise_number", DEFAULT_ENTERPRISE_NUMBER, number, |text| {
            text.parse().ok().filter(|number| *number > 0)
        });
        let hostname = self.texts.remove("hostname");
        let is_hostname = |name: &str| name.len() <= 255 && name.chars().all(|c| c.is_ascii_graphic());
        if hostname
            .as_deref()
            .is_some_and(|name| name.is_empty() || !is_hostname(name))
        {
            self.fault("hostname", "must be a name in ASCII without spaces");
        }
        let (ca_file, certificate, key) = (
            self.read_file("ca_file"),
            self.read_file("certificate_file"),
            self.read_file("key_file"),
        );
        let plain_close = self.read_or(
            "close_notify",
            false,
            "must be required or optional",
            |word| match word {
                "required" => Some(false),
                "optional" => Some(true),
                _ => None,
            },
        );
        let has_tls = address.as_ref().is_none_or(|address| address.tls);
        if !has_tls && (ca_file.is_some() || certificate.is_some() || key.is_some()) {
            self.fault("address", "must begin with tls:// to use certificates");
        }
        if certificate.is_some() != key.is_some() {
            self.fault("certificate_file", "and key_file belong together");
        }
        Some(TargetKind::Syslog(SyslogTarget {
            address: address?,
            facility: facility?,
            hostname,
            enterprise_number,
            ca_file,
            identity: certificate.zip(key),
            accepts_plain_close: plain_close,
        }))
    }

    fn read_webhook(&mut self) -> Option<TargetKind> {
        let url = self.require("url", "must be an https:// or http:// address", |text| {
            let url = Url::parse(text).ok()?;
            let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
            (matches!(url.scheme(), "https" | "http") && url.has_host() && is_plain).then_some(url)
        });
        let ca_file = self.read_file("ca_file");
        if ca_file.is_some() && url.as_ref().is_some_and(|url| url.scheme() == "http") {
            self.fault("url", "must begin with https:// to use ca_file");
        }
        let secret = self.read_secret();
        Some(TargetKind::Webhook(WebhookTarget {
            url: url?,
            secret: secret?,
            ca_file,
        }))
    }

    fn read_path(&mut self) -> Option<PathBuf> {
        self.require("path", "must be the path of a file", |text| {
            (!text.is_empty()).then(|| PathBuf::from(text))
        })
    }

    /// Reads the key of signatures, which is given as `secret` or as `secret_file`.
    fn read_secret(&mut self) -> Option<Secret> {
        let text = match (self.texts.remove("secret"), self.texts.remove("secret_file")) {
            (Some(_), Some(_)) => {
                self.fault("secret", "is given twice: as secret and as secret_file");
                return None;
            }
            (Some(text), None) => text,
            (None, Some(path)) => match std::fs::read_to_string(&path) {
                Ok(text) => text.trim_end_matches(['\n', '\r']).to_owned(),
                Err(error) => {
                    self.fault("secret_file", &format!("= {path:?}: {error}"));
                    return None;
                }
            },
            (None, None) => String::new(),
        };
        if text.len() < MIN_SECRET {
            self.fault("secret", "or secret_file must have 32 characters or more");
            return None;
        }
        Some(Secret::new(text))
    }

    /// Reads the path of a file that must be readable now.
    fn read_file(&mut self, key: &str) -> Option<String> {
        let path = self.texts.remove(key)?;
        if let Err(error) = std::fs::read(&path) {
            self.fault(key, &format!("= {path:?}: {error}"));
        }
        Some(path)
    }

    fn require<T>(&mut self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.texts.remove(key).unwrap_or_default();
        let parsed = parse(&text);
        if parsed.is_none() {
            self.fault(key, expected);
        }
        parsed
    }

    fn read_or<T>(&mut self, key: &str, default: T, expected: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        let Some(text) = self.texts.remove(key) else {
            return default;
        };
        parse(&text).unwrap_or_else(|| {
            self.fault(key, expected);
            default
        })
    }
}

#[cfg(test)]
mod tests;
