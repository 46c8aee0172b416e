//! Search filters (RFC 4515). Whatever comes from a person or an entry is escaped.

use crate::domain::{account::MAX_NAME_CHARS, source::LdapSettings, text::is_invisible};
use ldap3::ldap_escape;
use uuid::Uuid;

/// Attribute of Active Directory that identifies an entry, in binary.
pub(super) const OBJECT_GUID: &str = "objectGUID";

/// Start of an external ID that is written in hexadecimal digits, because its value is not text.
pub(super) const HEX_PREFIX: &str = "hex:";

/// Returns the filter for a typed name; `None`: no person has such a name. Directories ignore
/// invisible characters when they compare, so a name with them would find someone under a second
/// spelling.
pub(super) fn person(template: &str, typed: &str) -> Option<String> {
    let name = typed.trim();
    let is_possible = !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.chars().any(is_invisible);
    is_possible.then(|| template.replace("{}", &ldap_escape(name)))
}

/// Returns the filter for all people: the template with any name.
pub(super) fn everyone(template: &str) -> String {
    template.replace("{}", "*")
}

/// Returns the filter for a person of the source with an external ID; `None`: the ID cannot be a
/// value of the source's attribute.
pub(super) fn identity(settings: &LdapSettings, external_id: &str) -> Option<String> {
    let own = attribute_filter(settings, external_id)?;
    Some(format!("(&{}{own})", everyone(&settings.user_filter)))
}

/// Returns the filter for people of the source with one of these external IDs; `None`: none of
/// them can be a value of the source's attribute.
pub(super) fn identities(settings: &LdapSettings, external_ids: &[String]) -> Option<String> {
    let each: String = external_ids
        .iter()
        .filter_map(|id| attribute_filter(settings, id))
        .collect();
    (!each.is_empty()).then(|| format!("(&{}(|{each}))", everyone(&settings.user_filter)))
}

fn attribute_filter(settings: &LdapSettings, external_id: &str) -> Option<String> {
    let attribute = &settings.id_attribute;
    if let Some(hex) = external_id.strip_prefix(HEX_PREFIX) {
        let bytes = bytes_of(hex)?;
        return Some(format!("({attribute}={})", escape_bytes(&bytes)));
    }
    if attribute.eq_ignore_ascii_case(OBJECT_GUID) {
        let guid = Uuid::parse_str(external_id).ok()?;
        return Some(format!("({attribute}={})", escape_bytes(&guid.to_bytes_le())));
    }
    Some(format!("({attribute}={})", ldap_escape(external_id)))
}

/// Returns the group filter of one member. `{dn}` and `{name}` stand for the escaped values.
pub(super) fn groups(template: &str, dn: &str, name: &str) -> String {
    // Both at once: a value that contains the other placeholder is not replaced again.
    let mut filter = String::with_capacity(template.len() + dn.len());
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, tail) = rest.split_at(at);
        filter.push_str(before);
        rest = if let Some(tail) = tail.strip_prefix("{dn}") {
            filter.push_str(&ldap_escape(dn));
            tail
        } else if let Some(tail) = tail.strip_prefix("{name}") {
            filter.push_str(&ldap_escape(name));
            tail
        } else {
            filter.push('{');
            tail.get(1..).unwrap_or_default()
        };
    }
    filter.push_str(rest);
    filter
}

fn escape_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if hex.is_empty() || !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    let digits = (0..hex.len()).step_by(2).map(|at| hex.get(at..at + 2));
    digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}
