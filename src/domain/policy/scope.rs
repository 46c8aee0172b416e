//! The scopes in which a policy sets values: everyone, administrators, or one application.

use std::{fmt, str::FromStr};

use crate::text::is_invisible;

/// The users for whom a value is set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The complete scope, which the others override.
    Everyone,
    /// Overrides for administrators.
    Administrators,
    /// Overrides for one application, by name.
    Application(String),
}

impl Scope {
    /// Returns the label on screens: `Everyone`, `Administrators`, `Application wiki`.
    pub fn label(&self) -> String {
        match self {
            Scope::Everyone => "Everyone".into(),
            Scope::Administrators => "Administrators".into(),
            Scope::Application(name) => format!("Application {name}"),
        }
    }
}

/// Formats `everyone`, `administrators` or `app:NAME`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Everyone => f.write_str("everyone"),
            Scope::Administrators => f.write_str("administrators"),
            Scope::Application(name) => write!(f, "app:{name}"),
        }
    }
}

/// The error for a text that does not name a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope “{0}”; accepted: everyone, administrators or app:NAME")]
pub struct ScopeError(pub String);

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        match text {
            "everyone" => Ok(Scope::Everyone),
            "administrators" => Ok(Scope::Administrators),
            _ => match text.strip_prefix("app:") {
                Some(name) if is_application_name(name) => Ok(Scope::Application(name.to_owned())),
                Some(_) | None => Err(ScopeError(text.to_owned())),
            },
        }
    }
}

/// Returns whether a scope can name the application: 1…64 characters, none of them white space or
/// invisible. The application need not exist.
pub(crate) fn is_application_name(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= 64 && !name.chars().any(|c| c.is_whitespace() || is_invisible(c))
}
