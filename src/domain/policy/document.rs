//! Validation and edits of a policy document. Its JSON form is
//! {"everyone":{key:value},"administrators":{…},"app:NAME":{…}}. Faults refuse a document, warnings
//! only advise.

use super::*;

mod warnings;

impl PolicyDocument {
    /// Returns the value that `scope` itself sets for `key`.
    pub fn get(&self, scope: &Scope, key: Key) -> Option<&Value> {
        self.scope(scope)?.get(&key)
    }

    /// Sets a value without checking it; call [`PolicyDocument::faults`] after all edits.
    pub fn set(&mut self, scope: &Scope, key: Key, value: Value) {
        let overrides = match scope {
            Scope::Everyone => &mut self.everyone,
            Scope::Administrators => &mut self.administrators,
            Scope::Application(name) => self.applications.entry(name.clone()).or_default(),
        };
        overrides.insert(key, value);
    }

    /// Removes a value; an application without any other value leaves the document.
    pub fn unset(&mut self, scope: &Scope, key: Key) {
        match scope {
            Scope::Everyone => {
                self.everyone.remove(&key);
            }
            Scope::Administrators => {
                self.administrators.remove(&key);
            }
            Scope::Application(name) => {
                if let Some(overrides) = self.applications.get_mut(name) {
                    overrides.remove(&key);
                    if overrides.is_empty() {
                        self.applications.remove(name);
                    }
                }
            }
        }
    }

    /// Works like [`PolicyDocument::set`], or like [`PolicyDocument::unset`] for `None`.
    pub fn put(&mut self, scope: &Scope, key: Key, value: Option<Value>) {
        match value {
            Some(value) => self.set(scope, key, value),
            None => self.unset(scope, key),
        }
    }

    /// Returns the settings of one scope; `None`: an application without overrides.
    pub fn scope(&self, scope: &Scope) -> Option<&Overrides> {
        match scope {
            Scope::Everyone => Some(&self.everyone),
            Scope::Administrators => Some(&self.administrators),
            Scope::Application(name) => self.applications.get(name),
        }
    }

    /// Returns all scopes of the document with their settings.
    pub fn scopes(&self) -> impl Iterator<Item = (Scope, &Overrides)> {
        let applications = self
            .applications
            .iter()
            .map(|(name, set)| (Scope::Application(name.clone()), set));
        [
            (Scope::Everyone, &self.everyone),
            (Scope::Administrators, &self.administrators),
        ]
        .into_iter()
        .chain(applications)
    }

    /// Returns all faults: values out of bounds, a scope that the key does not allow, SameSite=None
    /// without Secure, an invalid regex or glob …, a pinned key with another value.
    pub fn faults(&self, pins: &Pins) -> Vec<PolicyFault> {
        let mut faults = Vec::new();
        for (scope, overrides) in self.scopes() {
            for (&key, value) in overrides {
                faults.extend(setting_fault(&scope, key, value, pins));
            }
        }
        let everyone = |key: Key| pins.get(&key).or_else(|| self.everyone.get(&key)).cloned();
        let same_site_none = everyone(Key::SessionSameSite) == Some(Value::Text("None".into()));
        if same_site_none && everyone(Key::SessionSecure) != Some(Value::Flag(true)) {
            faults.push(PolicyFault {
                scope: Scope::Everyone,
                key: Key::SessionSameSite.name().into(),
                value: "None".into(),
                message: "browsers refuse SameSite=None without Secure; accepted: Strict or Lax, or None with \
                     session.secure on"
                    .into(),
            });
        }
        faults.extend(self.unreachable_factors(pins));
        faults
    }

    /// Returns requirements that no account could meet, because the factors for them are switched
    /// off.
    fn unreachable_factors(&self, pins: &Pins) -> Vec<PolicyFault> {
        let policy = effective::Policy::new(0, self.clone(), pins.clone(), false);
        let is_on = |key: Key| policy.value_in(&Scope::Everyone, key).0 == Value::Flag(true);
        let (apps, passkeys) = (is_on(Key::FactorAuthenticatorApp), is_on(Key::FactorPasskeys));
        let mut faults = Vec::new();
        for (scope, set) in self.scopes() {
            if scope != Scope::Everyone && !set.contains_key(&Key::FactorRequired) {
                continue;
            }
            let (required, _) = policy.value_in(&scope, Key::FactorRequired);
            let Value::Text(word) = &required else { continue };
            let message = match word.as_str() {
                "any" if !apps && !passkeys => {
                    "no account could meet it; accepted with factor.authenticator_app or factor.passkeys on"
                }
                "passkey" if !passkeys => "no account could meet it; accepted with factor.passkeys on",
                _ => continue,
            };
            faults.push(PolicyFault {
                scope,
                key: Key::FactorRequired.name().into(),
                value: word.clone(),
                message: message.into(),
            });
        }
        faults
    }

    /// Returns the [`PolicyDocument::faults`] of a draft made from `base`. A value that contradicts
    /// a pin is not a fault if `base` already has it, because pins come and go with the environment
    /// and must not block other edits.
    pub fn faults_since(&self, base: &PolicyDocument, pins: &Pins) -> Vec<PolicyFault> {
        let mut draft = self.clone();
        for (scope, overrides) in self.scopes() {
            for (&key, value) in overrides {
                if pins.contains_key(&key) && base.get(&scope, key) == Some(value) {
                    draft.unset(&scope, key);
                }
            }
        }
        draft.faults(pins)
    }

    /// Makes an import or a restored revision agree with `current` in every pinned key, and returns
    /// the pairs of scope and key that it changed.
    pub fn keep_pinned(&mut self, current: &PolicyDocument, pins: &Pins) -> Vec<(Scope, Key)> {
        let differing = diff::diff(current, self)
            .into_iter()
            .filter(|change| pins.contains_key(&change.key));
        let mut kept = Vec::new();
        for change in differing.collect::<Vec<_>>() {
            self.put(&change.scope, change.key, change.old);
            kept.push((change.scope, change.key));
        }
        kept
    }

    /// Converts to the JSON form, with scopes and keys in the order of the editor.
    pub fn to_json(&self) -> serde_json::Value {
        let scopes = self.scopes().map(|(scope, overrides)| {
            let values = overrides
                .iter()
                .map(|(key, value)| (key.name().to_owned(), value.to_json()));
            (scope.to_string(), serde_json::Value::Object(values.collect()))
        });
        serde_json::Value::Object(scopes.collect())
    }

    /// Parses the JSON form and reports all faults; unknown keys and scopes are faults.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Vec<PolicyFault>> {
        let fault = |scope: &Scope, key: &str, value: &serde_json::Value, message: String| PolicyFault {
            scope: scope.clone(),
            key: key.to_owned(),
            value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            message,
        };
        let Some(scopes) = json.as_object() else {
            return Err(vec![fault(
                &Scope::Everyone,
                "",
                json,
                "a policy is an object of scopes".into(),
            )]);
        };
        let mut document = PolicyDocument::default();
        let mut faults = Vec::new();
        for (name, values) in scopes {
            let scope: Scope = match name.parse() {
                Ok(scope) => scope,
                Err(error) => {
                    faults.push(fault(&Scope::Everyone, "", values, error.to_string()));
                    continue;
                }
            };
            let Some(values) = values.as_object() else {
                faults.push(fault(&scope, "", values, "a scope is an object of settings".into()));
                continue;
            };
            if let Scope::Application(name) = &scope {
                document.applications.entry(name.clone()).or_default();
            }
            for (name, value) in values {
                match read(&scope, name, |setting| setting.read(value)) {
                    Ok((key, value)) => document.set(&scope, key, value),
                    Err(message) => faults.push(fault(&scope, name, value, message)),
                }
            }
        }
        if faults.is_empty() { Ok(document) } else { Err(faults) }
    }
}

/// Reads one setting in one scope; `value` makes its value.
pub(super) fn read(
    scope: &Scope,
    name: &str,
    value: impl FnOnce(&catalogue::Setting) -> Result<Value, String>,
) -> Result<(Key, Value), String> {
    let key = Key::parse(name).ok_or_else(|| Key::unknown(name))?;
    let value = value(key.setting())?;
    if key.setting().allowed_in(scope) {
        Ok((key, value))
    } else {
        Err(not_in_scope(key))
    }
}

fn setting_fault(scope: &Scope, key: Key, value: &Value, pins: &Pins) -> Option<PolicyFault> {
    let setting = key.setting();
    let message = if !setting.allowed_in(scope) {
        not_in_scope(key)
    } else if let Err(message) = setting.check(value) {
        message
    } else {
        let pin = pins.get(&key).filter(|pin| *pin != value)?;
        format!(
            "pinned to {} by {} in the environment",
            setting.display(pin),
            key.env_name()
        )
    };
    Some(PolicyFault {
        scope: scope.clone(),
        key: key.name().into(),
        value: value.to_string(),
        message,
    })
}

/// Returns the message that lists the scopes in which a setting can be set.
pub(super) fn not_in_scope(key: Key) -> String {
    let setting = key.setting();
    let scopes = match (setting.administrators, setting.applications) {
        (true, true) => "everyone, administrators and app:NAME",
        (true, false) => "everyone and administrators",
        (false, true) => "everyone and app:NAME",
        (false, false) => "everyone",
    };
    format!("cannot be set in this scope; accepted in: {scopes}")
}

/// Parses `KEY=VALUE` edits from the CLI and the editor and reports all faults.
pub fn parse_edits(scope: &Scope, edits: &[(String, String)]) -> Result<Vec<(Key, Value)>, Vec<PolicyFault>> {
    let mut parsed = Vec::new();
    let mut faults = Vec::new();
    for (name, text) in edits {
        match read(scope, name.trim(), |setting| setting.parse(text)) {
            Ok(edit) => parsed.push(edit),
            Err(message) => {
                faults.push(PolicyFault {
                    scope: scope.clone(),
                    key: name.clone(),
                    value: text.clone(),
                    message,
                });
            }
        }
    }
    if faults.is_empty() { Ok(parsed) } else { Err(faults) }
}
