//! A domain of Active Directory, with Samba as its domain controller.

use super::{add_definition, find, last_refusal, refused_like_unknown, signed_in, sync::sync, unknown_body};
use crate::harness::{
    samba::{DOMAIN_DN, PERSON_PASSWORD, REALM, Samba, dn},
    server::{Backend, TestServer},
};
use nightlatch::domain::{
    account::Role,
    source::{SettingTexts, SourceDefinition, SourceKind},
};

/// Finds people by both their names.
const BOTH_NAMES: &str = "(&(objectCategory=person)(objectClass=user)(|(sAMAccountName={})(userPrincipalName={})))";

/// Adds the domain as `docs/source-setups.md` says.
fn add_domain(server: &TestServer, samba: &Samba, more: &[(&str, &str)]) {
    let (url, service, authority) = (samba.tls_url(), dn("nightlatch"), samba.certificate());
    let mapping = format!("{} -> administrator\nWiki -> group editors", dn("Nightlatch Admins"));
    let own = [
        ("directory", "active_directory"),
        ("urls", &url),
        ("ca_file", authority.to_str().unwrap()),
        ("bind_dn", &service),
        ("base", DOMAIN_DN),
        ("allowed_groups", "Staff"),
        ("mapping", &mapping),
        ("sync_every", "24h"),
    ];
    let all = own.iter().chain(more);
    let texts: SettingTexts = all.map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
    let definition = SourceDefinition::parse(SourceKind::Ldap, &texts).unwrap();
    add_definition(server, "corp", definition, PERSON_PASSWORD);
}

#[test]
fn people_of_a_domain_sign_in_and_its_refusals_are_reasons_in_the_audit() {
    let samba = Samba::start();
    let refused = [
        ("off", "directory_disabled"),
        ("past", "directory_account_expired"),
        ("fresh", "directory_must_change"),
        ("shut", "directory_locked"),
        ("night", "directory_hours"),
        ("outsider", "not_in_allowed_group"),
    ];
    for (name, _) in refused {
        samba.add_person(name);
    }
    samba.disable("off");
    samba.expire("past");
    samba.must_change_password("fresh");
    samba.lock("shut");
    samba.forbid_all_hours("night");
    let plain = samba.plain_url();
    let start_tls = [("urls", plain.as_str()), ("start_tls", "true")];
    for (backend, encryption) in [(Backend::Sqlite, &[][..]), (Backend::Postgres, &start_tls[..])] {
        let server = TestServer::on(backend).start();
        server.account("root", Role::Administrator);
        let settings = [&[("user_filter", BOTH_NAMES)][..], encryption].concat();
        add_domain(&server, &samba, &settings);
        let unknown = unknown_body(&server);
        for (name, reason) in refused {
            refused_like_unknown(&server.anyone().sign_in(name, PERSON_PASSWORD), name, &unknown);
            assert_eq!(last_refusal(&server).1, reason, "{name} {backend:?}");
            assert!(find(&server, name).is_none(), "{name} {backend:?}");
        }
        for (name, password) in [("off", "wrong"), ("ada", ""), ("*", PERSON_PASSWORD)] {
            refused_like_unknown(&server.anyone().sign_in(name, password), name, &unknown);
            assert_eq!(last_refusal(&server).1, "credentials", "{name} {backend:?}");
        }
        // The domain counts empty passwords as wrong ones, so none may reach it.
        assert_eq!(samba.value("ada", "badPwdCount").unwrap(), "0", "{backend:?}");
        server.anyone().sign_in("ada", "wrong").expect(422);
        assert_eq!(samba.value("ada", "badPwdCount").unwrap(), "1", "{backend:?}");
        names_and_groups(&server);
    }
}

fn names_and_groups(server: &TestServer) {
    signed_in(server, "ADA", PERSON_PASSWORD);
    let ada = find(server, "ada").unwrap();
    assert_eq!(
        (ada.display_name.as_str(), ada.email.as_deref(), ada.role),
        ("ada of Corp", Some("ada@example.test"), Role::Member)
    );
    assert!(ada.groups.is_empty(), "{:?}", ada.groups);
    // The user principal name is the same person.
    signed_in(server, &format!("ada@{REALM}"), PERSON_PASSWORD);
    assert!(find(server, &format!("ada@{REALM}")).is_none());
    // Nightlatch Admins contains Wheel, which contains her.
    let grace = signed_in(server, "grace", PERSON_PASSWORD);
    grace.get("/admin/sessions").expect(200);
    assert_eq!(find(server, "grace").unwrap().role, Role::Administrator);
    signed_in(server, "linus", PERSON_PASSWORD);
    let linus = find(server, "linus").unwrap();
    assert_eq!(
        (linus.role, linus.groups.as_slice()),
        (Role::Member, ["editors".to_owned()].as_slice())
    );
}

#[test]
fn sessions_of_people_whom_a_domain_no_longer_admits_end_and_a_renamed_person_stays() {
    let samba = Samba::start();
    for (backend, number) in [(Backend::Sqlite, 1), (Backend::Postgres, 2)] {
        let server = TestServer::on(backend).start();
        server.account("root", Role::Administrator);
        add_domain(&server, &samba, &[]);
        let named = ["off", "past", "shut", "leaves", "stays", "renamed"].map(|name| format!("{name}{number}"));
        let [off, past, shut, leaves, stays, renamed] = named.each_ref().map(String::as_str);
        for name in &named {
            samba.add_person(name);
        }
        let team = format!("Team {number}");
        samba.add_group(&team, &[off, past, shut, leaves, stays, renamed]);
        samba.add_to_group("Wiki", &team);
        let ended = [off, past, shut, leaves].map(|name| signed_in(&server, name, PERSON_PASSWORD));
        let kept = [stays, renamed].map(|name| signed_in(&server, name, PERSON_PASSWORD));
        let account = find(&server, renamed).unwrap();
        assert_eq!(account.groups, ["editors"], "{backend:?}");
        let none = sync(&server);
        assert_eq!((none.compared, none.changed, none.ended), (6, 0, 0), "{backend:?}");

        samba.disable(off);
        samba.expire(past);
        samba.lock(shut);
        samba.remove_from_group(&team, leaves);
        let other = format!("other{number}");
        samba.rename(renamed, &other);
        let counts = sync(&server);
        assert_eq!((counts.compared, counts.ended), (6, 4), "{backend:?}");
        for client in ended {
            assert_eq!(
                client.get("/").expect(303).location(),
                "/login?reason=directory",
                "{backend:?}"
            );
        }
        for client in kept {
            client.get("/").expect(200);
        }
        signed_in(&server, &other, PERSON_PASSWORD);
        let now = find(&server, &other).unwrap();
        assert_eq!(
            (now.id, &now.external_id, &now.groups),
            (account.id, &account.external_id, &account.groups),
            "{backend:?}"
        );
        assert!(find(&server, renamed).is_none(), "{backend:?}");
    }
}
