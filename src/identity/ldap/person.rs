//! The people of a directory, and what their entries say.

use super::{account_state, entry::DirectoryEntry, filter, refusal::DirectoryRefusal};
use crate::domain::{source::LdapSettings, time::Timestamp};
use ldap3::ResultEntry;
use uuid::Uuid;

/// The attribute of an entry that names its groups.
pub(super) const MEMBER_OF: &str = "memberOf";

/// A person in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryPerson {
    /// The distinguished name; it changes when the person is renamed or moved.
    pub dn: String,
    /// The value that never changes and is never given again: `entryUUID` or `objectGUID` as text.
    pub external_id: String,
    /// The username.
    pub name: String,
    /// The name for screens; may be empty.
    pub display_name: String,
    /// The email address.
    pub email: Option<String>,
    /// DNs of the groups that the entry itself names (`memberOf`).
    pub member_of: Vec<String>,
    /// The number of the first group that the server left out there; `None`: those are all.
    pub member_of_missing: Option<u32>,
    /// Why the directory does not let the person in; `None`: nothing is known against it.
    pub refusal: Option<DirectoryRefusal>,
}

/// The result of a search for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonLookup {
    /// Exactly one entry matches.
    Found(Box<DirectoryPerson>),
    /// No entry matches.
    NotFound,
    /// Several entries match: the filter or the base is too wide.
    Ambiguous,
    /// An entry matches that lacks its ID or its name.
    Incomplete,
}

/// Returns the attributes that a search for people requests.
pub(super) fn person_attributes(settings: &LdapSettings) -> Vec<String> {
    let own = [
        &settings.id_attribute,
        &settings.name_attribute,
        &settings.display_name_attribute,
        &settings.email_attribute,
    ];
    let named = own.into_iter().filter(|name| !name.is_empty()).cloned();
    let state = account_state::STATE_ATTRIBUTES.iter().map(|name| (*name).to_owned());
    named.chain(state).chain([MEMBER_OF.to_owned()]).collect()
}

/// Reads a person; `None`: the entry lacks the attribute of the ID or of the name.
pub(super) fn read_person(settings: &LdapSettings, entry: ResultEntry, now: Timestamp) -> Option<DirectoryPerson> {
    let entry = DirectoryEntry::read(entry)?;
    let id = entry.values(&settings.id_attribute).first()?;
    Some(DirectoryPerson {
        external_id: external_id(&settings.id_attribute, id)?,
        name: entry.text(&settings.name_attribute)?.to_owned(),
        display_name: entry
            .text(&settings.display_name_attribute)
            .unwrap_or_default()
            .to_owned(),
        email: entry.text(&settings.email_attribute).map(str::to_owned),
        member_of: entry.texts(MEMBER_OF).map(str::to_owned).collect(),
        member_of_missing: entry.first_missing(MEMBER_OF),
        refusal: account_state::read_state(&entry, now),
        dn: entry.dn,
    })
}

/// Formats an entry's ID. A GUID has 16 bytes, whether or not they happen to be UTF-8.
fn external_id(attribute: &str, value: &[u8]) -> Option<String> {
    if attribute.eq_ignore_ascii_case(filter::OBJECT_GUID) {
        return Uuid::from_slice_le(value).ok().map(|guid| guid.to_string());
    }
    match std::str::from_utf8(value) {
        Ok(text) if !text.is_empty() && !text.chars().any(char::is_control) => Some(text.to_owned()),
        Ok("") => None,
        Ok(_) | Err(_) => {
            let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(format!("{}{digits}", filter::HEX_PREFIX))
        }
    }
}
