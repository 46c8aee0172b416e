//! Configuration, migrations, the doctor, completions; and how the program behaves towards shells.

use super::{Cli, PASSWORD, members};
use crate::harness::server::{Backend, TestDatabase, TestServer};
use serde_json::{Value, json};
use std::{process::Stdio, sync::Arc};

#[test]
fn every_fault_of_the_configuration_is_listed_at_once() {
    let cli = Cli::fresh();
    cli.run(&["config", "check"])
        .done()
        .prints(&["The configuration is valid."]);
    let cli = cli
        .env("NIGHTLATCH_BIND", "here")
        .env("NIGHTLATCH_BNID", "x")
        .env("NIGHTLATCH_POLICY__A__B", "1");
    cli.file("nightlatch.toml", "colour = \"blue\"\n");
    let faults = [
        "NIGHTLATCH_BNID",
        "bind = \"here\"",
        "NIGHTLATCH_POLICY__A__B",
        "unknown key colour",
    ];
    cli.run(&["config", "check"]).refused(&faults);
    cli.run(&["config", "show"]).refused(&faults);
    cli.run(&["account", "list"]).refused(&faults);
    let checks = cli.run(&["doctor", "--json"]);
    assert_eq!(checks.code, Some(1));
    let checks = checks.parsed();
    assert_eq!(checks.as_array().unwrap().len(), 4);
    assert!(
        checks
            .as_array()
            .unwrap()
            .iter()
            .all(|check| check["status"] == "fault"),
        "{checks}"
    );
    cli.run(&["completions", "bash"]).done();
}

#[test]
fn the_configuration_is_shown_with_origins_and_without_secrets() {
    let key = "0123456789abcdef".repeat(4);
    let cli = Cli::fresh()
        .env("NIGHTLATCH_SECRET_KEY", &key)
        .env("NIGHTLATCH_POLICY__SESSION__TTL", "1h")
        .env("DATABASE_URL", "postgres://night:sesame@db.example.org/latch");
    cli.file(
        "nightlatch.toml",
        "cookie_name = \"watch\"\n[sources.corp]\nkind = \"ldap\"\nurls = [\"ldaps://ldap.example.org\"]\n\
         base = \"dc=example,dc=org\"\nsecret = \"sesame too\"\n",
    );
    let ran = cli.run(&["config", "show", "--json"]).done();
    assert!(!ran.out.contains("sesame") && !ran.out.contains(&key));
    let shown = ran.parsed();
    assert_eq!(members(&shown), ["settings", "pins", "sources"]);
    assert_eq!(shown["sources"][0]["name"], "corp");
    assert_eq!(shown["sources"][0]["settings"]["base"], "dc=example,dc=org");
    let setting = |name: &str| {
        let settings = shown["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["name"] == name).unwrap().clone()
    };
    assert_eq!(members(&setting("bind")), ["name", "value", "default", "origin", "env"]);
    assert_eq!(setting("bind")["origin"], "default");
    assert_eq!(
        (&setting("cookie_name")["value"], &setting("cookie_name")["origin"]),
        (&json!("watch"), &json!("nightlatch.toml"))
    );
    assert_eq!(setting("database_url")["origin"], "environment DATABASE_URL");
    assert_eq!(setting("secret_key")["origin"], "environment NIGHTLATCH_SECRET_KEY");
    assert_eq!(
        shown["pins"],
        json!([{ "key": "session.ttl", "value": 3600, "env": "NIGHTLATCH_POLICY__SESSION__TTL" }])
    );
    let table = cli.run(&["config", "show"]).done().prints(&[
        "cookie_name",
        "watch",
        "nightlatch.toml",
        "session.ttl",
        "[sources.corp]",
        "dc=example,dc=org",
    ]);
    assert!(!table.out.contains("sesame") && !table.out.contains(&key));
    let flag = cli
        .run(&["config", "show", "--json", "--database-url", "other.db"])
        .json();
    assert_eq!(
        (&flag["settings"][0]["value"], &flag["settings"][0]["origin"]),
        (&json!("other.db"), &json!("command line"))
    );
    cli.run(&["config", "show", "--config", "absent.toml"])
        .refused(&["absent.toml"]);
}

#[test]
fn variables_that_are_no_text_do_not_stop_the_program() {
    use std::os::unix::ffi::OsStrExt;
    let cli = Cli::fresh();
    let raw = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let output = cli
        .command(&["config", "check"])
        .env("LESS", raw)
        .env(raw, "x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let output = cli
        .command(&["config", "check"])
        .env("NIGHTLATCH_BIND", raw)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn migrate_says_what_was_done() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::of(&Arc::new(TestDatabase::empty(backend)));
        cli.run(&["migrate"]).done().prints(&["Applied the pending migrations"]);
        cli.run(&["migrate"]).done().prints(&["Nothing to do"]);
        let server = TestServer::beside(cli.database()).start();
        assert!(server.setup_link.is_some(), "{backend:?}: migrating is not setting up");
    }
}

#[test]
fn a_database_that_cannot_be_used_is_one_line_without_its_password() {
    let cases = [
        ("postgres://night:sesame@127.0.0.1:1/latch", "127.0.0.1:1"),
        ("mysql://night:sesame@127.0.0.1/latch", "unknown kind of database"),
        ("postgres://night:op@n-sesame@127.0.0.1:1/latch", "percent-encoded"),
        ("postgres://night:sesame/latch", "percent-encoded"),
        ("postgres://night:sesame%zz@127.0.0.1:1/latch", "percent-encoded"),
        ("postgres//night:sesame@127.0.0.1:1/latch", "unknown kind of database"),
        ("postgres:/night:sesame@127.0.0.1:1/latch", "unknown kind of database"),
        ("Postgres://night:sesame@127.0.0.1:1/latch", "unknown kind of database"),
        ("night:sesame@127.0.0.1:1/latch", "unknown kind of database"),
        ("port=1 host=127.0.0.1 password=sesame", "unknown kind of database"),
        ("sqlite:/nonexistent/nightlatch.db", "does not exist"),
        (".", "is a directory"),
    ];
    for (url, why) in cases {
        for arguments in [
            &["migrate"][..],
            &["account", "list"],
            &["policy", "show", "--json"],
            &["session", "end", "--all"],
        ] {
            let ran = Cli::fresh().env("DATABASE_URL", url).run(arguments).refused(&[why]);
            assert!(!ran.err.contains("sesame") && ran.err.lines().count() == 1, "{ran:?}");
        }
        let ran = Cli::fresh().env("DATABASE_URL", url).run(&["doctor"]);
        assert_eq!(ran.code, Some(1));
        assert!(!ran.out.contains("sesame") && !ran.err.contains("sesame"), "{ran:?}");
    }
    let cli = Cli::fresh();
    cli.file(
        "not.db",
        "this is no database, but long enough to be looked at".repeat(100),
    );
    cli.run(&["account", "list", "--database-url", "not.db"])
        .refused(&["not a database"]);
}

#[test]
fn variables_that_kubernetes_injects_are_ignored_and_mistyped_ones_are_not() {
    let injected = Cli::fresh()
        .env("NIGHTLATCH_PORT", "tcp://10.96.12.7:80")
        .env("NIGHTLATCH_SERVICE_HOST", "10.96.12.7")
        .env("NIGHTLATCH_SERVICE_PORT", "80")
        .env("NIGHTLATCH_SERVICE_PORT_HTTP", "80")
        .env("NIGHTLATCH_PORT_80_TCP", "tcp://10.96.12.7:80")
        .env("NIGHTLATCH_PORT_80_TCP_ADDR", "10.96.12.7");
    injected.run(&["config", "check"]).done();
    injected.run(&["account", "list"]).done();
    for (name, likely) in [
        ("NIGHTLATCH_PUBLIC_ULR", "did you mean NIGHTLATCH_PUBLIC_URL?"),
        ("NIGHTLATCH_BIND_FILE", "only secrets are read from a file"),
        ("NIGHTLATCH_COOKIE_NAME_FILE", "only secrets are read from a file"),
        ("DATABASE_URL_FIEL", "did you mean DATABASE_URL_FILE?"),
    ] {
        Cli::fresh()
            .env(name, "x")
            .run(&["config", "check"])
            .refused(&[name, likely]);
    }
}

#[test]
fn secrets_are_read_from_files() {
    let cli = Cli::fresh();
    cli.file("url", "sqlite:elsewhere.db\n");
    cli.file("key", "0123456789abcdef".repeat(4));
    let path = |name: &str| cli.directory().join(name).display().to_string();
    let run = |arguments: &[&str]| {
        let mut command = cli.command(arguments);
        command
            .env_remove("DATABASE_URL")
            .env("DATABASE_URL_FILE", path("url"))
            .env("NIGHTLATCH_SECRET_KEY_FILE", path("key"));
        command.output().unwrap()
    };
    assert_eq!(run(&["migrate"]).status.code(), Some(0));
    assert!(cli.directory().join("elsewhere.db").exists());
    assert!(!cli.directory().join("nightlatch.db").exists());
    let shown = String::from_utf8(run(&["config", "show"]).stdout).unwrap();
    assert!(
        shown.contains("environment DATABASE_URL_FILE") && shown.contains("environment NIGHTLATCH_SECRET_KEY_FILE"),
        "{shown}"
    );
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
    cli.file("nightlatch.toml", "secret_key_file = \"key\"\n");
    cli.run(&["config", "show"]).done().prints(&["(set, not shown)"]);
    let absent = Cli::fresh().env("NIGHTLATCH_SMTP_URL_FILE", "/nowhere/at/all");
    absent
        .run(&["config", "check"])
        .refused(&["NIGHTLATCH_SMTP_URL_FILE=/nowhere/at/all"]);
    let both = Cli::fresh().env("DATABASE_URL_FILE", &path("url"));
    both.run(&["config", "check"]).refused(&["database_url: given twice"]);
}

#[test]
fn a_value_that_keeps_its_quotes_is_refused() {
    for (name, value) in [
        ("DATABASE_URL", "\"sqlite:nl.db\""),
        ("NIGHTLATCH_PUBLIC_URL", "'https://login.example.org'"),
        ("DATABASE_URL", "\"sqlite:nl.db"),
        ("DATABASE_URL", "'postgres://night:sesame@127.0.0.1:1/latch"),
        ("DATABASE_URL", "sqlite:nl.db\""),
        ("NIGHTLATCH_SMTP_URL", "'smtp://mail.example.org"),
    ] {
        let cli = Cli::fresh().env(name, value);
        let checked = cli.run(&["config", "check"]).refused(&["quotes"]);
        assert!(!checked.err.contains("sesame"), "{checked:?}");
        cli.run(&["account", "list"]).refused(&["quotes"]);
        assert_eq!(
            std::fs::read_dir(cli.directory()).unwrap().count(),
            0,
            "no file was made"
        );
    }
}

#[test]
fn secrets_that_protect_nothing_are_refused() {
    let cli = Cli::fresh();
    let url = "postgres://night:sesame@127.0.0.1:1/latch";
    let ran = cli
        .run(&["account", "list", "--database-url", url])
        .refused(&["ps", "DATABASE_URL"]);
    assert!(!ran.err.contains("sesame"), "{ran:?}");
    for key in ["k".repeat(64), "ab".repeat(40), "short".to_owned()] {
        let weak = Cli::fresh().env("NIGHTLATCH_SECRET_KEY", &key);
        let ran = weak.run(&["config", "check"]).refused(&["secret_key", "openssl rand"]);
        assert!(!ran.err.contains(&key), "{ran:?}");
    }
}

#[test]
fn the_strict_doctor_fails_while_the_posture_has_faults() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::on(backend)
            .env("NIGHTLATCH_PUBLIC_URL", "http://localhost:8080")
            .env("NIGHTLATCH_SECURITY_LOG", "security.log")
            .env("NIGHTLATCH_SMTP_URL", "smtp://127.0.0.1:1");
        let create = [
            "account",
            "create",
            "ada",
            "--role",
            "administrator",
            "--password-stdin",
        ];
        let weak = cli.run_with(&[&create[..], &["--baseline", "asvs-l2"]].concat(), b"short");
        assert_eq!(
            weak.code,
            Some(1),
            "{backend:?}: the baseline's rules hold for the first password"
        );
        let made = cli
            .run_with(&[&create[..], &["--baseline", "asvs-l2"]].concat(), PASSWORD.as_bytes())
            .done();
        made.says(&["OWASP ASVS", "auth.login_failure_limit"]);
        assert_eq!(
            cli.run(&["policy", "revisions", "--json"]).json()[0]["revision"],
            2,
            "{backend:?}"
        );
        cli.run(&["doctor"]).done();
        let strict = cli.run(&["doctor", "--strict"]);
        assert_eq!(
            strict.code,
            Some(1),
            "{backend:?}: plain http is a fault of the posture: {strict:?}"
        );
        strict.prints(&["Nightlatch is reached over plain http", "misses 2 requirements"]);
        cli.run(&["policy", "set", "session.secure", "true"]).done();
        cli.run(&["policy", "set", "factor.required", "any"]).done();
        cli.run(&["doctor", "--strict", "--baseline", "asvs-l2"])
            .prints(&["meets OWASP ASVS"]);
        let again = ["account", "create", "bob", "--password-stdin", "--baseline", "hue"];
        cli.run_with(&again, PASSWORD.as_bytes()).refused(&["first account"]);
        cli.run(&["policy", "reset"]).done();
        cli.run(&["doctor", "--strict", "--baseline", "asvs-l2"])
            .prints(&["misses"]);
    }
}

#[test]
fn a_baseline_that_changes_no_setting_is_not_called_a_missing_one() {
    // Hue's values are the defaults.
    let create = [
        "account",
        "create",
        "ada",
        "--role",
        "administrator",
        "--password-stdin",
    ];
    let cli = Cli::fresh();
    let made = cli
        .run_with(&[&create[..], &["--baseline", "hue"]].concat(), PASSWORD.as_bytes())
        .done();
    let made = made.says(&["the policy starts with Hue"]);
    assert!(!made.err.contains("at its defaults"), "{made:?}");
    let cli = Cli::fresh();
    cli.run_with(&create, PASSWORD.as_bytes())
        .done()
        .says(&["the policy is at its defaults"]);
}

fn checks(cli: &Cli) -> (Option<i32>, Vec<Value>) {
    let ran = cli.run(&["doctor", "--json"]);
    let checks = ran.parsed().as_array().unwrap().clone();
    assert!(
        checks
            .iter()
            .all(|check| members(check) == ["check", "status", "message"]),
        "{checks:?}"
    );
    (ran.code, checks)
}

fn status<'a>(checks: &'a [Value], name: &str) -> &'a str {
    let found: Vec<&Value> = checks.iter().filter(|check| check["check"] == name).collect();
    let worst = ["fault", "warning", "ok"]
        .into_iter()
        .find(|status| found.iter().any(|check| check["status"] == *status));
    worst.unwrap_or_else(|| panic!("no check {name}: {checks:?}"))
}

#[test]
fn the_doctor_changes_nothing() {
    let cli = Cli::fresh();
    let path = cli.database().url().replace("sqlite:", "");
    std::fs::remove_file(&path).unwrap();
    let (code, found) = checks(&cli);
    assert_eq!((code, status(&found, "database")), (Some(1), "fault"));
    assert!(!std::path::Path::new(&path).exists());
    std::fs::write(&path, "").unwrap();
    let (code, found) = checks(&cli);
    assert_eq!((code, status(&found, "database")), (Some(1), "fault"), "{found:?}");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let lacks = format!("lacks {} migration", std::fs::read_dir(folder).unwrap().count());
    assert!(
        found
            .iter()
            .any(|check| check["message"].as_str().unwrap().contains(&lacks)),
        "{found:?}"
    );
}

#[test]
fn the_doctor_finds_a_healthy_installation_healthy() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::on(backend);
        cli.run(&["migrate"]).done();
        let (code, found) = checks(&cli);
        assert_eq!(
            (code, status(&found, "administrators")),
            (Some(0), "warning"),
            "{backend:?}: {found:?}"
        );
        cli.account("ada", "administrator");
        let log = cli.directory().join("security.log");
        let cli = cli
            .env("NIGHTLATCH_PUBLIC_URL", "https://login.example.org")
            .env("NIGHTLATCH_TRUSTED_PROXIES", "10.0.0.0/8")
            .env("NIGHTLATCH_SECURITY_LOG", log.to_str().unwrap())
            .env("NIGHTLATCH_SMTP_URL", "smtp://127.0.0.1:25");
        cli.run(&["policy", "set", "session.secure", "on"]).done();
        let (code, found) = checks(&cli);
        assert_eq!(code, Some(0), "{backend:?}: {found:?}");
        assert!(
            found.iter().all(|check| check["status"] == "ok"),
            "{backend:?}: {found:?}"
        );
        let names: Vec<&str> = found.iter().map(|check| check["check"].as_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "configuration",
                "database",
                "migrations",
                "clock",
                "policy",
                "cookie",
                "device_binding",
                "pins",
                "administrators",
                "passkeys",
                "factor_keys",
                "public_url",
                "trusted_proxies",
                "forwarded_header",
                "security_log",
                "mail",
            ]
        );
        cli.run(&["doctor"]).done().prints(&["ok", "security_log"]);
    }
}

#[test]
fn the_doctor_names_what_is_wrong() {
    let cli = Cli::fresh();
    cli.account("bob", "member");
    cli.run(&["policy", "set", "session.same_site=Strict", "session.secure=on"])
        .done();
    let cli = cli
        .env("NIGHTLATCH_PUBLIC_URL", "http://login.example.org")
        .env("NIGHTLATCH_TRUSTED_PROXIES", "0.0.0.0/0")
        .env("NIGHTLATCH_SECURITY_LOG", "/nonexistent/security.log");
    let (code, found) = checks(&cli);
    assert_eq!(code, Some(1));
    for (name, expected) in [
        ("database", "ok"),
        ("policy", "warning"),
        ("cookie", "fault"),
        ("administrators", "fault"),
        ("public_url", "warning"),
        ("trusted_proxies", "fault"),
        ("security_log", "fault"),
    ] {
        assert_eq!(status(&found, name), expected, "{name}: {found:?}");
    }
    let ran = cli.run(&["doctor"]);
    assert_eq!(ran.code, Some(1));
    ran.prints(&["fault"]).says(&["found 4 faults"]);
}

#[test]
fn the_doctor_sees_factors_that_work_no_more() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::on(backend);
        cli.account("ada", "administrator");
        let (_, found) = checks(&cli);
        assert_eq!(status(&found, "passkeys"), "ok", "{found:?}");
        assert_eq!(status(&found, "factor_keys"), "ok", "{found:?}");
        cli.database().sql(
            "INSERT INTO passkeys (id, account_id, name, credential_id, credential, domain, added_at, synced) \
             SELECT '01', id, 'Phone', 'c', '{}', 'old.example.test', '2026-11-22 00:00:00', FALSE FROM accounts; \
             INSERT INTO authenticator_apps (id, account_id, sealed_secret, key_id, last_step, made_at, confirmed_at) \
             SELECT '01', id, 's', 'gone', 0, '2026-11-22 00:00:00', '2026-11-22 00:00:00' FROM accounts;",
        );
        let (code, found) = checks(&cli);
        assert_eq!(code, Some(1), "{backend:?}");
        assert_eq!(status(&found, "passkeys"), "warning", "{found:?}");
        assert_eq!(status(&found, "factor_keys"), "fault", "{found:?}");
        cli.run(&["doctor"]).prints(&[
            "1 passkey for old.example.test",
            "1 authenticator secret cannot be opened",
        ]);
    }
}

#[test]
fn the_doctor_sees_pins_that_differ_between_servers() {
    let cli = Cli::on(Backend::Postgres);
    let pin = "NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT";
    let one = TestServer::beside(cli.database()).env(pin, "900").start();
    let (_, found) = checks(&cli);
    assert_eq!(status(&found, "pins"), "ok");
    cli.run(&["policy", "set", "auth.idle_session_timeout", "5m"])
        .refused(&["pinned to 15 minutes"]);
    let other = TestServer::beside(cli.database()).env(pin, "600").start();
    let (code, found) = checks(&cli);
    assert_eq!((code, status(&found, "pins")), (Some(1), "fault"), "{found:?}");
    other.stop();
    assert_eq!(status(&checks(&cli).1, "pins"), "ok");
    one.stop();
}

#[test]
fn completions_are_made_for_every_shell() {
    let cli = Cli::fresh();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = cli
            .run(&["completions", shell])
            .done()
            .prints(&["reset-password", "nightlatch"]);
        assert_eq!(ran.err, "");
    }
    cli.run(&["completions", "cmd"]).usage();
    cli.run(&["completions"]).usage();
}

#[test]
fn help_is_there_for_every_command() {
    let cli = Cli::fresh();
    let groups: [(&str, &[&str]); 7] = [
        (
            "account",
            &[
                "create",
                "list",
                "show",
                "disable",
                "enable",
                "delete",
                "reset-password",
                "set-role",
                "set-email",
                "expire",
                "unlock",
            ],
        ),
        (
            "policy",
            &[
                "show",
                "get",
                "set",
                "unset",
                "diff",
                "revisions",
                "restore",
                "reset",
                "export",
                "import",
            ],
        ),
        ("session", &["list", "show", "end"]),
        ("lockout", &["list", "unlock"]),
        ("audit", &["list", "export"]),
        ("config", &["check", "show"]),
        ("completions", &[]),
    ];
    cli.run(&["--version"]).done().prints(&["nightlatch 0."]);
    let top = cli
        .run(&["--help"])
        .done()
        .prints(&["serve", "migrate", "doctor", "Exit codes"]);
    for (group, commands) in groups {
        assert!(top.out.contains(group));
        let help = cli.run(&[group, "--help"]).done();
        for command in commands {
            assert!(help.out.contains(command), "{group} {command}");
            cli.run(&[group, command, "--help"]).done().prints(&["Usage"]);
        }
    }
    cli.run(&["walk"]).usage();
    cli.run(&["policy", "walk"]).usage();
    cli.run(&["policy"]).usage();
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    for arguments in [
        &["completions", "bash"][..],
        &["policy", "show"],
        &["policy", "show", "--json"],
        &["policy", "export"],
        &["account", "list", "--json"],
        &["audit", "export", "--format", "csv"],
        &["audit", "export"],
        &["audit", "list", "--json"],
        &["config", "show"],
        &["doctor"],
        &["--help"],
    ] {
        let mut child = cli.command(arguments).stdin(Stdio::null()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let cli = Cli::fresh();
    cli.account("ada", "administrator");
    for arguments in [
        &["policy", "show", "--json"][..],
        &["policy", "export"],
        &["audit", "export", "--format", "csv"],
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = cli.command(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            String::from_utf8(output.stderr)
                .unwrap()
                .contains("cannot write the output"),
            "{arguments:?}"
        );
    }
}

#[test]
fn secrets_stay_where_they_belong() {
    let cli = Cli::fresh().env("RUST_LOG", "trace");
    let ran = cli
        .run_with(
            &[
                "account",
                "create",
                "ada",
                "--role",
                "administrator",
                "--password-stdin",
            ],
            PASSWORD.as_bytes(),
        )
        .done();
    assert_eq!(ran.out, "Created ada (administrator).\n");
    assert!(!ran.err.contains("harbour") && !ran.err.contains("$argon2"));
    for arguments in [
        &["account", "show", "ada", "--json"][..],
        &["account", "list", "--json"],
        &["audit", "export"],
        &["policy", "export"],
    ] {
        let ran = cli.run(arguments).done();
        assert!(
            !ran.out.contains("harbour") && !ran.out.contains("argon2"),
            "{arguments:?}"
        );
    }
}
