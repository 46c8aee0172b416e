//! The sources of effective values. Lifetimes come from several scopes at the same time; the one
//! that decides is marked.

use crate::{
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
    /// The scope of the rule: the role's own, or an application's.
    pub scope: Scope,
    /// The effective value.
    pub value: Value,
    /// Its source.
    pub source: Source,
    /// Whether `scope` itself sets the key, even if its value is not effective.
    pub set_here: bool,
    /// Whether this is the rule that decides, of several for one lifetime.
    pub binds: bool,
}

impl Provenance {
    /// Returns whether the value is a default.
    pub fn is_default(&self) -> bool {
        self.source == Source::Default
    }
}

/// Returns the values for a role in these applications: the role's own, and each application's if
/// it differs.
pub fn provenance(policy: &Policy, role: Role, applications: &[String]) -> Vec<Provenance> {
    let rules = policy.effective(role, applications, None);
    let mut all = Vec::new();
    for key in Key::ALL {
        let own = find_provenance(policy, role, *key, None);
        let entered = applications.iter().filter(|_| key.setting().applications);
        let entered = entered.map(|name| find_provenance(policy, role, *key, Some(name)));
        // An application that inherits adds no rows.
        let mut rows = vec![own];
        for other in entered {
            if !rows.iter().any(|known| known.source == other.source) {
                rows.push(other);
            }
        }
        if rows.len() > 1
            && let Some(binding) = binding(*key, &rules)
        {
            for row in &mut rows {
                row.binds = row.scope == binding;
            }
        }
        all.extend(rows);
    }
    all
}

fn find_provenance(policy: &Policy, role: Role, key: Key, application: Option<&String>) -> Provenance {
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

/// Returns the scope whose rule for this setting would end a session first, if no other setting
/// did.
fn binding(key: Key, rules: &EffectivePolicy) -> Option<Scope> {
    let fresh = LifeFacts::default();
    let ends = candidates(&fresh, rules).filter(|end| end.reason.setting() == Some(key));
    let first = ends.min_by_key(|end| (end.at, end.reason))?;
    let lifetime = rules.lifetimes.get(first.rule)?;
    // The role's own rule is the first; its scope names who set any of its lifetimes.
    match (first.rule, &lifetime.scope) {
        (0, _) if rules.role == Role::Administrator => Some(Scope::Administrators),
        (_, scope) => Some(scope.clone()),
    }
}
