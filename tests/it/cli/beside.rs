//! The command line next to a running server: its changes apply there immediately, and the reverse.

use super::{Cli, PASSWORD};
use crate::harness::server::{Backend, TestServer, eventually};
use nightlatch::domain::account::Role;
use std::time::{Duration, Instant};

/// By contract. A test machine that is busy with other things may be late now and then, so the best
/// of some counts.
const SOON: Duration = Duration::from_millis(100);

#[test]
fn a_change_reaches_the_server_within_a_tenth_of_a_second() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let cli = Cli::beside(&server);
        let mut took = Vec::new();
        for revision in 2..8 {
            cli.run(&["policy", "set", "session.ttl", &format!("{revision}h")])
                .done();
            let saved = Instant::now();
            eventually("the server has the revision", || {
                server.ctx.in_force().policy.revision() == revision
            });
            took.push(saved.elapsed());
        }
        assert!(took.iter().any(|took| *took <= SOON), "{backend:?}: {took:?}");
    }
}

#[test]
fn a_policy_saved_at_the_command_line_governs_the_server() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let ada = server.admin("ada");
        server.advance(600);
        ada.get("/").expect(200);
        let cli = Cli::beside(&server);
        cli.run(&[
            "policy",
            "set",
            "auth.idle_session_timeout",
            "5m",
            "--scope",
            "administrators",
        ])
        .done();
        eventually("the server has the revision", || {
            server.ctx.in_force().policy.revision() == 2
        });
        server.advance(300);
        ada.get("/").expect(200);
        server.advance(301);
        ada.get("/").expect(303);
        server.policy(&[("session.ttl", "1h")]);
        assert_eq!(cli.revision(), 3, "{backend:?}");
        assert_eq!(cli.get("session.ttl"), 3600);
    }
}

#[test]
fn changes_to_an_account_apply_at_its_next_request() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("root", Role::Administrator);
        let cli = Cli::beside(&server);
        cli.account("bob", "member");
        let bob = server.signed_in("bob");
        bob.get("/").expect(200);
        cli.run(&["account", "disable", "bob"])
            .done()
            .prints(&["Ended 1 session."]);
        eventually("the session is over", || bob.get("/").status() == 303);
        server.anyone().sign_in("bob", PASSWORD).expect(403);
        cli.run(&["account", "enable", "bob"]).done();
        let bob = server.signed_in("bob");
        let other = "a different harbour violin";
        cli.run_with(
            &["account", "reset-password", "bob", "--password-stdin"],
            other.as_bytes(),
        )
        .done();
        eventually("the session is over", || bob.get("/").status() == 303);
        server.anyone().sign_in("bob", PASSWORD).expect(422);
        server.anyone().sign_in("bob", other).expect(303);
        cli.run(&["account", "delete", "bob"]).done();
        server.anyone().sign_in("bob", other).expect(422);
    }
}

#[test]
fn an_email_from_the_command_line_leads_to_the_servers_address() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let address = "https://login.example.org";
        let server = TestServer::on(backend).env("NIGHTLATCH_PUBLIC_URL", address).start();
        server.account("root", Role::Administrator);
        let create = ["account", "create", "eve", "--invite", "--email", "eve@example.org"];
        Cli::beside(&server).run(&create).done();
        // The command line uses the machine's clock; the server's clock stays at its start.
        server.advance(60);
        let emails = server.deliver();
        assert!(emails[0].contains(&format!("{address}/password/reset")), "{emails:?}");
    }
}

#[test]
fn a_role_given_at_the_command_line_opens_the_console() {
    let server = TestServer::start();
    let bob = server.member("bob");
    bob.get("/admin").expect(403);
    let cli = Cli::beside(&server);
    cli.run(&["account", "set-role", "bob", "administrator"]).done();
    eventually("the console opens", || bob.get("/admin").status() != 403);
}

#[test]
fn many_commands_at_once_do_not_disturb_the_server() {
    let server = TestServer::start();
    let ada = server.admin("ada");
    let cli = Cli::beside(&server);
    std::thread::scope(|scope| {
        for number in 0..6 {
            let cli = &cli;
            scope.spawn(move || cli.account(&format!("member{number}"), "member"));
        }
        for _ in 0..20 {
            ada.get("/").expect(200);
        }
    });
    assert_eq!(
        cli.run(&["account", "list", "--json"]).json().as_array().unwrap().len(),
        7
    );
}
