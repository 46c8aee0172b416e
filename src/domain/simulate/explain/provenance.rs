//! Every effective value with where it comes from. Lifetimes come from several scopes at once: the one that binds is said.

use super::end_key;
use crate::domain::{
    account::Role,
    policy::{
        Key, Scope, Source, Value,
        effective::{EffectivePolicy, Policy},
    },
    session::{LifeFacts, candidates},
};

/// One effective value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// The setting.
    pub key: Key,
    /// The scope that asks: the role's own, or an application's.
    pub scope: Scope,
    /// What holds.
    pub value: Value,
    /// Where it comes from.
    pub source: Source,
    /// `scope` itself sets the key, whether or not that holds.
    pub set_here: bool,
    /// Of several rules for one lifetime, the one that comes first.
    pub binds: bool,
}

impl Provenance {
    /// Nobody chose the value.
    pub fn is_default(&self) -> bool {
        self.source == Source::Default
    }
}

/// The values that hold for a role in these applications: the role's own, and each application's where it differs.
pub fn provenance(policy: &Policy, role: Role, applications: &[String]) -> Vec<Provenance> {
    let rules = policy.effective(role, applications, None);
    let mut all = Vec::new();
    for key in Key::ALL {
        let own = one(policy, role, *key, None);
        let entered = applications.iter().filter(|_| key.setting().applications);
        let entered = entered.map(|name| one(policy, role, *key, Some(name)));
        // An application that inherits says nothing of its own.
        let mut said = vec![own];
        for other in entered {
            if !said.iter().any(|known| known.source == other.source) {
                said.push(other);
            }
        }
        if said.len() > 1
            && let Some(binding) = binding(*key, &rules)
        {
            for row in &mut said {
                row.binds = row.scope == binding;
            }
        }
        all.extend(said);
    }
    all
}

fn one(policy: &Policy, role: Role, key: Key, application: Option<&String>) -> Provenance {
    let (value, source) = policy.value(key, role, application.map(String::as_str));
    let scope = match application {
        Some(name) => Scope::Application(name.clone()),
        None if role == Role::Administrator && key.setting().administrators => Scope::Administrators,
        None => Scope::Everyone,
    };
    Provenance {
        key,
        set_here: policy.document().get(&scope, key).is_some(),
        scope,
        value,
        source,
        binds: false,
    }
}

/// The scope whose rule ends a session first by this setting, were nothing else set.
fn binding(key: Key, rules: &EffectivePolicy) -> Option<Scope> {
    let fresh = LifeFacts::default();
    let ends = candidates(&fresh, rules).filter(|end| end_key(end.reason) == Some(key));
    let first = ends.min_by_key(|end| (end.at, end.reason))?;
    let lifetime = rules.lifetimes.get(first.rule)?;
    // The role's own rule is the first; its scope names who set any of its lifetimes.
    match (first.rule, &lifetime.scope) {
        (0, _) if rules.role == Role::Administrator => Some(Scope::Administrators),
        (_, scope) => Some(scope.clone()),
    }
}
