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
const LONGEST_REASON: usize = 500;

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
    text.trim().chars().take(LONGEST_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::{Pins, PolicyDocument};

    fn policy(set: &[(Scope, Key, Value)]) -> Policy {
        let mut document = PolicyDocument::default();
        for (scope, key, value) in set {
            document.set(scope, *key, value.clone());
        }
        Policy::new(1, document, Pins::new(), false)
    }

    fn submitted(fields: &[(&str, &str)]) -> PolicyForm {
        PolicyForm::new(
            fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    fn edits(base: &Policy, scope: &Scope, fields: &[(&str, &str)]) -> Vec<(Key, Option<Value>)> {
        submitted(fields)
            .touched(base, scope)
            .into_iter()
            .map(|touched| (touched.key, touched.outcome.expect("accepted")))
            .collect()
    }

    #[test]
    fn what_equals_the_shown_value_is_no_edit() {
        let fields = [
            ("session.ttl", "2 weeks"),
            ("auth.idle_session_timeout", ""),
            ("auth.idle_session_timeout.never", "on"),
            ("session.secure", "off"),
        ];
        assert_eq!(edits(&policy(&[]), &Scope::Everyone, &fields), []);
        assert_eq!(edits(&policy(&[]), &Scope::Everyone, &[("session.ttl", "1209600")]), []);
    }

    #[test]
    fn a_text_typed_beside_a_ticked_never_is_meant() {
        let fields = [
            ("auth.idle_session_timeout", "15m"),
            ("auth.idle_session_timeout.never", "on"),
        ];
        assert_eq!(
            edits(&policy(&[]), &Scope::Everyone, &fields),
            [(Key::AuthIdleSessionTimeout, Some(Value::Number(900)))]
        );
    }

    #[test]
    fn ticking_never_beside_the_old_text_means_never() {
        let base = policy(&[(Scope::Everyone, Key::AuthIdleSessionTimeout, Value::Number(900))]);
        let fields = [
            ("auth.idle_session_timeout", "15 minutes"),
            ("auth.idle_session_timeout.never", "on"),
        ];
        assert_eq!(
            edits(&base, &Scope::Everyone, &fields),
            [(Key::AuthIdleSessionTimeout, Some(Value::Number(-1)))]
        );
    }

    #[test]
    fn a_mode_change_leaves_the_settings_it_derives_unset() {
        let fields = [
            ("session.session_validation_mode", "strict"),
            ("session.session_ip_subnet_bits", "24"),
            ("session.session_allow_ip_changes", "1"),
        ];
        let expected = [(Key::SessionSessionValidationMode, Some(Value::Text("strict".into())))];
        assert_eq!(edits(&policy(&[]), &Scope::Everyone, &fields), expected);
    }

    #[test]
    fn an_override_equal_to_the_inherited_value_needs_its_box() {
        let scope = Scope::Administrators;
        assert_eq!(edits(&policy(&[]), &scope, &[("session.ttl", "2 weeks")]), []);
        let fields = [("session.ttl", "2 weeks"), ("session.ttl.set", "on")];
        assert_eq!(
            edits(&policy(&[]), &scope, &fields),
            [(Key::SessionTtl, Some(Value::Number(1_209_600)))]
        );
    }

    #[test]
    fn unset_wins_over_what_the_field_still_says() {
        let base = policy(&[(Scope::Administrators, Key::SessionTtl, Value::Number(3600))]);
        let fields = [("session.ttl", "1 hour"), ("session.ttl.unset", "on")];
        assert_eq!(edits(&base, &Scope::Administrators, &fields), [(Key::SessionTtl, None)]);
        assert_eq!(edits(&policy(&[]), &Scope::Administrators, &fields), []);
    }

    #[test]
    fn strangers_are_named() {
        let fields = submitted(&[
            ("session.tttl", "1h"),
            ("password.min_length", "9"),
            ("reason", "x"),
            ("session.ttl.never", "on"),
        ]);
        let names: Vec<String> = fields
            .unknown_fields(&Scope::Administrators)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["password.min_length", "session.tttl"]);
    }

    #[test]
    fn a_fault_keeps_what_was_typed() {
        let touched = submitted(&[("session.ttl", "two fortnights")]).touched(&policy(&[]), &Scope::Everyone);
        assert_eq!(
            touched[0].outcome,
            Err("Enter a duration such as 15m, 1.5h or 2 weeks, up to 10 years.".to_owned())
        );
        assert_eq!(touched[0].typed.text, "two fortnights");
        let touched = submitted(&[("auth.idle_session_timeout", "soon")]).touched(&policy(&[]), &Scope::Everyone);
        let words = "Enter a duration such as 15m, 1.5h or 2 weeks, up to 10 years, or choose Never.";
        assert_eq!(touched[0].outcome, Err(words.to_owned()));
    }
}
