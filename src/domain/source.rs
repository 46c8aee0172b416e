//! Sources: where the identity of an account is proved, if not by its own password here. A source
//! is an LDAP directory or an OpenID Connect provider. This module holds its settings, and the
//! rules that map its groups to our roles and groups.

mod definition;
mod fields;
mod hue;
mod ldap;
mod mapping;
mod oidc;
mod reader;

pub use definition::{
    COMMON_FIELDS, EventStreamState, ExternalIdentity, IdentitySource, OnOutage, Provision, SourceDefinition,
    SourceKind, SourceSettings, SourceState, fields_of,
};
pub use fields::{FieldForm, FieldGroup, SettingTexts, SourceFault, SourceField};
pub use hue::{HueDirectory, read_hue_directories};
pub use ldap::{DirectoryKind, GroupLookup, LdapSettings};
pub use mapping::{MappedRights, Mapping, MappingRule, MappingTarget};
pub use oidc::{ClientAuth, EventAccess, FactorTrust, OidcSettings, ProviderSignOut};

use uuid::Uuid;

/// The identity of a source. It survives a change of the source's title and settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub Uuid);

/// Maximum length of a source's name, in characters.
pub const MAX_SOURCE_NAME: usize = 32;

/// The name of a source in addresses, commands and the configuration file: 1…32 characters of a-z,
/// 0-9 and `-`. It never changes, because a provider knows addresses that contain it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(String);

/// A text is not the name of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a source's name has 1 to 32 characters: a-z, 0-9 and -; it begins with a letter or digit, and is not \
     “local”"
)]
pub struct SourceNameError;

impl SourceName {
    /// Parses a name. `local` is refused: it names the accounts without a source.
    pub fn parse(text: &str) -> Result<Self, SourceNameError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = !text.is_empty() && text.len() <= MAX_SOURCE_NAME && text.chars().all(allowed);
        if fits && !text.starts_with('-') && text != LOCAL {
            Ok(Self(text.to_owned()))
        } else {
            Err(SourceNameError)
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The word for accounts without a source, in filters and exports.
pub const LOCAL: &str = "local";
