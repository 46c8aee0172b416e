//! The policy form as it came in: which fields were really changed, and to what. A form without script sends every field,
//! so what equals the value that the form was made from is no edit. Nothing is saved or drawn here.
use crate::domain::duration::humanize;
use crate::domain::policy::catalogue::Kind;
use crate::domain::policy::diff::Change;
use crate::domain::policy::effective::Policy;
use crate::domain::policy::{Key, Scope, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Endings of field names that are not the value itself.
const NEVER: &str = ".never";
const AFTER: &str = ".after";
const UNSET: &str = ".unset";
const SET: &str = ".set";

/// The last value of each field, as browsers send them.
#[derive(Debug, Clone, Default)]
pub struct Submitted(BTreeMap<String, String>);

/// What one setting's fields hold, kept so that a refused form comes back as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typed {
    pub text: String,
    pub never: bool,
    pub after: String,
    pub unset: bool,
    pub set: bool,
}

/// A setting that the form changes; `None` takes it out of the scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    pub key: Key,
    pub typed: Typed,
    pub outcome: Result<Option<Value>, String>,
}

impl Submitted {
    pub fn new(fields: Vec<(String, String)>) -> Self {
        Self(fields.into_iter().collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn ticked(&self, key: Key, ending: &str) -> bool {
        self.get(&format!("{}{ending}", key.name()))
            .is_some_and(|value| !value.is_empty())
    }

    fn typed(&self, key: Key) -> Option<Typed> {
        let typed = Typed {
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

    /// The settings that differ from what `base` shows in `scope`, in the order of the catalogue.
    pub fn touched(&self, base: &Policy, scope: &Scope) -> Vec<Touched> {
        let shown = |key: Key| shown(base, scope, key);
        Key::ALL
            .iter()
            .filter(|key| key.setting().allowed_in(scope))
            .filter_map(|&key| {
                let typed = self.typed(key)?;
                let own = base.document().get(scope, key);
                if typed.unset {
                    return own.is_some().then_some(Touched {
                        key,
                        typed,
                        outcome: Ok(None),
                    });
                }
                let before = shown(key);
                let outcome = read(key, &typed, &before);
                let same = outcome.as_ref() == Ok(&before);
                if same && (own.is_some() || !typed.set || base.pins().contains_key(&key)) {
                    return None;
                }
                Some(Touched {
                    key,
                    typed,
                    outcome: outcome.map(Some),
                })
            })
            .collect()
    }

    /// Fields that look like settings and are none, or none of this scope: name and sentence.
    pub fn strangers(&self, scope: &Scope) -> Vec<(String, String)> {
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

/// The form as it would be filled in to make these changes of `scope`.
pub fn of_draft(changes: &[Change], scope: &Scope) -> Vec<Touched> {
    let touched = |change: &Change| {
        let typed = match &change.new {
            None => Typed {
                unset: true,
                ..Typed::default()
            },
            Some(value) => typed_of(change.key, value),
        };
        Touched {
            key: change.key,
            typed,
            outcome: Ok(change.new.clone()),
        }
    };
    let of_scope = changes.iter().filter(|change| change.scope == *scope);
    of_scope.map(touched).collect()
}

fn typed_of(key: Key, value: &Value) -> Typed {
    let setting = key.setting();
    let mut typed = Typed {
        text: setting.input(value),
        set: true,
        ..Typed::default()
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
        (Kind::Globs | Kind::Cidrs, Value::List(items)) => typed.text = items.join("\n"),
        (_, _) => {}
    }
    typed
}

/// The value that the form shows: the scope's own, else what holds there.
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

fn read(key: Key, typed: &Typed, before: &Value) -> Result<Value, String> {
    let setting = key.setting();
    let never = Value::Number(-1);
    match setting.kind {
        Kind::Duration { .. } | Kind::Count { .. } if typed.never => {
            // The text was empty while the box was ticked: whoever fills it in means the text.
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
        | Kind::Cidrs => setting.parse(&typed.text),
    }
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

    fn submitted(fields: &[(&str, &str)]) -> Submitted {
        Submitted::new(
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
    fn a_mode_change_leaves_the_knobs_it_derives_unset() {
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
            .strangers(&Scope::Administrators)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["password.min_length", "session.tttl"]);
    }

    #[test]
    fn a_fault_keeps_what_was_typed() {
        let touched = submitted(&[("session.ttl", "two fortnights")]).touched(&policy(&[]), &Scope::Everyone);
        assert!(touched[0].outcome.is_err());
        assert_eq!(touched[0].typed.text, "two fortnights");
    }
}
