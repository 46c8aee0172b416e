//! A hue.ini as a policy: what Hue's keys and words mean here. Which key stands where follows from the catalogue;
//! how the text is read stands in `hue/ini`, how it is written in `hue/export`.

mod elsewhere;
mod export;
mod ini;

pub(super) use export::export;

use super::{
    catalogue::{Group, Kind},
    interchange::{Imported, Reading, Remark},
    *,
};

const PASSWORD_POLICY: &str = "useradmin.password_policy";

/// The section and the key under which Hue knows a setting; `None`: Hue has no such setting.
fn place(key: Key) -> Option<(&'static str, &'static str)> {
    let setting = key.setting();
    if !setting.source.contains("Hue") {
        return None;
    }
    match setting.name.split_once('.')? {
        ("auth", name) => Some(("desktop.auth", name)),
        ("session", name) => Some(("desktop.session", name)),
        ("password", "regex") => Some((PASSWORD_POLICY, "pwd_regex")),
        ("password", "regex_hint") => Some((PASSWORD_POLICY, "pwd_error_message")),
        (_, _) => None,
    }
}

/// The setting of a key in a section, both in lower case.
fn find(section: &str, name: &str) -> Option<Key> {
    let name = match name {
        "samesite" => "same_site",
        // The name that it had before.
        "login_lock_out_by_combination_browser_user_agent_and_ip" => "login_lock_out_use_user_agent",
        name => name,
    };
    let suits = |key: &&Key| {
        place(**key).is_some_and(|(home, its)| {
            // The documentation does not say in which section the validation stands.
            let validation = key.setting().group == Group::Validation && matches!(section, "desktop" | "desktop.auth");
            its == name && (home == section || validation)
        })
    };
    Key::ALL.iter().find(suits).copied()
}

/// Reads a hue.ini onto `base`.
pub(super) fn import(text: &str, base: &PolicyDocument) -> Result<Imported, Vec<Fault>> {
    let (entries, bad) = ini::read(text);
    let mut reading = Reading::onto(base);
    for bad in bad {
        reading.fault(bad.line, "", "", bad.why);
    }
    let patterns = Patterns::of(&entries);
    for entry in &entries {
        // The documentation capitalises some keys, and writes idle-session_timeout once.
        let name = entry.key.to_lowercase().replace('-', "_");
        if entry.section == PASSWORD_POLICY && patterns.settles(&name, entry, &mut reading) {
            continue;
        }
        match find(&entry.section, &name) {
            Some(key) => setting(key, entry, &mut reading),
            None => reading.ignore(entry.line, &shown(entry), elsewhere::why(&entry.section, &name)),
        }
    }
    reading.faults.sort_by_key(|fault| line_at_end(&fault.message));
    if reading.is_empty() {
        let nothing = "no setting of the session policy is set in this file; what it leaves out stays as it is";
        reading.imported.notes.push(Remark::on("", nothing));
    }
    reading.finish()
}

/// Faults of lines and of values come in one order.
fn line_at_end(message: &str) -> usize {
    let digits = message.rsplit_once("(line ").map_or("", |(_, digits)| digits);
    digits.trim_end_matches(')').parse().unwrap_or(0)
}

/// `desktop.auth.backend`
fn shown(entry: &ini::Entry) -> String {
    if entry.section.is_empty() {
        entry.key.clone()
    } else {
        format!("{}.{}", entry.section, entry.key)
    }
}

fn setting(key: Key, entry: &ini::Entry, reading: &mut Reading) {
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

/// A value as Hue means it, and what to say when that is not what stands there.
fn value(key: Key, written: &ini::Text) -> Result<(Value, Option<String>), String> {
    let setting = key.setting();
    let text = written.text.trim();
    let negative = text.starts_with('-') && text.parse::<i64>().is_ok();
    let said = |number: i64, note: &str| Ok((Value::Number(number), Some(note.to_owned())));
    match (key, setting.kind) {
        (Key::AuthIdleSessionTimeout, _) if text.parse() == Ok(0) => {
            said(-1, "0 switches idle endings off in Hue: taken as never (-1)")
        }
        (Key::AuthLoginCooloffTime, _) if text.eq_ignore_ascii_case("none") => {
            said(-1, "None locks until somebody unlocks: taken as never (-1)")
        }
        (Key::AuthLoginCooloffTime, _) if text.parse() == Ok(0) => {
            said(-1, "0 locks until somebody unlocks in Hue: taken as never (-1)")
        }
        (_, Kind::Duration { .. } | Kind::FlagOrDuration | Kind::Count { .. }) if negative => {
            let note = (text != "-1").then(|| format!("{text} means never, like any negative number: taken as -1"));
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
                "a number is taken as seconds, as Hue's documentation says; its code reads yes or no".to_owned()
            });
            Ok((value, note))
        }
        (_, Kind::Text { .. }) => {
            let note = (written.list && !written.text.is_empty())
                .then(|| "Hue reads a comma outside quotes as a list; taken as one text".to_owned());
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
            | Kind::Cidrs,
        ) => Ok((setting.parse(text)?, None)),
    }
}

/// `[[password_policy]]`: its pattern is in force only with `is_enabled`, and one of two texts explains it.
struct Patterns {
    enabled: Option<bool>,
    message: bool,
}

impl Patterns {
    fn of(entries: &[ini::Entry]) -> Self {
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

    /// Does what only this section needs; false: the key is a setting like others.
    fn settles(&self, name: &str, entry: &ini::Entry, reading: &mut Reading) -> bool {
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
                let note = "Hue checks it only with is_enabled=true, which this file does not say; taken all the same";
                reading.note(entry.line, &shown, note);
                false
            }
            ("pwd_hint", _) if self.message => {
                reading.ignore(
                    entry.line,
                    &shown,
                    "pwd_error_message is the text that people are shown",
                );
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
