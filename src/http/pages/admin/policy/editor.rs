//! The rows of the policy editor: each setting with its control, its value and its source, computed
//! from a policy and the input of a form.
use super::{
    input::{EditedSetting, SettingInput, shown},
    view::{Control, GroupView, ModeCell, ModesTable, NeverChoice, ScopeTab, SettingView},
};
use crate::{
    domain::{
        duration::humanize,
        network,
        policy::{
            Key, Scope, Source, Value,
            catalogue::{Group, Kind, Setting},
            effective::{Policy, ValidationMode},
        },
    },
    http::{
        filters::{grouped_digits, setting_anchor},
        pages::admin::part::{Badge, Choice},
    },
};
use url::form_urlencoded;
use uuid::Uuid;

/// The input of a refused form.
#[derive(Default)]
pub struct EditorInput<'a> {
    pub touched: &'a [EditedSetting],
    /// Keys with messages.
    pub faults: &'a [(String, String)],
    /// Settings that do not match this search text are hidden.
    pub search: &'a str,
}

/// Returns the settings of a scope by group, with the input of a refused form.
pub fn groups(policy: &Policy, scope: &Scope, kept: &EditorInput<'_>) -> Vec<GroupView> {
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
                open: *group == Group::ALL[0]
                    || settings
                        .iter()
                        .any(|setting| setting.set_here || setting.touched || setting.fault.is_some()),
                set: settings.iter().filter(|setting| setting.set_here).count(),
                settings,
            }
        })
        .filter(|group: &GroupView| !group.settings.is_empty())
        .collect()
}

/// The live search works in the same way (`static/policy.js`).
fn matches_search(search: &str, haystack: &str) -> bool {
    search
        .to_lowercase()
        .split_whitespace()
        .all(|word| haystack.contains(word))
}

fn row(policy: &Policy, scope: &Scope, setting: &'static Setting, kept: &EditorInput<'_>) -> SettingView {
    let key = setting.key;
    let (effective, source) = policy.value_in(scope, key);
    let touched = kept.touched.iter().find(|touched| touched.key == key);
    let typed = touched.map(|touched| touched.typed.clone());
    let set_here = policy.document().get(scope, key).is_some();
    let search = search_words(setting);
    SettingView {
        found: matches_search(kept.search, &search),
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
        default: setting.display(&policy.default_value(key)),
        set_here,
        pinned: policy.pins().contains_key(&key).then(|| key.env_name()),
        fault: kept
            .faults
            .iter()
            .find(|(name, _)| name == setting.name)
            .map(|(_, message)| message.clone()),
        unset_differs: policy
            .document()
            .get(scope, key)
            .is_some_and(|own| *own != value_without(policy, scope, setting).0),
        unset: unset_label(policy, scope, setting),
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

/// Returns the source of a value as a badge.
pub fn badge(source: &Source, scope: &Scope, set_here: bool) -> Badge {
    match source {
        Source::Pinned => Badge::warn("Pinned by environment").with_icon("pin"),
        Source::Default => Badge::plain("dot", "Default"),
        Source::Mode(mode) if set_here => Badge::warn(format!("Overridden by mode {mode}")),
        Source::Mode(mode) => Badge::plain("policy", format!("From {mode}")),
        Source::SetIn(by) if by == scope => Badge::info(if *scope == Scope::Everyone {
            "Set here"
        } else {
            "Overridden here"
        })
        .with_icon("ok"),
        Source::SetIn(by) => Badge::plain("dot", format!("Inherited from {}", by.label())),
    }
}

/// Returns the value that each mode would give a setting, as its control shows it.
fn derived(setting: &Setting) -> Vec<(&'static str, String)> {
    let by_mode = |mode: &ValidationMode| Some((mode.as_str(), setting.input(&mode.derives(setting.key)?)));
    ValidationMode::ALL.iter().filter_map(by_mode).collect()
}

/// Returns `Custom, from moderate` for a setting whose value differs from its mode's.
fn custom(policy: &Policy, setting: &Setting) -> Option<String> {
    let Value::Text(word) = policy.value_in(&Scope::Everyone, Key::SessionSessionValidationMode).0 else {
        return None;
    };
    let mode = ValidationMode::parse(&word)?;
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

/// Returns the value and source that the scope would have without its own value.
fn value_without(policy: &Policy, scope: &Scope, setting: &Setting) -> (Value, Source) {
    let mut without = policy.document().clone();
    without.unset(scope, setting.key);
    Policy::in_environment(0, without, policy.environment().clone()).value_in(scope, setting.key)
}

fn unset_label(policy: &Policy, scope: &Scope, setting: &Setting) -> String {
    let (value, source) = value_without(policy, scope, setting);
    let value = setting.display(&value);
    match source {
        Source::Mode(mode) => format!("Follow the mode ({mode}: {value})"),
        Source::SetIn(by) => format!("Remove the override (inherits {value} from {})", by.label()),
        Source::Default | Source::Pinned if *scope == Scope::Everyone => format!("Back to default ({value})"),
        Source::Default | Source::Pinned => format!("Remove the override (inherits {value})"),
    }
}

fn control(setting: &Setting, value: &Value, typed: Option<&SettingInput>) -> Control {
    let text = || typed.map_or_else(|| setting.input(value), |typed| typed.text.clone());
    // Beside a checkbox that stands for -1 the text is empty.
    let or_empty = || match (typed, value) {
        (Some(typed), _) => typed.text.clone(),
        (None, Value::Number(-1)) => String::new(),
        (None, _) => setting.input(value),
    };
    let never = |word: &str| NeverChoice {
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
            choices: Choice::list(words.iter().map(|word| (*word, choice_label(word))), &text()),
            mode: setting.key == Key::SessionSessionValidationMode,
        },
        Kind::NumberChoice(numbers) => Control::Select {
            choices: prefix_choices(numbers, &text()),
            mode: false,
        },
        Kind::Text { .. } => Control::Text { text: text() },
        Kind::Globs | Kind::Cidrs | Kind::NetworkGroups => Control::Lines {
            text: match (typed, value) {
                (Some(typed), _) => typed.text.clone(),
                (None, Value::List(items)) => items.join("\n"),
                (None, Value::Flag(_) | Value::Number(_) | Value::Text(_)) => String::new(),
            },
        },
    }
}

/// Returns the choices of a network prefix, each with its counterpart for IPv6.
fn prefix_choices(numbers: &[i64], current: &str) -> Vec<Choice> {
    let choice = |number: &i64| Choice {
        selected: current == number.to_string(),
        value: number.to_string(),
        label: match u8::try_from(*number) {
            Ok(bits) => format!("/{number} · IPv6 /{}", network::v6_bits(bits)),
            Err(_) => number.to_string(),
        },
    };
    numbers.iter().map(choice).collect()
}

fn switch_or_duration(value: &Value, typed: Option<&SettingInput>) -> Control {
    let (current, text) = match (typed, value) {
        (Some(typed), _) => (typed.text.as_str(), typed.after.clone()),
        (None, Value::Number(secs)) => ("after", humanize(*secs)),
        (None, Value::Flag(false)) => ("off", String::new()),
        (None, Value::Flag(true) | Value::Text(_) | Value::List(_)) => ("on", String::new()),
    };
    let options = [
        ("on", "Yes, same as everyone"),
        ("off", "Never"),
        ("after", "After a separate period:"),
    ];
    Control::SwitchOrDuration {
        choices: Choice::list(options, current),
        text,
    }
}

fn choice_label(word: &'static str) -> &'static str {
    match word {
        "every_request" => "every_request · any request",
        "navigation" => "navigation · page loads only",
        "interaction" => "interaction · real input only",
        "exact" => "exact · the whole string",
        "family" => "family · the browser's name",
        "any" => "any · any second factor",
        "passkey" => "passkey · cannot be phished",
        "at_sign_in" => "at_sign_in · right after the password",
        "by_link" => "by_link · only with an enrolment link",
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

/// Returns the values of all modes for each setting that a mode derives.
pub fn modes(policy: &Policy) -> ModesTable {
    let current = policy.value_in(&Scope::Everyone, Key::SessionSessionValidationMode).0;
    let cell = |mode: ValidationMode, text: String| ModeCell {
        mode: mode.as_str(),
        text,
        current: current == Value::Text(mode.as_str().to_owned()),
    };
    let mode_setting = |setting: &'static Setting| {
        let derives = |mode: ValidationMode| mode.forces(setting.key).or_else(|| mode.derives(setting.key));
        let moot = |mode: ValidationMode| {
            matches!(mode, ValidationMode::Permissive | ValidationMode::Off) && moot_without_networks(setting.key)
        };
        let text = |mode: ValidationMode| match derives(mode) {
            Some(_) if moot(mode) => "–".to_owned(),
            Some(value) => setting.display(&value),
            None => setting.display(&setting.key.default_value()),
        };
        ValidationMode::ALL
            .iter()
            .any(|mode| derives(*mode).is_some())
            .then(|| {
                (
                    setting.label,
                    ValidationMode::ALL
                        .iter()
                        .map(|mode| cell(*mode, text(*mode)))
                        .collect(),
                )
            })
    };
    ModesTable {
        modes: ValidationMode::ALL
            .iter()
            .map(|mode| cell(*mode, mode.as_str().to_owned()))
            .collect(),
        rows: Group::Validation.settings().filter_map(mode_setting).collect(),
    }
}

/// Returns whether a setting has no effect while networks are not compared.
fn moot_without_networks(key: Key) -> bool {
    matches!(
        key,
        Key::SessionSessionIpSubnetBits | Key::SessionSessionAllowIpChanges | Key::SessionSessionIpChangeGracePeriod
    )
}

/// Returns the tabs of the scopes; each keeps the draft.
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

/// Returns the address of the editor of a scope, with a draft if there is one.
pub fn href(scope: &Scope, draft: Option<Uuid>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("scope", &scope.to_string());
    if let Some(draft) = draft {
        query.append_pair("draft", &draft.to_string());
    }
    format!("{}?{}", crate::http::paths::ADMIN_POLICY, query.finish())
}

/// Returns the anchor of a setting in the editor of a scope.
pub fn anchor(scope: &Scope, key: Key) -> String {
    format!("{}#{}", href(scope, None), setting_anchor(key.name()))
}
