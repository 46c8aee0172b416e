//! Conversion of texts to typed values, and their faults.

use super::{
    settings::{Secrecy, SettingInfo},
    sources::Settings,
};

/// Takes typed values out of the settings and collects their faults.
pub(super) struct Checker<'a> {
    /// The texts.
    pub settings: Settings,
    /// The faults found so far.
    pub faults: &'a mut Vec<String>,
}

impl Checker<'_> {
    /// Parses a setting, or its default. After a fault the default is returned; the
    /// configuration is then not used.
    pub fn value<T>(&mut self, name: &'static str, default: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let text = self.settings.text_or(name, default);
        match parse(&text) {
            Ok(value) => value,
            Err(expected) => {
                self.add_fault(name, &text, &expected);
                parse(default).unwrap_or_else(|_| unreachable!("the default of {name} is valid"))
            }
        }
    }

    /// Parses a setting that may be absent or empty.
    pub fn optional<T>(&mut self, name: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.settings.text(name).filter(|text| !text.is_empty())?;
        parse(&text)
            .map_err(|expected| self.add_fault(name, &text, &expected))
            .ok()
    }

    /// Parses a comma-separated list. One with a default cannot be empty.
    pub fn list<T>(&mut self, name: &'static str, default: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let text = self.settings.text_or(name, default);
        let items: Vec<&str> = text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
        if items.is_empty() && !default.is_empty() {
            self.add_fault(name, &text, "at least one entry");
        }
        items
            .into_iter()
            .filter_map(|item| {
                parse(item)
                    .map_err(|expected| self.add_fault(name, item, &expected))
                    .ok()
            })
            .collect()
    }

    fn add_fault(&mut self, name: &'static str, text: &str, expected: &str) {
        let is_public = SettingInfo::find(name).is_some_and(|info| info.secrecy == Secrecy::Public);
        let shown = if is_public {
            format!("{text:?}")
        } else {
            "(not shown)".to_owned()
        };
        let origin = self.settings.origin(name);
        self.faults
            .push(format!("{name} = {shown} ({origin}): expected {expected}"));
    }
}
