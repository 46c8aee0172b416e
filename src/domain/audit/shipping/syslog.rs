//! Syslog messages (RFC 5424) and their framing by counted octets (RFC 6587, RFC 5425).

use super::{RecordFormat, SealedRecord, SyslogFacility, ascii_json};
use crate::{
    audit::{AuditRecord, EventOutcome},
    text::is_invisible,
};

/// The number that RFC 5612 sets aside for documentation: Nightlatch has none of its own.
pub const DEFAULT_ENTERPRISE_NUMBER: u32 = 32473;
/// Longest host name in a message (RFC 5424, 6).
const MAX_HOSTNAME: usize = 255;

/// What all messages to one receiver share.
#[derive(Debug, Clone)]
pub struct SyslogHeader {
    /// The facility.
    pub facility: SyslogFacility,
    /// The name of this host.
    pub hostname: String,
    /// The private enterprise number after `nightlatch@`.
    pub enterprise_number: u32,
    /// The version of this program.
    pub version: &'static str,
}

impl SyslogHeader {
    /// Formats a record. The text is JSON in ASCII, so that it needs no byte order mark, which JSON
    /// must not have (RFC 8259, 8.1).
    pub fn format(&self, record: &SealedRecord, format: RecordFormat) -> String {
        let entry = &record.record;
        format!(
            "<{}>1 {} {} nightlatch - {} {} {}",
            u32::from(self.facility.number()) * 8 + severity(entry),
            entry.at.to_rfc3339(),
            printable(&self.hostname, MAX_HOSTNAME),
            entry.event.as_str(),
            self.structured_data(record),
            ascii_json(&record.to_format(format)),
        )
    }

    fn structured_data(&self, record: &SealedRecord) -> String {
        let (entry, seal) = (&record.record, &record.seal);
        let mut data = element("origin", &[("software", "nightlatch"), ("swVersion", self.version)]);
        let (ip, number, position) = (
            entry.ip.map(|ip| ip.to_string()),
            seal.number.to_string(),
            record.position.to_string(),
        );
        let (id, entries) = (entry.id.to_string(), seal.entries.to_string());
        let known = [
            ("id", Some(id.as_str())),
            ("event", Some(entry.event.as_str())),
            ("outcome", Some(entry.outcome.as_str())),
            ("reason", entry.reason.as_deref()),
            ("actor", Some(entry.actor.as_str())),
            ("account", entry.account.as_deref()),
            ("ip", ip.as_deref()),
            ("application", entry.application.as_deref()),
            ("seal", Some(number.as_str())),
            ("position", Some(position.as_str())),
            ("entries", Some(entries.as_str())),
            ("digest", Some(seal.digest.as_str())),
        ];
        let known: Vec<(&str, &str)> = known
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        data.push_str(&element(&format!("nightlatch@{}", self.enterprise_number), &known));
        data
    }
}

/// Frames a message by its length (RFC 6587, 3.4.1).
pub fn frame(message: &str) -> String {
    format!("{} {message}", message.len())
}

/// Returns the severity: critical (2), warning (4) for a failure, informational (6).
fn severity(entry: &AuditRecord) -> u32 {
    match entry.outcome {
        _ if entry.event.is_critical(entry.reason.as_deref()) => 2,
        EventOutcome::Failure => 4,
        EventOutcome::Success => 6,
    }
}

/// Formats an element of structured data (RFC 5424, 6.3). The names are our own.
fn element(name: &str, parameters: &[(&str, &str)]) -> String {
    let mut text = format!("[{name}");
    for (name, value) in parameters {
        text.push_str(&format!(" {name}=\""));
        for c in value.chars() {
            match c {
                '"' | '\\' | ']' => text.extend(['\\', c]),
                // The JSON has the exact text.
                c if is_invisible(c) => text.push(char::REPLACEMENT_CHARACTER),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text.push(']');
    text
}

/// Returns the text as a field of the header: printable ASCII without spaces, `-` for none.
fn printable(text: &str, max: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(max).collect();
    match kept.is_empty() {
        true => "-".to_owned(),
        false => kept,
    }
}

#[cfg(test)]
mod tests;
