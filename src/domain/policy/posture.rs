//! Comparison of a policy with baselines: each item, met or not, in every scope that matters, and
//! the edits that would meet it. `posture/baselines` contains the baselines, `posture/installation`
//! the checks of the installation around the policy.

use super::{Key, Scope, Source, Value, effective::Policy};

mod baselines;
mod installation;
mod requirement;

pub use baselines::{Baseline, baselines};
pub use installation::{FactorCoverage, Finding, Installation, ProtectedApplication, differing_pins, installation};
pub use requirement::{AcceptedValues, BaselineItem};

/// A checked item.
#[derive(Debug, Clone)]
pub struct ItemFinding {
    /// The requirement.
    pub item: &'static BaselineItem,
    /// Everyone first, then each scope that overrides the setting.
    pub places: Vec<ScopedValue>,
}

/// The state of an item in one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopedValue {
    /// The scope.
    pub scope: Scope,
    /// The effective value there.
    pub value: Value,
    /// The source of that value.
    pub source: Source,
    /// Whether the baseline accepts it.
    pub met: bool,
}

impl ItemFinding {
    /// Returns whether it is met everywhere: one override that loosens it is enough to miss it.
    pub fn met(&self) -> bool {
        self.places.iter().all(|place| place.met)
    }
}

/// Checks every item of a baseline against the effective policy, in the order of the baseline.
pub fn check(baseline: &Baseline, policy: &Policy) -> Vec<ItemFinding> {
    let places = |item: &'static BaselineItem| {
        let setting = item.key.setting();
        let place = |scope: Scope| {
            let (value, source) = policy.value_in(&scope, item.key);
            let met = item.accepts.meets(setting, &value);
            ScopedValue {
                scope,
                value,
                source,
                met,
            }
        };
        let overrides = |scope: &Scope| {
            setting.allowed_in(scope)
                && policy.document().get(scope, item.key).is_some()
                && !policy.pins().contains_key(&item.key)
        };
        policy
            .document()
            .scopes()
            .map(|(scope, _)| scope)
            .filter(|scope| *scope == Scope::Everyone || overrides(scope))
            .map(place)
            .collect()
    };
    (baseline.items)()
        .iter()
        .map(|item| ItemFinding {
            item,
            places: places(item),
        })
        .collect()
}

/// A setting that a draft makes less strict, in one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoosenedSetting {
    /// The scope.
    pub scope: Scope,
    /// Which setting.
    pub key: Key,
    /// The current value.
    pub old: Value,
    /// The value of the draft.
    pub new: Value,
}

/// Returns what a draft loosens compared with the policy in force: in everyone's scope, and in each
/// scope that overrides the setting before or after. Every loosened setting is shown before a draft
/// is saved.
pub fn loosened(old: &Policy, new: &Policy) -> Vec<LoosenedSetting> {
    let mut scopes: Vec<Scope> = Vec::new();
    for (scope, _) in old.document().scopes().chain(new.document().scopes()) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    let is_said = |scope: &Scope, key: Key| {
        let is_set = |policy: &Policy| policy.document().get(scope, key).is_some();
        *scope == Scope::Everyone || is_set(old) || is_set(new)
    };
    let mut found = Vec::new();
    for scope in scopes {
        let keys = Key::ALL.iter().copied();
        for key in keys.filter(|key| key.setting().allowed_in(&scope) && is_said(&scope, *key)) {
            let (before, after) = (old.value_in(&scope, key).0, new.value_in(&scope, key).0);
            if requirement::loosens(key, &before, &after) {
                found.push(LoosenedSetting {
                    scope: scope.clone(),
                    key,
                    old: before,
                    new: after,
                });
            }
        }
    }
    found
}
/// Returns the edits that meet these items: everyone gets the baseline's value, and overrides that
/// loosen it are removed. Pinned settings, and values that the validation mode decides in any case,
/// are left out.
pub fn remedy<'a>(
    missed: impl IntoIterator<Item = &'a ItemFinding>,
    policy: &Policy,
) -> Vec<(Scope, Key, Option<Value>)> {
    let mut edits = Vec::new();
    let changes = |scope: &Scope, key: Key, value: &Option<Value>| policy.document().get(scope, key) != value.as_ref();
    for checked in missed {
        let BaselineItem { key, sets, with, .. } = *checked.item;
        let value = |key: Key, text: &str| key.setting().parse(text).ok();
        for place in checked.places.iter().filter(|place| !place.met) {
            let wanted = match (&place.scope, sets) {
                (Scope::Everyone, Some(text)) => value(key, text),
                (Scope::Everyone | Scope::Administrators | Scope::Application(_), _) => None,
            };
            if policy.pins().contains_key(&key) || !changes(&place.scope, key, &wanted) {
                continue;
            }
            edits.push((place.scope.clone(), key, wanted));
            if let (Scope::Everyone, Some((other, text))) = (&place.scope, with) {
                edits.push((Scope::Everyone, other, value(other, text)));
            }
        }
    }
    edits
}
