//! Shared parts of the console's pages: a status, a choice, the links to neighboring pages, a line
//! of a diff. Their markup is in `templates/parts`.
use crate::{
    domain::policy::{Scope, Value, diff::Change},
    http::filters,
};
use askama::{Template, filters::HtmlSafe};

/// A status: icon, word and color together, never color alone.
#[derive(Debug, Clone, PartialEq, Eq, Template)]
#[template(path = "parts/badge.html")]
pub struct Badge {
    pub kind: &'static str,
    pub icon: &'static str,
    pub text: String,
}

impl HtmlSafe for Badge {}

impl Badge {
    /// Returns a badge for a good state.
    pub fn ok(text: impl Into<String>) -> Self {
        Self {
            kind: "ok",
            icon: "ok",
            text: text.into(),
        }
    }

    /// Returns a badge for a neutral fact worth noticing.
    pub fn info(text: impl Into<String>) -> Self {
        Self {
            kind: "info",
            icon: "info",
            text: text.into(),
        }
    }

    /// Returns a badge for something that needs attention.
    pub fn warn(text: impl Into<String>) -> Self {
        Self {
            kind: "warn",
            icon: "warn",
            text: text.into(),
        }
    }

    /// Returns a badge for a fault or a refusal.
    pub fn danger(text: impl Into<String>) -> Self {
        Self {
            kind: "danger",
            icon: "danger",
            text: text.into(),
        }
    }

    /// Returns a badge without color.
    pub fn plain(icon: &'static str, text: impl Into<String>) -> Self {
        Self {
            kind: "plain",
            icon,
            text: text.into(),
        }
    }

    /// Replaces the icon.
    pub fn with_icon(self, icon: &'static str) -> Self {
        Self { icon, ..self }
    }
}

/// One `<option>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub value: String,
    pub label: String,
    pub selected: bool,
}

impl Choice {
    /// Returns the options of a select, with `current` selected.
    pub fn list<'a>(options: impl IntoIterator<Item = (&'a str, &'a str)>, current: &str) -> Vec<Self> {
        options
            .into_iter()
            .map(|(value, label)| Self {
                value: value.to_owned(),
                label: label.to_owned(),
                selected: value == current,
            })
            .collect()
    }
}

/// Links to the neighboring pages of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Template)]
#[template(path = "parts/pager.html")]
pub struct Pager {
    pub newer: Option<String>,
    pub older: Option<String>,
    /// Labels of the two directions: `Newer`, `Older`.
    pub labels: (&'static str, &'static str),
}

impl HtmlSafe for Pager {}

/// One setting's old and new value, formatted for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffLine {
    pub label: String,
    pub key: String,
    pub scope: String,
    pub old: String,
    pub new: String,
}

impl DiffLine {
    /// Returns the line of a change, with values formatted for people.
    pub fn new(change: &Change) -> Self {
        let setting = change.key.setting();
        let side = |value: &Option<Value>| match (value, &change.scope) {
            (Some(value), _) => setting.display(value),
            (None, Scope::Everyone) => format!("default ({})", setting.describe_default()),
            (None, Scope::Administrators | Scope::Application(_)) => "inherited".to_owned(),
        };
        Self {
            label: setting.label.to_owned(),
            key: setting.name.to_owned(),
            scope: change.scope.label(),
            old: side(&change.old),
            new: side(&change.new),
        }
    }
}
