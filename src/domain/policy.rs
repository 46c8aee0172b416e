//! The policy document as types: which settings are set, in which scope. `catalogue` defines the
//! settings, `effective` the values that apply to a session.

use std::{collections::BTreeMap, fmt};

mod bloomreach;
pub mod catalogue;
pub mod diff;
pub mod document;
pub mod effective;
mod glob;
mod hue;
mod ibm;
mod import_file;
pub mod interchange;
mod json;
mod leaves;
pub mod merge;
mod pattern;
pub mod posture;
pub mod provisional;
mod revision;
mod scope;
pub mod secure_mismatch;
pub mod toml;
mod value;

pub use catalogue::Key;
pub use hue::hue_entries;
pub use revision::{PolicyDraft, Revision};
pub(crate) use scope::is_application_name;
pub use scope::{Scope, ScopeError};
pub use value::Value;

/// The settings of one scope.
pub type Overrides = BTreeMap<Key, Value>;

/// Settings pinned by the environment, in every scope.
pub type Pins = BTreeMap<Key, Value>;

/// A complete policy: the settings of each scope. Settings that are missing have their default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyDocument {
    /// The scope that applies to everyone.
    pub everyone: Overrides,
    /// Overrides for administrators.
    pub administrators: Overrides,
    /// Overrides per application, by name.
    pub applications: BTreeMap<String, Overrides>,
}

/// The source of an effective value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The default of the catalogue.
    Default,
    /// The document, in this scope.
    SetIn(Scope),
    /// The validation mode (`session.session_validation_mode`) with this value.
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

/// A fault of a document or a change: scope, key, value and the accepted range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFault {
    /// The scope.
    pub scope: Scope,
    /// The key as written; it may not exist.
    pub key: String,
    /// The value as written; empty if the fault is not about a value.
    pub value: String,
    /// The message for users.
    pub message: String,
}

impl fmt::Display for PolicyFault {
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

/// A warning about an accepted value (rules across settings).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The scope.
    pub scope: Scope,
    /// The setting.
    pub key: Key,
    /// The message for users.
    pub message: String,
}
