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
