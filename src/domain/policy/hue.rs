//! A hue.ini as a policy: the meaning of Hue's keys and values. The places of keys follow from the
//! catalogue; `hue/ini` parses the text, `hue/export` writes it.

mod export;
mod ini;
mod keys;
mod unsupported;

pub(super) use export::export;

use keys::{PASSWORD_POLICY, find};

use super::{
    catalogue::Kind,
    import_file::{FileComment, ImportProgress, ImportedDocument},
    *,
};

/// Returns every readable `key = value` of a hue.ini: its section in lower case, such as
/// `desktop.ldap`, the key as written, and the value.
pub fn hue_entries(text: &str) -> Vec<(String, String, String)> {
    let (entries, _) = ini::read(text);
    let readable = entries.into_iter().filter_map(|entry| {
        let value = entry.value.ok()?;
        Some((entry.section, entry.key, value.text))
    });
    readable.collect()
}

/// Imports a hue.ini onto `base`.
pub(super) fn import(text: &str, base: &PolicyDocument) -> Result<ImportedDocument, Vec<PolicyFault>> {
    let (entries, bad) = ini::read(text);
    let mut reading = ImportProgress::based_on(base);
    for bad in bad {
        reading.fault(bad.line, "", "", bad.why);
    }
    let patterns = Patterns::from_entries(&entries);
    for entry in &entries {
        // Hue's documentation capitalizes some keys, and writes idle-session_timeout once.
        let name = entry.key.to_lowercase().replace('-', "_");
        if entry.section == PASSWORD_POLICY && patterns.handle_section_key(&name, entry, &mut reading) {
            continue;
        }
        match find(&entry.section, &name) {
            Some(key) => setting(key, entry, &mut reading),
            None => reading.ignore(
                entry.line,
                &shown(entry),
                unsupported::unsupported_reason(&entry.section, &name),
            ),
        }
    }
    reading.faults.sort_by_key(|fault| line_at_end(&fault.message));
    if reading.is_empty() {
        let nothing = "this file sets no setting of the session policy; settings missing from it stay unchanged";
        reading.imported.notes.push(FileComment::new("", nothing));
    }
    reading.finish()
}

/// Returns the line number at the end of a message, so that faults of lines and of values are
/// sorted together.
fn line_at_end(message: &str) -> usize {
    let digits = message.rsplit_once("(line ").map_or("", |(_, digits)| digits);
    digits.trim_end_matches(')').parse().unwrap_or(0)
}

/// Formats an entry as `desktop.auth.backend`.
fn shown(entry: &ini::IniEntry) -> String {
    if entry.section.is_empty() {
        entry.key.clone()
    } else {
        format!("{}.{}", entry.section, entry.key)
    }
}

fn setting(key: Key, entry: &ini::IniEntry, reading: &mut ImportProgress) {
    let name = shown(entry);
    let text = match &entry.value {
        Ok(text) => text,
        Err(why) => return reading.fault(entry.line, &name, "", why),
    };
    match value(key, text) {
        Ok((value, note)) => {
            if let Some(note) = note {
                reading.note(entry.line, &name, note);
            }
            reading.set(entry.line, &name, &Scope::Everyone, key, value);
        }
        Err(message) => reading.fault(entry.line, &name, &text.text, &message),
    }
}

/// Converts a value as Hue means it; the second part is a note if that differs from the text.
fn value(key: Key, written: &ini::IniText) -> Result<(Value, Option<String>), String> {
    let setting = key.setting();
    let text = written.text.trim();
    let negative = text.starts_with('-') && text.parse::<i64>().is_ok();
    let with_note = |number: i64, note: &str| Ok((Value::Number(number), Some(note.to_owned())));
    match (key, setting.kind) {
        (Key::AuthIdleSessionTimeout, _) if text.parse() == Ok(0) => {
            with_note(-1, "0 switches idle timeouts off in Hue: imported as never (-1)")
        }
        (Key::AuthLoginCooloffTime, _) if text.eq_ignore_ascii_case("none") => {
            with_note(-1, "None locks until an administrator unlocks: imported as never (-1)")
        }
        (Key::AuthLoginCooloffTime, _) if text.parse() == Ok(0) => with_note(
            -1,
            "0 locks until an administrator unlocks in Hue: imported as never (-1)",
        ),
        (_, Kind::Duration { .. } | Kind::FlagOrDuration | Kind::Count { .. }) if negative => {
            let note = (text != "-1").then(|| format!("{text} means never, like any negative number: imported as -1"));
            Ok((setting.parse("-1")?, note))
        }
        (_, Kind::Flag | Kind::FlagOrDuration) => {
            let text = match text.to_ascii_lowercase().as_str() {
                "yea" => "yes",
                "nay" | "" => "no",
                _ => text,
            };
            let value = setting.parse(text)?;
            let note = matches!(value, Value::Number(_)).then(|| {
                "a number is imported as seconds, as Hue's documentation says; Hue's code reads yes or no".to_owned()
            });
            Ok((value, note))
        }
        (_, Kind::Text { .. }) => {
            let note = (written.list && !written.text.is_empty())
                .then(|| "Hue reads a comma outside quotes as a list; imported as one text".to_owned());
            Ok((setting.parse(&written.text)?, note))
        }
        (
            _,
            Kind::Duration { .. }
            | Kind::Number { .. }
            | Kind::Count { .. }
            | Kind::Choice(_)
            | Kind::NumberChoice(_)
            | Kind::Globs
            | Kind::Cidrs
            | Kind::NetworkGroups,
        ) => Ok((setting.parse(text)?, None)),
    }
}

/// `[[password_policy]]`: its pattern is in force only with `is_enabled`, and one of two texts
/// explains it.
struct Patterns {
    enabled: Option<bool>,
    message: bool,
}

impl Patterns {
    fn from_entries(entries: &[ini::IniEntry]) -> Self {
        let last = |name: &str| {
            let mut entries = entries.iter().rev();
            let entry = entries.find(|entry| entry.section == PASSWORD_POLICY && entry.key.to_lowercase() == name)?;
            entry.value.as_ref().ok()
        };
        let enabled = last("is_enabled").and_then(|text| match value(Key::SessionSecure, text) {
            Ok((Value::Flag(on), _)) => Some(on),
            Ok(_) | Err(_) => None,
        });
        Self {
            enabled,
            message: last("pwd_error_message").is_some(),
        }
    }

    /// Handles the keys that only this section needs. Returns false for a key that is an ordinary
    /// setting.
    fn handle_section_key(&self, name: &str, entry: &ini::IniEntry, reading: &mut ImportProgress) -> bool {
        let shown = shown(entry);
        match (name, self.enabled) {
            ("is_enabled", Some(false)) => {
                let off = Value::Text(String::new());
                reading.set(entry.line, &shown, &Scope::Everyone, Key::PasswordRegex, off);
                true
            }
            ("is_enabled", Some(true)) => true,
            ("is_enabled", None) => {
                let text = entry.value.as_ref().map_or("", |value| value.text.as_str());
                reading.fault(entry.line, &shown, text, "not yes or no; accepted: true or false");
                true
            }
            ("pwd_regex", Some(false)) => {
                reading.ignore(
                    entry.line,
                    &shown,
                    "is_enabled=false: the pattern is not in force in Hue",
                );
                true
            }
            ("pwd_regex", None) => {
                let note = "Hue checks it only with is_enabled=true, which this file does not set; imported anyway";
                reading.note(entry.line, &shown, note);
                false
            }
            ("pwd_hint", _) if self.message => {
                reading.ignore(entry.line, &shown, "users see pwd_error_message instead");
                true
            }
            ("pwd_hint", _) => {
                setting(Key::PasswordRegexHint, entry, reading);
                true
            }
            (_, _) => false,
        }
    }
}
