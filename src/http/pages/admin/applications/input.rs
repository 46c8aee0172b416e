//! The form of an application.

use crate::{
    domain::{
        account::Role,
        policy::{Key, Value},
    },
    flows::applications::ApplicationChange,
    http::step_up::CriticalForm,
};
use serde::Deserialize;

/// The input; lists have one entry per line, groups may also have commas.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ApplicationInput {
    pub act: String,
    pub name: String,
    pub hosts: String,
    pub prefixes: String,
    #[serde(rename = "role")]
    pub roles: Vec<String>,
    pub groups: String,
    pub public: String,
    /// Empty: as for everyone.
    pub activity: String,
    pub ignored: String,
    /// The name, typed before it is deleted.
    pub confirm_name: String,
}

impl CriticalForm for ApplicationInput {}

impl ApplicationInput {
    /// Returns the change to everything that the form shows.
    pub fn change(&self) -> ApplicationChange {
        let ignored = lines(&self.ignored);
        let activity = self.activity.trim();
        ApplicationChange {
            hosts: Some(lines(&self.hosts)),
            prefixes: Some(lines(&self.prefixes)),
            roles: Some(self.roles.iter().filter_map(|role| Role::parse(role)).collect()),
            groups: Some(split(&self.groups, &[',', '\n'])),
            public: Some(lines(&self.public)),
            policy: vec![
                (
                    Key::ActivityCounts,
                    (!activity.is_empty()).then(|| Value::Text(activity.to_owned())),
                ),
                (
                    Key::ActivityIgnoredPaths,
                    (!ignored.is_empty()).then_some(Value::List(ignored)),
                ),
            ],
        }
    }
}

fn lines(text: &str) -> Vec<String> {
    split(text, &['\n'])
}

fn split(text: &str, at: &[char]) -> Vec<String> {
    let items = text.split(at).map(str::trim);
    items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}
