//! The value of a setting, and its JSON.

use std::fmt;

/// The value of a setting; its kind ([`Kind`](super::catalogue::Kind)) determines the variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// On or off.
    Flag(bool),
    /// Whole seconds or a plain number; -1: never or unlimited.
    Number(i64),
    /// One word of a choice, or free text.
    Text(String),
    /// Globs or networks, in the given order.
    List(Vec<String>),
}

impl Value {
    /// Converts to the JSON of exports, `policy show --json` and the audit: bool, integer, string
    /// or list of strings.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Flag(on) => (*on).into(),
            Value::Number(number) => (*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.clone().into(),
        }
    }

    /// Parses [`Value::to_json`]. `None`: null, an object, a fraction, or a list of other values.
    /// [`Setting::check`](super::catalogue::Setting::check) checks whether it is valid for a key.
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

/// Formats a value as in `policy set`: `true`, `900`, `Lax`, `a, b`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(on) => on.fmt(f),
            Value::Number(number) => number.fmt(f),
            Value::Text(text) => f.write_str(text),
            // Network groups contain commas themselves.
            Value::List(items) if items.iter().any(|item| item.contains(',')) => f.write_str(&items.join("; ")),
            Value::List(items) => f.write_str(&items.join(", ")),
        }
    }
}
