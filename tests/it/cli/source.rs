//! Sources of identities from the command line and from the configuration file.

use super::{Cli, members};
use crate::harness::server::Backend;
use serde_json::json;

fn on_both(test: impl Fn(&Cli)) {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        test(&Cli::on(backend));
    }
}

const LDAP: &[&str] = &[
    "source",
    "create",
    "corp",
    "--kind",
    "ldap",
    "--title",
    "Corp directory",
    "urls=ldaps://ldap.example.org",
    "base=dc=example,dc=org",
];

#[test]
fn a_source_is_made_listed_shown_set_and_deleted() {
    on_both(|cli| {
        cli.run(&["source", "list"]).done().prints(&["every account is local"]);
        assert_eq!(cli.run(&["source", "list", "--json"]).json(), json!([]));
        cli.run(LDAP).done().prints(&["Source corp was created."]);
        cli.run(&[
            "source",
            "create",
            "id",
            "--kind",
            "oidc",
            "--disabled",
            "--position",
            "1",
            "issuer=https://id.example.org",
            "client_id=nightlatch",
        ])
        .done();
        let all = cli.run(&["source", "list", "--json"]).json();
        let names: Vec<&str> = all
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|one| one["name"].as_str())
            .collect();
        assert_eq!(names, ["id", "corp"]);
        let set = [
            "source",
            "set",
            "corp",
            "--disable",
            "mapping=ops -> administrator",
            "mapping=* -> group staff",
        ];
        cli.run(&set).done().prints(&["Source corp was changed."]);
        let corp = cli.run(&["source", "show", "corp", "--json"]).json();
        assert_eq!(corp["settings"]["mapping"], "ops -> administrator\n* -> group staff");
        assert_eq!(corp["settings"]["urls"], "ldaps://ldap.example.org");
        assert_eq!((&corp["enabled"], &corp["has_secret"]), (&json!(false), &json!(false)));
        assert!(members(&corp).contains(&"last_fault"));
        cli.run(&["source", "show", "corp"])
            .done()
            .prints(&["Corp directory", "ops -> administrator", "bind_limit"]);
        cli.run(&["source", "delete", "corp"])
            .done()
            .prints(&["Source corp was deleted."]);
        cli.run(&["source", "show", "corp"])
            .refused(&["there is no source named corp"]);
        let events: Vec<String> = cli
            .events()
            .into_iter()
            .filter(|event| event.starts_with("source."))
            .collect();
        let expected = [
            "source.created",
            "source.created",
            "source.changed",
            "source.changed",
            "source.disabled",
            "source.deleted",
        ];
        assert_eq!(events, expected);
    });
}

#[test]
fn every_fault_is_named_and_nothing_is_written() {
    let cli = Cli::fresh();
    cli.run(&[
        "source",
        "create",
        "Corp",
        "--kind",
        "ldap",
        "urls=ldap://ldap.example.org",
        "colour=red",
    ])
    .refused(&[
        "name ",
        "urls ",
        "is not encrypted",
        "base is missing",
        "colour is not a setting",
    ]);
    assert_eq!(cli.run(&["source", "list", "--json"]).json(), json!([]));
    cli.run(LDAP).done();
    cli.run(LDAP).refused(&["name is already the name of a source"]);
    cli.run(&["source", "set", "corp", "user_filter=(uid=x)"])
        .refused(&["user_filter must contain {}"]);
    cli.run(&["source", "set", "nobody"])
        .refused(&["there is no source named nobody"]);
}

#[test]
fn a_secret_comes_from_a_file_and_shows_nowhere() {
    on_both(|cli| {
        cli.file("corp.secret", "correct horse\n");
        let mut create = LDAP.to_vec();
        create.extend(["--secret-file", "corp.secret"]);
        cli.run(&create).done();
        cli.run(&["source", "set", "corp", "password=hunter2"])
            .usage()
            .says(&["--secret-file"]);
        let set = cli.run_with(&["source", "set", "corp", "--secret-file", "-"], b"battery staple");
        set.done();
        for command in [
            &["source", "show", "corp", "--json"][..],
            &["source", "list", "--json"],
            &["source", "show", "corp"],
            &["audit", "list", "--json"],
        ] {
            let ran = cli.run(command).done();
            for secret in ["correct horse", "battery staple"] {
                assert!(!ran.out.contains(secret), "{command:?}: {}", ran.out);
            }
        }
        assert_eq!(
            cli.run(&["source", "show", "corp", "--json"]).json()["has_secret"],
            true
        );
        cli.run(&["source", "set", "corp", "--clear-secret"]).done();
        assert_eq!(
            cli.run(&["source", "show", "corp", "--json"]).json()["has_secret"],
            false
        );
    });
}

#[test]
fn faults_of_the_configuration_file_name_the_source_and_no_secret() {
    let cli = Cli::fresh();
    cli.file(
        "nightlatch.toml",
        "[sources.corp]\nkind = \"ldap\"\nsecret = \"hunter2\"\nurls = [\"ldap://ldap.example.org\"]\n[sources.x]\nkind = \"saml\"\n",
    );
    let ran = cli.run(&["config", "check"]).refused(&[
        "[sources.corp] urls",
        "is not encrypted",
        "[sources.corp] base is missing",
        "[sources.x] kind must be ldap or oidc",
    ]);
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
    cli.file(
        "nightlatch.toml",
        "[sources.corp]\nkind = \"ldap\"\nstart_tls = true\nurls = [\"ldap://ldap.example.org\"]\nbase = \"dc=x\"\npage_size = 100\n",
    );
    cli.run(&["config", "check"]).done();
}

#[test]
fn an_account_is_listed_for_a_source_and_shown_with_it() {
    on_both(|cli| {
        cli.account("boss", "administrator");
        cli.run(LDAP).done();
        cli.run(&["account", "create", "eve", "--source", "nobody"])
            .refused(&["There is no source with that name"]);
        cli.run(&["account", "create", "eve", "--source", "corp"])
            .done()
            .prints(&["Created eve (member)."]);
        let eve = cli.run(&["account", "show", "eve", "--json"]).json();
        assert_eq!((&eve["source"], &eve["external_id"]), (&json!("corp"), &json!(null)));
        assert_eq!(eve["state"], "active");
        let names = |source: &str| -> Vec<String> {
            let list = cli.run(&["account", "list", "--source", source, "--json"]).json();
            let all = list.as_array().unwrap().iter();
            all.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("corp"), ["eve"]);
        assert_eq!(names("local"), ["boss"]);
        assert!(names("nobody").is_empty());
        let shown = cli.run(&["account", "list", "--source", "corp"]).done();
        assert!(
            shown.out.contains("SOURCE") && shown.out.contains("corp"),
            "{}",
            shown.out
        );
        cli.run(&["account", "set-role", "eve", "administrator"])
            .refused(&["eve is managed by Corp directory"]);
        cli.run(&["account", "reset-password", "eve", "--one-time"])
            .refused(&["managed by Corp directory"]);
        cli.run(&["source", "delete", "corp"])
            .refused(&["enabled accounts (1)"]);
        let delete = ["source", "delete", "corp", "--with-accounts", "disable"];
        cli.run(&delete).done().prints(&["Accounts disabled: 1."]);
        let eve = cli.run(&["account", "show", "eve", "--json"]).json();
        assert_eq!((&eve["source"], &eve["state"]), (&json!("deleted"), &json!("disabled")));
        cli.run(&["account", "enable", "eve"])
            .refused(&["managed by a deleted source: it can only be deleted"]);
    });
}

#[test]
fn defaults_follow_the_make_of_a_directory_and_set_values_stay() {
    on_both(|cli| {
        let mut create = LDAP.to_vec();
        create.push("display_name_attribute=givenName");
        cli.run(&create).done();
        let setting = |key: &str| {
            let shown = cli.run(&["source", "show", "corp", "--json"]).json();
            shown["settings"][key].as_str().unwrap().to_owned()
        };
        let ad = "(&(objectCategory=person)(objectClass=user)(sAMAccountName={}))";
        cli.run(&["source", "set", "corp", "directory=active_directory"]).done();
        assert_eq!(setting("user_filter"), ad);
        assert_eq!(setting("id_attribute"), "objectGUID");
        assert_eq!(setting("name_attribute"), "sAMAccountName");
        assert_eq!(setting("group_lookup"), "in_chain");
        assert_eq!(setting("display_name_attribute"), "givenName");
        cli.run(&[
            "source",
            "set",
            "corp",
            "directory=ldap",
            "name_attribute=sAMAccountName",
        ])
        .done();
        assert_eq!(setting("user_filter"), "(uid={})");
        assert_eq!(setting("name_attribute"), "sAMAccountName");
        cli.run(&["source", "set", "corp", "name_attribute="]).done();
        assert_eq!(setting("name_attribute"), "uid");
    });
}

const HUE: &str = "[desktop]\n[[ldap]]\nldap_url=ldaps://ldap.example.org\nbase_dn=\"dc=example,dc=org\"\n\
    bind_dn=cn=hue\nbind_password=super secret\n[[[users]]]\nuser_name_attr=uid\n";

#[test]
fn a_hue_ini_becomes_a_disabled_source() {
    on_both(|cli| {
        cli.file("hue.ini", HUE);
        cli.file("corp.secret", "battery staple\n");
        cli.run(&["source", "import", "hue.ini", "--dry-run"])
            .done()
            .prints(&["nightlatch source create hue --kind ldap --disabled"]);
        assert_eq!(cli.run(&["source", "list", "--json"]).json(), json!([]));
        let ran = cli
            .run(&[
                "source",
                "import",
                "hue.ini",
                "--name",
                "corp",
                "--secret-file",
                "corp.secret",
            ])
            .done()
            .prints(&["Source corp was created, disabled.", "nightlatch source test corp"]);
        assert!(ran.err.contains("bind password"), "{}", ran.err);
        let corp = cli.run(&["source", "show", "corp", "--json"]).json();
        assert_eq!((&corp["enabled"], &corp["has_secret"]), (&json!(false), &json!(true)));
        assert_eq!(corp["settings"]["bind_dn"], "cn=hue");
        assert_eq!(cli.events().last().unwrap(), "source.created");
        let audit = cli.run(&["audit", "list", "--json"]).done();
        assert!(!audit.out.contains("super secret") && !audit.out.contains("battery staple"));
        cli.run(&["source", "import", "hue.ini", "--name", "corp"])
            .refused(&["corp: name is already the name of a source"]);
    });
}

#[test]
fn an_import_with_a_fault_creates_nothing() {
    let cli = Cli::fresh();
    let servers = "[desktop]\n[[ldap]]\n[[[ldap_servers]]]\n[[[[My Company]]]]\nldap_url=ldaps://a.example.org\nbase_dn=\"dc=a\"\n\
        [[[[other]]]]\nldap_url=ldap://b.example.org\nuse_start_tls=false\n";
    cli.file("hue.ini", servers);
    cli.run(&["source", "import", "hue.ini"])
        .refused(&["other: base is missing", "other: urls", "is not encrypted"]);
    assert_eq!(cli.run(&["source", "list", "--json"]).json(), json!([]));
    cli.run(&["source", "import", "hue.ini", "--name", "x"])
        .usage()
        .says(&["several directories"]);
    cli.run(&["source", "import", "hue.ini", "--dry-run"])
        .done()
        .prints(&["source create my-company ", "source create other "]);
    cli.run(&["source", "import", "-", "--secret-file", "-"])
        .usage()
        .says(&["standard input"]);
}
