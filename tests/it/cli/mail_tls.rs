//! Emails to a mail server with encryption: which certificates are trusted, and what is sent before
//! the check.

use super::{Cli, PASSWORD};
use crate::harness::{
    program::Program,
    server::eventually,
    smtp::{Certificate, Encrypted, SmtpServer},
};

const BOTH: [Encrypted; 2] = [Encrypted::FromTheStart, Encrypted::AfterStartTls];

/// A machine whose store of certificates has just this one.
fn trusting(certificate: &Certificate, smtp: &SmtpServer) -> Cli {
    let cli = Cli::fresh()
        .env("NIGHTLATCH_SMTP_URL", &smtp.url_for("ada:hunter2@"))
        .env("SSL_CERT_FILE", "trusted.pem");
    cli.file("trusted.pem", &certificate.pem);
    cli.account("boss", "administrator");
    cli
}

#[test]
fn an_email_and_the_password_go_encrypted_to_a_server_that_is_known() {
    for encrypted in BOTH {
        let certificate = Certificate::of(&["127.0.0.1"]);
        let smtp = SmtpServer::encrypted(encrypted, &certificate);
        let cli = trusting(&certificate, &smtp);
        cli.run(&["doctor", "--send-test-mail", "ada@example.org"])
            .done()
            .prints(&["taken as 4711"]);
        let received = smtp.received();
        assert_eq!(received.len(), 1, "{encrypted:?}");
        assert_eq!(
            received[0].header("To").as_deref(),
            Some("ada@example.org"),
            "{encrypted:?}"
        );
        assert_said_nothing(&smtp, encrypted);
    }
}

/// Expects that a listener on the network sees only the request for encryption.
fn assert_said_nothing(smtp: &SmtpServer, encrypted: Encrypted) {
    let overheard = smtp.overheard();
    let verbs: Vec<&str> = overheard
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    match encrypted {
        Encrypted::FromTheStart => assert!(verbs.is_empty(), "{overheard}"),
        Encrypted::AfterStartTls => assert_eq!(verbs, ["EHLO", "STARTTLS"], "{overheard}"),
    }
}

#[test]
fn another_name_or_an_unknown_certificate_gets_neither_email_nor_password() {
    for encrypted in BOTH {
        let own = Certificate::of(&["127.0.0.1"]);
        let other_name = Certificate::of(&["mail.example.org"]);
        for (presented, trusted) in [(&other_name, &other_name), (&own, &other_name)] {
            let smtp = SmtpServer::encrypted(encrypted, presented);
            let cli = trusting(trusted, &smtp);
            let refused = cli.run(&["doctor", "--send-test-mail", "ada@example.org"]);
            assert_eq!(refused.code, Some(1), "{encrypted:?}: {refused:?}");
            assert!(!refused.out.contains("hunter2") && !refused.err.contains("hunter2"));
            refused.prints(&["fault", "certificate"]);
            assert_eq!(smtp.received().len(), 0, "{encrypted:?}");
            assert_said_nothing(&smtp, encrypted);
        }
    }
}

#[test]
fn an_email_waits_until_the_mail_server_is_known() {
    let certificate = Certificate::of(&["127.0.0.1"]);
    let smtp = SmtpServer::encrypted(Encrypted::AfterStartTls, &certificate);
    let cli = trusting(&Certificate::of(&["127.0.0.1"]), &smtp);
    let (database, url) = (cli.database().url(), smtp.url_for("ada:hunter2@"));
    let env = [
        ("DATABASE_URL", database.as_str()),
        ("NIGHTLATCH_SMTP_URL", url.as_str()),
        ("SSL_CERT_FILE", "trusted.pem"),
    ];
    let program = Program::serve(cli.directory(), &env);
    cli.run(&["account", "create", "eve", "--invite", "--email", "eve@example.org"])
        .done();
    let email = || cli.run(&["mail", "list", "--json"]).json()[0].clone();
    eventually("the first attempt", || email()["server_said"] != "");
    let waiting = email();
    assert_eq!(waiting["state"], "queued");
    assert!(
        waiting["server_said"].as_str().unwrap().contains("certificate"),
        "{waiting}"
    );
    // The console shows it too.
    let boss = program.client();
    boss.sign_in("boss", PASSWORD).expect(303);
    let page = boss.get("/admin/mail").expect(200);
    assert!(page.text().contains("eve@example.org") && page.text().contains("certificate"));
    assert!(program.terminate().success());
    assert_eq!(smtp.received().len(), 0);
    // The operator trusts it, and the email leaves.
    cli.file("trusted.pem", &certificate.pem);
    let program = Program::serve(cli.directory(), &env);
    cli.run(&["mail", "retry", email()["id"].as_str().unwrap()]).done();
    eventually("it is sent", || email()["state"] == "sent");
    assert!(program.terminate().success());
    assert_eq!(smtp.received().len(), 1);
    assert!(smtp.received()[0].to[0].contains("<eve@example.org>"));
}
