//! Policies in files: export, import, and what a bad file is told.

use super::{Cli, members};
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
fn all_faults_of_a_file_are_said_at_once_and_nothing_is_saved() {
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
        .refused(&["nightlatch: not JSON"]);
    cli.file("nul.json", "{\"everyone\":{\"password.regex_hint\":\"a\\u0000b\"}}");
    cli.run(&["policy", "import", "nul.json"])
        .refused(&["password.regex_hint = a\\u{0}b"]);
    cli.run(&["policy", "import", "--format", "hue", "p.toml"]).usage();
    assert_eq!(cli.revision(), 1);
}
