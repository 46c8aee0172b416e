//! The policy document as types: which settings are set, in which scope.
//! What a setting means stands in `catalogue`, what holds for a session in `effective`.

use std::{collections::BTreeMap, fmt, str::FromStr};

mod bloomreach;
pub mod catalogue;
pub mod diff;
pub mod document;
pub mod effective;
mod hue;
mod ibm;
pub mod interchange;
mod json;
mod leaves;
pub mod merge;
pub mod posture;
pub mod provisional;
pub mod toml;

pub use catalogue::Key;

/// The value of a setting; which variant a key takes says its [`catalogue::Kind`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// On or off.
    Flag(bool),
    /// Whole seconds or a plain number; -1 = never / unlimited.
    Number(i64),
    /// One word of a choice, or free text.
    Text(String),
    /// Globs or networks, in the order they were given.
    List(Vec<String>),
}

impl Value {
    /// The JSON of exports, `policy show --json` and the audit: bool, integer, string or list of strings.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Flag(on) => (*on).into(),
            Value::Number(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.clone().into(),
        }
    }

    /// Reads [`Value::to_json`] back. `None`: null, an object, a fraction, or a list of other things.
    /// Whether it suits a key is asked of [`catalogue::Setting::check`].
    pub fn from_json(json: &serde_json::Value) -> Option<Self> {
        match json {
            serde_json::Value::Bool(on) => Some(Value::Flag(*on)),
            serde_json::Value::Number(number) => number.as_i64().map(Value::Number),
            serde_json::Value::String(text) => Some(Value::Text(text.clone())),
            serde_json::Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map(Value::List),
            serde_json::Value::Null | serde_json::Value::Object(_) => None,
        }
    }
}

/// As in `policy set`: `true`, `900`, `Lax`, `a, b`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(on) => on.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Text(text) => f.write_str(text),
            Value::List(items) => f.write_str(&items.join(", ")),
        }
    }
}

/// For whom a value is set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The complete scope that the others override.
    Everyone,
    /// Overrides for accounts with that role.
    Administrators,
    /// Overrides for one application, by name.
    Application(String),
}

impl Scope {
    /// For people: `Everyone`, `Administrators`, `Application wiki`.
    pub fn label(&self) -> String {
        match self {
            Scope::Everyone => "Everyone".into(),
            Scope::Administrators => "Administrators".into(),
            Scope::Application(name) => format!("Application {name}"),
        }
    }
}

/// `everyone`, `administrators`, `app:NAME`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Everyone => f.write_str("everyone"),
            Scope::Administrators => f.write_str("administrators"),
            Scope::Application(name) => write!(f, "app:{name}"),
        }
    }
}

/// A text that names no scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope “{0}”: it is everyone, administrators or app:NAME")]
pub struct ScopeError(pub String);

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        match text {
            "everyone" => Ok(Scope::Everyone),
            "administrators" => Ok(Scope::Administrators),
            _ => match text.strip_prefix("app:") {
                Some(name) if application_name(name) => Ok(Scope::Application(name.to_owned())),
                Some(_) | None => Err(ScopeError(text.to_owned())),
            },
        }
    }
}

/// 1…64 characters, none of them white space or invisible: what a scope can name (the application need not exist).
pub(crate) fn application_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().count() <= 64
        && !name.chars().any(|c| c.is_whitespace() || super::account::invisible(c))
}

/// What one scope sets.
pub type Overrides = BTreeMap<Key, Value>;

/// Keys fixed by the environment, in every scope.
pub type Pins = BTreeMap<Key, Value>;

/// A whole policy: what is set, in which scope. What is not set has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyDocument {
    /// The scope that holds for everyone.
    pub everyone: Overrides,
    /// Overrides for administrators.
    pub administrators: Overrides,
    /// Overrides per application, by name.
    pub applications: BTreeMap<String, Overrides>,
}

/// Where an effective value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The catalogue.
    Default,
    /// The document, in this scope.
    SetIn(Scope),
    /// Derived from `session.session_validation_mode`, whose value this is.
    Mode(String),
    /// The environment.
    Pinned,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::SetIn(scope) => scope.fmt(f),
            Source::Mode(mode) => write!(f, "mode:{mode}"),
            Source::Pinned => f.write_str("environment"),
        }
    }
}

/// One thing wrong with a document or a change: names scope, key, value and the accepted range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub scope: Scope,
    /// As written, for it may be no key at all.
    pub key: String,
    /// As written; empty when no value is concerned.
    pub value: String,
    /// A sentence for people.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scope != Scope::Everyone {
            write!(f, "{}: ", self.scope)?;
        }
        match (self.key.is_empty(), self.value.is_empty()) {
            (true, _) => f.write_str(&self.message),
            (false, true) => write!(f, "{}: {}", self.key, self.message),
            (false, false) => write!(f, "{} = {}: {}", self.key, self.value, self.message),
        }
    }
}

/// Accepted, but worth a second look (cross-field rules).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub scope: Scope,
    /// The setting to look at.
    pub key: Key,
    /// A sentence for people.
    pub message: String,
}
