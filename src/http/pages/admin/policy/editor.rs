//! The rows of the policy editor: each setting with its control, its value and where that comes from. Pure: a policy and
//! what was typed go in, the page's rows come out.
use super::submitted::{Touched, Typed, shown};
use super::view::{Control, GroupView, KnobCell, ModesTable, Never, ScopeTab, SettingView};
use crate::domain::duration::humanize;
use crate::domain::network;
use crate::domain::policy::catalogue::{Group, Kind, Setting};
use crate::domain::policy::effective::{Mode, Policy};
use crate::domain::policy::{Key, Scope, Source, Value};
use crate::http::filters::grouped_digits;
use crate::http::pages::admin::part::{Badge, Choice};
use url::form_urlencoded;
use uuid::Uuid;

/// What came back with a refused form.
#[derive(Default)]
pub struct Kept<'a> {
    pub touched: &'a [Touched],
    /// Key and sentence.
    pub faults: &'a [(String, String)],
    /// Rows without these words are hidden.
    pub search: &'a str,
}

pub fn groups(policy: &Policy, scope: &Scope, kept: &Kept<'_>) -> Vec<GroupView> {
    Group::ALL
        .iter()
        .map(|group| {
            let settings: Vec<SettingView> = group
                .settings()
                .filter(|setting| setting.allowed_in(scope))
                .map(|setting| row(policy, scope, setting, kept))
                .collect();
            GroupView {
                anchor: group.anchor(),
                title: group.title(),
                validation: *group == Group::Validation,
                found: settings.iter().any(|setting| setting.found),
                settings,
            }
        })
        .filter(|group: &GroupView| !group.settings.is_empty())
        .collect()
}

/// The live search does the same (`static/policy.js`).
fn found(search: &str, haystack: &str) -> bool {
    search
        .to_lowercase()
        .split_whitespace()
        .all(|word| haystack.contains(word))
}

fn row(policy: &Policy, scope: &Scope, setting: &'static Setting, kept: &Kept<'_>) -> SettingView {
    let key = setting.key;
    let (effective, source) = policy.value_in(scope, key);
    let touched = kept.touched.iter().find(|touched| touched.key == key);
    let typed = touched.map(|touched| touched.typed.clone());
    let set_here = policy.document().get(scope, key).is_some();
    let search = search_words(setting);
    SettingView {
        found: found(kept.search, &search),
        derived: if policy.pins().contains_key(&key) {
            Vec::new()
        } else {
            derived(setting)
        },
        custom: custom(policy, setting),
        touched: touched.is_some(),
        key: setting.name,
        label: setting.label,
        effect: setting.effect,
        search,
        control: control(setting, &shown(policy, scope, key), typed.as_ref()),
        source: badge(&source, scope, set_here),
        effective: setting.display(&effective),
        default: setting.display(&key.default_value()),
        accepts: setting.accepts(),
        set_here,
        pinned: policy.pins().contains_key(&key).then(|| key.env_name()),
        fault: kept
            .faults
            .iter()
            .find(|(name, _)| name == setting.name)
            .map(|(_, message)| message.clone()),
        unset: unset_words(policy, scope, setting),
        unset_checked: typed.as_ref().is_some_and(|typed| typed.unset),
        set_checked: typed.is_some_and(|typed| typed.set),
    }
}

fn search_words(setting: &Setting) -> String {
    let words = [
        setting.label,
        setting.name,
        setting.effect,
        &setting.synonyms.join(" "),
        setting.source,
        setting.group.title(),
    ];
    let words = words.join(" ").to_lowercase();
    // `idle_session_timeout` is found by "session timeout" too.
    format!("{words} {}", setting.name.replace(['_', '.'], " "))
}

pub fn badge(source: &Source, scope: &Scope, set_here: bool) -> Badge {
    match source {
        Source::Pinned => Badge::warn("Pinned by environment").with_icon("pin"),
        Source::Default => Badge::plain("dot", "Default"),
        Source::Mode(mode) if set_here => Badge::warn(format!("Overruled by mode {mode}")),
        Source::Mode(mode) => Badge::plain("policy", format!("From {mode}")),
        Source::SetIn(by) if by == scope => Badge::info("Set here").with_icon("ok"),
        Source::SetIn(by) => Badge::plain("dot", format!("Inherited from {}", by.label())),
    }
}

/// What each mode would make of a knob, as its control shows it.
fn derived(setting: &Setting) -> Vec<(&'static str, String)> {
    let by_mode = |mode: &Mode| Some((mode.as_str(), setting.input(&mode.derives(setting.key)?)));
    Mode::ALL.iter().filter_map(by_mode).collect()
}

/// `Custom, from moderate`: for a knob that is set to something else than its mode derives, and for the mode of such knobs.
fn custom(policy: &Policy, setting: &Setting) -> Option<String> {
    let Value::Text(word) = policy.value_in(&Scope::Everyone, Key::SessionSessionValidationMode).0 else {
        return None;
    };
    let mode = Mode::parse(&word)?;
    let is_custom = |setting: &Setting| {
        let derived = mode.derives(setting.key);
        let own = policy.document().get(&Scope::Everyone, setting.key);
        derived.is_some() && own.is_some() && own != derived.as_ref()
    };
    let custom = if setting.key == Key::SessionSessionValidationMode {
        Group::Validation.settings().any(is_custom)
    } else {
        is_custom(setting)
    };
    custom.then(|| format!("Custom, from {word}"))
}

fn unset_words(policy: &Policy, scope: &Scope, setting: &Setting) -> String {
    let mut without = policy.document().clone();
    without.unset(scope, setting.key);
    let without = Policy::new(0, without, policy.pins().clone(), false);
    let (value, source) = without.value_in(scope, setting.key);
    let value = setting.display(&value);
    match source {
        Source::Mode(mode) => format!("Follow the mode ({mode}: {value})"),
        Source::SetIn(by) => format!("Remove the override (inherits {value} from {})", by.label()),
        Source::Default | Source::Pinned if *scope == Scope::Everyone => format!("Back to the default ({value})"),
        Source::Default | Source::Pinned => format!("Remove the override (inherits {value})"),
    }
}

fn control(setting: &Setting, value: &Value, typed: Option<&Typed>) -> Control {
    let text = || typed.map_or_else(|| setting.input(value), |typed| typed.text.clone());
    // Beside a box that stands for -1 the text is empty.
    let or_empty = || match (typed, value) {
        (Some(typed), _) => typed.text.clone(),
        (None, Value::Number(-1)) => String::new(),
        (None, _) => setting.input(value),
    };
    let never = |word: &str| Never {
        label: capital(word),
        checked: typed.map_or(*value == Value::Number(-1), |typed| typed.never),
    };
    let word = |number: i64| {
        setting
            .words
            .iter()
            .find(|(special, _)| *special == number)
            .map(|(_, word)| *word)
    };
    match setting.kind {
        Kind::Duration { never: allowed, .. } => Control::Duration {
            text: or_empty(),
            never: allowed.then(|| never(word(-1).unwrap_or("never"))),
            seconds: match value {
                Value::Number(secs) if typed.is_none() => format!("= {}", seconds(*secs)),
                Value::Number(_) | Value::Flag(_) | Value::Text(_) | Value::List(_) => String::new(),
            },
        },
        Kind::Flag => Control::Switch {
            on: typed.map_or(*value == Value::Flag(true), |typed| {
                setting.parse(&typed.text) == Ok(Value::Flag(true))
            }),
        },
        Kind::FlagOrDuration => switch_or_duration(value, typed),
        Kind::Number { min, max } => Control::Number {
            text: text(),
            min,
            max,
            word: word(0).map(|word| format!("0 is {word}")),
        },
        Kind::Count { .. } => Control::Count {
            text: or_empty(),
            never: never(word(-1).unwrap_or("unlimited")),
        },
        Kind::Choice(words) => Control::Select {
            choices: Choice::list(words.iter().map(|word| (*word, choice_words(word))), &text()),
            mode: setting.key == Key::SessionSessionValidationMode,
        },
        Kind::NumberChoice(numbers) => {
            let current = text();
            let choice = |number: &i64| Choice {
                selected: current == number.to_string(),
                value: number.to_string(),
                label: match u8::try_from(*number) {
                    Ok(bits) => format!("/{number} · IPv6 /{}", network::v6_bits(bits)),
                    Err(_) => number.to_string(),
                },
            };
            Control::Select {
                choices: numbers.iter().map(choice).collect(),
                mode: false,
            }
        }
        Kind::Text { .. } => Control::Text { text: text() },
        Kind::Globs | Kind::Cidrs => Control::Lines {
            text: match (typed, value) {
                (Some(typed), _) => typed.text.clone(),
                (None, Value::List(items)) => items.join("\n"),
                (None, Value::Flag(_) | Value::Number(_) | Value::Text(_)) => String::new(),
            },
        },
    }
}

fn switch_or_duration(value: &Value, typed: Option<&Typed>) -> Control {
    let (current, text) = match (typed, value) {
        (Some(typed), _) => (typed.text.as_str(), typed.after.clone()),
        (None, Value::Number(secs)) => ("after", humanize(*secs)),
        (None, Value::Flag(false)) => ("off", String::new()),
        (None, Value::Flag(true) | Value::Text(_) | Value::List(_)) => ("on", String::new()),
    };
    let options = [
        ("on", "Yes, like everyone"),
        ("off", "Never"),
        ("after", "After a time of their own:"),
    ];
    Control::SwitchOrDuration {
        choices: Choice::list(options, current),
        text,
    }
}

fn choice_words(word: &'static str) -> &'static str {
    match word {
        "every_request" => "every_request · any request",
        "navigation" => "navigation · page loads only",
        "interaction" => "interaction · real input only",
        "exact" => "exact · the whole string",
        "family" => "family · the browser's name",
        word => word,
    }
}

fn seconds(secs: i64) -> String {
    if secs < 0 {
        "−1".to_owned()
    } else {
        format!("{} s", grouped_digits(secs))
    }
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// Every mode's value of each knob that a mode derives.
pub fn modes(policy: &Policy) -> ModesTable {
    let current = policy.value_in(&Scope::Everyone, Key::SessionSessionValidationMode).0;
    let cell = |mode: Mode, text: String| KnobCell {
        mode: mode.as_str(),
        text,
        current: current == Value::Text(mode.as_str().to_owned()),
    };
    let knob = |setting: &'static Setting| {
        let derives = |mode: Mode| mode.forces(setting.key).or_else(|| mode.derives(setting.key));
        let moot = |mode: Mode| matches!(mode, Mode::Permissive | Mode::Off) && moot_without_networks(setting.key);
        let text = |mode: Mode| match derives(mode) {
            Some(_) if moot(mode) => "–".to_owned(),
            Some(value) => setting.display(&value),
            None => setting.display(&setting.key.default_value()),
        };
        Mode::ALL.iter().any(|mode| derives(*mode).is_some()).then(|| {
            (
                setting.label,
                Mode::ALL.iter().map(|mode| cell(*mode, text(*mode))).collect(),
            )
        })
    };
    ModesTable {
        modes: Mode::ALL
            .iter()
            .map(|mode| cell(*mode, mode.as_str().to_owned()))
            .collect(),
        rows: Group::Validation.settings().filter_map(knob).collect(),
    }
}

/// Knobs that say nothing while networks are not compared.
fn moot_without_networks(key: Key) -> bool {
    matches!(
        key,
        Key::SessionSessionIpSubnetBits | Key::SessionSessionAllowIpChanges | Key::SessionSessionIpChangeGracePeriod
    )
}

/// The scopes; a draft goes along from one to the next.
pub fn tabs(policy: &Policy, current: &Scope, draft: Option<Uuid>) -> Vec<ScopeTab> {
    let mut scopes: Vec<Scope> = policy.document().scopes().map(|(scope, _)| scope).collect();
    if !scopes.contains(current) {
        scopes.push(current.clone());
    }
    scopes
        .into_iter()
        .map(|scope| ScopeTab {
            href: href(&scope, draft),
            label: scope.label(),
            set: policy.document().scope(&scope).map_or(0, |set| set.len()),
            current: scope == *current,
        })
        .collect()
}

pub fn href(scope: &Scope, draft: Option<Uuid>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("scope", &scope.to_string());
    if let Some(draft) = draft {
        query.append_pair("draft", &draft.to_string());
    }
    format!("{}?{}", crate::http::paths::ADMIN_POLICY, query.finish())
}

/// The row of a setting in the editor of a scope.
pub fn anchor(scope: &Scope, key: Key) -> String {
    format!("{}#{}", href(scope, None), key.name())
}

/// The kind of save, as a verb.
pub fn kind_words(kind: &str) -> &str {
    match kind {
        "initial" => "begun",
        "baseline" => "baseline chosen",
        "reset" => "reset to the defaults",
        "reverted" => "undone",
        kind => kind,
    }
}
