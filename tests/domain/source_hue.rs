//! The directories of a hue.ini as settings of sources.
use nightlatch_domain::source::{SourceDefinition, SourceKind, read_hue_directories};

#[test]
fn one_directory_with_search_bind() {
    let file = r#"
[desktop]
  [[auth]]
    backend=desktop.auth.backend.LdapBackend
  [[ldap]]
    ldap_url="ldap://ldap1.example.org ldap://ldap2.example.org"
    base_dn="dc=example,dc=org"
    bind_dn="cn=hue,dc=example,dc=org"
    bind_password=super secret
    ldap_cert=/etc/ssl/ldap.pem
    create_users_on_login=false
    [[[users]]]
      user_filter="objectclass=person"
      user_name_attr=uid
    [[[groups]]]
      group_filter="(objectclass=posixGroup)"
      group_member_attr=memberUid
"#;
    let found = read_hue_directories(file);
    assert_eq!(found.len(), 1);
    let draft = &found[0];
    let text = |key: &str| draft.texts.get(key).map(String::as_str).unwrap_or_default();
    assert_eq!(text("urls"), "ldap://ldap1.example.org\nldap://ldap2.example.org");
    assert_eq!(text("start_tls"), "true");
    assert_eq!(text("user_filter"), "(&(objectclass=person)(uid={}))");
    assert_eq!(text("group_filter"), "(&(objectclass=posixGroup)(memberUid={name}))");
    assert_eq!((text("ca_file"), text("provision")), ("/etc/ssl/ldap.pem", "listed"));
    assert!(!format!("{draft:?}").contains("super secret"));
    assert!(draft.notes.iter().any(|note| note.contains("bind password")));
    SourceDefinition::parse(SourceKind::Ldap, &draft.texts).unwrap();
}

#[test]
fn several_servers_active_directory_and_a_pattern() {
    let file = r#"
[desktop]
  [[ldap]]
    [[[ldap_servers]]]
      [[[[mycompany]]]]
        ldap_url=ldaps://ad.example.org
        base_dn="dc=ad,dc=example,dc=org"
        nt_domain=ad.example.org
      [[[[other]]]]
        ldap_url=ldaps://ldap.example.org
        ldap_username_pattern="uid=<username>,ou=people,dc=example,dc=org"
"#;
    let found = read_hue_directories(file);
    let names: Vec<&str> = found.iter().map(|draft| draft.name.as_str()).collect();
    assert_eq!(names, ["mycompany", "other"]);
    assert_eq!(found[0].texts["directory"], "active_directory");
    assert_eq!(found[0].texts["user_filter"], "(&(objectClass=*)(sAMAccountName={}))");
    assert_eq!(found[1].texts["base"], "ou=people,dc=example,dc=org");
    assert_eq!(found[1].texts["user_filter"], "(&(objectClass=*)(uid={}))");
    for draft in &found {
        SourceDefinition::parse(SourceKind::Ldap, &draft.texts).unwrap();
    }
    assert!(read_hue_directories("[desktop]\n[[ldap]]\n# ldap_url=ldap://x\n").is_empty());
}

#[test]
fn who_may_sign_in_and_nested_groups_are_taken_over() {
    let file = r#"
[desktop]
  [[ldap]]
    ldap_url=ldaps://ldap.example.org
    base_dn="dc=example,dc=org"
    search_bind_authentication=true
    ldap_username_pattern="uid=<username>,ou=people,dc=example,dc=org"
    login_groups=hue-users, hue-admins
    subgroups=nested
    nested_members_search_depth=5
    follow_referrals=false
    [[[users]]]
      user_name_attr=mail
"#;
    let draft = &read_hue_directories(file)[0];
    assert_eq!(draft.texts["allowed_groups"], "hue-users\nhue-admins");
    assert_eq!(draft.texts["group_lookup"], "nested");
    // Hue searches, so the pattern names neither the attribute nor the base.
    assert_eq!(draft.texts["user_filter"], "(&(objectClass=*)(mail={}))");
    assert_eq!(draft.texts["base"], "dc=example,dc=org");
    for key in [
        "ldap_username_pattern",
        "nested_members_search_depth",
        "follow_referrals",
    ] {
        let note = format!("{key} is not taken over");
        assert!(
            draft.notes.iter().any(|told| told.starts_with(&note)),
            "{:?}",
            draft.notes
        );
    }
    assert_eq!(draft.notes.len(), 4, "{:?}", draft.notes);
    SourceDefinition::parse(SourceKind::Ldap, &draft.texts).unwrap();
}

#[test]
fn nested_groups_of_active_directory_and_of_names() {
    let read = |more: &str| {
        let file = format!("[desktop]\n[[ldap]]\nldap_url=ldaps://ad.example.org\nsubgroups=nested\n{more}");
        read_hue_directories(&file).remove(0)
    };
    assert_eq!(read("").texts["group_lookup"], "in_chain");
    let named = read("[[[users]]]\nuser_name_attr=uid\n[[[groups]]]\ngroup_member_attr=memberUid");
    assert_eq!(named.texts["group_lookup"], "search");
    assert!(
        named
            .notes
            .iter()
            .any(|note| note.starts_with("subgroups=nested has no effect"))
    );
}
