//! The settings of an LDAP directory (RFC 4511), Active Directory included.

mod fields;

use super::reader::{SettingReader, is_loopback};
use crate::{duration, time::Span};
use url::Url;

/// The make of a directory. It sets the defaults of attributes, and how disabled accounts are
/// recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryKind {
    /// OpenLDAP and others that follow the standards.
    Ldap,
    /// Active Directory, or Samba as its domain controller.
    ActiveDirectory,
}

impl DirectoryKind {
    /// Returns `ldap` or `active_directory`.
    pub const fn as_str(self) -> &'static str {
        match self {
            DirectoryKind::Ldap => "ldap",
            DirectoryKind::ActiveDirectory => "active_directory",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "ldap" => Some(DirectoryKind::Ldap),
            "active_directory" => Some(DirectoryKind::ActiveDirectory),
            _ => None,
        }
    }
}

/// How the groups of a person are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupLookup {
    /// They are not: every account has no groups.
    Off,
    /// The values of the attribute `memberOf`; groups within groups do not count.
    MemberOf,
    /// A search for groups that contain the person.
    Search,
    /// The same, and then for groups that contain those groups.
    Nested,
    /// One search with Active Directory's rule 1.2.840.113556.1.4.1941, which follows nested
    /// groups.
    InChain,
}

impl GroupLookup {
    /// Returns the value as the setting spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            GroupLookup::Off => "off",
            GroupLookup::MemberOf => "member_of",
            GroupLookup::Search => "search",
            GroupLookup::Nested => "nested",
            GroupLookup::InChain => "in_chain",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        match word {
            "off" => Some(GroupLookup::Off),
            "member_of" => Some(GroupLookup::MemberOf),
            "search" => Some(GroupLookup::Search),
            "nested" => Some(GroupLookup::Nested),
            "in_chain" => Some(GroupLookup::InChain),
            _ => None,
        }
    }
}

/// The settings of a directory. Its secret is the password of [`LdapSettings::bind_dn`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapSettings {
    /// The make of the directory.
    pub directory: DirectoryKind,
    /// Addresses (`ldaps://host:636`, `ldap://host`), tried in order; at least one.
    pub urls: Vec<String>,
    /// Whether `ldap://` connections are encrypted by StartTLS (RFC 4511, 4.14).
    pub start_tls: bool,
    /// A file with the certificates of the authorities that are trusted; `None`: the system's.
    pub ca_file: Option<String>,
    /// The name under which people are searched; `None`: anonymously.
    pub bind_dn: Option<String>,
    /// Where people are searched, at any depth.
    pub base: String,
    /// The filter that finds a person; `{}` is replaced with the username, escaped (RFC 4515).
    pub user_filter: String,
    /// The attribute that identifies a person for ever.
    pub id_attribute: String,
    /// The attribute with the username.
    pub name_attribute: String,
    /// The attribute with the person's name.
    pub display_name_attribute: String,
    /// The attribute with the email address.
    pub email_attribute: String,
    /// How groups are found.
    pub group_lookup: GroupLookup,
    /// Where groups are searched; `None`: at `base`.
    pub group_base: Option<String>,
    /// The filter that finds the groups of a person: `{dn}` is the person's distinguished name,
    /// `{name}` the username.
    pub group_filter: String,
    /// The attribute with a group's name.
    pub group_name_attribute: String,
    /// How many entries a page of a search has (RFC 2696).
    pub page_size: u32,
    /// How long a connection may take, TLS included.
    pub connect_timeout: Span,
    /// How long each bind or search may take.
    pub operation_timeout: Span,
    /// How many connections are open at most.
    pub connections: u32,
    /// How often accounts with live sessions are compared with the directory.
    pub sync_every: Span,
    /// Where people change their password; `None`: no link is shown.
    pub password_url: Option<String>,
    /// How often the password of one account is tried at the directory within `bind_window`.
    pub bind_limit: u32,
    /// The period in which binds are counted.
    pub bind_window: Span,
}

/// Defaults that differ in Active Directory.
const ACTIVE_DIRECTORY: &[(&str, &str)] = &[
    (
        "user_filter",
        "(&(objectCategory=person)(objectClass=user)(sAMAccountName={}))",
    ),
    ("id_attribute", "objectGUID"),
    ("name_attribute", "sAMAccountName"),
    ("display_name_attribute", "displayName"),
    ("group_lookup", "in_chain"),
];

impl LdapSettings {
    /// Reads the settings; faults are left in the reader.
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Self {
        let directory = reader.choice("directory", DirectoryKind::parse, DirectoryKind::Ldap);
        if directory == DirectoryKind::ActiveDirectory {
            reader.set_defaults(ACTIVE_DIRECTORY);
        }
        let settings = Self {
            directory,
            urls: reader.words("urls"),
            start_tls: reader.switch("start_tls"),
            ca_file: reader.optional("ca_file"),
            bind_dn: reader.optional("bind_dn"),
            base: reader.required("base"),
            user_filter: reader.required("user_filter"),
            id_attribute: read_attribute(reader, "id_attribute"),
            name_attribute: read_attribute(reader, "name_attribute"),
            display_name_attribute: read_attribute(reader, "display_name_attribute"),
            email_attribute: read_attribute(reader, "email_attribute"),
            group_lookup: reader.choice("group_lookup", GroupLookup::parse, GroupLookup::Off),
            group_base: reader.optional("group_base"),
            group_filter: reader.required("group_filter"),
            group_name_attribute: read_attribute(reader, "group_name_attribute"),
            page_size: reader.number("page_size"),
            connect_timeout: reader.seconds("connect_timeout"),
            operation_timeout: reader.seconds("operation_timeout"),
            connections: reader.number("connections"),
            sync_every: reader.seconds("sync_every"),
            password_url: reader.optional("password_url"),
            bind_limit: reader.number("bind_limit"),
            bind_window: reader.seconds("bind_window"),
        };
        settings.check(reader);
        settings
    }

    fn check(&self, reader: &mut SettingReader<'_>) {
        if self.urls.is_empty() {
            reader.fault("urls", "is missing");
        }
        for url in &self.urls {
            self.check_address(reader, url);
        }
        if !self.user_filter.is_empty() {
            if !self.user_filter.contains("{}") {
                reader.fault("user_filter", "must contain {}, which stands for the username");
            }
            check_filter(reader, "user_filter", &self.user_filter);
        }
        if matches!(self.group_lookup, GroupLookup::Search | GroupLookup::Nested) {
            if !self.group_filter.contains("{dn}") && !self.group_filter.contains("{name}") {
                reader.fault("group_filter", "must contain {dn} or {name}");
            }
            if self.group_lookup == GroupLookup::Nested && !self.group_filter.contains("{dn}") {
                reader.fault("group_filter", "must contain {dn} when groups are nested");
            }
            check_filter(reader, "group_filter", &self.group_filter);
        }
        if let Some(address) = &self.password_url {
            reader.check_web_address("password_url", address);
        }
    }

    fn check_address(&self, reader: &mut SettingReader<'_>, address: &str) {
        let Ok(url) = Url::parse(address) else {
            return reader.fault("urls", format!("{address:?} is not an address (write ldaps://HOST)"));
        };
        if !matches!(url.scheme(), "ldap" | "ldaps") || url.host().is_none() {
            return reader.fault(
                "urls",
                format!("{address:?} must begin with ldaps:// or ldap:// and a host"),
            );
        }
        let is_plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !is_plain || !url.username().is_empty() || url.password().is_some() {
            return reader.fault(
                "urls",
                format!(
                    "{:?} must contain only a host and a port",
                    url.host_str().unwrap_or_default()
                ),
            );
        }
        if url.scheme() == "ldap" && !self.start_tls && !is_loopback(&url) {
            reader.fault(
                "urls",
                format!("{address:?} is not encrypted: write ldaps://, or set start_tls to true"),
            );
        }
    }

    /// Returns the default of a setting that depends on the make of the directory; `None`: it does
    /// not.
    pub(super) fn default_of_make(&self, key: &str) -> Option<&'static str> {
        let (_, special) = ACTIVE_DIRECTORY.iter().find(|(of, _)| *of == key)?;
        match self.directory {
            DirectoryKind::ActiveDirectory => Some(special),
            DirectoryKind::Ldap => Self::FIELDS
                .iter()
                .find(|field| field.key == key)
                .map(|field| field.default),
        }
    }

    /// Returns the settings as texts.
    pub(super) fn texts(&self) -> Vec<(&'static str, String)> {
        let seconds = |span: Span| duration::humanize(span.as_secs());
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        vec![
            ("directory", self.directory.as_str().to_owned()),
            ("urls", self.urls.join("\n")),
            ("start_tls", self.start_tls.to_string()),
            ("ca_file", text(&self.ca_file)),
            ("bind_dn", text(&self.bind_dn)),
            ("base", self.base.clone()),
            ("user_filter", self.user_filter.clone()),
            ("id_attribute", self.id_attribute.clone()),
            ("name_attribute", self.name_attribute.clone()),
            ("display_name_attribute", self.display_name_attribute.clone()),
            ("email_attribute", self.email_attribute.clone()),
            ("group_lookup", self.group_lookup.as_str().to_owned()),
            ("group_base", text(&self.group_base)),
            ("group_filter", self.group_filter.clone()),
            ("group_name_attribute", self.group_name_attribute.clone()),
            ("page_size", self.page_size.to_string()),
            ("connect_timeout", seconds(self.connect_timeout)),
            ("operation_timeout", seconds(self.operation_timeout)),
            ("connections", self.connections.to_string()),
            ("sync_every", seconds(self.sync_every)),
            ("password_url", text(&self.password_url)),
            ("bind_limit", self.bind_limit.to_string()),
            ("bind_window", seconds(self.bind_window)),
        ]
    }
}

/// Reads the name of an attribute (RFC 4512, 2.5: a word or an object identifier).
fn read_attribute(reader: &mut SettingReader<'_>, key: &str) -> String {
    let name = reader.required(key);
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';');
    if !name.chars().all(allowed) {
        reader.fault(key, "must be the name of an attribute: letters, digits and -");
    }
    name
}

/// Checks that a filter is one pair of parentheses with balanced ones in it. The directory decides
/// about the rest.
fn check_filter(reader: &mut SettingReader<'_>, key: &str, filter: &str) {
    let mut depth = 0_i32;
    let last = filter.chars().count().saturating_sub(1);
    let mut is_one = filter.starts_with('(');
    for (place, c) in filter.chars().enumerate() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        is_one &= depth > 0 || (depth == 0 && place == last);
    }
    if !is_one || depth != 0 {
        reader.fault(key, "must be one filter in parentheses, such as (uid={})");
    }
}
