//! A source with its settings, as it is stored.

use super::{
    SourceId, SourceName,
    fields::{FieldForm, FieldGroup, SettingTexts, SourceFault, SourceField},
    ldap::LdapSettings,
    mapping::Mapping,
    oidc::OidcSettings,
    reader::SettingReader,
};
use crate::{
    duration,
    time::{Span, Timestamp},
};

/// The kind of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceKind {
    /// An LDAP directory, Active Directory included.
    Ldap,
    /// An OpenID Connect provider.
    Oidc,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: &[SourceKind] = &[SourceKind::Ldap, SourceKind::Oidc];

    /// Returns `ldap` or `oidc`.
    pub const fn as_str(self) -> &'static str {
        match self {
            SourceKind::Ldap => "ldap",
            SourceKind::Oidc => "oidc",
        }
    }

    /// Parses a kind; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }

    /// Returns the kind as people read it.
    pub const fn title(self) -> &'static str {
        match self {
            SourceKind::Ldap => "LDAP directory",
            SourceKind::Oidc => "OpenID Connect provider",
        }
    }
}

/// Who may sign in through a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provision {
    /// Everyone whom the source and its allowed groups admit; the first sign-in creates the
    /// account.
    Auto,
    /// Only accounts that an administrator created for the source.
    Listed,
}

impl Provision {
    /// Returns `auto` or `listed`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Provision::Auto => "auto",
            Provision::Listed => "listed",
        }
    }

    /// Parses the code; `None` for any other.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Provision::Auto),
            "listed" => Some(Provision::Listed),
            _ => None,
        }
    }
}

/// What happens to live sessions while a source does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOutage {
    /// They continue.
    Keep,
    /// They end once the source has not answered for this long.
    EndAfter(Span),
}

impl OnOutage {
    fn read(reader: &mut SettingReader<'_>) -> Self {
        let text = reader.text("on_outage");
        if text == "keep" {
            return OnOutage::Keep;
        }
        match duration::parse(&text) {
            Ok(secs @ 60..) => return OnOutage::EndAfter(Span::from_secs(secs)),
            Ok(_) => reader.fault("on_outage", "must be keep, or a duration of at least 1 minute"),
            Err(fault) => reader.fault("on_outage", format!("must be keep or a duration: {fault}")),
        }
        OnOutage::Keep
    }

    /// Returns the text of the setting.
    pub fn text(self) -> String {
        match self {
            OnOutage::Keep => "keep".to_owned(),
            OnOutage::EndAfter(span) => duration::humanize(span.as_secs()),
        }
    }
}

/// The settings of one kind of source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceSettings {
    /// Of an LDAP directory.
    Ldap(LdapSettings),
    /// Of an OpenID Connect provider.
    Oidc(OidcSettings),
}

/// Everything that is set about a source, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceDefinition {
    /// The settings of its kind.
    pub settings: SourceSettings,
    /// The rules from its groups to ours.
    pub mapping: Mapping,
    /// Who may sign in through it.
    pub provision: Provision,
    /// What happens to sessions while it does not answer; of a provider always
    /// [`OnOutage::Keep`].
    pub on_outage: OnOutage,
}

/// A source as it is stored, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentitySource {
    /// Its identity.
    pub id: SourceId,
    /// Its name in addresses and commands; unique, never changed.
    pub name: SourceName,
    /// What people read on buttons and in messages.
    pub title: String,
    /// Whether anyone can sign in through it.
    pub enabled: bool,
    /// Its place in the order in which sources are asked and shown.
    pub position: i32,
    /// Whether the configuration file sets it. Then only that file can change it.
    pub in_file: bool,
    /// Its settings.
    pub definition: SourceDefinition,
}

impl IdentitySource {
    /// Returns its kind.
    pub fn kind(&self) -> SourceKind {
        self.definition.kind()
    }

    /// Returns the settings of a directory; `None`: it is of another kind.
    pub fn ldap(&self) -> Option<&LdapSettings> {
        match &self.definition.settings {
            SourceSettings::Ldap(settings) => Some(settings),
            SourceSettings::Oidc(_) => None,
        }
    }

    /// Returns the settings of a provider; `None`: it is of another kind.
    pub fn oidc(&self) -> Option<&OidcSettings> {
        match &self.definition.settings {
            SourceSettings::Oidc(settings) => Some(settings),
            SourceSettings::Ldap(_) => None,
        }
    }
}

/// What was last learned about a source while it was used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceState {
    /// When its accounts were last compared with it completely.
    pub synced_at: Option<Timestamp>,
    /// How many accounts that comparison covered.
    pub synced_accounts: i64,
    /// When it first failed since it last worked; `None`: it works, or its settings changed since.
    pub fault_at: Option<Timestamp>,
    /// What failed, without secrets.
    pub fault: Option<String>,
}

/// What was last learned while the security events of a provider were polled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventStreamState {
    /// When a poll was last complete.
    pub polled_at: Option<Timestamp>,
    /// How many events were received, those that were refused included.
    pub received: i64,
    /// When polls began to fail; `None`: the last one did not.
    pub fault_at: Option<Timestamp>,
    /// What failed, without secrets.
    pub fault: Option<String>,
}

/// A person as a source describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdentity {
    /// The stable identity at the source: `entryUUID`, `objectGUID`, or issuer and subject.
    pub external_id: String,
    /// The username.
    pub name: String,
    /// The person's name; may be empty.
    pub display_name: String,
    /// The email address, if the source vouches for it.
    pub email: Option<String>,
    /// The groups at the source, for [`Mapping::apply`].
    pub groups: Vec<String>,
}

/// The setting that only directories have among the common ones: nothing asks a provider between
/// two sign-ins.
const ON_OUTAGE: &str = "on_outage";

/// The settings of every kind of source.
pub const COMMON_FIELDS: &[SourceField] = &[
    SourceField {
        group: FieldGroup::Access,
        is_rare: false,
        key: "provision",
        label: "Accounts",
        help: "auto: the first sign-in creates the account. listed: only accounts that an administrator created for \
               this source can sign in.",
        form: FieldForm::Choice(&["auto", "listed"]),
        default: "auto",
    },
    SourceField {
        group: FieldGroup::Access,
        is_rare: false,
        key: "allowed_groups",
        label: "Allowed groups",
        help: "One group of the source a line. An account needs one of them to sign in. Empty: every account may.",
        form: FieldForm::Lines,
        default: "",
    },
    SourceField {
        group: FieldGroup::Access,
        is_rare: false,
        key: "mapping",
        label: "Roles and groups",
        help: "One rule a line: GROUP -> administrator, GROUP -> member or GROUP -> group NAME. * stands for every \
               account. Who gets no role is a member.",
        form: FieldForm::Lines,
        default: "",
    },
    SourceField {
        group: FieldGroup::Sync,
        is_rare: false,
        key: "on_outage",
        label: "While the source does not answer",
        help: "keep: sessions go on. A duration, such as 1h: sessions end once the source has not answered for this \
               long.",
        form: FieldForm::Text,
        default: "keep",
    },
];

/// Returns the settings of a kind of source: its own, then the common ones.
pub fn fields_of(kind: SourceKind) -> Vec<&'static SourceField> {
    let own = match kind {
        SourceKind::Ldap => LdapSettings::FIELDS,
        SourceKind::Oidc => OidcSettings::FIELDS,
    };
    let common = COMMON_FIELDS
        .iter()
        .filter(|field| kind == SourceKind::Ldap || field.key != ON_OUTAGE);
    own.iter().chain(common).collect()
}

impl SourceDefinition {
    /// Parses the settings of a source. A missing or empty one has its default.
    ///
    /// # Errors
    /// All settings that cannot be used.
    pub fn parse(kind: SourceKind, texts: &SettingTexts) -> Result<Self, Vec<SourceFault>> {
        let mut reader = SettingReader::new(texts, fields_of(kind));
        let settings = match kind {
            SourceKind::Ldap => SourceSettings::Ldap(LdapSettings::read(&mut reader)),
            SourceKind::Oidc => SourceSettings::Oidc(OidcSettings::read(&mut reader)),
        };
        let definition = Self {
            settings,
            mapping: Mapping::read(&mut reader),
            provision: reader.choice("provision", Provision::parse, Provision::Auto),
            on_outage: match kind {
                SourceKind::Ldap => OnOutage::read(&mut reader),
                SourceKind::Oidc => OnOutage::Keep,
            },
        };
        if reader.faults.is_empty() {
            Ok(definition)
        } else {
            Err(reader.faults)
        }
    }

    /// Returns the kind of source that these settings describe.
    pub fn kind(&self) -> SourceKind {
        match self.settings {
            SourceSettings::Ldap(_) => SourceKind::Ldap,
            SourceSettings::Oidc(_) => SourceKind::Oidc,
        }
    }

    /// Returns the texts of these settings with changes, for [`SourceDefinition::parse`]. A setting
    /// that has the default of its directory's make, and is not changed itself, is left out: it
    /// follows a change of the make.
    pub fn texts_with(&self, changes: &SettingTexts) -> SettingTexts {
        let mut texts = self.texts();
        if let SourceSettings::Ldap(settings) = &self.settings {
            texts.retain(|key, text| settings.default_of_make(key) != Some(text));
        }
        texts.extend(changes.clone());
        texts
    }

    /// Returns every setting as text. [`SourceDefinition::parse`] reads the same settings back.
    /// Secrets are not included.
    pub fn texts(&self) -> SettingTexts {
        let own = match &self.settings {
            SourceSettings::Ldap(settings) => settings.texts(),
            SourceSettings::Oidc(settings) => settings.texts(),
        };
        let rules: Vec<String> = self.mapping.rules.iter().map(|rule| rule.line()).collect();
        let common = [
            ("provision", self.provision.as_str().to_owned()),
            ("allowed_groups", self.mapping.allowed_groups.join("\n")),
            ("mapping", rules.join("\n")),
        ];
        let on_outage = (self.kind() == SourceKind::Ldap).then(|| (ON_OUTAGE, self.on_outage.text()));
        let all = own.into_iter().chain(common).chain(on_outage);
        all.map(|(key, text)| (key.to_owned(), text)).collect()
    }
}
