//! Second factors of accounts from the command line.

use super::{Cli, members};
use crate::harness::server::Backend;
use serde_json::json;

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

/// Gives ada an authenticator app, a passkey and two recovery codes.
const ENROL_ADA: &str = "
    INSERT INTO authenticator_apps (id, account_id, sealed_secret, key_id, last_step, made_at, confirmed_at)
        SELECT '01900000-0000-7000-8000-000000000001', id, 'sealed', 'key', 0, created_at, created_at
        FROM accounts WHERE name = 'ada';
    INSERT INTO passkeys (id, account_id, name, credential_id, credential, domain, added_at, synced)
        SELECT '01900000-0000-7000-8000-000000000002', id, 'Blue key', 'c1', '{}', 'localhost', created_at, FALSE
        FROM accounts WHERE name = 'ada';
    INSERT INTO recovery_codes (digest, account_id, made_at)
        SELECT 'digest-one', id, created_at FROM accounts WHERE name = 'ada';
    INSERT INTO recovery_codes (digest, account_id, made_at)
        SELECT 'digest-two', id, created_at FROM accounts WHERE name = 'ada';
    UPDATE accounts SET authenticator_app = TRUE, passkeys = 1, recovery_codes = 2 WHERE name = 'ada';
";

fn enrolled(backend: Backend) -> Cli {
    let cli = Cli::on(backend);
    cli.account("ada", "administrator");
    cli.account("bob", "member");
    cli.database().sql(ENROL_ADA);
    cli
}

#[test]
fn the_factors_of_an_account_are_listed() {
    for backend in BOTH {
        let cli = enrolled(backend);
        let shown = cli.run(&["account", "factors", "ada", "--json"]).json();
        let names = ["account", "authenticator_app", "passkeys", "recovery_codes"];
        assert_eq!(members(&shown), names, "{backend:?}");
        assert_eq!(
            (&shown["account"], &shown["authenticator_app"], &shown["recovery_codes"]),
            (&json!("ada"), &json!(true), &json!(2))
        );
        let passkey = &shown["passkeys"][0];
        assert_eq!(members(passkey), ["id", "name", "added_at", "last_used_at", "synced"]);
        assert_eq!(
            (&passkey["name"], &passkey["synced"]),
            (&json!("Blue key"), &json!(false))
        );
        cli.run(&["account", "factors", "ada"])
            .done()
            .prints(&["authenticator app", "enrolled", "Blue key"]);
        let none = cli.run(&["account", "factors", "bob", "--json"]).json();
        assert_eq!(
            none,
            json!({ "account": "bob", "authenticator_app": false, "passkeys": [], "recovery_codes": 0 })
        );
        cli.run(&["account", "factors", "nobody"]).refused(&["nobody"]);
    }
}

#[test]
fn accounts_without_a_factor_are_listed_alone() {
    for backend in BOTH {
        let cli = enrolled(backend);
        let list = cli.run(&["account", "list", "--without-factor", "--json"]).json();
        let names: Vec<&str> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["bob"], "{backend:?}");
        let shown = cli.run(&["account", "show", "ada", "--json"]).json();
        assert_eq!(
            (&shown["authenticator_app"], &shown["passkeys"]),
            (&json!(true), &json!(1))
        );
    }
}

#[test]
fn factors_are_reset_all_at_once_or_by_kind() {
    for backend in BOTH {
        let cli = enrolled(backend);
        cli.run(&["account", "reset-factors", "ada", "--kind", "passkeys"])
            .done()
            .prints(&["Removed 1 passkey of ada."]);
        let left = cli.run(&["account", "factors", "ada", "--json"]).json();
        assert_eq!(
            (&left["authenticator_app"], &left["passkeys"], &left["recovery_codes"]),
            (&json!(true), &json!([]), &json!(2)),
            "{backend:?}"
        );
        cli.run(&["account", "reset-factors", "ada"])
            .done()
            .prints(&["the authenticator app", "2 recovery codes"]);
        let left = cli.run(&["account", "factors", "ada", "--json"]).json();
        assert_eq!(
            (&left["authenticator_app"], &left["recovery_codes"]),
            (&json!(false), &json!(0))
        );
        let resets = cli.events().iter().filter(|event| *event == "factor.reset").count();
        assert_eq!(resets, 2, "{backend:?}");
        cli.run(&["account", "reset-factors", "ada"])
            .done()
            .prints(&["Found no such factors of ada."]);
        let resets = cli.events().iter().filter(|event| *event == "factor.reset").count();
        assert_eq!(resets, 2, "{backend:?}: nothing happened");
    }
}

#[test]
fn an_enrolment_link_is_printed_alone_on_standard_output() {
    for backend in BOTH {
        let cli = enrolled(backend);
        let ran = cli.run(&["account", "enrolment-link", "bob"]).done();
        let lines: Vec<&str> = ran.out.lines().collect();
        assert_eq!(lines.len(), 1, "{backend:?} {ran:?}");
        assert!(lines[0].contains("/factors/enrol?token="), "{backend:?} {}", lines[0]);
        let token = lines[0].split("token=").nth(1).unwrap();
        let audit = cli.run(&["audit", "list", "--json"]).done();
        assert!(!audit.out.contains(token), "{backend:?}: no secret in the audit");
        cli.run(&["account", "factors", "bob"])
            .done()
            .prints(&["enrolment link works until"]);
        let json = cli.run(&["account", "enrolment-link", "bob", "--json"]).json();
        assert_eq!(members(&json), ["account", "mailed", "link"], "{backend:?}");
        assert_eq!((&json["account"], &json["mailed"]), (&json!("bob"), &json!(false)));
        assert!(
            json["link"].as_str().unwrap().contains("/factors/enrol?token="),
            "{backend:?}"
        );
        cli.run(&["account", "enrolment-link", "bob", "--mail"])
            .refused(&["bob has no email address"]);
        cli.run(&["account", "disable", "bob"]).done();
        cli.run(&["account", "enrolment-link", "bob"])
            .refused(&["disabled or expired"]);
    }
}
