//! Texts, instants and numbers as a command prints them.

pub use crate::domain::text::{escape_invisible as escape_text, escape_json};

use crate::domain::time::Timestamp;
use serde_json::Value;

/// Formats an instant for people: whole seconds, UTC.
pub fn format_time(at: Timestamp) -> String {
    Timestamp::from_micros(at.as_micros().div_euclid(1_000_000) * 1_000_000).to_rfc3339()
}

/// Formats an instant, or writes a dash.
pub fn format_time_or_dash(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), format_time)
}

/// Returns the text, or a dash where there is none.
pub fn text_or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

/// Converts an instant for scripts: RFC 3339, or null.
pub fn time_to_json(at: Option<Timestamp>) -> Value {
    at.map(Timestamp::to_rfc3339).into()
}

/// Formats a number with its noun: `1 session`, `2 sessions`.
pub fn format_count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
