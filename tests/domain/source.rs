//! Settings of sources: what is accepted, what every fault is called, and what the rules give.
use nightlatch_domain::{
    account::Role,
    source::{
        DirectoryKind, GroupLookup, MappingRule, OnOutage, Provision, SettingTexts, SourceDefinition, SourceKind,
        SourceName, SourceSettings, fields_of,
    },
    time::Span,
};

fn texts(pairs: &[(&str, &str)]) -> SettingTexts {
    let pairs = pairs.iter();
    pairs
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect()
}

const LDAP: &[(&str, &str)] = &[("urls", "ldaps://ldap.example.org"), ("base", "dc=example,dc=org")];
const OIDC: &[(&str, &str)] = &[("issuer", "https://id.example.org"), ("client_id", "nightlatch")];

fn minimum(kind: SourceKind) -> SettingTexts {
    texts(match kind {
        SourceKind::Ldap => LDAP,
        SourceKind::Oidc => OIDC,
    })
}

fn parse_with(kind: SourceKind, key: &str, text: &str) -> Result<SourceDefinition, Vec<String>> {
    let mut all = minimum(kind);
    all.insert(key.to_owned(), text.to_owned());
    let faults = |faults: Vec<_>| faults.iter().map(ToString::to_string).collect();
    SourceDefinition::parse(kind, &all).map_err(faults)
}

#[test]
fn a_name_fits_into_an_address() {
    for name in ["corp", "a", "ad-2", "0", &"x".repeat(32)] {
        assert_eq!(SourceName::parse(name).unwrap().as_str(), name);
    }
    for name in ["", "Corp", "a b", "a/b", "-a", "ü", "a_b", "local", &"x".repeat(33)] {
        assert!(SourceName::parse(name).is_err(), "{name}");
    }
}

#[test]
fn a_directory_needs_an_address_and_a_base() {
    let source = SourceDefinition::parse(SourceKind::Ldap, &texts(LDAP)).unwrap();
    let SourceSettings::Ldap(settings) = &source.settings else {
        panic!("a directory")
    };
    assert_eq!(settings.user_filter, "(uid={})");
    assert_eq!(settings.id_attribute, "entryUUID");
    assert_eq!(settings.group_lookup, GroupLookup::Search);
    assert_eq!(settings.bind_limit, 4);
    assert_eq!(settings.bind_window, Span::from_secs(900));
    assert_eq!(settings.sync_every, Span::from_secs(300));
    assert_eq!((source.provision, source.on_outage), (Provision::Auto, OnOutage::Keep));
    let faults = SourceDefinition::parse(SourceKind::Ldap, &texts(&[])).unwrap_err();
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["base", "urls"]);
}

#[test]
fn active_directory_has_defaults_of_its_own() {
    let source = parse_with(SourceKind::Ldap, "directory", "active_directory").unwrap();
    let SourceSettings::Ldap(settings) = &source.settings else {
        panic!("a directory")
    };
    assert_eq!(settings.directory, DirectoryKind::ActiveDirectory);
    assert_eq!(settings.id_attribute, "objectGUID");
    assert_eq!(settings.name_attribute, "sAMAccountName");
    assert_eq!(settings.group_lookup, GroupLookup::InChain);
    assert!(settings.user_filter.contains("(sAMAccountName={})"));
}

#[test]
fn every_setting_of_every_kind_comes_back_from_its_texts() {
    for kind in SourceKind::ALL {
        let mut all = minimum(*kind);
        all.insert(
            "mapping".into(),
            "cn=a -> b,dc=x -> administrator\n* -> group staff".into(),
        );
        all.insert("allowed_groups".into(), "cn=staff,dc=x\nops".into());
        if *kind == SourceKind::Ldap {
            all.insert("on_outage".into(), "1h".into());
        }
        all.insert("provision".into(), "listed".into());
        let source = SourceDefinition::parse(*kind, &all).unwrap();
        let expected = match kind {
            SourceKind::Ldap => OnOutage::EndAfter(Span::from_secs(3_600)),
            SourceKind::Oidc => OnOutage::Keep,
        };
        assert_eq!(source.on_outage, expected);
        let exported = source.texts();
        assert_eq!(SourceDefinition::parse(*kind, &exported).unwrap(), source);
        let keys: Vec<&str> = fields_of(*kind).iter().map(|field| field.key).collect();
        assert_eq!(keys.len(), exported.len(), "each setting is exported once");
        assert!(keys.iter().all(|key| exported.contains_key(*key)));
    }
}

#[test]
fn every_default_is_accepted() {
    for kind in SourceKind::ALL {
        for field in fields_of(*kind) {
            if !field.default.is_empty() {
                parse_with(*kind, field.key, field.default).unwrap();
            }
        }
    }
}

#[test]
fn settings_that_are_accepted() {
    use SourceKind::{Ldap, Oidc};
    for (kind, key, text) in [
        (Ldap, "urls", "ldap://127.0.0.1:1389"),
        (Ldap, "urls", "ldap://localhost, ldap://[::1]:389/"),
        (Ldap, "urls", "ldaps://dc1.corp.example:636\nldaps://dc2.corp.example"),
        (Ldap, "user_filter", "(&(objectClass=person)(|(uid={})(mail={})))"),
        (Ldap, "group_filter", "(memberUid={name})"),
        (Ldap, "connect_timeout", "60"),
        (Ldap, "bind_limit", "100"),
        (Ldap, "password_url", "https://id.example.org/password?x=1"),
        (Ldap, "on_outage", "1m"),
        (Oidc, "issuer", "http://127.0.0.1:3000"),
        (Oidc, "issuer", "http://localhost:8080/realms/one/"),
        (Oidc, "email_domains", "Example.org, sub.example.org"),
        (Oidc, "scopes", "openid groups"),
    ] {
        let parsed = parse_with(kind, key, text);
        assert!(parsed.is_ok(), "{key} {text}: {parsed:?}");
    }
}

#[test]
fn every_fault_names_its_setting() {
    use SourceKind::{Ldap, Oidc};
    for (kind, key, text, message) in [
        (Ldap, "urls", "ldap://ldap.example.org", "is not encrypted"),
        (Ldap, "urls", "ldap://127.0.0.1.example.org", "is not encrypted"),
        (Ldap, "urls", "https://ldap.example.org", "must begin with ldaps://"),
        (Ldap, "urls", "ldap.example.org", "is not an address"),
        (Ldap, "urls", "ldaps://ldap.example.org/dc=x", "only a host and a port"),
        (
            Ldap,
            "urls",
            "ldaps://me:secret@ldap.example.org",
            "only a host and a port",
        ),
        (Ldap, "start_tls", "perhaps", "must be true or false"),
        (Ldap, "user_filter", "(uid=ada)", "must contain {}"),
        (Ldap, "user_filter", "uid={}", "one filter in parentheses"),
        (Ldap, "user_filter", "(uid={})(x=y)", "one filter in parentheses"),
        (Ldap, "user_filter", "((uid={})", "one filter in parentheses"),
        (
            Ldap,
            "group_filter",
            "(objectClass=group)",
            "must contain {dn} or {name}",
        ),
        (
            Ldap,
            "group_lookup",
            "magic",
            "must be one of off, member_of, search, nested, in_chain",
        ),
        (Ldap, "id_attribute", "entry UUID", "must be the name of an attribute"),
        (Ldap, "page_size", "9", "from 10 to 10000"),
        (Ldap, "connect_timeout", "0", "from 1 second to 1 minute"),
        (Ldap, "connect_timeout", "61", "from 1 second to 1 minute"),
        (Ldap, "connect_timeout", "soon", "not a duration"),
        (Ldap, "bind_limit", "0", "from 1 to 100"),
        (
            Ldap,
            "password_url",
            "http://id.example.org",
            "must begin with https://",
        ),
        (Ldap, "base", "dc=example\ndc=org", "has one line only"),
        (Ldap, "bind_dn", "cn=a\u{202e}b", "U+202E"),
        (
            Ldap,
            "issuer",
            "https://id.example.org",
            "is not a setting of this kind",
        ),
        (Ldap, "secret", "hunter2", "is not a setting of this kind"),
        (Ldap, "on_outage", "59s", "at least 1 minute"),
        (Ldap, "on_outage", "never", "at least 1 minute"),
        (Oidc, "on_outage", "1h", "is not a setting of this kind"),
        (Ldap, "provision", "all", "must be one of auto, listed"),
        (Ldap, "mapping", "ops = administrator", "without “->”"),
        (
            Ldap,
            "mapping",
            "ops -> root",
            "neither administrator, member nor group NAME",
        ),
        (Ldap, "mapping", " -> member", "names no group"),
        (Ldap, "mapping", "ops -> group a,b", "no commas"),
        (Oidc, "issuer", "http://id.example.org", "must begin with https://"),
        (Oidc, "issuer", "https://id.example.org?x=1", "must not contain a query"),
        (
            Oidc,
            "issuer",
            "https://id.example.org#x",
            "must not contain a fragment",
        ),
        (
            Oidc,
            "issuer",
            "https://me@id.example.org",
            "must not contain a username",
        ),
        (Oidc, "issuer", "", "is missing"),
        (Oidc, "client_id", " ", "is missing"),
        (Oidc, "scopes", "email", "must contain openid"),
        (Oidc, "email_domains", "@example.org", "is not a domain"),
        (Oidc, "sign_out", "both", "must be one of local, offer, provider"),
    ] {
        let faults = parse_with(kind, key, text).expect_err(&format!("{key} {text}"));
        let named = faults
            .iter()
            .any(|fault| fault.starts_with(&format!("{key}: ")) && fault.contains(message));
        assert!(named, "{key} {text}: {faults:?}");
        assert!(!faults.join(" ").contains("hunter2"), "{faults:?}");
    }
}

#[test]
fn a_rule_comes_back_as_it_was_written() {
    for line in ["ops -> administrator", "cn=a -> b,dc=x -> member", "* -> group Büro 1"] {
        assert_eq!(MappingRule::parse(line).unwrap().line(), line);
    }
}

#[test]
fn the_rules_add_groups_up_and_the_strongest_role_wins() {
    let rules = "cn=Admins,ou=Groups,dc=x -> administrator\nadmins -> member\n* -> group staff\nops -> group wiki\nOps -> group staff";
    let mapping = parse_with(SourceKind::Ldap, "mapping", rules).unwrap().mapping;
    let apply = |groups: &[&str]| {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let rights = mapping.apply(&groups);
        (rights.role, rights.groups)
    };
    let staff = || vec!["staff".to_owned()];
    assert_eq!(apply(&[]), (Role::Member, staff()));
    assert_eq!(apply(&["admins"]), (Role::Member, staff()));
    assert_eq!(
        apply(&["CN=admins, OU=groups, DC=x", "admins"]),
        (Role::Administrator, staff())
    );
    assert_eq!(
        apply(&["OPS"]),
        (Role::Member, vec!["staff".to_owned(), "wiki".to_owned()])
    );
    assert_eq!(apply(&["op", "ops2", "*x"]), (Role::Member, staff()));
    assert!(mapping.gives_administrator());
}

#[test]
fn an_account_needs_an_allowed_group_if_there_are_some() {
    let allowed = |groups: &str, has: &str| {
        let definition = parse_with(SourceKind::Oidc, "allowed_groups", groups).unwrap();
        definition.mapping.apply(&[has.to_owned()]).allowed
    };
    assert!(allowed("", "x"));
    assert!(allowed("staff\nops", "Ops"));
    assert!(!allowed("staff\nops", "guests"));
    assert!(allowed("*", "guests"));
}
