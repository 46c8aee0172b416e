//! The description of every setting of a directory.

use super::LdapSettings;
use crate::source::fields::{
    FieldForm::{Choice, Lines, Number, Seconds, Switch, Text},
    FieldGroup, SourceField,
};

impl LdapSettings {
    /// Every setting, in the order of the form.
    pub const FIELDS: &'static [SourceField] = &[
        SourceField::new(
            FieldGroup::Connection,
            "directory",
            "Directory",
            Choice(&["ldap", "active_directory"]),
            "ldap",
            "active_directory sets the defaults of attributes and filters for Active Directory. A change leaves values \
             alone that differ from the defaults.",
        ),
        SourceField::new(
            FieldGroup::Connection,
            "urls",
            "Addresses",
            Lines,
            "",
            "One address a line, such as ldaps://ldap.example.org. They are tried in this order.",
        ),
        SourceField::new(
            FieldGroup::Connection,
            "start_tls",
            "StartTLS",
            Switch,
            "false",
            "Encrypts connections to ldap:// addresses. Without it, ldap:// is allowed for a loopback address only.",
        ),
        SourceField::certificate_authorities(),
        SourceField::new(
            FieldGroup::Connection,
            "bind_dn",
            "Service account",
            Text,
            "",
            "The distinguished name with which people are searched. Empty: anonymously. Its password is the secret.",
        ),
        SourceField::new(
            FieldGroup::People,
            "base",
            "Search base",
            Text,
            "",
            "Where people are searched, such as ou=people,dc=example,dc=org.",
        ),
        SourceField::new(
            FieldGroup::People,
            "user_filter",
            "Filter for people",
            Text,
            "(uid={})",
            "{} stands for the username as typed; it is escaped.",
        ),
        SourceField::new(
            FieldGroup::People,
            "id_attribute",
            "Attribute with the identity",
            Text,
            "entryUUID",
            "It must stay the same when a person is renamed, and must never be given to another person.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::People,
            "name_attribute",
            "Attribute with the username",
            Text,
            "uid",
            "The username of the account here.",
        ),
        SourceField::new(
            FieldGroup::People,
            "display_name_attribute",
            "Attribute with the name",
            Text,
            "cn",
            "The name that people read.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::People,
            "email_attribute",
            "Attribute with the email address",
            Text,
            "mail",
            "The first value is used.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::Groups,
            "group_lookup",
            "Groups",
            Choice(&["off", "member_of", "search", "nested", "in_chain"]),
            "search",
            "member_of reads the attribute memberOf; search finds groups that contain the person; nested also finds \
             groups that contain those; in_chain does the same by Active Directory's own rule.",
        ),
        SourceField::new(
            FieldGroup::Groups,
            "group_base",
            "Search base of groups",
            Text,
            "",
            "Where groups are searched; with member_of, names of other groups do not count. Empty: the search base.",
        ),
        SourceField::new(
            FieldGroup::Groups,
            "group_filter",
            "Filter for groups",
            Text,
            "(member={dn})",
            "{dn} stands for the person's distinguished name, {name} for the username.",
        ),
        SourceField::new(
            FieldGroup::Groups,
            "group_name_attribute",
            "Attribute with a group's name",
            Text,
            "cn",
            "Rules may also use the distinguished name.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::Connection,
            "page_size",
            "Entries per page",
            Number(10, 10_000),
            "500",
            "How many entries one answer of a search has at most.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::Connection,
            "connect_timeout",
            "Time to connect",
            Seconds(1, 60),
            "5s",
            "Longest time to connect, TLS included.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::Connection,
            "operation_timeout",
            "Time to answer",
            Seconds(1, 60),
            "10s",
            "Longest time for one bind or search.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::Connection,
            "connections",
            "Connections",
            Number(1, 64),
            "8",
            "How many connections are open at most.",
        )
        .rare(),
        SourceField::new(
            FieldGroup::Sync,
            "sync_every",
            "Compare accounts every",
            Seconds(60, 86_400),
            "5m",
            "How often accounts with live sessions are compared with the directory.",
        ),
        SourceField::new(
            FieldGroup::SignIn,
            "password_url",
            "Page to change passwords",
            Text,
            "",
            "People are sent there to change their password.",
        ),
        SourceField::new(
            FieldGroup::SignIn,
            "bind_limit",
            "Attempts at the directory",
            Number(1, 100),
            "4",
            "How often the password of one account is tried within the period below. Keep it under the directory's own \
             lockout.",
        ),
        SourceField::new(
            FieldGroup::SignIn,
            "bind_window",
            "Period of attempts",
            Seconds(60, 86_400),
            "15m",
            "The period in which attempts are counted.",
        )
        .rare(),
    ];
}
