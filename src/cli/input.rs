//! What a command is given: passwords (never as an argument), instants, networks, lines of text.

use super::CliError;
use crate::domain::{account::invisible, duration, network, password, secret::Secret, time::Span, time::Timestamp};
use ipnetwork::IpNetwork;
use std::io::{self, IsTerminal, Read};

/// Longest password on standard input that is looked at: the longest there is, four bytes a character, and a line end.
const LONGEST: u64 = password::MAX_CHARS as u64 * 4 + 2;

/// A new password: asked for twice at a terminal, else read from standard input if that was asked for.
/// One line end after it is not part of it.
pub fn new_password(from_stdin: bool) -> Result<Secret, CliError> {
    if io::stdin().is_terminal() {
        let ask = |prompt: &str| {
            rpassword::prompt_password(prompt)
                .map_err(|error| CliError::refused(format!("cannot ask for a password: {error}")))
        };
        let password = ask("New password: ")?;
        return if ask("The same again: ")? == password {
            Ok(Secret::new(password))
        } else {
            Err(CliError::refused("the two passwords differ"))
        };
    }
    if !from_stdin {
        let ways = "a password is needed: give --password-stdin, or run this at a terminal to be asked for it";
        return Err(CliError::Usage(ways.into()));
    }
    let unreadable = |why: &str| CliError::refused(format!("the password on standard input {why}"));
    let mut bytes = Vec::new();
    // No more than that is read, however much there is.
    let read = io::stdin().lock().take(LONGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| unreadable(&format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > LONGEST {
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

/// An instant of the past: itself, or so long ago.
#[derive(Debug, Clone, Copy)]
pub enum Since {
    At(Timestamp),
    Ago(Span),
}

impl Since {
    pub fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now.saturating_sub(span),
        }
    }
}

/// `2026-11-21T08:00:00Z`, with any offset, or `2026-11-21` (its beginning, UTC).
pub fn instant(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    let whole = Timestamp::parse_rfc3339(text);
    let day = || Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).filter(|_| text.len() == 10);
    whole.or_else(day).ok_or_else(|| {
        "write a time like 2026-11-21T08:00:00Z (RFC 3339, with Z or an offset) or a day like 2026-11-21".to_owned()
    })
}

/// As [`instant`], or a duration like `2h` or `7 days`: so long ago.
pub fn since(text: &str) -> Result<Since, String> {
    instant(text).map(Since::At).or_else(|why| match duration::parse(text) {
        Ok(secs) if secs >= 0 => Ok(Since::Ago(Span::from_secs(secs))),
        Ok(_) | Err(_) => Err(format!("{why}, or how long ago, like 2h or 7 days")),
    })
}

/// An address or a network.
pub fn network(text: &str) -> Result<IpNetwork, String> {
    network::parse_filter(text)
        .ok_or_else(|| "write an address or a network, like 203.0.113.9 or 10.0.0.0/8".to_owned())
}

/// One line for the record: why something was done.
pub fn reason(text: &str) -> Result<String, String> {
    const MOST: usize = 500;
    let text = text.trim();
    if text.chars().any(invisible) {
        return Err("a reason cannot have control or invisible characters".to_owned());
    }
    if text.chars().count() > MOST {
        return Err(format!("a reason has at most {MOST} characters"));
    }
    Ok(text.to_owned())
}
