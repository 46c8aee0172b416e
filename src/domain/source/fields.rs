//! The description of one setting of a source, for forms, commands and documentation.

use std::collections::BTreeMap;

/// The settings of a source as texts by key: what a form, `key=value` arguments and a table of the
/// configuration file all become. Lists have one item per line.
pub type SettingTexts = BTreeMap<String, String>;

/// How a setting is written, and which form control it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldForm {
    /// One line of text.
    Text,
    /// Several lines, one item each.
    Lines,
    /// Items separated by white space or commas.
    Words,
    /// A whole number from the first to the second, both included.
    Number(u32, u32),
    /// A duration of seconds from the first to the second, both included.
    Seconds(i64, i64),
    /// `true` or `false`.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
}

/// The part of a source's form to which a setting belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldGroup {
    /// How the source is reached, and as whom.
    Connection,
    /// Where people are found, and what is read about them.
    People,
    /// Where their groups are found.
    Groups,
    /// Who may sign in, and with which rights.
    Access,
    /// What happens at a sign-in and a sign-out.
    SignIn,
    /// How accounts follow the source.
    Sync,
    /// The security events of a provider.
    Events,
}

impl FieldGroup {
    /// All groups, in the order of the form.
    pub const ALL: [FieldGroup; 7] = [
        FieldGroup::Connection,
        FieldGroup::People,
        FieldGroup::Groups,
        FieldGroup::Access,
        FieldGroup::SignIn,
        FieldGroup::Sync,
        FieldGroup::Events,
    ];

    /// Returns its heading.
    pub const fn title(self) -> &'static str {
        match self {
            FieldGroup::Connection => "Connection",
            FieldGroup::People => "People",
            FieldGroup::Groups => "Groups of people",
            FieldGroup::Access => "Who may sign in and who becomes administrator",
            FieldGroup::SignIn => "Signing in and out",
            FieldGroup::Sync => "Sync and outages",
            FieldGroup::Events => "Security events",
        }
    }
}

/// One setting of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceField {
    /// The part of the form to which it belongs.
    pub group: FieldGroup,
    /// Its key in commands and in the configuration file, and the name of its form control.
    pub key: &'static str,
    /// Its name on screens.
    pub label: &'static str,
    /// What it does, in a sentence or two.
    pub help: &'static str,
    /// How it is written.
    pub form: FieldForm,
    /// Its value if it is not set; empty: none.
    pub default: &'static str,
    /// Whether few administrators change it.
    pub is_rare: bool,
}

impl SourceField {
    /// Describes a setting.
    pub(super) const fn new(
        group: FieldGroup,
        key: &'static str,
        label: &'static str,
        form: FieldForm,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            group,
            key,
            label,
            help,
            form,
            default,
            is_rare: false,
        }
    }

    /// Describes the certificate authorities, which every kind of source has.
    pub(super) const fn certificate_authorities() -> Self {
        Self::new(
            FieldGroup::Connection,
            "ca_file",
            "Certificate authorities",
            FieldForm::Text,
            "",
            "A PEM file on the server. Empty: the authorities that the system trusts.",
        )
    }

    /// Describes a setting that few administrators change.
    pub(super) const fn rare(self) -> Self {
        Self { is_rare: true, ..self }
    }

    /// Returns whether the setting takes several lines.
    pub const fn is_lines(&self) -> bool {
        matches!(self.form, FieldForm::Lines)
    }

    /// Returns the words to choose from; empty unless the setting is a choice.
    pub const fn choices(&self) -> &'static [&'static str] {
        match self.form {
            FieldForm::Choice(words) => words,
            FieldForm::Switch => &["false", "true"],
            FieldForm::Text | FieldForm::Lines | FieldForm::Words | FieldForm::Number(..) | FieldForm::Seconds(..) => {
                &[]
            }
        }
    }
}

/// One setting of a source that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFault {
    /// The key of the setting; another word where the fault is not in a setting (`name`, `title`).
    pub key: String,
    /// What is wrong, as the predicate of a sentence about the setting, without a full stop.
    pub message: String,
}

impl SourceFault {
    /// Makes a fault.
    pub fn new(key: &str, message: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            message: message.into(),
        }
    }
}

impl std::fmt::Display for SourceFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.message)
    }
}
