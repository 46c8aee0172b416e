//! The input of the policy form: which fields were changed, and to what. A form without script
//! sends every field, so a value equal to the one on which the form is based is not an edit. This
//! saves and renders nothing.
use crate::domain::{
    duration::{self, humanize},
    policy::{Key, Scope, Value, catalogue::Kind, diff::Change, effective::Policy},
};
use std::collections::{BTreeMap, BTreeSet};

/// Suffixes of field names that are not the value itself.
const NEVER: &str = ".never";
const AFTER: &str = ".after";
const UNSET: &str = ".unset";
const SET: &str = ".set";

/// Maximum number of characters of the reason for a save.
const MAX_REASON_LENGTH: usize = 500;

/// The last value of each field, in the browser's format.
#[derive(Debug, Clone, Default)]
pub struct PolicyForm(BTreeMap<String, String>);

/// The input of one setting's fields, kept so that a refused form can show it again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingInput {
    pub text: String,
    pub never: bool,
    pub after: String,
    pub unset: bool,
    pub set: bool,
}

/// A setting that the form changes; `None` unsets it in the scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditedSetting {
    pub key: Key,
    pub typed: SettingInput,
    pub outcome: Result<Option<Value>, String>,
}

impl PolicyForm {
    /// Creates the input; the last value of a repeated field counts.
    pub fn new(fields: Vec<(String, String)>) -> Self {
        Self(fields.into_iter().collect())
    }

    /// Returns the value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn ticked(&self, key: Key, ending: &str) -> bool {
        self.get(&format!("{}{ending}", key.name()))
            .is_some_and(|value| !value.is_empty())
    }

    fn typed(&self, key: Key) -> Option<SettingInput> {
        let typed = SettingInput {
            text: self.get(key.name()).unwrap_or_default().to_owned(),
            never: self.ticked(key, NEVER),
            after: self
                .get(&format!("{}{AFTER}", key.name()))
                .unwrap_or_default()
                .to_owned(),
            unset: self.ticked(key, UNSET),
            set: self.ticked(key, SET),
        };
        (self.get(key.name()).is_some() || typed.never || typed.unset).then_some(typed)
    }

    /// Returns the settings that differ from what `base` shows in `scope`, in the order of the
    /// catalogue.
    pub fn touched(&self, base: &Policy, scope: &Scope) -> Vec<EditedSetting> {
        let shown = |key: Key| shown(base, scope, key);
        Key::ALL
            .iter()
            .filter(|key| key.setting().allowed_in(scope))
            .filter_map(|&key| {
                let typed = self.typed(key)?;
                let own = base.document().get(scope, key);
                if typed.unset {
                    return own.is_some().then_some(EditedSetting {
                        key,
                        typed,
                        outcome: Ok(None),
                    });
                }
                let before = shown(key);
                let outcome = read(key, &typed, &before).map_err(|fault| describe_fault(key, &typed, fault));
                let same = outcome.as_ref() == Ok(&before);
                if same && (own.is_some() || !typed.set || base.pins().contains_key(&key)) {
                    return None;
                }
                Some(EditedSetting {
                    key,
                    typed,
                    outcome: outcome.map(Some),
                })
            })
            .collect()
    }

    /// Returns fields that look like settings but are not settings of this scope: names with
    /// messages.
    pub fn unknown_fields(&self, scope: &Scope) -> Vec<(String, String)> {
        let names: BTreeSet<&str> = self
            .0
            .keys()
            .map(|name| stem(name))
            .filter(|name| name.contains('.'))
            .collect();
        names
            .into_iter()
            .filter_map(|name| match Key::parse(name) {
                None => Some((name.to_owned(), format!("{name}: there is no such setting."))),
                Some(key) if key.setting().allowed_in(scope) => None,
                Some(key) => {
                    let words = format!("{}: cannot be set for {}.", key.setting().label, scope.label());
                    Some((name.to_owned(), words))
                }
            })
            .collect()
    }
}

/// Returns the input that would make these changes of `scope`.
pub fn of_draft(changes: &[Change], scope: &Scope) -> Vec<EditedSetting> {
    let touched = |change: &Change| {
        let typed = match &change.new {
            None => SettingInput {
                unset: true,
                ..SettingInput::default()
            },
            Some(value) => input_of(change.key, value),
        };
        EditedSetting {
            key: change.key,
            typed,
            outcome: Ok(change.new.clone()),
        }
    };
    let of_scope = changes.iter().filter(|change| change.scope == *scope);
    of_scope.map(touched).collect()
}

fn input_of(key: Key, value: &Value) -> SettingInput {
    let setting = key.setting();
    let mut typed = SettingInput {
        text: setting.input(value),
        set: true,
        ..SettingInput::default()
    };
    match (setting.kind, value) {
        (Kind::Duration { .. } | Kind::Count { .. }, Value::Number(-1)) => {
            typed.never = true;
            typed.text.clear();
        }
        (Kind::FlagOrDuration, Value::Number(secs)) => {
            typed.after = humanize(*secs);
            typed.text = "after".to_owned();
        }
        (Kind::Globs | Kind::Cidrs | Kind::NetworkGroups, Value::List(items)) => typed.text = items.join("\n"),
        (_, _) => {}
    }
    typed
}

/// Returns the value that the form shows: the scope's own, otherwise the effective one.
pub fn shown(policy: &Policy, scope: &Scope, key: Key) -> Value {
    if let Some(pin) = policy.pins().get(&key) {
        return pin.clone();
    }
    match policy.document().get(scope, key) {
        Some(own) => own.clone(),
        None => policy.value_in(scope, key).0,
    }
}

fn stem(name: &str) -> &str {
    [NEVER, AFTER, UNSET, SET]
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

/// Describes a fault on the form; a text that is no duration gets an example instead of the
/// grammar.
fn describe_fault(key: Key, typed: &SettingInput, fault: String) -> String {
    let setting = key.setting();
    let (text, never) = match setting.kind {
        Kind::Duration { never, .. } => (&typed.text, never),
        Kind::FlagOrDuration => (&typed.after, false),
        Kind::Count { .. }
        | Kind::Flag
        | Kind::Number { .. }
        | Kind::Choice(_)
        | Kind::NumberChoice(_)
        | Kind::Text { .. }
        | Kind::Globs
        | Kind::Cidrs
        | Kind::NetworkGroups => return fault,
    };
    match (duration::parse(text), never) {
        (Ok(_), _) => fault,
        (Err(_), true) => "Enter a duration such as 15m, 1.5h or 2 weeks, up to 10 years, or choose Never.".to_owned(),
        (Err(_), false) => "Enter a duration such as 15m, 1.5h or 2 weeks, up to 10 years.".to_owned(),
    }
}

fn read(key: Key, typed: &SettingInput, before: &Value) -> Result<Value, String> {
    let setting = key.setting();
    let never = Value::Number(-1);
    match setting.kind {
        Kind::Duration { .. } | Kind::Count { .. } if typed.never => {
            // The text was empty while the checkbox was ticked, so a text entered since then is
            // meant.
            if *before == never && !typed.text.trim().is_empty() {
                setting.parse(&typed.text)
            } else {
                setting.check(&never).map(|()| never)
            }
        }
        Kind::FlagOrDuration if typed.text == "after" => setting.parse(&typed.after),
        Kind::Duration { .. }
        | Kind::Count { .. }
        | Kind::FlagOrDuration
        | Kind::Flag
        | Kind::Number { .. }
        | Kind::Choice(_)
        | Kind::NumberChoice(_)
        | Kind::Text { .. }
        | Kind::Globs
        | Kind::Cidrs
        | Kind::NetworkGroups => setting.parse(&typed.text),
    }
}

/// Returns the reason for a save as stored.
pub(super) fn reason_of(text: &str) -> String {
    text.trim().chars().take(MAX_REASON_LENGTH).collect()
}

#[cfg(test)]
mod tests;
