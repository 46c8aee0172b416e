//! The directories of a hue.ini (`[desktop] [[ldap]]`) as drafts of sources.

use super::fields::SettingTexts;
use crate::policy::hue_entries;
use std::collections::BTreeMap;

/// A directory of a hue.ini, as settings of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HueDirectory {
    /// Its name in the file; empty for the only directory.
    pub name: String,
    /// The settings, for [`super::SourceDefinition::parse`].
    pub texts: SettingTexts,
    /// What could not be imported as it is, one sentence each.
    pub notes: Vec<String>,
}

/// The keys of one directory, under `users.…` and `groups.…` those of its subsections.
type HueKeys = BTreeMap<String, String>;

/// The keys whose meaning is taken over or explained in a note of its own.
const READ: &[&str] = &[
    "ldap_url",
    "use_start_tls",
    "search_bind_authentication",
    "ldap_username_pattern",
    "nt_domain",
    "base_dn",
    "bind_dn",
    "bind_password",
    "bind_password_script",
    "ldap_cert",
    "create_users_on_login",
    "login_groups",
    "subgroups",
    "users.user_filter",
    "users.user_name_attr",
    "groups.group_filter",
    "groups.group_name_attr",
    "groups.group_member_attr",
];

const SECTION: &str = "desktop.ldap";
const SERVERS: &str = "desktop.ldap.ldap_servers.";

/// Reads the directories of a hue.ini: `[[[ldap_servers]]]` if it has some, else the section
/// itself. Empty: the file has no address of a directory. Passwords are never read.
pub fn read_hue_directories(text: &str) -> Vec<HueDirectory> {
    let mut common = HueKeys::new();
    let mut servers: BTreeMap<String, HueKeys> = BTreeMap::new();
    for (section, key, value) in hue_entries(text) {
        let key = key.to_lowercase();
        if let Some(rest) = section.strip_prefix(SERVERS) {
            let (name, part) = rest.split_once('.').unwrap_or((rest, ""));
            servers
                .entry(name.to_owned())
                .or_default()
                .insert(path(part, &key), value);
        } else if section == SECTION {
            common.insert(key, value);
        } else if let Some(part) = section.strip_prefix("desktop.ldap.") {
            common.insert(path(part, &key), value);
        }
    }
    if servers.is_empty() {
        servers.insert(String::new(), HueKeys::new());
    }
    let whole = servers.into_iter().map(|(name, own)| {
        let mut keys = common.clone();
        keys.extend(own);
        (name, keys)
    });
    whole
        .filter(|(_, keys)| keys.get("ldap_url").is_some_and(|url| !url.is_empty()))
        .map(|(name, keys)| convert(name, &keys))
        .collect()
}

fn path(part: &str, key: &str) -> String {
    match part.is_empty() {
        true => key.to_owned(),
        false => format!("{part}.{key}"),
    }
}

fn convert(name: String, keys: &HueKeys) -> HueDirectory {
    let mut texts = SettingTexts::new();
    let mut notes = Vec::new();
    let mut set = |key: &str, text: String| texts.insert(key.to_owned(), text);
    let get = |key: &str| keys.get(key).map(String::as_str).filter(|text| !text.is_empty());
    let is_off =
        |key: &str| get(key).is_some_and(|text| matches!(text.to_lowercase().as_str(), "false" | "no" | "off" | "0"));
    let urls: Vec<&str> = get("ldap_url")
        .unwrap_or_default()
        .split([' ', ','])
        .filter(|url| !url.is_empty())
        .collect();
    set("urls", urls.join("\n"));
    // StartTLS is Hue's default.
    if urls.iter().any(|url| url.starts_with("ldap://")) && !is_off("use_start_tls") {
        set("start_tls", "true".to_owned());
    }
    let mut attribute = get("users.user_name_attr").unwrap_or("sAMAccountName").to_owned();
    let mut base = get("base_dn").unwrap_or_default().to_owned();
    if let Some((found, below)) = used_pattern(keys, &mut notes) {
        attribute = found;
        if base.is_empty() {
            base = below;
        }
    }
    let is_active_directory = get("nt_domain").is_some() || attribute.eq_ignore_ascii_case("sAMAccountName");
    if is_active_directory {
        set("directory", "active_directory".to_owned());
    }
    set("base", base);
    for (hue, own) in [("ldap_cert", "ca_file"), ("bind_dn", "bind_dn")] {
        if let Some(text) = get(hue) {
            set(own, text.to_owned());
        }
    }
    let people = in_parentheses(get("users.user_filter").unwrap_or("objectClass=*"));
    set("user_filter", format!("(&{people}({attribute}={{}}))"));
    set("name_attribute", attribute);
    if is_off("create_users_on_login") {
        set("provision", "listed".to_owned());
    }
    if keys.contains_key("bind_password") || keys.contains_key("bind_password_script") {
        notes.push("The bind password is not imported: enter it as the secret of the source.".to_owned());
    }
    if get("ldap_cert").is_none() {
        notes.push(
            "Hue trusts any certificate without ldap_cert; here the system's authorities are checked.".to_owned(),
        );
    }
    texts.extend(convert_groups(keys, is_active_directory, &mut notes));
    let ignored = keys
        .iter()
        .filter(|(key, text)| !text.is_empty() && !READ.contains(&key.as_str()));
    notes.extend(ignored.map(|(key, _)| format!("{key} is not taken over.")));
    HueDirectory { name, texts, notes }
}

/// Returns the settings of groups.
fn convert_groups(keys: &HueKeys, is_active_directory: bool, notes: &mut Vec<String>) -> SettingTexts {
    let mut texts = SettingTexts::new();
    let get = |key: &str| keys.get(key).map(String::as_str).filter(|text| !text.is_empty());
    if let Some(names) = get("login_groups") {
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        let lines: Vec<&str> = names.collect();
        texts.insert("allowed_groups".to_owned(), lines.join("\n"));
    }
    let is_nested = get("subgroups").is_some_and(|way| way.eq_ignore_ascii_case("nested"));
    if let Some(text) = get("groups.group_name_attr") {
        texts.insert("group_name_attribute".to_owned(), text.to_owned());
    }
    if !is_active_directory || get("groups.group_filter").is_some() {
        let groups = in_parentheses(get("groups.group_filter").unwrap_or("objectClass=*"));
        let member = get("groups.group_member_attr").unwrap_or("member");
        // memberUid holds usernames, the others distinguished names.
        let by_name = member.eq_ignore_ascii_case("memberUid");
        let value = if by_name { "{name}" } else { "{dn}" };
        if is_nested && by_name {
            notes.push("subgroups=nested has no effect: memberUid names people, not groups.".to_owned());
        }
        let lookup = if is_nested && !by_name { "nested" } else { "search" };
        texts.insert("group_lookup".to_owned(), lookup.to_owned());
        texts.insert("group_filter".to_owned(), format!("(&{groups}({member}={value}))"));
    } else if is_nested {
        texts.insert("group_lookup".to_owned(), "in_chain".to_owned());
    }
    texts
}

/// Returns the attribute and the base of the pattern by which Hue binds, if it does.
fn used_pattern(keys: &HueKeys, notes: &mut Vec<String>) -> Option<(String, String)> {
    let pattern = keys.get("ldap_username_pattern").filter(|text| !text.is_empty())?;
    let searches = keys.get("search_bind_authentication").map(|text| text.to_lowercase());
    if matches!(searches.as_deref(), Some("true" | "yes" | "on" | "1")) {
        let note = "ldap_username_pattern is not taken over: with search_bind_authentication Hue does not use it.";
        notes.push(note.to_owned());
        return None;
    }
    let found = read_pattern(pattern)?;
    notes.push("Hue binds by ldap_username_pattern; here the person is searched first.".to_owned());
    Some(found)
}

/// Splits `uid=<username>,ou=people,dc=example` into the attribute and the base.
fn read_pattern(pattern: &str) -> Option<(String, String)> {
    let (first, base) = pattern.split_once(',')?;
    let attribute = first.strip_suffix("=<username>")?;
    Some((attribute.to_owned(), base.to_owned()))
}

fn in_parentheses(filter: &str) -> String {
    match filter.starts_with('(') {
        true => filter.to_owned(),
        false => format!("({filter})"),
    }
}
