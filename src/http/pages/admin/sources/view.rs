//! The views of sources for their pages.

use super::input::SourceInput;
use crate::{
    domain::{
        source::{FieldForm, SettingTexts, SourceField, SourceKind, fields_of},
        time::Timestamp,
    },
    flows::{
        source_test::{SourceTest, SourceTestStep},
        sources::SourceView,
    },
    http::{
        filters,
        pages::admin::{
            list::FormFaults,
            part::{Badge, Choice},
        },
        paths,
        shell::Shell,
    },
};
use askama::Template;

/// `/admin/sources`
#[derive(Template)]
#[template(path = "pages/admin/sources.html")]
pub struct SourcesPage {
    pub shell: Shell,
    pub rows: Vec<SourceLine>,
    /// The form for a new source, if it is open.
    pub form: Option<SourceForm>,
    pub faults: FormFaults,
}

/// `/admin/sources/{name}`
#[derive(Template)]
#[template(path = "pages/admin/sources/detail.html")]
pub struct SourcePage {
    pub shell: Shell,
    pub line: SourceLine,
    /// The address to register at a provider.
    pub callback: Option<String>,
    pub audit: String,
    pub form: SourceForm,
    pub has_secret: bool,
    pub is_secret_lost: bool,
    /// The security events of a provider; `None`: it is a directory.
    pub events: Option<EventsView>,
    pub faults: FormFaults,
    /// Whether it is a directory, which can be tested.
    pub can_test: bool,
    pub tested_account: String,
    pub test: Option<SourceTestView>,
}

/// The security events of a provider.
pub struct EventsView {
    pub is_polled: bool,
    pub has_token: bool,
    pub is_token_lost: bool,
    pub polled_at: Option<Timestamp>,
    pub received: i64,
    pub fault_at: Option<Timestamp>,
    pub fault: Option<String>,
}

impl EventsView {
    /// Describes them.
    pub fn new(view: &SourceView) -> Option<Self> {
        let settings = view.source.oidc()?;
        Some(Self {
            is_polled: settings.events_url.is_some(),
            has_token: view.has_events_token,
            is_token_lost: view.is_events_token_lost,
            polled_at: view.events.polled_at,
            received: view.events.received,
            fault_at: view.events.fault_at,
            fault: view.events.fault.clone(),
        })
    }
}

/// The result of a test.
pub struct SourceTestView {
    pub is_passed: bool,
    /// Why there are no steps.
    pub failure: Option<&'static str>,
    pub steps: Vec<SourceTestLine>,
    /// Names of the sample that become administrators.
    pub administrators: String,
}

/// One step of a test.
pub struct SourceTestLine {
    pub title: &'static str,
    pub result: String,
    pub took: String,
}

impl SourceTestView {
    /// Describes the steps.
    pub fn new(test: &SourceTest) -> Self {
        Self {
            is_passed: test.is_passed(),
            failure: None,
            steps: test.steps.iter().map(SourceTestLine::new).collect(),
            administrators: test.administrators.join(", "),
        }
    }

    /// A test without steps.
    pub fn failed(reason: &'static str) -> Self {
        Self {
            is_passed: false,
            failure: Some(reason),
            steps: Vec::new(),
            administrators: String::new(),
        }
    }
}

impl SourceTestLine {
    fn new(step: &SourceTestStep) -> Self {
        Self {
            title: match step.step {
                "resolve" => "Find the server",
                "connect" => "Connect",
                "tls" => "Encrypt",
                "bind" => "Bind the service account",
                "search" => "Search the person",
                "groups" => "Look up groups",
                "mapping" => "Apply the rules",
                "sample" => "Who becomes administrator",
                _ => "Ask",
            },
            result: match &step.result {
                Ok(found) if found.is_empty() => "OK".to_owned(),
                Ok(found) => format!("OK: {found}"),
                Err(fault) => format!("Failed: {fault}"),
            },
            took: match step.took.as_millis() {
                0 => "< 1 ms".to_owned(),
                millis => format!("{millis} ms"),
            },
        }
    }
}

/// A source in the list.
pub struct SourceLine {
    pub name: String,
    pub title: String,
    pub href: String,
    pub kind: &'static str,
    pub state: Badge,
    pub is_enabled: bool,
    pub in_file: bool,
    pub position: i32,
    pub accounts: i64,
    pub synced_at: Option<Timestamp>,
    /// What failed last, security events included.
    pub last_fault: Option<String>,
    pub fault: Option<String>,
    pub fault_at: Option<Timestamp>,
}

impl SourceLine {
    /// Describes a source.
    pub fn new(view: &SourceView) -> Self {
        let source = &view.source;
        let state = if !source.enabled {
            Badge::plain("pause", "Disabled")
        } else if view.is_secret_lost || view.is_events_token_lost {
            Badge::danger("Secret lost")
        } else if view.state.fault_at.is_some() || view.events.fault_at.is_some() {
            Badge::warn("Failing")
        } else {
            Badge::ok("Enabled")
        };
        Self {
            name: source.name.as_str().to_owned(),
            title: source.title.clone(),
            href: page_address(source.name.as_str()),
            kind: source.kind().title(),
            state,
            is_enabled: source.enabled,
            in_file: source.in_file,
            position: source.position,
            accounts: view.accounts,
            synced_at: view.state.synced_at,
            last_fault: view.last_fault().map(str::to_owned),
            fault: view.state.fault.clone(),
            fault_at: view.state.fault_at,
        }
    }
}

/// The form of a source.
pub struct SourceForm {
    pub kind: SourceKind,
    pub name: String,
    pub title: String,
    pub secret_label: &'static str,
    pub fields: Vec<FieldView>,
}

/// One field of the form.
pub struct FieldView {
    pub key: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    pub value: String,
    /// Whether it has several lines.
    pub is_area: bool,
    /// Its options, if it is a choice.
    pub choices: Vec<Choice>,
}

impl SourceForm {
    /// The form of a new source, with the defaults of its kind.
    pub fn empty(kind: SourceKind) -> Self {
        Self::new(kind, String::new(), String::new(), |field| field.default.to_owned())
    }

    /// The form with what was just sent, except the secret.
    pub fn typed(kind: SourceKind, input: &SourceInput) -> Self {
        Self::new(kind, input.name.clone(), input.title.clone(), |field| {
            input.settings.get(field.key).cloned().unwrap_or_default()
        })
    }

    /// The form with what is stored.
    pub fn stored(view: &SourceView) -> Self {
        let texts: SettingTexts = view.source.definition.texts();
        let name = view.source.name.as_str().to_owned();
        Self::new(view.source.kind(), name, view.source.title.clone(), |field| {
            texts.get(field.key).cloned().unwrap_or_default()
        })
    }

    fn new(kind: SourceKind, name: String, title: String, value_of: impl Fn(&SourceField) -> String) -> Self {
        let view = |field: &SourceField| {
            let value = value_of(field);
            let words = field.choices().iter().map(|word| (*word, *word));
            FieldView {
                key: field.key,
                label: field.label,
                help: field.help,
                is_area: matches!(field.form, FieldForm::Lines),
                choices: Choice::list(words, &value),
                value,
            }
        };
        Self {
            kind,
            name,
            title,
            secret_label: match kind {
                SourceKind::Ldap => "Password of the service account",
                SourceKind::Oidc => "Client secret",
            },
            fields: fields_of(kind).into_iter().map(view).collect(),
        }
    }
}

/// Returns the label of a field, for a sentence about it.
pub fn label_of(key: &str) -> &str {
    let known = SourceKind::ALL.iter().flat_map(|kind| fields_of(*kind));
    match (known.into_iter().find(|field| field.key == key), key) {
        (Some(field), _) => field.label,
        (None, "name") => "Name",
        (None, "title") => "Title",
        (None, "secret") => "Secret",
        (None, "events_token") => "Access token for security events",
        (None, other) => other,
    }
}

/// Returns the address of a source's page.
pub(super) fn page_address(name: &str) -> String {
    format!("{}/{name}", paths::ADMIN_SOURCES)
}
