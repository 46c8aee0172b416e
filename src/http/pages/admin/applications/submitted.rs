//! The form of an application, as it is sent.

use crate::domain::account::Role;
use crate::domain::policy::{Key, Value};
use crate::flows::applications::Change;
use crate::http::step_up::Critical;
use serde::Deserialize;

/// Lists are typed a line each; groups also with commas.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    pub act: String,
    pub name: String,
    pub hosts: String,
    pub prefixes: String,
    #[serde(rename = "role")]
    pub roles: Vec<String>,
    pub groups: String,
    pub public: String,
    /// Blank: as for everyone.
    pub activity: String,
    pub ignored: String,
    /// Typed before it is deleted.
    pub confirm_name: String,
}

impl Critical for Fields {}

impl Fields {
    /// Everything that the form shows is as it says.
    pub fn change(&self) -> Change {
        let ignored = lines(&self.ignored);
        let activity = self.activity.trim();
        Change {
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
