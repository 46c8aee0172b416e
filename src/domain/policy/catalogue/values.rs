//! Conversion of texts from people, the CLI and imports to typed values, and back. The accepted
//! values of each kind are defined only here; error messages use the same words.

use ipnetwork::IpNetwork;

use super::{Kind, Setting, Value};
use crate::{duration, network, network_groups::NetworkGroups, policy::pattern::Pattern};

/// Maximum length of a setting's text in characters, and maximum number of entries of a list.
const MAX_TEXT: usize = 1_000;
const MAX_ITEMS: usize = 1_000;

impl Setting {
    /// Parses a value as people and the CLI write it (`15m`, `never`, `yes`, `Lax`, `a, b`).
    ///
    /// # Errors
    ///
    /// A sentence that says what is accepted.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let typed = text.trim();
        if let Some((number, _)) = self.words.iter().find(|(_, word)| typed.eq_ignore_ascii_case(word)) {
            return Ok(Value::Number(*number));
        }
        let value = match self.kind {
            Kind::Duration { .. } => duration::parse(typed)
                .map(Value::Number)
                .map_err(|fault| self.refuse(&fault))?,
            Kind::Flag => Value::Flag(flag(typed).ok_or_else(|| self.refuse("not yes or no"))?),
            Kind::FlagOrDuration => match flag(typed) {
                Some(on) => Value::Flag(on),
                None => match duration::parse(typed).map_err(|fault| self.refuse(&fault))? {
                    // "Administrators expire: never" is the value false.
                    -1 => Value::Flag(false),
                    secs => Value::Number(secs),
                },
            },
            Kind::Count { .. } if typed.eq_ignore_ascii_case("unlimited") || typed.eq_ignore_ascii_case("never") => {
                Value::Number(-1)
            }
            Kind::Number { .. } | Kind::Count { .. } | Kind::NumberChoice(_) => {
                Value::Number(typed.parse().map_err(|_| self.refuse("not a whole number"))?)
            }
            Kind::Choice(words) => match words.iter().find(|word| typed.eq_ignore_ascii_case(word)) {
                Some(word) => Value::Text((*word).to_owned()),
                None => return Err(self.refuse("not one of the choices")),
            },
            Kind::Text { .. } => Value::Text(text.to_owned()),
            Kind::Globs | Kind::Cidrs => Value::List(
                typed
                    .split([',', '\n'])
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
            Kind::NetworkGroups => {
                let lines = || numbered_lines(typed);
                NetworkGroups::parse(lines()).map_err(|fault| self.refuse(&fault))?;
                Value::List(lines().map(|(_, line)| line.to_owned()).collect())
            }
        };
        self.check(&value)?;
        Ok(value)
    }

    /// Reads a value from JSON or TOML. Strings are parsed as people write them, so `"15m"` is as
    /// good as `900`.
    pub fn read(&self, json: &serde_json::Value) -> Result<Value, String> {
        let value = Value::from_json(json).ok_or_else(|| self.refuse("not a value of this kind"))?;
        match (&value, self.kind) {
            (Value::Text(text), _) => self.parse(text),
            (Value::Number(-1), Kind::FlagOrDuration) => Ok(Value::Flag(false)),
            _ => self.check(&value).map(|()| value),
        }
    }

    /// Checks the bounds of a typed value (imports, JSON).
    ///
    /// # Errors
    ///
    /// A sentence that says what is accepted.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let fault = match (self.kind, value) {
            (Kind::Duration { min, never }, Value::Number(secs)) => {
                let fits = (min..=duration::MAX_SECS).contains(secs) || (never && *secs == -1);
                (!fits).then(|| "out of range".to_owned())
            }
            (Kind::Flag | Kind::FlagOrDuration, Value::Flag(_)) => None,
            (Kind::FlagOrDuration, Value::Number(secs)) => {
                (!(0..=duration::MAX_SECS).contains(secs)).then(|| "out of range".to_owned())
            }
            (Kind::Number { min, max }, Value::Number(number)) => {
                (!(min..=max).contains(number)).then(|| "out of range".to_owned())
            }
            (Kind::Count { max }, Value::Number(number)) => {
                (!(-1..=max).contains(number)).then(|| "out of range".to_owned())
            }
            (Kind::NumberChoice(numbers), Value::Number(number)) => {
                (!numbers.contains(number)).then(|| "not one of the choices".to_owned())
            }
            (Kind::Choice(words), Value::Text(text)) => {
                (!words.contains(&text.as_str())).then(|| "not one of the choices".to_owned())
            }
            (Kind::Text { regex }, Value::Text(text)) => text_fault(text, regex),
            (Kind::Globs, Value::List(items)) => list_fault(items, |item| {
                (!item.starts_with(['/', '*'])).then(|| "a path pattern begins with / or *".to_owned())
            }),
            (Kind::Cidrs, Value::List(items)) => list_fault(items, |item| {
                network::parse_filter(item)
                    .is_none()
                    .then(|| "not an address or network".to_owned())
            }),
            (Kind::NetworkGroups, Value::List(items)) => parse_groups(items).err(),
            (
                Kind::Duration { .. }
                | Kind::Flag
                | Kind::FlagOrDuration
                | Kind::Number { .. }
                | Kind::Count { .. }
                | Kind::NumberChoice(_)
                | Kind::Choice(_)
                | Kind::Text { .. }
                | Kind::Globs
                | Kind::Cidrs
                | Kind::NetworkGroups,
                Value::Flag(_) | Value::Number(_) | Value::Text(_) | Value::List(_),
            ) => Some("not a value of this kind".to_owned()),
        };
        fault.map_or(Ok(()), |fault| Err(self.refuse(&fault)))
    }

    /// Formats a value for screens: `15 minutes`, `on`, `Lax`.
    pub fn display(&self, value: &Value) -> String {
        match value {
            Value::Flag(on) => if *on { "on" } else { "off" }.to_owned(),
            Value::Number(number) => self.number(*number),
            Value::Text(text) if text.is_empty() => "none".to_owned(),
            Value::Text(text) => text.clone(),
            Value::List(items) if items.is_empty() => "none".to_owned(),
            Value::List(items) => self.join(items),
        }
    }

    /// Formats a value for the editor's text field; it parses back.
    pub fn input(&self, value: &Value) -> String {
        match value {
            Value::Flag(on) => if *on { "on" } else { "off" }.to_owned(),
            Value::Number(number) => self.number(*number),
            Value::Text(text) => text.clone(),
            Value::List(items) => self.join(items),
        }
    }

    fn join(&self, items: &[String]) -> String {
        items.join(if self.kind == Kind::NetworkGroups { "; " } else { ", " })
    }

    fn number(&self, number: i64) -> String {
        if let Some((_, word)) = self.words.iter().find(|(special, _)| *special == number) {
            return (*word).to_owned();
        }
        match self.kind {
            Kind::Duration { .. } | Kind::FlagOrDuration => duration::humanize(number),
            Kind::Count { .. } if number < 0 => "unlimited".to_owned(),
            Kind::Flag
            | Kind::Number { .. }
            | Kind::Count { .. }
            | Kind::Choice(_)
            | Kind::NumberChoice(_)
            | Kind::Text { .. }
            | Kind::Globs
            | Kind::Cidrs
            | Kind::NetworkGroups => number.to_string(),
        }
    }

    /// Describes the accepted values: `1 second to 10 years, or never`.
    pub fn accepts(&self) -> String {
        let mut accepted = match self.kind {
            Kind::Duration { min, never } => {
                let word = self
                    .words
                    .iter()
                    .find(|(number, _)| *number == -1)
                    .map_or("never", |(_, word)| word);
                let or = if never {
                    format!(", or {word} (-1)")
                } else {
                    String::new()
                };
                format!("{} to 10 years{or}", duration::humanize(min))
            }
            Kind::Flag => "on or off".to_owned(),
            Kind::FlagOrDuration => "on, off, or 0 seconds to 10 years".to_owned(),
            Kind::Number { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Count { max } => format!("a whole number from 0 to {max}, or unlimited (-1)"),
            Kind::Choice(words) => one_of(words),
            Kind::NumberChoice(numbers) => one_of(&numbers.iter().map(i64::to_string).collect::<Vec<_>>()),
            Kind::Text { regex: true } => {
                "a regular expression, look-aheads at its start included, or nothing".to_owned()
            }
            Kind::Text { regex: false } => "one line of text".to_owned(),
            Kind::Globs => "path patterns separated by commas, like /ping, /tiles/*".to_owned(),
            Kind::Cidrs => "addresses and networks separated by commas, like 10.0.0.0/8, 2001:db8::/32".to_owned(),
            Kind::NetworkGroups => {
                "one group a line (or separated by semicolons), its addresses and networks separated \
                 by commas, like 10.0.0.0/8, 203.0.113.9, 2001:db8::/48"
                    .to_owned()
            }
        };
        for (number, word) in self.words.iter().filter(|(number, _)| *number != -1) {
            accepted.push_str(&format!("; {number} is {word}"));
        }
        accepted
    }

    fn refuse(&self, fault: &str) -> String {
        format!("{fault}; accepted: {}", self.accepts())
    }
}

/// Parses the words of a hue.ini, the CLI and the editor.
fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn text_fault(text: &str, regex: bool) -> Option<String> {
    if text.chars().any(char::is_control) {
        return Some("control characters and line breaks are not accepted".to_owned());
    }
    if text.chars().count() > MAX_TEXT {
        return Some(format!("longer than {MAX_TEXT} characters"));
    }
    if regex && !text.is_empty() {
        return Pattern::parse(text)
            .err()
            .map(|fault| format!("not a supported regular expression: {fault}"));
    }
    None
}

/// Returns the fault of a list: its length, an item that cannot be comma-separated, or an item that
/// `fault` refuses.
fn list_fault(items: &[String], fault: impl Fn(&str) -> Option<String>) -> Option<String> {
    if items.len() > MAX_ITEMS {
        return Some(format!("more than {MAX_ITEMS} entries"));
    }
    items.iter().find_map(|item| {
        let plain =
            !item.is_empty() && item.trim() == item && !item.contains(',') && !item.chars().any(char::is_control);
        let fault = if plain {
            fault(item)?
        } else {
            "an entry is empty or contains commas or line breaks".to_owned()
        };
        Some(format!("“{}”: {fault}", item.escape_debug()))
    })
}

/// Returns the lines of a text that are not empty, each with its number; a semicolon ends a line
/// too.
fn numbered_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.split(['\n', ';']).map(str::trim).enumerate();
    lines
        .map(|(place, line)| (place + 1, line))
        .filter(|(_, line)| !line.is_empty())
}

fn one_of<T: AsRef<str>>(words: &[T]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some(_) | None => words.concat(),
    }
}

/// Returns the groups of a checked list; of a list with a fault none, so that networks are
/// compared.
pub(crate) fn network_groups(items: &[String]) -> NetworkGroups {
    parse_groups(items).unwrap_or_default()
}

fn parse_groups(items: &[String]) -> Result<NetworkGroups, String> {
    NetworkGroups::parse(items.iter().enumerate().map(|(place, item)| (place + 1, item.as_str())))
}

/// Returns the networks of a checked list.
pub(crate) fn networks(items: &[String]) -> Vec<IpNetwork> {
    items.iter().filter_map(|item| network::parse_filter(item)).collect()
}
