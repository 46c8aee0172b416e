//! The views of sources for their pages.

use super::input::SourceInput;
use crate::{
    domain::{
        source::{FieldGroup, SettingTexts, SourceField, SourceKind, fields_of},
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
    /// The address of this server, without a trailing slash.
    pub base_url: String,
    pub audit: String,
    pub form: SourceForm,
    pub is_secret_lost: bool,
    /// The security events of a provider; `None`: it is a directory.
    pub events: Option<EventsView>,
    pub faults: FormFaults,
    /// Whether a test can be about a person: it is a directory.
    pub asks_for_account: bool,
    pub tested_account: String,
    pub test: Option<SourceTestView>,
}

/// The security events of a provider.
pub struct EventsView {
    pub is_polled: bool,
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
    pub remedy: Option<String>,
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
                "settings" => "Prepare",
                "discovery" => "Fetch the metadata",
                "keys" => "Fetch the keys",
                "authorization" => "Ask for a sign-in",
                "client" => "Prove who we are",
                "sign_out" => "Sign-out at the provider",
                "back_channel" => "Back-channel logout",
                _ => "Ask",
            },
            result: match &step.result {
                Ok(found) if found.is_empty() => "OK".to_owned(),
                Ok(found) => format!("OK: {found}"),
                Err(fault) => format!("Failed: {fault}"),
            },
            remedy: step.remedy.clone(),
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
    pub groups: Vec<FieldGroupView>,
    /// Whether the source does not exist yet.
    pub is_new: bool,
    pub has_secret: bool,
    pub has_events_token: bool,
}

/// A part of the form.
pub struct FieldGroupView {
    pub title: &'static str,
    pub fields: Vec<FieldView>,
    /// The settings that few administrators change.
    pub rare: Vec<FieldView>,
    /// The label of the source's secret, if it belongs here.
    pub secret_label: Option<&'static str>,
    /// Whether the access token for security events belongs here.
    pub has_events_token: bool,
}

impl FieldGroupView {
    fn new(group: FieldGroup, kind: SourceKind, fields: Vec<(&SourceField, FieldView)>) -> Self {
        let (rare, usual): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(field, _)| field.is_rare);
        let views = |fields: Vec<(&SourceField, FieldView)>| fields.into_iter().map(|(_, view)| view).collect();
        Self {
            title: group.title(),
            fields: views(usual),
            rare: views(rare),
            secret_label: (group == FieldGroup::Connection).then_some(match kind {
                SourceKind::Ldap => "Password of the service account",
                SourceKind::Oidc => "Client secret",
            }),
            has_events_token: group == FieldGroup::Events,
        }
    }

    /// Returns all its settings.
    pub fn all(&self) -> impl Iterator<Item = &FieldView> {
        self.fields.iter().chain(&self.rare)
    }

    /// Returns whether the rare settings are shown unfolded: one has a fault, or another value than
    /// its default.
    pub fn is_open(&self, faults: &FormFaults) -> bool {
        let is_faulty = |field: &FieldView| faults.iter().any(|(key, _)| key == field.key);
        self.rare.iter().any(|field| field.is_changed || is_faulty(field))
    }
}

/// One field of the form.
pub struct FieldView {
    pub key: &'static str,
    pub label: &'static str,
    pub help: &'static str,
    pub value: String,
    /// Whether the value is not the default.
    pub is_changed: bool,
    /// Whether it has several lines.
    pub is_area: bool,
    /// Its options, if it is a choice.
    pub choices: Vec<Choice>,
}

impl FieldView {
    fn new(field: &SourceField, value: String) -> Self {
        let words = field.choices().iter().map(|word| (*word, *word));
        Self {
            key: field.key,
            label: field.label,
            help: field.help,
            is_changed: value != field.default,
            is_area: field.is_lines(),
            choices: Choice::list(words, &value),
            value,
        }
    }
}

impl SourceForm {
    /// The form of a new source, with the defaults of its kind.
    pub fn empty(kind: SourceKind) -> Self {
        Self::new(kind, String::new(), String::new(), |field| field.default.to_owned())
    }

    /// The form of a new source with what was just sent, except the secrets.
    pub fn typed(kind: SourceKind, input: &SourceInput) -> Self {
        Self::new(kind, input.name.clone(), input.title.clone(), |field| {
            input.settings.get(field.key).cloned().unwrap_or_default()
        })
    }

    /// The form with what is stored, or with what was just sent.
    pub fn stored(view: &SourceView, typed: Option<&SourceInput>) -> Self {
        let kind = view.source.kind();
        let form = match typed {
            Some(input) => Self::typed(kind, input),
            None => {
                let texts: SettingTexts = view.source.definition.texts();
                let name = view.source.name.as_str().to_owned();
                Self::new(kind, name, view.source.title.clone(), |field| {
                    texts.get(field.key).cloned().unwrap_or_default()
                })
            }
        };
        Self {
            is_new: false,
            has_secret: view.has_secret,
            has_events_token: view.has_events_token,
            ..form
        }
    }

    fn new(kind: SourceKind, name: String, title: String, value_of: impl Fn(&SourceField) -> String) -> Self {
        let of_group = |group: FieldGroup| {
            let fields = fields_of(kind).into_iter().filter(move |field| field.group == group);
            let fields: Vec<_> = fields
                .map(|field| (field, FieldView::new(field, value_of(field))))
                .collect();
            (!fields.is_empty()).then(|| FieldGroupView::new(group, kind, fields))
        };
        Self {
            kind,
            name,
            title,
            groups: FieldGroup::ALL.into_iter().filter_map(of_group).collect(),
            is_new: true,
            has_secret: false,
            has_events_token: false,
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
