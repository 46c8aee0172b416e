//! Policies in files: export, import, and the messages about an invalid file.

use super::{Cli, members};
use crate::harness::server::Backend;
use serde_json::json;

#[test]
fn an_export_is_imported_again_exactly() {
    let from = Cli::fresh();
    from.run(&[
        "policy",
        "set",
        "auth.idle_session_timeout=15m",
        "password.regex=^(?=.*[a-z]) \"x\" = \\d#",
    ])
    .done();
    from.run(&["policy", "set", "session.ttl", "1h", "--scope", "administrators"])
        .done();
    from.run(&[
        "policy",
        "set",
        "activity.ignored_paths",
        "/ping, /a b",
        "--scope",
        "app:wiki.example",
    ])
    .done();
    for format in ["toml", "json"] {
        let text = from.run(&["policy", "export", "--format", format]).done().out;
        let to = Cli::fresh();
        let name = format!("policy.{format}");
        to.file(&name, &text);
        to.run(&["policy", "import", &name])
            .done()
            .prints(&["Saved revision 2, 4 changes."]);
        assert_eq!(to.run(&["policy", "export", "--format", format]).done().out, text);
        let scopes = |cli: &Cli| cli.run(&["policy", "show", "--json"]).json()["scopes"].clone();
        assert_eq!(scopes(&to), scopes(&from));
        to.run(&["policy", "import", &name]).done().prints(&["Nothing to do"]);
        to.run(&["policy", "import", "--format", format, &name]).done();
        to.run_with(&["policy", "import", "--format", format, "-"], text.as_bytes())
            .done();
        assert_eq!(to.revision(), 2);
    }
    let default = from.run(&["policy", "export"]).done().out;
    assert!(default.starts_with('#') && default.contains("[everyone]"));
    from.run(&["policy", "export", "--format", "yaml"]).usage();
}

#[test]
fn a_dry_run_saves_nothing() {
    let cli = Cli::fresh();
    cli.file(
        "p.toml",
        "[everyone]\nauth.idle_session_timeout = \"15m\"\nsession.same_site = \"Strict\"\n",
    );
    let ran = cli
        .run(&["policy", "import", "p.toml", "--dry-run", "--json"])
        .done()
        .says(&["warning: "]);
    let report = ran.parsed();
    assert_eq!(members(&report), ["changes", "ignored", "faults", "revision"]);
    assert_eq!(
        report,
        json!({
            "changes": [
                { "scope": "everyone", "key": "auth.idle_session_timeout", "old": null, "new": 900 },
                { "scope": "everyone", "key": "session.same_site", "old": null, "new": "Strict" },
            ],
            "ignored": [],
            "faults": [],
            "revision": null,
        })
    );
    cli.run(&["policy", "import", "p.toml", "--dry-run"])
        .done()
        .prints(&["Would make 2 changes"]);
    assert_eq!(cli.revision(), 1);
    let report = cli
        .run(&["policy", "import", "p.toml", "--json", "--reason", "from the wiki"])
        .done()
        .parsed();
    assert_eq!(report["revision"], 2);
    assert_eq!(report["changes"].as_array().unwrap().len(), 2);
    assert_eq!(
        cli.run(&["policy", "revisions", "--json"]).json()[0]["reason"],
        "from the wiki"
    );
}

#[test]
fn all_faults_of_a_file_are_listed_together_and_nothing_is_saved() {
    let cli = Cli::fresh();
    cli.file(
        "p.toml",
        "[everyone]\nsession.ttl = 0\nfoo = 1\n[administrators]\nsession.secure = true\n[app.\"a b\"]\n",
    );
    let ran = cli.run(&["policy", "import", "p.toml", "--json"]);
    assert_eq!(ran.code, Some(1));
    let report = ran.parsed();
    let faults = report["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 4, "{report}");
    assert_eq!(members(&faults[0]), ["scope", "key", "value", "message"]);
    assert_eq!((&report["revision"], &report["changes"]), (&json!(null), &json!([])));
    cli.run(&["policy", "import", "p.toml"])
        .refused(&["session.ttl = 0", "(line 2)", "foo = 1", "session.secure"]);
    cli.file(
        "p.json",
        r#"{"everyone":{"session.same_site":"None"},"nobody":{},"administrators":[]}"#,
    );
    cli.run(&["policy", "import", "p.json"])
        .refused(&["nobody", "a scope is an object"]);
    cli.file("none.json", r#"{"everyone":{"session.same_site":"None"}}"#);
    cli.run(&["policy", "import", "none.json"])
        .refused(&["session.same_site = None"]);
    assert_eq!(cli.revision(), 1);
}

#[test]
fn a_file_that_is_none_is_refused() {
    let cli = Cli::fresh();
    cli.run(&["policy", "import", "absent.toml"])
        .refused(&["absent.toml: "]);
    cli.run(&["policy", "import", "--format", "toml", "."])
        .refused(&[".: "]);
    cli.run(&["policy", "import", "--format", "json", "/dev/zero"])
        .refused(&["too large for a policy"]);
    cli.file("p.txt", "");
    cli.run(&["policy", "import", "p.txt"]).usage().says(&["--format"]);
    cli.run(&["policy", "import", "-"]).usage();
    cli.run(&["policy", "import"]).usage();
    cli.file("p.toml", b"\xff\xfe");
    cli.run(&["policy", "import", "p.toml"]).refused(&["not UTF-8"]);
    cli.file("p.json", "{");
    cli.run(&["policy", "import", "p.json"])
        .refused(&["nightlatch: not JSON", "(line 1)"]);
    cli.file("nul.json", "{\"everyone\":{\"password.regex_hint\":\"a\\u0000b\"}}");
    cli.run(&["policy", "import", "nul.json"])
        .refused(&["password.regex_hint = a\\u{0}b"]);
    cli.run(&["policy", "import", "--format", "yaml", "p.toml"])
        .usage()
        .says(&["hue, ibm, bloomreach, toml, json"]);
    assert_eq!(cli.revision(), 1);
}

#[test]
fn a_hue_ini_changes_what_it_names_and_lists_what_it_leaves_aside() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::on(backend);
        cli.run(&["policy", "set", "session.ttl", "1h"]).done();
        cli.file(
            "hue_safety_valve.ini",
            "[desktop]\n  secret_key=s3cret\n  [[auth]]\n  backend=a.b.C\n  idle_session_timeout=0\n  login_failure_limit=5\n",
        );
        let ran = cli.run(&["policy", "import", "hue_safety_valve.ini", "--dry-run", "--json"]);
        let report = ran
            .done()
            .says(&["line 5: desktop.auth.idle_session_timeout: 0 switches"])
            .parsed();
        let change = |key: &str, new: i64| json!({ "scope": "everyone", "key": key, "old": null, "new": new });
        assert_eq!(
            report["changes"],
            json!([
                change("auth.idle_session_timeout", -1),
                change("auth.login_failure_limit", 5)
            ])
        );
        let ignored = report["ignored"].as_array().unwrap();
        assert_eq!(members(&ignored[0]), ["line", "key", "reason"]);
        assert_eq!(
            (&ignored[0]["key"], &ignored[0]["line"]),
            (&json!("desktop.secret_key"), &json!(2))
        );
        assert_eq!(ignored[1]["key"], "desktop.auth.backend");
        assert!(!report.to_string().contains("s3cret"));
        let ran = cli.run(&["policy", "import", "--format", "hue", "hue_safety_valve.ini"]);
        ran.done().prints(&[
            "Saved revision 3, 2 changes.",
            "Notes:",
            "line 5: desktop.auth.idle_session_timeout: 0 switches",
            "Ignored:",
            "line 4: desktop.auth.backend: setup does this",
        ]);
        assert_eq!(cli.get("session.ttl"), 3600);
        let exported = cli.run(&["policy", "export", "--format", "hue"]).done().out;
        assert!(
            exported.contains("[[session]]") && exported.contains("\n    ttl=3600\n"),
            "{exported}"
        );
        let other = Cli::on(backend);
        other.run_with(&["policy", "import", "-"], exported.as_bytes()).done();
        assert_eq!(other.get("auth.login_failure_limit"), 5);
    }
}

#[test]
fn an_export_says_what_its_format_cannot_say() {
    let cli = Cli::fresh();
    cli.run(&["policy", "set", "session.ttl", "1h", "--scope", "administrators"])
        .done();
    cli.run(&["policy", "export", "--format", "hue"])
        .done()
        .says(&["warning: session.ttl: Hue has one policy for everyone"]);
    cli.run(&["policy", "export", "--format", "ibm"]).usage();
}

#[test]
fn a_config_map_and_a_bloomreach_export_are_imported() {
    let cli = Cli::fresh();
    cli.file(
        "cm.yaml",
        "kind: ConfigMap\ndata:\n  TOKEN_EXPIRY_TIME: \"0.5\"\n  ADMIN_TOKEN_REFRESH_PERIOD: \"0.1\"\n",
    );
    let report = cli
        .run(&["policy", "import", "--format", "ibm", "cm.yaml", "--json"])
        .done()
        .says(&["warning: line 4: ADMIN_TOKEN_REFRESH_PERIOD: 0.1 hours: IBM recommends 1 to 24"])
        .parsed();
    assert_eq!(
        report,
        json!({
            "changes": [
                { "scope": "everyone", "key": "auth.idle_session_timeout", "old": null, "new": 1800 },
                { "scope": "administrators", "key": "session.renewal_period", "old": null, "new": 360 },
            ],
            "ignored": [],
            "faults": [],
            "revision": 2,
        })
    );
    let line = b"/hippo:configuration/hippo:frontend/cms/cms-static/root/max.inactive.interval.minutes = 0\n";
    cli.run_with(&["policy", "import", "-", "--reason", "from the CMS"], line)
        .done()
        .prints(&["Saved revision 3, 1 change.", "(Application cms)"]);
    cli.file("bad.ini", "[desktop]\n[[session]]\nttl=0\nsecure=maybe\n");
    let ran = cli.run(&["policy", "import", "bad.ini", "--json"]);
    assert_eq!(ran.code, Some(1));
    let faults = ran.parsed()["faults"].clone();
    assert_eq!(faults.as_array().unwrap().len(), 2);
    assert_eq!(
        (&faults[0]["key"], &faults[0]["value"]),
        (&json!("desktop.session.ttl"), &json!("0"))
    );
    assert!(faults[0]["message"].as_str().unwrap().ends_with("(line 3)"));
    assert_eq!(cli.revision(), 3);
}
