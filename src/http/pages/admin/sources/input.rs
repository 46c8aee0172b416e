//! The form of a source.

use crate::{
    domain::{
        secret::Secret,
        source::{SettingTexts, SourceKind, fields_of},
    },
    flows::sources::SourceChange,
    http::step_up::CriticalForm,
};
use serde::Deserialize;

/// The input. Settings have the keys of the source's fields; lists have one entry per line.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct SourceInput {
    /// `set`, `enable`, `disable` or `delete`.
    pub act: String,
    pub name: String,
    pub kind: String,
    pub title: String,
    /// Its place among all sources, from 1; empty: unchanged.
    pub place: String,
    /// Empty: unchanged.
    pub secret: String,
    /// Not empty: the secret is removed.
    pub clear_secret: String,
    /// The access token for security events; empty: unchanged.
    pub events_token: String,
    /// Not empty: that token is removed.
    pub clear_events_token: String,
    /// The name, typed before it is deleted.
    pub confirm_name: String,
    /// Not empty: its accounts are disabled when it is deleted.
    pub with_accounts: String,
    /// The settings, beside fields of the page itself.
    #[serde(flatten)]
    pub settings: SettingTexts,
}

impl CriticalForm for SourceInput {
    const SECRETS: &[(&str, &str)] = &[
        ("secret", "Secret"),
        ("events_token", "Access token for security events"),
    ];
}

impl SourceInput {
    /// Returns the change. Settings that are as the form showed them are left out, so that they can
    /// follow others. A new source is created disabled. `stored`: the settings of an existing one.
    pub fn change(&self, kind: SourceKind, stored: Option<&SettingTexts>) -> SourceChange {
        match self.act.as_str() {
            "enable" | "disable" => {
                return SourceChange {
                    enabled: Some(self.act == "enable"),
                    ..SourceChange::default()
                };
            }
            _ => {}
        }
        let fields = fields_of(kind).into_iter();
        let settings = fields.filter_map(|field| {
            let typed = self.settings.get(field.key).map(|text| text.replace("\r\n", "\n"));
            let typed = typed.unwrap_or_default();
            let shown = match stored {
                Some(stored) => stored.get(field.key).map(String::as_str).unwrap_or_default(),
                None => field.default,
            };
            (typed != shown).then(|| (field.key.to_owned(), typed))
        });
        SourceChange {
            title: Some(self.title.clone()),
            enabled: stored.is_none().then_some(false),
            place: self.place.trim().parse().ok(),
            settings: settings.collect(),
            secret: changed_secret(&self.secret, &self.clear_secret),
            events_token: changed_secret(&self.events_token, &self.clear_events_token),
        }
    }
}

/// Returns a secret that was typed, or an empty one if the stored one is to be removed.
fn changed_secret(typed: &str, cleared: &str) -> Option<Secret> {
    (!typed.is_empty() || !cleared.is_empty()).then(|| Secret::new(typed.to_owned()))
}
