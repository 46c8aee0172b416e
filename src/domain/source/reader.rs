//! Reads the texts of a source's settings and collects all faults, so that they are reported
//! together.

use super::fields::{FieldForm, SettingTexts, SourceFault, SourceField};
use crate::{duration, text::is_invisible, time::Span};
use url::{Host, Url};

/// Maximum length of one line of a setting, in characters.
const MAX_LINE: usize = 1_000;

/// Reads settings by key and remembers what was wrong.
pub(super) struct SettingReader<'a> {
    texts: &'a SettingTexts,
    fields: Vec<&'static SourceField>,
    /// Defaults that replace those of the fields.
    defaults: &'static [(&'static str, &'static str)],
    /// What is wrong so far.
    pub faults: Vec<SourceFault>,
}

impl<'a> SettingReader<'a> {
    /// Creates a reader of settings. A key that is in none of the fields is a fault.
    pub fn new(texts: &'a SettingTexts, fields: Vec<&'static SourceField>) -> Self {
        let mut reader = Self {
            texts,
            fields,
            defaults: &[],
            faults: Vec::new(),
        };
        for (key, value) in texts {
            if reader.fields.iter().all(|field| field.key != key) {
                reader.fault(key, "is not a setting of this kind of source");
            } else if let Some(fault) = find_bad_line(value) {
                reader.fault(key, fault);
            }
        }
        reader
    }

    /// Replaces the defaults of some fields.
    pub fn set_defaults(&mut self, defaults: &'static [(&'static str, &'static str)]) {
        self.defaults = defaults;
    }

    /// Records a fault.
    pub fn fault(&mut self, key: &str, message: impl Into<String>) {
        self.faults.push(SourceFault::new(key, message));
    }

    fn field(&self, key: &str) -> Option<&'static SourceField> {
        self.fields.iter().find(|field| field.key == key).copied()
    }

    /// Returns a setting as written, trimmed, or its default; may be empty.
    pub fn text(&self, key: &str) -> String {
        let written = self.texts.get(key).map(|text| text.trim()).unwrap_or_default();
        if !written.is_empty() {
            return written.to_owned();
        }
        let replaced = self.defaults.iter().find(|(of, _)| *of == key).map(|(_, text)| *text);
        let default = replaced.or_else(|| self.field(key).map(|field| field.default));
        default.unwrap_or_default().to_owned()
    }

    /// Returns a setting of one line; `None`: empty.
    pub fn optional(&mut self, key: &str) -> Option<String> {
        let text = self.text(key);
        if text.contains('\n') {
            self.fault(key, "has one line only");
        }
        Some(text).filter(|text| !text.is_empty())
    }

    /// Returns a setting of one line. Empty is a fault.
    pub fn required(&mut self, key: &str) -> String {
        let text = self.optional(key).unwrap_or_default();
        if text.is_empty() {
            self.fault(key, "is missing");
        }
        text
    }

    /// Returns the lines of a setting, without empty ones.
    pub fn lines(&self, key: &str) -> Vec<String> {
        let text = self.text(key);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }

    /// Returns the items of a setting that are separated by white space or commas, each once.
    pub fn words(&self, key: &str) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let text = self.text(key);
        for word in text.split(|c: char| c.is_whitespace() || c == ',') {
            if !word.is_empty() && words.iter().all(|known| known != word) {
                words.push(word.to_owned());
            }
        }
        words
    }

    /// Returns a number within the field's bounds.
    pub fn number(&mut self, key: &str) -> u32 {
        let Some(FieldForm::Number(least, most)) = self.field(key).map(|field| field.form) else {
            return 0;
        };
        match self.text(key).parse::<u32>() {
            Ok(number) if (least..=most).contains(&number) => number,
            Ok(_) | Err(_) => {
                self.fault(key, format!("must be a whole number from {least} to {most}"));
                least
            }
        }
    }

    /// Returns a duration within the field's bounds.
    pub fn seconds(&mut self, key: &str) -> Span {
        let Some(FieldForm::Seconds(least, most)) = self.field(key).map(|field| field.form) else {
            return Span::ZERO;
        };
        match duration::parse(&self.text(key)) {
            Ok(secs) if (least..=most).contains(&secs) => return Span::from_secs(secs),
            Ok(_) => self.fault(
                key,
                format!(
                    "must be from {} to {}",
                    duration::humanize(least),
                    duration::humanize(most)
                ),
            ),
            Err(fault) => self.fault(key, fault),
        }
        Span::from_secs(least)
    }

    /// Returns a switch.
    pub fn switch(&mut self, key: &str) -> bool {
        match self.text(key).as_str() {
            "true" | "on" | "yes" => true,
            "false" | "off" | "no" | "" => false,
            _ => {
                self.fault(key, "must be true or false");
                false
            }
        }
    }

    /// Returns a choice, or `otherwise` with a fault.
    pub fn choice<T>(&mut self, key: &str, parse: fn(&str) -> Option<T>, otherwise: T) -> T {
        parse(&self.text(key)).unwrap_or_else(|| {
            let words = self.field(key).map(SourceField::choices).unwrap_or_default();
            self.fault(key, format!("must be one of {}", words.join(", ")));
            otherwise
        })
    }

    /// Checks an address of a web server: `https`, or `http` on a loopback address; no user
    /// information and no fragment.
    pub fn check_web_address(&mut self, key: &str, address: &str) {
        if address.is_empty() {
            return;
        }
        match Url::parse(address) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                self.fault(key, "must not contain a username or password");
            }
            Ok(url) if url.fragment().is_some() => self.fault(key, "must not contain a fragment (#)"),
            Ok(url) if url.scheme() == "https" && url.host().is_some() => {}
            Ok(url) if url.scheme() == "http" && is_loopback(&url) => {}
            Ok(url) if url.scheme() == "http" => {
                self.fault(
                    key,
                    "must begin with https:// (http:// is allowed for a loopback address only)",
                );
            }
            Ok(_) | Err(_) => self.fault(key, "must be an address that begins with https://"),
        }
    }
}

/// Returns whether the host of an address is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        // `url` keeps the host of a scheme that is not of the web as written.
        Some(Host::Domain(name)) => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    }
}

fn find_bad_line(value: &str) -> Option<String> {
    let bad = value
        .chars()
        .find(|c| is_invisible(*c) && !matches!(c, '\n' | '\r' | '\t'));
    if let Some(bad) = bad {
        return Some(format!("must not contain the character U+{:04X}", u32::from(bad)));
    }
    let long = value.lines().any(|line| line.chars().count() > MAX_LINE);
    long.then(|| format!("has more than {MAX_LINE} characters in a line"))
}
