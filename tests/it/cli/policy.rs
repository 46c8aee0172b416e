//! The policy from the command line: all faults together, one revision for all changes, and no
//! overwriting of parallel saves.

use super::{Cli, actor, assert_instant, members};
use crate::harness::server::Backend;
use nightlatch::domain::policy::Key;
use serde_json::{Value, json};

const IDLE: &str = "auth.idle_session_timeout";

#[test]
fn show_is_complete_for_everyone_and_has_only_overrides_elsewhere() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::on(backend);
        cli.run(&["policy", "set", IDLE, "15m"]).done();
        cli.run(&["policy", "set", IDLE, "10m", "--scope", "administrators"])
            .done();
        cli.run(&["policy", "set", "session.ttl", "1h", "--scope", "app:wiki"])
            .done();
        let shown = cli.run(&["policy", "show", "--json"]).json();
        assert_eq!(members(&shown), ["revision", "scopes"]);
        assert_eq!(shown["revision"], 4);
        let scopes = &shown["scopes"];
        assert_eq!(members(scopes), ["everyone", "administrators", "app:wiki"]);
        let every: Vec<&str> = Key::ALL.iter().map(|key| key.name()).collect();
        assert_eq!(members(&scopes["everyone"]), every);
        assert_eq!(scopes["everyone"][IDLE], 900);
        assert_eq!(scopes["everyone"]["session.ttl"], 1_209_600);
        assert_eq!(scopes["administrators"], json!({ IDLE: 600 }));
        assert_eq!(scopes["app:wiki"], json!({ "session.ttl": 3600 }));
        cli.run(&["policy", "show"]).done().prints(&[
            "Revision 4",
            &format!("by {}", actor()),
            "auth.idle_session_timeout              15 minutes",
            "Administrators",
            "10 minutes",
            "Application wiki",
        ]);
    }
}

#[test]
fn get_says_value_default_scope_and_source() {
    let cli = Cli::fresh();
    let get = |key: &str, more: &[&str]| cli.run(&[&["policy", "get", key, "--json"], more].concat()).json();
    let shape = |value: Value, default: Value, scope: &str, source: &str| json!({ "key": IDLE, "value": value, "default": default, "scope": scope, "source": source });
    assert_eq!(get(IDLE, &[]), shape(json!(-1), json!(-1), "everyone", "default"));
    assert_eq!(members(&get(IDLE, &[])), ["key", "value", "default", "scope", "source"]);
    cli.run(&["policy", "set", IDLE, "15m"]).done();
    assert_eq!(get(IDLE, &[]), shape(json!(900), json!(-1), "everyone", "everyone"));
    assert_eq!(
        get(IDLE, &["--scope", "administrators"]),
        shape(json!(900), json!(-1), "administrators", "everyone")
    );
    cli.run(&["policy", "set", IDLE, "60", "--scope", "app:wiki"]).done();
    assert_eq!(
        get(IDLE, &["--scope", "app:wiki"]),
        shape(json!(60), json!(-1), "app:wiki", "app:wiki")
    );
    cli.run(&["policy", "set", "session.session_validation_mode", "strict"])
        .done();
    let bits = get("session.session_ip_subnet_bits", &[]);
    assert_eq!((&bits["value"], &bits["source"]), (&json!(32), &json!("mode:strict")));
    cli.run(&["policy", "get", IDLE])
        .done()
        .prints(&["900 (15 minutes)", "-1 (never)"]);
    cli.run(&["policy", "get", "auth.idle"])
        .refused(&["there is no setting named auth.idle: `nightlatch policy show` lists them"]);
    cli.run(&["policy", "get", "auth.idle_sesion_timout"])
        .refused(&["did you mean auth.idle_session_timeout?"]);
    cli.run(&["policy", "set", "idle_session_timeout", "15m"])
        .refused(&["unknown setting: did you mean auth.idle_session_timeout?"]);
    cli.run(&["policy", "get", "a\u{1b}[2J"]).refused(&["\\u{1b}"]);
    cli.run(&["policy", "get", IDLE, "--scope", "everybody"])
        .usage()
        .says(&["everyone, administrators or app:NAME"]);
    cli.run(&["policy", "get"]).usage();
}

#[test]
fn a_value_is_written_as_people_say_it() {
    let cli = Cli::fresh();
    let cases: [(&str, &str, Value); 12] = [
        (IDLE, "15m", json!(900)),
        (IDLE, "900", json!(900)),
        (IDLE, "1.5h", json!(5400)),
        (IDLE, "2 weeks", json!(1_209_600)),
        (IDLE, "never", json!(-1)),
        (IDLE, "0", json!(0)),
        (IDLE, "-1", json!(-1)),
        ("session.http_only", "no", json!(false)),
        ("session.same_site", "strict", json!("Strict")),
        (
            "activity.ignored_paths",
            "/ping, /tiles/*",
            json!(["/ping", "/tiles/*"]),
        ),
        ("password.regex", "^a=b", json!("^a=b")),
        ("auth.expire_superusers", "90 days", json!(7_776_000)),
    ];
    for (key, text, value) in cases {
        cli.run(&["policy", "set", key, text]).done();
        assert_eq!(cli.get(key), value, "{key} {text}");
    }
    cli.run(&["policy", "set", "auth.idle_session_timeout=-1", "session.ttl=1 day"])
        .done();
    assert_eq!(cli.get("session.ttl"), 86_400);
}

#[test]
fn several_settings_are_one_revision_or_none() {
    let cli = Cli::fresh();
    let ran = cli.run(&[
        "policy",
        "set",
        "auth.idle_session_timeout=15m",
        "session.ttl=12h",
        "--reason",
        "audit 7",
    ]);
    ran.done().prints(&[
        "Saved revision 2, 2 changes.",
        "Idle timeout: default (never) → 15 minutes (Everyone)",
    ]);
    let revisions = cli.run(&["policy", "revisions", "--json"]).json();
    let newest = &revisions[0];
    assert_eq!(members(newest), ["revision", "author", "at", "reason", "changes"]);
    assert_eq!(newest["revision"], 2);
    assert_eq!(newest["author"], actor());
    assert_eq!(newest["reason"], "audit 7");
    assert_instant(&newest["at"]);
    assert_eq!(
        newest["changes"],
        json!([
            { "scope": "everyone", "key": "session.ttl", "old": null, "new": 43_200 },
            { "scope": "everyone", "key": IDLE, "old": null, "new": 900 },
        ])
    );
    assert_eq!(revisions.as_array().unwrap().len(), 2);
    let limited = cli.run(&["policy", "revisions", "--json", "--limit", "1"]).json();
    assert_eq!(limited, json!([newest]));
    cli.run(&["policy", "revisions"])
        .done()
        .prints(&["REVISION", &actor(), "audit 7", "initial"]);
    cli.run(&["policy", "set", "auth.idle_session_timeout=20m", "session.ttl=0"])
        .refused(&["session.ttl = 0"]);
    assert_eq!((cli.revision(), cli.get(IDLE)), (2, json!(900)));
}

#[test]
fn all_faults_are_listed_together_with_scope_key_value_and_range() {
    let cli = Cli::fresh();
    let ran = cli.run(&[
        "policy",
        "set",
        "session.ttl=0",
        "auth.login_failure_limit=101",
        "auth.idle_session_timeout=5 parsecs",
        "session.same_site=None",
        "foo.bar=1",
        "password.regex=(",
        "auth.login_allow_list=10.0.0.0/8, nowhere",
        "session.ttl=5",
    ]);
    let ran = ran.refused(&[
        "nightlatch: everyone: session.ttl = 0: out of range; accepted: 1 second to 10 years\n",
        "everyone: auth.login_failure_limit = 101: out of range; accepted: a whole number from 1 to 100\n",
        "everyone: auth.idle_session_timeout = 5 parsecs: ",
        "everyone: session.same_site = None: ",
        "session.secure",
        "everyone: foo.bar = 1: unknown setting",
        "everyone: password.regex = (: ",
        "everyone: auth.login_allow_list = 10.0.0.0/8, nowhere: ",
        "everyone: session.ttl = 5: given more than once",
    ]);
    assert_eq!(ran.err.lines().count(), 8, "{}", ran.err);
    cli.run(&[
        "policy",
        "set",
        "auth.login_failure_limit=5",
        "session.secure=on",
        "--scope",
        "app:wiki",
    ])
    .refused(&[
        "app:wiki: auth.login_failure_limit = 5: cannot be set in this scope; accepted in: everyone",
        "app:wiki: session.secure = on: ",
    ]);
    assert_eq!(cli.revision(), 1);
}

#[test]
fn bad_arguments_of_set_are_usage() {
    let cli = Cli::fresh();
    cli.run(&["policy", "set"]).usage();
    cli.run(&["policy", "set", IDLE]).usage();
    cli.run(&["policy", "set", IDLE, "15m", "session.ttl"]).usage();
    cli.run(&["policy", "set", "session.ttl=1h", IDLE]).usage();
    cli.run(&["policy", "set", IDLE, "15m", "--scope", "app:"]).usage();
    cli.run(&["policy", "set", IDLE, "15m", "--scope", "app:a b"]).usage();
    cli.run(&["policy", "set", IDLE, "15m", "--scope", "wiki"]).usage();
    cli.run(&["policy", "set", IDLE, "15m", "--reason", "a\nb"]).usage();
    cli.run(&["policy", "set", IDLE, "15m", "--reason", &"r".repeat(501)])
        .usage();
    cli.run(&["policy", "set", IDLE, "-5m"]).usage();
    let ran = cli
        .run(&["policy", "set", "auth.idle_session_timeout=\u{1b}[2J"])
        .refused(&["\\u{1b}[2J"]);
    assert!(!ran.err.contains('\u{1b}'));
    let ran = cli.run(&["policy", "set", IDLE, &"9".repeat(10_000)]).refused(&["…"]);
    assert!(ran.err.len() < 1000);
    assert_eq!(cli.revision(), 1);
}

#[test]
fn commands_without_effect_report_that_nothing_changed() {
    let cli = Cli::fresh();
    cli.run(&["policy", "set", IDLE, "15m"]).done();
    cli.run(&["policy", "set", IDLE, "900"])
        .done()
        .prints(&["Nothing to do"]);
    cli.run(&["policy", "unset", "session.ttl"])
        .done()
        .prints(&["Nothing to do"]);
    cli.run(&["policy", "reset"]).done().prints(&["Saved revision 3"]);
    cli.run(&["policy", "reset"]).done().prints(&["Nothing to do"]);
    assert_eq!(cli.revision(), 3);
}

#[test]
fn unset_falls_back_and_knows_its_keys() {
    let cli = Cli::fresh();
    cli.run(&["policy", "set", "auth.idle_session_timeout=15m", "session.ttl=1h"])
        .done();
    cli.run(&["policy", "set", IDLE, "5m", "--scope", "app:wiki"])
        .done()
        .says(&["no application is named wiki"]);
    cli.run(&["policy", "unset", IDLE, "--scope", "app:wiki"])
        .done()
        .prints(&["inherited"]);
    assert_eq!(
        members(&cli.run(&["policy", "show", "--json"]).json()["scopes"]),
        ["everyone", "administrators"]
    );
    // A warning also covers an application without settings.
    cli.run(&["application", "create", "docs", "--host", "docs.example.org"])
        .done();
    assert_eq!(
        cli.run(&["policy", "show", "--json"]).json()["scopes"]["app:docs"],
        serde_json::json!({})
    );
    cli.run(&["policy", "unset", IDLE, "session.ttl"])
        .done()
        .prints(&["Saved revision 5, 2 changes."]);
    assert_eq!(cli.get(IDLE), -1);
    cli.run(&["policy", "unset", IDLE, "a.b", "c.d"])
        .refused(&["named a.b", "named c.d"]);
    cli.run(&["policy", "unset"]).usage();
}

#[test]
fn earlier_revisions_are_compared_and_restored() {
    let cli = Cli::fresh();
    cli.run(&["policy", "set", IDLE, "15m"]).done();
    cli.run(&["policy", "set", IDLE, "30m"]).done();
    let last = cli.run(&["policy", "diff", "--json"]).json();
    assert_eq!(
        last,
        json!({ "from": 2, "to": 3, "changes": [{ "scope": "everyone", "key": IDLE, "old": 900, "new": 1800 }] })
    );
    let all = cli.run(&["policy", "diff", "1", "--json"]).json();
    assert_eq!((&all["from"], &all["to"]), (&json!(1), &json!(3)));
    cli.run(&["policy", "diff", "3", "1"])
        .done()
        .prints(&["30 minutes → default (never)"]);
    cli.run(&["policy", "diff", "2", "2"]).done().prints(&["do not differ"]);
    cli.run(&["policy", "diff", "2", "9"])
        .refused(&["there is no revision 9"]);
    cli.run(&["policy", "restore", "2", "--reason", "too long"])
        .done()
        .prints(&["Saved revision 4, 1 change."]);
    assert_eq!(cli.get(IDLE), 900);
    cli.run(&["policy", "restore", "9"])
        .refused(&["there is no revision 9"]);
    cli.run(&["policy", "restore", "0"])
        .refused(&["there is no revision 0"]);
    cli.run(&["policy", "restore", "two"]).usage();
    cli.run(&["policy", "restore"]).usage();
    let newest = &cli.run(&["policy", "revisions", "--json"]).json()[0];
    assert_eq!(
        (&newest["revision"], &newest["reason"]),
        (&json!(4), &json!("too long"))
    );
    assert_eq!(cli.events(), ["policy.changed", "policy.changed", "policy.restored"]);
    cli.run(&["policy", "reset"]).done();
    assert_eq!(cli.get(IDLE), -1);
}

#[test]
fn a_setting_fixed_by_the_environment_is_refused() {
    let cli = Cli::fresh().env("NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT", "900");
    let got = cli.run(&["policy", "get", IDLE, "--json"]).json();
    assert_eq!((&got["value"], &got["source"]), (&json!(900), &json!("environment")));
    assert_eq!(
        cli.run(&["policy", "show", "--json"]).json()["scopes"]["everyone"][IDLE],
        900
    );
    cli.run(&["policy", "show"])
        .done()
        .prints(&["15 minutes  pinned by the environment"]);
    for scope in ["everyone", "administrators", "app:wiki"] {
        cli.run(&[
            "policy",
            "set",
            "auth.idle_session_timeout=10m",
            "session.ttl=0",
            "--scope",
            scope,
        ])
        .refused(&[
            &format!("{scope}: {IDLE} = 600: pinned to 15 minutes by NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT"),
            &format!("{scope}: session.ttl = 0: "),
        ]);
    }
    assert_eq!(cli.revision(), 1);
    cli.run(&["policy", "set", "session.ttl", "1h"]).done();
}

#[test]
fn a_value_that_the_environment_overtook_blocks_no_other_setting() {
    let cli = Cli::fresh();
    cli.run(&["policy", "set", IDLE, "10m"]).done();
    let cli = cli.env("NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT", "900");
    assert_eq!(cli.get(IDLE), 900);
    cli.run(&["policy", "set", "session.ttl", "1h"]).done();
    assert_eq!(cli.get("session.ttl"), 3600);
}

#[test]
fn restore_reset_and_import_keep_what_the_environment_fixes() {
    let cli = Cli::fresh();
    cli.run(&["policy", "set", IDLE, "15m"]).done();
    cli.run(&["policy", "set", IDLE, "30m"]).done();
    let pinned = Cli::of(cli.database()).env("NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT", "1800");
    let kept =
        "auth.idle_session_timeout: unchanged, because it is pinned by NIGHTLATCH_POLICY__AUTH__IDLE_SESSION_TIMEOUT";
    pinned.run(&["policy", "restore", "2"]).done().says(&[kept]);
    pinned.run(&["policy", "reset"]).done().says(&[kept]);
    pinned.file(
        "p.json",
        r#"{"everyone":{"auth.idle_session_timeout":60,"session.ttl":3600}}"#,
    );
    let imported = pinned.run(&["policy", "import", "p.json", "--json"]).json();
    assert_eq!(imported["changes"].as_array().unwrap().len(), 1);
    assert_eq!(imported["ignored"][0]["key"], IDLE);
    assert_eq!(members(&imported["ignored"][0]), ["scope", "key", "reason"]);
    assert_eq!(cli.get(IDLE), 1800);
    assert_eq!(cli.get("session.ttl"), 3600);
}

#[test]
fn warnings_go_to_standard_error_and_do_not_refuse() {
    let cli = Cli::fresh();
    let ran = cli
        .run(&["policy", "set", "session.ttl=1h", "auth.idle_session_timeout=2h"])
        .done();
    let ran = ran.says(&["nightlatch: warning: everyone: auth.idle_session_timeout: no effect"]);
    assert!(!ran.out.contains("no effect"));
    cli.run(&["policy", "set", "session.secure", "on"])
        .done()
        .says(&["warning: everyone: session.secure: ", "https"]);
    let https = Cli::of(cli.database()).env("NIGHTLATCH_PUBLIC_URL", "https://login.example.org");
    https
        .run(&["policy", "set", "session.secure", "off"])
        .done()
        .says(&["warning: everyone: session.secure: "]);
    let ran = https.run(&["policy", "set", "session.secure", "on"]).done();
    assert!(!ran.err.contains("session.secure"), "{}", ran.err);
    // Where nobody sets it, the public URL decides.
    https
        .run(&["policy", "unset", "session.secure"])
        .done()
        .prints(&["on → default (on if the public URL is https, otherwise off)"]);
    let get = |cli: &Cli| cli.run(&["policy", "get", "session.secure", "--json"]).json();
    for (cli, default) in [(&https, true), (&cli, false)] {
        let shown = get(cli);
        assert_eq!(
            (&shown["default"], &shown["value"], &shown["source"]),
            (&json!(default), &json!(default), &json!("default"))
        );
    }
}

#[test]
fn saves_at_the_same_moment_all_count() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::on(backend);
        cli.run(&["migrate"]).done();
        let settings = [
            "session.ttl=1h",
            "auth.idle_session_timeout=10m",
            "password.history=3",
            "auth.login_failure_limit=7",
        ];
        std::thread::scope(|scope| {
            for setting in settings {
                let cli = &cli;
                scope.spawn(move || cli.run(&["policy", "set", setting]).done());
            }
        });
        assert_eq!(cli.revision(), 5, "{backend:?}");
        assert_eq!(cli.get("session.ttl"), 3600);
        assert_eq!(cli.get(IDLE), 600);
        assert_eq!(cli.get("password.history"), 3);
        assert_eq!(cli.get("auth.login_failure_limit"), 7);
    }
}

#[test]
fn the_escape_hatch_opens_whatever_the_policy_says() {
    let cli = Cli::fresh();
    let tight = [
        "session.ttl=1",
        "auth.idle_session_timeout=1",
        "password.min_length=128",
        "password.regex=^$",
    ];
    cli.run(&[&["policy", "set"], &tight[..]].concat()).done();
    cli.run(&["policy", "reset"]).done();
    assert_eq!(
        cli.run(&["policy", "diff", "1", "3", "--json"]).json()["changes"],
        json!([])
    );
}

#[test]
fn the_posture_says_which_items_of_a_baseline_are_missed_and_where() {
    let cli = Cli::fresh();
    cli.run(&["policy", "set", IDLE, "15m"]).done();
    cli.run(&["policy", "set", IDLE, "2h", "--scope", "app:wiki"]).done();
    cli.run(&["policy", "posture", "--baseline", "pci-dss-4"])
        .done()
        .prints(&["PCI DSS 4:", "PCI DSS 8.2.8", "Application wiki: 2 hours, not met"]);
    let all = cli.run(&["policy", "posture", "--json"]).json();
    let ids: Vec<&str> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["baseline"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["hue", "asvs-l2", "nist-aal2", "pci-dss-4"]);
    let items = all[3]["items"].as_array().unwrap();
    let idle = items.iter().find(|item| item["key"] == IDLE).unwrap();
    assert_eq!(
        (&idle["met"], &idle["places"][0]["met"], &idle["places"][1]["scope"]),
        (&json!(false), &json!(true), &json!("app:wiki"))
    );
    cli.run(&["policy", "posture", "--baseline", "none"])
        .refused(&["hue, asvs-l2"]);
}

#[test]
fn a_passkey_that_cannot_exist_is_not_required_unless_that_is_accepted() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let cli = Cli::on(backend);
        cli.account("ada", "administrator");
        let named = cli.revision();
        let cli = cli.env("NIGHTLATCH_PUBLIC_URL", "https://192.0.2.10");
        let set = ["policy", "set", "factor.required", "passkey"];
        cli.run(&set)
            .refused(&["nobody could get in", "IP address", "--accept-lockout"]);
        assert_eq!(cli.revision(), named, "{backend:?}: nothing was saved");
        let preview = cli
            .run(&["policy", "preview", "factor.required=passkey", "--json"])
            .json();
        assert_eq!(
            preview["factors"]["cannot_enter"],
            json!({ "total": 1, "administrators": 1 }),
            "{backend:?}"
        );
        let doctor = || {
            let found = cli.run(&["doctor", "--json"]).parsed();
            let passkeys = found.as_array().unwrap().iter().find(|one| one["check"] == "passkeys");
            passkeys.unwrap()["status"].clone()
        };
        assert_eq!(doctor(), "ok", "{backend:?}");
        cli.run(&[&set[..], &["--accept-lockout"]].concat())
            .done()
            .says(&["nobody could get in"]);
        assert_eq!(doctor(), "fault", "{backend:?}");
        cli.run(&["policy", "unset", "factor.required"]).done();
        let accepted = (named + 1).to_string();
        cli.run(&["policy", "restore", &accepted])
            .refused(&["--accept-lockout"]);
    }
}
