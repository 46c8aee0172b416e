//! The tables `[sources.NAME]` of the configuration file: sources of identities that only the file
//! changes.

use crate::domain::{
    secret::Secret,
    source::{SettingTexts, SourceDefinition, SourceKind, SourceName},
};

/// A source as the configuration file sets it.
#[derive(Debug, Clone)]
pub struct ConfiguredSource {
    /// Its name.
    pub name: SourceName,
    /// What people read on buttons.
    pub title: String,
    /// Whether people can sign in through it.
    pub enabled: bool,
    /// Its settings.
    pub definition: SourceDefinition,
    /// Its secret.
    pub secret: Option<Secret>,
    /// Its access token for security events.
    pub events_token: Option<Secret>,
}

impl ConfiguredSource {
    /// Returns everything but the secrets, for comparisons.
    pub(super) fn settings(&self) -> (&SourceName, &str, bool, &SourceDefinition) {
        (&self.name, &self.title, self.enabled, &self.definition)
    }

    /// Returns the secrets as texts; empty: none.
    pub(super) fn secret_texts(&self) -> [&str; 2] {
        [&self.secret, &self.events_token].map(|secret| secret.as_ref().map(Secret::expose).unwrap_or_default())
    }
}

/// Reads the table `sources`; what is wrong is added to `faults`, never with a value of a secret.
pub(super) fn read_sources(value: &toml::Value, faults: &mut Vec<String>) -> Vec<ConfiguredSource> {
    let Some(tables) = value.as_table() else {
        faults.push("sources: write a table for each source, such as [sources.corp]".to_owned());
        return Vec::new();
    };
    let tables = tables.iter();
    tables
        .filter_map(|(name, value)| read_source(name, value, faults))
        .collect()
}

fn read_source(name: &str, value: &toml::Value, faults: &mut Vec<String>) -> Option<ConfiguredSource> {
    let before = faults.len();
    let mut fault = |key: &str, message: &str| faults.push(format!("[sources.{name}] {key} {message}"));
    let Some(table) = value.as_table() else {
        fault("", "must be a table");
        return None;
    };
    let parsed = SourceName::parse(name).map_err(|error| fault("", &format!("is not accepted: {error}")));
    let mut texts = SettingTexts::new();
    let (mut kind, mut title, mut enabled) = (None, name.to_owned(), true);
    let (mut secret, mut events_token) = (None, None);
    for (key, value) in table {
        let text = setting_text(value);
        match (key.as_str(), text) {
            (_, None) => fault(key, "must be text, a number, true or false, or a list of texts"),
            ("kind", Some(word)) => kind = SourceKind::parse(&word),
            ("title", Some(text)) => title = text,
            ("enabled", Some(word)) if word == "true" || word == "false" => enabled = word == "true",
            ("enabled", Some(_)) => fault(key, "must be true or false"),
            ("secret" | "secret_file", Some(text)) => read_secret(key, text, &mut secret, &mut fault),
            ("events_token" | "events_token_file", Some(text)) => {
                read_secret(key, text, &mut events_token, &mut fault);
            }
            (_, Some(text)) => drop(texts.insert(key.clone(), text)),
        }
    }
    let Some(kind) = kind else {
        fault("kind", "must be ldap or oidc");
        return None;
    };
    let definition = SourceDefinition::parse(kind, &texts);
    let definition = definition.map_err(|found| found.iter().for_each(|found| fault(&found.key, &found.message)));
    let (Ok(name), Ok(definition)) = (parsed, definition) else {
        return None;
    };
    (faults.len() == before).then(|| ConfiguredSource {
        name,
        title: title.trim().to_owned(),
        enabled,
        definition,
        secret: secret.filter(|secret| !secret.expose().is_empty()),
        events_token: events_token.filter(|token| !token.expose().is_empty()),
    })
}

/// Reads a secret that is given as `NAME` or as `NAME_file`.
fn read_secret(key: &str, text: String, found: &mut Option<Secret>, fault: &mut impl FnMut(&str, &str)) {
    let (name, is_file) = key.strip_suffix("_file").map_or((key, false), |name| (name, true));
    if found.is_some() {
        return fault(name, &format!("is given twice: as {name} and as {name}_file"));
    }
    if !is_file {
        *found = Some(Secret::new(text));
        return;
    }
    match std::fs::read_to_string(&text) {
        Ok(read) => *found = Some(Secret::new(read.trim_end_matches(['\n', '\r']).to_owned())),
        Err(error) => fault(key, &format!("= {text:?}: {error}")),
    }
}

fn setting_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(on) => Some(on.to_string()),
        toml::Value::Array(items) => {
            let lines: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            lines.map(|lines| lines.join("\n"))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}
