//! The input of commands: passwords (never as an argument), files, instants, networks, lines of
//! text.

use super::{error::CliError, output::escape_text};
use crate::domain::{
    duration, network, password,
    secret::Secret,
    text::is_invisible,
    time::{Span, Timestamp},
};
use ipnetwork::IpNetwork;
use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
};

/// Maximum number of bytes that are read of a password on standard input: the longest password,
/// four bytes per character, and a line end.
const MAX_PASSWORD_BYTES: u64 = password::MAX_CHARS as u64 * 4 + 2;
/// Maximum number of bytes of a file that is imported: policies and accounts are far smaller.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// Maximum number of characters of a reason.
const MAX_REASON_CHARS: usize = 500;

/// Reads a new password: asks for it twice at a terminal, otherwise reads standard input if that
/// was asked for. One line end after the password is not part of it.
pub fn read_new_password(from_stdin: bool) -> Result<Secret, CliError> {
    if io::stdin().is_terminal() {
        return prompt_new_password();
    }
    if from_stdin {
        return read_password_line();
    }
    let ways = "a password is needed: give --password-stdin, or run this at a terminal to be asked for it";
    Err(CliError::Usage(ways.into()))
}

fn prompt_new_password() -> Result<Secret, CliError> {
    let prompt = |text: &str| {
        rpassword::prompt_password(text)
            .map_err(|error| CliError::refused(format!("cannot ask for a password: {error}")))
    };
    let password = prompt("New password: ")?;
    if prompt("Repeat the password: ")? == password {
        Ok(Secret::new(password))
    } else {
        Err(CliError::refused("the two passwords differ"))
    }
}

fn read_password_line() -> Result<Secret, CliError> {
    let unreadable = |why: &str| CliError::refused(format!("the password on standard input {why}"));
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MAX_PASSWORD_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > MAX_PASSWORD_BYTES {
        return Err(unreadable(&format!("has more than {} characters", password::MAX_CHARS)));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| unreadable("is not UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() {
        return Err(unreadable("is empty"));
    }
    Ok(Secret::new(text))
}

/// Reads a file, or standard input for `-`. `too_large` completes "FILE: too large for …".
pub fn read_file(path: &Path, too_large: &str) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| file_error(path, &error.to_string()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(file_error(path, &format!("too large for {too_large}")));
    }
    Ok(bytes)
}

/// Reads a text file, or standard input for `-`.
pub fn read_text_file(path: &Path, too_large: &str) -> Result<String, CliError> {
    String::from_utf8(read_file(path, too_large)?).map_err(|_| file_error(path, "not UTF-8"))
}

fn file_error(path: &Path, why: &str) -> CliError {
    CliError::refused(format!("{}: {why}", escape_text(&path.display().to_string())))
}

/// An instant as it was given: absolute, or a time span before now.
#[derive(Debug, Clone, Copy)]
pub enum InstantInput {
    /// An absolute instant.
    At(Timestamp),
    /// This long before now.
    Ago(Span),
}

impl InstantInput {
    /// Returns the instant that the input means at `now`.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.saturating_sub(span),
        }
    }
}

/// Parses `2026-11-21T08:00:00Z`, with any offset, or `2026-11-21` (00:00 UTC of that day).
pub fn parse_instant(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    let whole = Timestamp::parse_rfc3339(text);
    let day = || Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).filter(|_| text.len() == 10);
    whole.or_else(day).ok_or_else(|| {
        "write a time like 2026-11-21T08:00:00Z (RFC 3339, with Z or an offset) or a day like 2026-11-21".to_owned()
    })
}

/// Parses an instant as [`parse_instant`] does, or a duration like `2h` or `7 days` before now.
pub fn parse_past_instant(text: &str) -> Result<InstantInput, String> {
    parse_instant(text)
        .map(InstantInput::At)
        .or_else(|why| match duration::parse(text) {
            Ok(secs) if secs >= 0 => Ok(InstantInput::Ago(Span::from_secs(secs))),
            Ok(_) | Err(_) => Err(format!("{why}, or how long ago, like 2h or 7 days")),
        })
}

/// Parses an IP address or a network.
pub fn parse_network(text: &str) -> Result<IpNetwork, String> {
    network::parse_filter(text)
        .ok_or_else(|| "write an IP address or a network, like 203.0.113.9 or 10.0.0.0/8".to_owned())
}

/// Parses the reason for an action: one line for the audit log.
pub fn parse_reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.chars().any(is_invisible) {
        return Err("a reason cannot have control or invisible characters".to_owned());
    }
    if text.chars().count() > MAX_REASON_CHARS {
        return Err(format!("a reason has at most {MAX_REASON_CHARS} characters"));
    }
    Ok(text.to_owned())
}
