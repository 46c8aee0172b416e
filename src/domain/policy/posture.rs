//! How a policy stands against what others ask of it: each item of a baseline, met or not, in every scope that has a say,
//! and the edits that would meet it. The baselines are data (`posture/baselines`); the facts about the installation around
//! the policy stand in `posture/installation`.

use super::{
    Key, Scope, Source, Value,
    catalogue::{Kind, Setting},
    effective::{Pattern, Policy},
};
use crate::domain::duration::humanize;

mod baselines;
mod installation;

pub use baselines::{Baseline, baselines};
pub use installation::{Finding, Installation, Protected, differing_pins, installation};

/// One thing that a baseline asks for.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// The setting it is about.
    pub key: Key,
    /// Which values meet it.
    pub accepts: Accepts,
    /// What the baseline sets; `None`: the default.
    pub sets: Option<&'static str>,
    /// Where the baseline asks for it: `ASVS 7.3.1`.
    pub asked_by: &'static str,
    /// Why it matters, in a sentence.
    pub why: &'static str,
    /// A setting that makes sense only together with this one.
    pub with: Option<(Key, &'static str)>,
}

/// Which values meet an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    /// A number within these bounds; never and unlimited (-1) are outside.
    Between(i64, i64),
    /// A number from here on; never and unlimited (-1) are outside.
    AtLeast(i64),
    /// The same, or never.
    AtLeastOrNever(i64),
    /// On, or a number up to this.
    OnOrAtMost(i64),
    /// One of these values, as people type them.
    OneOf(&'static [&'static str]),
    /// A pattern that refuses what has no digit or no letter.
    LettersAndDigits,
    /// What the catalogue has.
    Default,
}

impl Accepts {
    /// Whether `value` meets it.
    pub fn meets(self, setting: &Setting, value: &Value) -> bool {
        match (self, value) {
            (Accepts::Between(least, most), Value::Number(number)) => (least..=most).contains(number),
            (Accepts::AtLeast(least), Value::Number(number)) => *number >= least,
            (Accepts::AtLeastOrNever(least), Value::Number(number)) => *number == -1 || *number >= least,
            (Accepts::OnOrAtMost(_), Value::Flag(on)) => *on,
            (Accepts::OnOrAtMost(most), Value::Number(number)) => (0..=most).contains(number),
            (Accepts::OneOf(texts), value) => texts.iter().any(|text| setting.parse(text).as_ref() == Ok(value)),
            (Accepts::LettersAndDigits, Value::Text(regex)) => asks_letters_and_digits(regex),
            (Accepts::Default, value) => *value == setting.key.default_value(),
            (
                Accepts::Between(..)
                | Accepts::AtLeast(_)
                | Accepts::AtLeastOrNever(_)
                | Accepts::OnOrAtMost(_)
                | Accepts::LettersAndDigits,
                Value::Flag(_) | Value::Number(_) | Value::Text(_) | Value::List(_),
            ) => false,
        }
    }

    /// `at most 30 minutes`, `on`: what is accepted, for people.
    pub fn words(self, setting: &Setting) -> String {
        let timed = matches!(setting.kind, Kind::Duration { .. } | Kind::FlagOrDuration);
        let number = |number: i64| if timed { humanize(number) } else { number.to_string() };
        match self {
            Accepts::Between(least, most) if timed || least == 0 => {
                let from = if least > 1 {
                    format!("{} to ", number(least))
                } else {
                    "at most ".to_owned()
                };
                format!("{from}{}", number(most))
            }
            Accepts::Between(least, most) => format!("{least} to {most}"),
            Accepts::AtLeast(least) => format!("at least {}", number(least)),
            Accepts::AtLeastOrNever(least) => format!("at least {}, or until an administrator unlocks", number(least)),
            Accepts::OnOrAtMost(most) => format!("on, or at most {}", number(most)),
            Accepts::OneOf(texts) => {
                let shown = |text: &&str| {
                    setting
                        .parse(text)
                        .map_or_else(|_| (*text).to_owned(), |value| setting.display(&value))
                };
                texts.iter().map(shown).collect::<Vec<_>>().join(" or ")
            }
            Accepts::LettersAndDigits => "asks for letters and digits".to_owned(),
            Accepts::Default => setting.display(&setting.key.default_value()),
        }
    }
}

fn asks_letters_and_digits(regex: &str) -> bool {
    // Long enough for any count of characters, so that nothing but the missing kind can be what is refused.
    let (letters, digits) = ("aZ".repeat(64), "19".repeat(64));
    !regex.is_empty()
        && Pattern::parse(regex).is_ok_and(|pattern| !pattern.matches(&letters) && !pattern.matches(&digits))
}

/// An item, looked at.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What is asked.
    pub item: &'static Item,
    /// Everyone first, then each scope that overrides the setting.
    pub places: Vec<Place>,
}

/// What an item finds in one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub scope: Scope,
    /// What holds there.
    pub value: Value,
    /// Where that comes from.
    pub source: Source,
    /// Whether it is accepted.
    pub met: bool,
}

impl Checked {
    /// Met everywhere: an override that loosens is enough to miss it.
    pub fn met(&self) -> bool {
        self.places.iter().all(|place| place.met)
    }
}

/// Every item of a baseline against the policy as it takes effect, in the order of the baseline.
pub fn check(baseline: &Baseline, policy: &Policy) -> Vec<Checked> {
    let places = |item: &'static Item| {
        let setting = item.key.setting();
        let place = |scope: Scope| {
            let (value, source) = policy.value_in(&scope, item.key);
            let met = item.accepts.meets(setting, &value);
            Place {
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
        .map(|item| Checked {
            item,
            places: places(item),
        })
        .collect()
}

/// The edits that meet these items: everyone gets the baseline's value, an override that loosens goes. What the environment
/// fixes is left, and so is what the validation mode decides whoever sets it.
pub fn remedy<'a>(missed: impl IntoIterator<Item = &'a Checked>, policy: &Policy) -> Vec<(Scope, Key, Option<Value>)> {
    let mut edits = Vec::new();
    let changes = |scope: &Scope, key: Key, value: &Option<Value>| policy.document().get(scope, key) != value.as_ref();
    for checked in missed {
        let Item { key, sets, with, .. } = *checked.item;
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
