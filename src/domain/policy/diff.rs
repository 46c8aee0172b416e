//! The changes between two documents, for the review page, the audit and `policy revisions`.

use super::*;

/// One setting that is set, changed or unset in one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The scope.
    pub scope: Scope,
    /// The setting.
    pub key: Key,
    /// The old value; `None`: not set in this scope.
    pub old: Option<Value>,
    /// The new value; `None`: no longer set in this scope.
    pub new: Option<Value>,
}

/// Returns all differences, by scope (everyone, administrators, applications by name) and key.
pub fn diff(old: &PolicyDocument, new: &PolicyDocument) -> Vec<Change> {
    let applications = old
        .applications
        .keys()
        .chain(new.applications.keys())
        .cloned()
        .map(Scope::Application);
    let mut scopes: Vec<Scope> = [Scope::Everyone, Scope::Administrators]
        .into_iter()
        .chain(applications)
        .collect();
    scopes.sort();
    scopes.dedup();
    scopes
        .into_iter()
        .flat_map(|scope| diff_scope(&scope, old, new))
        .collect()
}

fn diff_scope(scope: &Scope, old: &PolicyDocument, new: &PolicyDocument) -> Vec<Change> {
    let changes = Key::ALL.iter().filter_map(|&key| {
        let (old, new) = (old.get(scope, key), new.get(scope, key));
        (old != new).then(|| Change {
            scope: scope.clone(),
            key,
            old: old.cloned(),
            new: new.cloned(),
        })
    });
    changes.collect()
}

impl Change {
    /// Converts to `{"scope","key","old","new"}`; null: not set.
    pub fn to_json(&self) -> serde_json::Value {
        let value = |value: &Option<Value>| value.as_ref().map(Value::to_json);
        serde_json::json!({
            "scope": self.scope.to_string(),
            "key": self.key.name(),
            "old": value(&self.old),
            "new": value(&self.new),
        })
    }

    /// Parses [`Change::to_json`]; `None`: another object, or a setting that no longer exists.
    pub fn from_json(json: &serde_json::Value) -> Option<Self> {
        let value = |name: &str| match json.get(name)? {
            serde_json::Value::Null => Some(None),
            set => Value::from_json(set).map(Some),
        };
        Some(Self {
            scope: json.get("scope")?.as_str()?.parse().ok()?,
            key: Key::parse(json.get("key")?.as_str()?)?,
            old: value("old")?,
            new: value("new")?,
        })
    }

    /// Formats the change for screens: `Idle timeout: 15 minutes → 10 minutes (Everyone)`.
    pub fn sentence(&self) -> String {
        let setting = self.key.setting();
        let shown = |value: &Option<Value>| match (value, &self.scope) {
            (Some(value), _) => setting.display(value),
            (None, Scope::Everyone) => format!("default ({})", setting.describe_default()),
            (None, Scope::Administrators | Scope::Application(_)) => "inherited".to_owned(),
        };
        format!(
            "{}: {} → {} ({})",
            setting.label,
            shown(&self.old),
            shown(&self.new),
            self.scope.label()
        )
    }
}
