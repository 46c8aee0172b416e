//! The sources of settings: flags, environment, configuration file. `config` checks the values.

use super::{
    audit_targets::read_audit_targets,
    environment::Variable,
    identity_sources::{ConfiguredSource, read_sources},
    secrets::DatabaseUrl,
    settings::{SETTINGS, Secrecy, SettingInfo},
};
use crate::domain::audit::shipping::AuditTarget;
use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
};

const DEFAULT_FILE: &str = "nightlatch.toml";

/// What the command line may override.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// Database URL.
    pub database_url: Option<String>,
    /// Addresses to listen on.
    pub bind: Option<String>,
    /// Refuse to start when migrations are pending.
    pub no_migrate: bool,
    /// Development mode.
    pub dev: bool,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingOrigin {
    /// The default.
    Default,
    /// A key of the configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// The command line.
    Flag,
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag => f.write_str("command line"),
        }
    }
}

/// Texts of settings with their origin. The strongest source wins.
#[derive(Debug, Default)]
pub(super) struct Settings(BTreeMap<&'static str, (String, SettingOrigin)>);

impl Settings {
    /// Returns the trimmed text of a setting.
    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|(text, _)| text.trim().to_owned())
    }

    /// Returns the trimmed text of a setting, or its default.
    pub fn text_or(&self, name: &str, default: &str) -> String {
        self.text(name).unwrap_or_else(|| default.to_owned())
    }

    /// Returns where a setting came from.
    pub fn origin(&self, name: &str) -> SettingOrigin {
        self.0
            .get(name)
            .map_or(SettingOrigin::Default, |(_, origin)| origin.clone())
    }

    /// Returns value and origin by name, with secrets hidden.
    pub fn shown(&self) -> BTreeMap<&'static str, (String, SettingOrigin)> {
        SETTINGS
            .iter()
            .map(|info| {
                let text = match (info.secrecy, self.0.get(info.name)) {
                    (Secrecy::Secret, Some(_)) => "(set, not shown)".to_owned(),
                    (Secrecy::HasPassword, Some((text, _))) => DatabaseUrl::new(text).to_string(),
                    (Secrecy::Public, Some((text, _))) => text.clone(),
                    (_, None) => info.default.to_owned(),
                };
                (info.name, (text, self.origin(info.name)))
            })
            .collect()
    }
}

/// Reads settings and collects what is wrong with their sources.
pub(super) struct SettingsReader<'a> {
    settings: Settings,
    /// Policy pins: variable and text.
    pins: BTreeMap<String, String>,
    /// Sources of identities.
    tables: ConfiguredTables,
    faults: &'a mut Vec<String>,
}

/// What was given: settings, policy pins (variable and text) and tables.
type GivenSettings = (Settings, BTreeMap<String, String>, ConfiguredTables);

/// The tables of the configuration file.
#[derive(Debug, Default)]
pub(super) struct ConfiguredTables {
    /// Sources of identities.
    pub sources: Vec<ConfiguredSource>,
    /// Systems to which the audit is shipped.
    pub audit_targets: Vec<AuditTarget>,
}

impl<'a> SettingsReader<'a> {
    /// Reads everything that was given, and apart from it the policy pins.
    pub fn read(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &Flags,
        faults: &'a mut Vec<String>,
    ) -> GivenSettings {
        let mut reader = Self {
            settings: Settings::default(),
            pins: BTreeMap::new(),
            tables: ConfiguredTables::default(),
            faults,
        };
        reader.read_file(file);
        reader.read_environment(environment);
        for (name, value) in [("database_url", &flags.database_url), ("bind", &flags.bind)] {
            if let (Some(info), Some(text)) = (SettingInfo::find(name), value) {
                reader.set(info, text.clone(), SettingOrigin::Flag);
            }
        }
        (reader.settings, reader.pins, reader.tables)
    }

    fn read_file(&mut self, given: Option<&Path>) {
        let path = given.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && given.is_none() => return,
            Err(error) => return self.faults.push(format!("{}: {error}", path.display())),
        };
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                return self
                    .faults
                    .push(format!("{}: {}", path.display(), locate(&error, &text)));
            }
        };
        for (key, value) in table {
            match key.as_str() {
                "sources" => {
                    self.tables.sources = read_sources(&value, self.faults);
                    continue;
                }
                "audit_targets" => {
                    self.tables.audit_targets = read_audit_targets(&value, self.faults);
                    continue;
                }
                _ => {}
            }
            let Some(info) = SettingInfo::find(&key) else {
                self.read_file_key(path, &key, &value);
                continue;
            };
            match value_to_text(&value) {
                Some(text) => self.set(info, text, SettingOrigin::File(path.to_owned())),
                None => self.faults.push(format!(
                    "{}: {key} must be text, a number, or a list of texts",
                    path.display()
                )),
            }
        }
    }

    /// Reads a key such as `secret_key_file`, or refuses an unknown one.
    fn read_file_key(&mut self, path: &Path, key: &str, value: &toml::Value) {
        let info = key
            .strip_suffix("_file")
            .and_then(SettingInfo::find)
            .filter(|info| info.may_be_a_file());
        match (info, value.as_str()) {
            (Some(info), Some(file)) => {
                let what = format!("{}: {key} = {file:?}", path.display());
                self.set_from_file(info, file, SettingOrigin::File(path.to_owned()), &what);
            }
            (Some(_), None) => self.faults.push(format!("{}: {key} must be a path", path.display())),
            (None, _) => self.faults.push(format!("{}: unknown key {key}", path.display())),
        }
    }

    fn read_environment(&mut self, environment: impl Iterator<Item = (String, String)>) {
        for (name, value) in environment {
            match Variable::classify(&name, &value) {
                Variable::Pin => {
                    self.pins.insert(name, value);
                }
                Variable::Setting(info) => self.set(info, value, SettingOrigin::Environment(name)),
                Variable::SettingFile(info) => {
                    let what = format!("{name}={value}");
                    self.set_from_file(info, &value, SettingOrigin::Environment(name), &what);
                }
                Variable::Foreign => {}
                Variable::Unknown(advice) => self.faults.push(format!("{name}: unknown variable: {advice}")),
            }
        }
    }

    fn set_from_file(&mut self, info: &'static SettingInfo, file: &str, origin: SettingOrigin, what: &str) {
        match std::fs::read_to_string(file) {
            Ok(content) => self.set(info, content.trim().to_owned(), origin),
            Err(error) => self.faults.push(format!("{what}: {error}")),
        }
    }

    fn set(&mut self, info: &'static SettingInfo, text: String, origin: SettingOrigin) {
        if let Some(place) = find_quotes(info, &text) {
            self.faults
                .push(format!("{} ({origin}): the value {place}; remove them", info.name));
        }
        let earlier = self.settings.0.insert(info.name, (text, origin.clone()));
        if let Some((_, earlier)) = earlier
            && is_same_source(&earlier, &origin)
        {
            self.faults
                .push(format!("{}: given twice: {earlier} and {origin}", info.name));
        }
    }
}

/// Returns whether two origins are of equal strength, so that neither wins.
fn is_same_source(a: &SettingOrigin, b: &SettingOrigin) -> bool {
    matches!(
        (a, b),
        (SettingOrigin::Environment(_), SettingOrigin::Environment(_))
            | (SettingOrigin::File(_), SettingOrigin::File(_))
    )
}

/// Says where a value still has the quotes of a shell or an environment file. A value that begins
/// or ends with a single one may be meant, but no address does.
fn find_quotes(info: &SettingInfo, text: &str) -> Option<&'static str> {
    let text = text.trim();
    let quotes = ['"', '\''];
    let is_around = |quote: char| text.len() >= 2 && text.starts_with(quote) && text.ends_with(quote);
    let is_address = info.name.ends_with("_url");
    match (text.starts_with(quotes), text.ends_with(quotes)) {
        _ if quotes.into_iter().any(is_around) => Some("begins and ends with quotes"),
        (true, _) if is_address => Some("begins with quotes"),
        (_, true) if is_address => Some("ends with quotes"),
        (_, _) => None,
    }
}

/// Says what is wrong with a TOML file and in which line, without quoting the line: it may have a
/// secret.
fn locate(error: &toml::de::Error, text: &str) -> String {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map(|before| before.matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_owned(),
    }
}

fn value_to_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map(|all| all.join(",")),
        toml::Value::Float(_) | toml::Value::Boolean(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}
