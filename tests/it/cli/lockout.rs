//! Lockouts from the command line.

use super::{Cli, PASSWORD, assert_instant, members};
use crate::harness::server::{Backend, TestServer};
use nightlatch::{
    domain::time::Span,
    flows::sources,
    store::{Conn, StoreError, directory_binds},
};
use serde_json::{Value, json};

fn locked_server(backend: Backend, more: &[(&str, &str)]) -> TestServer {
    let server = TestServer::on(backend).start();
    server.policy(
        &[
            &[
                ("auth.login_lock_out_at_failure", "on"),
                ("auth.login_failure_limit", "2"),
            ],
            more,
        ]
        .concat(),
    );
    server.account("bob", nightlatch::domain::account::Role::Member);
    server
}

fn fail(server: &TestServer, ip: &str, name: &str, times: usize) {
    let client = server.anyone().from(ip);
    for _ in 0..times {
        client.sign_in(name, "wrong");
    }
}

#[test]
fn locks_are_listed_and_released_by_id() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = locked_server(
            backend,
            &[("auth.login_ip_ceiling", "0"), ("auth.login_account_ceiling", "0")],
        );
        fail(&server, "127.0.0.5", "bob", 2);
        fail(&server, "127.0.0.6", "bob", 1);
        let cli = Cli::beside(&server);
        let list = cli.run(&["lockout", "list", "--json"]).json();
        assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
        let lock = list
            .as_array()
            .unwrap()
            .iter()
            .find(|lock| lock["locked"] == true)
            .unwrap();
        assert_eq!(
            members(lock),
            ["id", "keys", "failures", "limit", "locked", "locked_until"]
        );
        assert_eq!(
            lock["keys"],
            json!({ "ip": "127.0.0.5", "account": null, "user_agent": null })
        );
        assert_eq!((&lock["failures"], &lock["limit"]), (&json!(2), &json!(2)));
        assert_instant(&lock["locked_until"]);
        let counter = list
            .as_array()
            .unwrap()
            .iter()
            .find(|lock| lock["locked"] == false)
            .unwrap();
        assert_eq!(
            (&counter["failures"], &counter["locked_until"]),
            (&json!(1), &Value::Null)
        );
        assert_eq!(
            cli.run(&["lockout", "list", "--json", "--locked"]).json(),
            json!([lock])
        );
        assert_eq!(
            cli.run(&["lockout", "list", "--json", "--ip", "127.0.0.6"]).json(),
            json!([counter])
        );
        cli.run(&["lockout", "list"])
            .done()
            .prints(&["ADDRESS", "127.0.0.5", "until 2", "127.0.0.6"]);
        server.anyone().from("127.0.0.5").sign_in("bob", PASSWORD).expect(429);
        cli.run(&["lockout", "unlock", lock["id"].as_str().unwrap()])
            .done()
            .prints(&["Released 1 lock or counter."]);
        server.anyone().from("127.0.0.5").sign_in("bob", PASSWORD).expect(303);
        assert!(cli.events().contains(&"lockout.released".to_owned()));
        cli.run(&["lockout", "unlock", lock["id"].as_str().unwrap()])
            .refused(&["there is no lock or counter"]);
    }
}

#[test]
fn locks_are_released_by_address_and_by_name() {
    let combined = [("auth.login_lock_out_by_combination_user_and_ip", "on")];
    let server = locked_server(Backend::Sqlite, &combined);
    fail(&server, "127.0.0.5", "bob", 2);
    fail(&server, "127.0.0.6", "bob", 2);
    fail(&server, "127.0.0.6", "Eve", 2);
    let cli = Cli::beside(&server);
    let locked = |ip: &str, name: &str| {
        let list = cli
            .run(&["lockout", "list", "--json", "--locked", "--ip", ip, "--account", name])
            .json();
        !list.as_array().unwrap().is_empty()
    };
    assert!(locked("127.0.0.5", "bob") && locked("127.0.0.6", "bob") && locked("127.0.0.6", "eve"));
    cli.run(&["lockout", "unlock", "--ip", "127.0.0.6", "--account", "EVE"])
        .done()
        .prints(&["Released 1 lock"]);
    assert!(locked("127.0.0.6", "bob") && !locked("127.0.0.6", "eve"));
    cli.run(&["lockout", "unlock", "--ip", "127.0.0.5"])
        .done()
        .prints(&["Released 2 locks and counters"]);
    assert!(!locked("127.0.0.5", "bob") && locked("127.0.0.6", "bob"));
    cli.run(&["account", "unlock", "Bob"]).done().prints(&["Released "]);
    assert!(!locked("127.0.0.6", "bob"));
    cli.run(&["lockout", "unlock", "--account", "nobody"])
        .done()
        .prints(&["Nothing to do"]);
    cli.run(&["lockout", "unlock", "--ip", "127.0.0.5"])
        .done()
        .prints(&["Nothing to do"]);
}

#[test]
fn a_lock_without_end_has_no_time() {
    let server = locked_server(
        Backend::Sqlite,
        &[("auth.login_cooloff_time", "never"), ("auth.login_ip_ceiling", "0")],
    );
    fail(&server, "127.0.0.5", "bob", 2);
    let cli = Cli::beside(&server);
    let lock = &cli.run(&["lockout", "list", "--json", "--locked"]).json()[0];
    assert_eq!((&lock["locked"], &lock["locked_until"]), (&json!(true), &Value::Null));
    cli.run(&["lockout", "list"]).done().prints(&["until unlocked"]);
}

#[test]
fn text_of_strangers_sends_no_escapes_to_the_terminal() {
    let combined = [("auth.login_lock_out_by_combination_user_and_ip", "on")];
    let server = locked_server(Backend::Sqlite, &combined);
    fail(&server, "127.0.0.5", "\u{1b}[2Jeve\u{202e}\u{9b}31m", 1);
    let cli = Cli::beside(&server);
    for arguments in [
        &["lockout", "list"][..],
        &["lockout", "list", "--json"],
        &["audit", "list"],
        &["audit", "list", "--json"],
        &["audit", "export"],
        &["audit", "export", "--format", "csv"],
    ] {
        // Lines of CSV end in CR LF (RFC 4180).
        let out = cli.run(arguments).done().out.replace("\r\n", "\n");
        assert!(
            !out.chars().any(|c| c != '\n' && c.is_control() || c == '\u{202e}'),
            "{arguments:?}\n{out:?}"
        );
        assert!(out.contains("eve"), "{arguments:?}");
    }
}

#[test]
fn bad_input_of_lockout_is_refused() {
    let cli = Cli::fresh();
    let unknown = "00000000-0000-7000-8000-000000000001";
    cli.run(&["lockout", "unlock", unknown])
        .refused(&["there is no lock or counter 0000"]);
    cli.run(&["lockout", "unlock"]).usage();
    cli.run(&["lockout", "unlock", "x"]).usage();
    cli.run(&["lockout", "unlock", unknown, "--account", "bob"]).usage();
    cli.run(&["lockout", "unlock", "--ip", "10.0.0.0/8"]).usage();
    cli.run(&["lockout", "list", "--ip", "x"]).usage();
    assert_eq!(cli.run(&["lockout", "list", "--json"]).json(), json!([]));
}

#[test]
fn a_name_is_blocked_and_unblocked_by_hand() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = locked_server(backend, &[]);
        let cli = Cli::beside(&server);
        let bob = || server.anyone().from("127.0.0.7").sign_in("bob", PASSWORD).status();
        cli.run(&["lockout", "block", "--account", "Bob", "--reason", "left"])
            .done();
        assert_eq!(bob(), 403, "{backend:?}");
        let list = cli.run(&["lockout", "list", "--locked", "--json"]).json();
        assert_eq!(list[0]["keys"]["account"], "bob", "{backend:?}: {list}");
        cli.run(&["lockout", "unblock", "--account", "bob"]).done();
        assert_eq!(bob(), 303, "{backend:?}");
        cli.run(&["lockout", "block", "--account", "bob", "--until", "2000-01-01"])
            .refused(&["until: Enter a time in the future"]);
        for lacks in [&["lockout", "block"][..], &["lockout", "block", "--reason", "left"]] {
            cli.run(lacks).usage().says(&["<ID|--account <NAME>|--ip <ADDRESS>>"]);
        }
    }
}

#[test]
fn people_whom_a_directory_is_not_asked_about_are_listed_and_unlocked() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = locked_server(backend, &[]);
        let cli = Cli::beside(&server);
        let made = [
            "source",
            "create",
            "corp",
            "--kind",
            "ldap",
            "urls=ldaps://ldap.example.org",
        ];
        cli.run(&[&made[..], &["base=dc=example,dc=org", "bind_limit=2"]].concat())
            .done();
        let source = server.run(sources::find(&server.ctx, "corp")).unwrap().unwrap().source;
        let (subject, now) = (format!("{} uuid-of-ada", source.id.0), server.now());
        let refuse_twice = move |c: &mut Conn| -> Result<(), StoreError> {
            for _ in 0..2 {
                directory_binds::reserve(c, &subject, now, Span::from_secs(900), 2)?;
                directory_binds::settle_refused(c, &subject, now, now)?;
            }
            Ok(())
        };
        server.ctx.store.write_now(refuse_twice).unwrap();
        let list = cli.run(&["lockout", "list", "--locked", "--json"]).json();
        let binds = &list[0];
        assert_eq!(
            (&binds["person"], &binds["source"]),
            (&json!("uuid-of-ada"), &json!("corp")),
            "{list}"
        );
        assert_eq!(
            (&binds["failures"], &binds["limit"], &binds["locked"]),
            (&json!(2), &json!(2), &json!(true))
        );
        assert_instant(&binds["locked_until"]);
        cli.run(&["lockout", "list"]).done().prints(&["uuid-of-ada (corp)"]);
        let others = ["lockout", "list", "--account", "bob", "--json"];
        assert_eq!(cli.run(&others).json(), json!([]), "{backend:?}");
        let id = binds["id"].as_str().unwrap();
        cli.run(&["lockout", "unlock", id])
            .done()
            .prints(&["Released 1 lock or counter."]);
        assert_eq!(cli.run(&["lockout", "list", "--json"]).json(), json!([]), "{backend:?}");
    }
}
