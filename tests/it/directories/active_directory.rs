//! What only Active Directory does: diagnostics of refused binds, and values in ranges.

use super::{add_definition, find, last_refusal, refused_like_unknown, signed_in, unknown_body};
use crate::harness::{
    active_directory::{ActiveDirectory, PERSON_PASSWORD, Person, SERVICE},
    server::{Backend, TestServer},
};
use nightlatch::domain::{
    account::Role,
    source::{SettingTexts, SourceDefinition, SourceKind},
};

fn definition(directory: &ActiveDirectory, more: &[(&str, &str)]) -> SourceDefinition {
    let own = [
        ("directory", "active_directory"),
        ("urls", directory.url.as_str()),
        ("bind_dn", SERVICE.0),
        ("base", "DC=corp,DC=test"),
        ("group_lookup", "member_of"),
        ("sync_every", "24h"),
    ];
    let all = own.iter().chain(more);
    let texts: SettingTexts = all.map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
    SourceDefinition::parse(SourceKind::Ldap, &texts).unwrap()
}

fn person(name: &'static str, refusal: Option<&'static str>) -> Person {
    Person {
        name,
        groups: Vec::new(),
        refusal,
    }
}

#[test]
fn the_diagnostics_of_a_refused_bind_are_reasons_in_the_audit_and_look_alike_on_the_screen() {
    let cases = [
        ("hours", "530", "directory_hours"),
        ("workstation", "531", "directory_workstation"),
        ("oldpassword", "532", "directory_password_expired"),
        ("disabled", "533", "directory_disabled"),
        ("expired", "701", "directory_account_expired"),
        ("mustchange", "773", "directory_must_change"),
        ("lockedout", "775", "directory_locked"),
        ("strange", "52f", "credentials"),
    ];
    let mut people: Vec<Person> = cases.iter().map(|(name, code, _)| person(name, Some(code))).collect();
    people.push(person("welcome", None));
    let directory = ActiveDirectory::start(people);
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        add_definition(&server, "corp", definition(&directory, &[]), SERVICE.1);
        let unknown = unknown_body(&server);
        for (name, code, reason) in cases {
            refused_like_unknown(&server.anyone().sign_in(name, PERSON_PASSWORD), name, &unknown);
            assert_eq!(last_refusal(&server).1, reason, "{code} {backend:?}");
            assert!(find(&server, name).is_none(), "{code} {backend:?}");
            // With a wrong password the directory says nothing about the account, and so do we.
            refused_like_unknown(&server.anyone().sign_in(name, "wrong"), name, &unknown);
            assert_eq!(last_refusal(&server).1, "credentials", "{code} {backend:?}");
        }
        signed_in(&server, "welcome", PERSON_PASSWORD);
    }
}

#[test]
fn groups_beyond_the_1500th_value_count() {
    let mut ada = person("ada", None);
    ada.groups = (0..3_200)
        .map(|number| format!("CN=group-{number:04},OU=Groups,DC=corp,DC=test"))
        .collect();
    let mut bob = person("bob", None);
    bob.groups = ada.groups[..1_500].to_vec();
    let directory = ActiveDirectory::start(vec![ada, bob]);
    let rules = [
        ("allowed_groups", "group-1499\ngroup-1500"),
        (
            "mapping",
            "group-3199 -> administrator\ngroup-0000 -> group first\ngroup-2999 -> group middle",
        ),
    ];
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("root", Role::Administrator);
        add_definition(&server, "corp", definition(&directory, &rules), SERVICE.1);
        directory.searches.lock().unwrap().clear();
        signed_in(&server, "ada", PERSON_PASSWORD);
        let ada = find(&server, "ada").unwrap();
        assert_eq!(ada.role, Role::Administrator, "{backend:?}");
        assert_eq!(ada.groups, ["first", "middle"], "{backend:?}");
        let ranges: Vec<String> = directory
            .searches
            .lock()
            .unwrap()
            .iter()
            .flatten()
            .filter(|name| name.contains("range="))
            .cloned()
            .collect();
        assert_eq!(
            ranges,
            ["memberOf;range=1500-*", "memberOf;range=3000-*"],
            "{backend:?}"
        );
        signed_in(&server, "bob", PERSON_PASSWORD);
        let bob = find(&server, "bob").unwrap();
        assert_eq!(
            (bob.role, bob.groups.as_slice()),
            (Role::Member, &["first".to_owned()][..])
        );
    }
}
