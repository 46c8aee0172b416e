//! Emails from the command line.

use super::{Cli, PASSWORD, assert_instant, members};
use crate::harness::{
    server::{Backend, TestServer, eventually},
    smtp::{Manner, SmtpServer},
};

#[test]
fn emails_are_listed_tried_again_and_taken_back() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let smtp = SmtpServer::start(Manner::Recipient("451 4.7.1 greylisted"));
        let server = TestServer::on(backend).env("NIGHTLATCH_SMTP_URL", &smtp.url()).start();
        let cli = Cli::beside(&server);
        cli.run(&["mail", "list"]).done().prints(&["No emails."]);
        let create = ["account", "create", "eve", "--invite", "--email", "eve@example.org"];
        cli.run(&create).done().prints(&["The invitation is on its way."]);
        // The command line uses the machine's clock; the server's clock stays at its start.
        server.advance(60);
        let list = || cli.run(&["mail", "list", "--json"]).json();
        eventually("the first attempt", || {
            list()[0]["attempts"] == 1 && list()[0]["server_said"] != ""
        });
        let email = list()[0].clone();
        assert_eq!(
            members(&email),
            [
                "id",
                "kind",
                "recipient",
                "subject",
                "state",
                "queued_at",
                "attempts",
                "next_attempt_at",
                "finished_at",
                "server_said"
            ]
        );
        assert_instant(&email["next_attempt_at"]);
        assert_eq!(
            (&email["kind"], &email["state"]),
            (&"invitation".into(), &"queued".into()),
            "{backend:?}"
        );
        let id = email["id"].as_str().unwrap().to_owned();
        cli.run(&["mail", "list"])
            .done()
            .prints(&["eve@example.org", "greylisted", "queued"]);
        smtp.behave(Manner::Takes);
        cli.run(&["mail", "retry", &id]).done().prints(&["being retried"]);
        server.advance(60);
        eventually("it is sent", || list()[0]["state"] == "sent");
        cli.run(&["mail", "retry", &id]).refused(&["it was sent"]);
        cli.run(&["mail", "discard", &id]).refused(&["it was already sent"]);
        cli.run(&["mail", "discard", "01900000-0000-7000-8000-000000000000"])
            .refused(&["there is no email"]);
        smtp.behave(Manner::Recipient("451 4.7.1 greylisted"));
        cli.run(&["account", "invite", "eve"]).done().prints(&["on its way"]);
        let id = list()[0]["id"].as_str().unwrap().to_owned();
        cli.run(&["mail", "discard", &id]).done().prints(&["Cancelled."]);
        let discarded = cli.run(&["mail", "list", "--state", "discarded", "--json"]).json();
        assert_eq!(discarded.as_array().unwrap().len(), 1, "{backend:?}");
        cli.run(&["mail", "list", "--state", "lost"]).usage();
    }
}

#[test]
fn a_link_to_another_password_is_mailed_to_who_has_an_address() {
    let cli = Cli::fresh();
    cli.account("boss", "administrator");
    let mail = ["account", "reset-password", "boss", "--mail"];
    cli.run(&mail).refused(&["no email address"]);
    cli.run(&["account", "set-email", "boss", "boss@example.org"]).done();
    cli.run(&mail).done().prints(&["on its way"]);
    let emails = cli.run(&["mail", "list", "--json"]).json();
    let kinds: Vec<&str> = emails
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|email| email["kind"].as_str())
        .collect();
    assert!(kinds.contains(&"password_reset"), "{emails}");
    for other in ["--one-time", "--password-stdin", "--must-change"] {
        cli.run(&["account", "reset-password", "boss", "--mail", other]).usage();
    }
}

#[test]
fn an_invited_account_shows_as_such_and_invitations_have_their_conditions() {
    let cli = Cli::fresh();
    cli.account("boss", "administrator");
    cli.run(&["account", "create", "eve", "--invite"]).usage();
    cli.run(&[
        "account",
        "create",
        "eve",
        "--invite",
        "--one-time",
        "--email",
        "eve@example.org",
    ])
    .usage();
    cli.run(&["account", "create", "eve", "--invite", "--email", "eve@example.org"])
        .done();
    let shown = cli.run(&["account", "show", "eve", "--json"]).json();
    assert_instant(&shown["invited_until"]);
    cli.run(&["account", "list"]).done().prints(&["invited until 2"]);
    let listed = cli.run(&["account", "list", "--state", "invited", "--json"]).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["name"], "eve");
    cli.run(&["account", "invite", "boss"])
        .refused(&["has no email address"]);
    cli.run_with(
        &["account", "reset-password", "eve", "--password-stdin"],
        PASSWORD.as_bytes(),
    )
    .done();
    assert!(cli.run(&["account", "show", "eve", "--json"]).json()["invited_until"].is_null());
    // An account with a password that was never used can still be invited to choose another.
    cli.run(&["account", "invite", "eve"]).done();
    assert_instant(&cli.run(&["account", "show", "eve", "--json"]).json()["invited_until"]);
}

#[test]
fn the_doctor_sends_a_test_email_and_says_what_became_of_it() {
    let smtp = SmtpServer::start(Manner::Takes);
    let cli = Cli::fresh().env("NIGHTLATCH_SMTP_URL", &smtp.url());
    cli.account("boss", "administrator");
    cli.run(&["doctor", "--send-test-mail", "ada@example.org"])
        .done()
        .prints(&["test mail", "taken as 4711"]);
    assert_eq!(smtp.received().len(), 1);
    assert_eq!(smtp.received()[0].header("To").as_deref(), Some("ada@example.org"));
    smtp.behave(Manner::Recipient("550 5.1.1 no such user"));
    let refused = cli.run(&["doctor", "--send-test-mail", "ada@example.org"]);
    assert_eq!(refused.code, Some(1));
    refused.prints(&["fault", "550"]);
    assert_eq!(cli.run(&["doctor", "--send-test-mail", "nobody"]).code, Some(1));
    let files = Cli::fresh();
    files.account("boss", "administrator");
    files
        .run(&["doctor", "--send-test-mail", "ada@example.org"])
        .done()
        .prints(&["written as ", "mail-outbox"]);
    let written = std::fs::read_dir(files.directory().join("mail-outbox"))
        .unwrap()
        .count();
    assert_eq!(written, 1);
}

#[test]
fn a_mail_server_is_checked_before_the_start_and_its_password_never_shows() {
    let cli = Cli::fresh().env("NIGHTLATCH_SMTP_URL", "smtp://ada:hunter2@mail.example.org");
    let refused = cli.run(&["config", "check"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        !refused.err.contains("hunter2") && refused.err.contains("smtp_url"),
        "{refused:?}"
    );
    let cli = Cli::fresh();
    cli.file("smtp", "smtps://ada:hunter2@mail.example.org\n");
    let cli = cli
        .env("NIGHTLATCH_SMTP_URL_FILE", "smtp")
        .env("NIGHTLATCH_MAIL_FROM", "Us <us@example.org>");
    let shown = cli.run(&["config", "show"]).done();
    assert!(!shown.out.contains("hunter2"), "{shown:?}");
    shown.prints(&["smtp_url", "Us <us@example.org>"]);
    Cli::fresh()
        .env("NIGHTLATCH_MAIL_FROM", "nobody")
        .run(&["config", "check"])
        .refused(&["mail_from"]);
}
