//! Emails on their way: messages that cannot be bent, a mail server that refuses, stalls and hangs
//! up, and the outbox between.

mod text;

use crate::harness::{
    server::{Backend, TestServer, block_on, eventually, operator},
    smtp::{Manner, SmtpServer, header},
};
use nightlatch::{
    config::{MailFrom, SmtpUrl},
    domain::{
        mail::{EmailFilter, EmailState, NewEmail, OutboxEmail},
        time::Timestamp,
    },
    flows::mail,
    mail::{
        SendError,
        message::{EmailMessage, MessageParts, message_id},
        smtp::SmtpMailer,
    },
    store::outbox,
};
use std::time::{Duration, Instant};
use uuid::Uuid;

const AT: Timestamp = Timestamp::from_micros(1_795_281_600_000_000);

fn sender() -> MailFrom {
    MailFrom::parse("Nightlatch <nightlatch@example.org>").unwrap()
}

fn message(to: &str, name: &str, subject: &str) -> Result<EmailMessage, String> {
    let id = Uuid::from_u128(7);
    EmailMessage::new(&MessageParts {
        id,
        message_id: &message_id(id, &sender()),
        from: &sender(),
        to,
        to_name: name,
        subject,
        text: "Hello",
        html: "<p>Hello</p>",
        at: AT,
        eight_bit: false,
    })
}

fn smtp(server: &SmtpServer, more: &str) -> SmtpMailer {
    let url = SmtpUrl::parse(&format!("{}{more}", server.url())).unwrap();
    patient(&url)
}

fn patient(url: &SmtpUrl) -> SmtpMailer {
    let (step, total) = (Duration::from_millis(500), Duration::from_secs(3));
    SmtpMailer::with_timeouts(url, Some("login.example.org"), step, total).unwrap()
}

fn send(server: &SmtpServer, more: &str) -> Result<String, SendError> {
    let smtp = smtp(server, more);
    block_on(smtp.send(&message("ada@example.org", "Ada", "Hello").unwrap()))
}

#[test]
fn a_message_says_who_what_and_when_in_text_and_html() {
    let text = String::from_utf8(message("ada@example.org", "Ada Lovelace", "Grüße").unwrap().bytes).unwrap();
    let value = |name| header(&text, name).unwrap();
    assert_eq!(value("From"), "Nightlatch <nightlatch@example.org>");
    assert_eq!(value("To"), "\"Ada Lovelace\" <ada@example.org>");
    assert_eq!(value("Message-ID"), "<00000000000000000000000000000007@example.org>");
    assert_eq!(value("Date"), "Sat, 21 Nov 2026 17:20:00 +0000");
    assert_eq!(value("Auto-Submitted"), "auto-generated");
    assert!(value("Content-Type").starts_with("multipart/alternative"));
    assert!(value("Subject").starts_with("=?utf-8?"), "{}", value("Subject"));
    for part in ["text/plain", "text/html"] {
        assert_eq!(text.matches(part).count(), 1, "{part}");
    }
}

#[test]
fn nothing_that_was_typed_becomes_a_header() {
    for evil in [
        "a\r\nBcc: eve@example.org",
        "a\nBcc: eve@example.org",
        "a\r\n\r\nBcc: eve@example.org",
        "a\u{2028}Bcc: eve@example.org",
    ] {
        let bytes = message("ada@example.org", evil, evil).unwrap().bytes;
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(header(&text, "Bcc"), None, "{evil:?}");
        let made = message("ada@example.org", evil, evil).unwrap().envelope;
        assert_eq!(made.to().len(), 1);
        assert!(message(evil, "Ada", "Hello").is_err());
        assert!(message(&format!("ada@example.org{evil}"), "Ada", "Hello").is_err());
    }
    assert!(message("ada@example.org, eve@example.org", "Ada", "Hello").is_err());
}

#[test]
fn the_mail_server_takes_an_email_for_one_recipient() {
    let server = SmtpServer::start(Manner::Takes);
    assert_eq!(send(&server, ""), Ok("250 2.0.0 taken as 4711".to_owned()));
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert!(
        received[0].from.contains("<nightlatch@example.org>"),
        "{}",
        received[0].from
    );
    assert_eq!(received[0].to.len(), 1);
    assert!(received[0].to[0].contains("<ada@example.org>"));
    assert_eq!(received[0].header("Subject").as_deref(), Some("Hello"));
}

#[test]
fn a_refusal_for_now_comes_back_and_one_for_good_does_not() {
    for (manner, never) in [
        (Manner::Recipient("450 4.2.0 greylisted, come back"), false),
        (Manner::Recipient("550 5.1.1 no such user"), true),
        (Manner::Email("452 4.3.1 disk full"), false),
        (
            Manner::Email("554 5.7.1 rejected as http://evil.example/?token=x"),
            true,
        ),
    ] {
        let server = SmtpServer::start(manner);
        match send(&server, "").unwrap_err() {
            SendError::Permanent(words) => assert!(never && !words.contains("evil"), "{manner:?}: {words}"),
            SendError::Temporary(words) => assert!(!never && words.contains('4'), "{manner:?}: {words}"),
        }
        assert_eq!(server.received().len(), 0);
    }
}

/// 504 and 550 would be final about a recipient; about ourselves they are the operator's to repair.
#[test]
fn a_refusal_before_the_recipient_is_named_is_temporary() {
    for manner in [
        Manner::Ehlo("504 5.5.2 need a fully-qualified hostname"),
        Manner::Sender("550 5.7.1 sender not allowed"),
        Manner::Sender("530 5.7.0 sign in first"),
        Manner::Recipient("530 5.7.0 sign in first"),
    ] {
        let server = SmtpServer::start(manner);
        let refused = send(&server, "").unwrap_err();
        assert!(
            matches!(&refused, SendError::Temporary(answer) if answer.contains("5.")),
            "{manner:?}: {refused:?}"
        );
        assert!(
            server.overheard().starts_with("EHLO login.example.org\r\n"),
            "{manner:?}"
        );
    }
}

#[test]
fn a_password_that_the_mail_server_does_not_know_is_ours_to_mend() {
    let server = SmtpServer::start(Manner::Login("535 5.7.8 wrong"));
    let url = SmtpUrl::parse(&format!("smtp://ada:hunter2@{}", server.address())).unwrap();
    let smtp = patient(&url);
    let refused = block_on(smtp.send(&message("ada@example.org", "", "Hello").unwrap())).unwrap_err();
    assert!(
        matches!(&refused, SendError::Temporary(words) if words.contains("535") && !words.contains("hunter2")),
        "{refused:?}"
    );
    server.behave(Manner::Takes);
    assert!(block_on(smtp.send(&message("ada@example.org", "", "Hello").unwrap())).is_ok());
}

#[test]
fn a_mail_server_that_is_silent_unreachable_or_hangs_up_is_tried_again() {
    let began = Instant::now();
    for manner in [Manner::Silent, Manner::HangsUp] {
        let server = SmtpServer::start(manner);
        let refused = send(&server, "").unwrap_err();
        assert!(matches!(refused, SendError::Temporary(_)), "{manner:?}: {refused:?}");
    }
    let server = SmtpServer::start(Manner::Takes);
    let gone = smtp(&server, "");
    drop(server);
    let refused = block_on(gone.send(&message("ada@example.org", "", "Hello").unwrap())).unwrap_err();
    assert!(matches!(refused, SendError::Temporary(_)), "{refused:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "bounded");
}

#[test]
fn where_encryption_is_required_nothing_is_sent_without_it() {
    let server = SmtpServer::start(Manner::Takes);
    let refused = send(&server, "?tls=required").unwrap_err();
    assert!(
        matches!(&refused, SendError::Temporary(words) if words.to_uppercase().contains("TLS")),
        "{refused:?}"
    );
    assert_eq!(server.received().len(), 0);
    assert!(send(&server, "?tls=opportunistic").is_ok());
}

/// Queues an email as a flow would.
fn queue(server: &TestServer, number: u128, secret: bool) -> Uuid {
    let (id, now) = (Uuid::from_u128(number), server.now());
    let email = NewEmail {
        id,
        kind: "test".to_owned(),
        account: None,
        recipient: "ada@example.org".to_owned(),
        recipient_name: "Ada".to_owned(),
        subject: "Hello".to_owned(),
        body: r#"{"text":"a canary-link","html":"<p>a canary-link</p>"}"#.to_owned(),
        secret,
        message_id: message_id(id, &sender()),
        dedupe: None,
        queued_at: now,
        give_up_at: now.saturating_add(nightlatch::domain::time::Span::from_secs(1800)),
    };
    server.ctx.store.write_now(|c| outbox::queue(c, &email)).unwrap();
    id
}

fn state(server: &TestServer, id: Uuid) -> OutboxEmail {
    server.ctx.store.read_now(|c| outbox::find(c, id)).unwrap().unwrap()
}

#[test]
fn the_outbox_is_emptied_by_itself_and_a_refusal_is_tried_again_later() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let smtp = SmtpServer::start(Manner::Recipient("451 4.3.0 later"));
        let server = TestServer::on(backend).env("NIGHTLATCH_SMTP_URL", &smtp.url()).start();
        let id = queue(&server, 1, true);
        eventually("the first attempt", || state(&server, id).words.contains("451"));
        let waiting = state(&server, id);
        assert_eq!(
            (waiting.state, waiting.attempts),
            (EmailState::Queued, 1),
            "{backend:?}"
        );
        assert!(waiting.due_at > server.now(), "{backend:?}");
        smtp.behave(Manner::Takes);
        server.advance(60);
        eventually("it is taken", || state(&server, id).state == EmailState::Sent);
        let sent = state(&server, id);
        assert_eq!(
            (sent.attempts, sent.body, sent.words.as_str()),
            (2, None, "250 2.0.0 taken as 4711"),
            "{backend:?}"
        );
        assert_eq!(smtp.received().len(), 1, "{backend:?}");
        assert_eq!(
            smtp.received()[0].header("Message-ID"),
            Some(sent.message_id),
            "{backend:?}"
        );
    }
}

#[test]
fn an_undeliverable_email_is_given_up_visibly_and_loses_its_link() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let smtp = SmtpServer::start(Manner::Recipient("550 5.1.1 no such user"));
        let server = TestServer::on(backend).env("NIGHTLATCH_SMTP_URL", &smtp.url()).start();
        let refused = queue(&server, 1, true);
        eventually("it is given up", || {
            state(&server, refused).state == EmailState::GivenUp
        });
        assert_eq!(state(&server, refused).body, None);
        assert!(state(&server, refused).words.contains("550"), "{backend:?}");
        smtp.behave(Manner::Recipient("451 later"));
        let late = queue(&server, 2, true);
        eventually("the first attempt", || state(&server, late).words.contains("451"));
        server.advance(1801);
        eventually("it is given up", || state(&server, late).state == EmailState::GivenUp);
        assert_eq!(state(&server, late).body, None);
        let events = server.events();
        assert_eq!(
            events.iter().filter(|event| *event == "mail.given_up").count(),
            2,
            "{backend:?}: {events:?}"
        );
        let said: String = server.audit().iter().map(|row| row.to_json().to_string()).collect();
        assert!(!said.contains("canary-link"), "{backend:?}");
    }
}

#[test]
fn a_crash_before_the_word_was_written_sends_it_again_under_the_same_id() {
    let smtp = SmtpServer::start(Manner::TakesSilently);
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_SMTP_URL", &smtp.url())
        .start();
    let id = queue(&server, 1, false);
    eventually("the server has it", || !smtp.received().is_empty());
    eventually("and did not say so", || !state(&server, id).words.is_empty());
    smtp.behave(Manner::Takes);
    server.advance(60);
    eventually("it is taken", || state(&server, id).state == EmailState::Sent);
    let ids: Vec<_> = smtp.received().iter().map(|email| email.header("Message-ID")).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn two_instances_send_each_email_once() {
    let smtp = SmtpServer::start(Manner::Takes);
    let first = TestServer::on(Backend::Postgres)
        .env("NIGHTLATCH_SMTP_URL", &smtp.url())
        .start();
    let second = TestServer::beside(&first.database)
        .env("NIGHTLATCH_SMTP_URL", &smtp.url())
        .clock(&first.clock)
        .start();
    let emails: Vec<Uuid> = (1..=30).map(|number| queue(&first, number, false)).collect();
    let sent = |id: &Uuid| state(&second, *id).state == EmailState::Sent;
    eventually("all are sent", || emails.iter().all(sent));
    assert_eq!(smtp.received().len(), 30);
}

#[test]
fn without_a_mail_server_emails_become_files_that_only_their_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("emails");
    let files = nightlatch::mail::folder::MailFolder::new(folder.clone());
    let email = message("ada@example.org", "Ada", "Hello").unwrap();
    for _ in 0..2 {
        files.send(&email).unwrap();
    }
    let written: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .collect();
    assert_eq!(written.len(), 1, "one email, one file");
    assert_eq!(written[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let text = std::fs::read_to_string(written[0].path()).unwrap();
    assert_eq!(header(&text, "To").as_deref(), Some("Ada <ada@example.org>"));
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    assert!(matches!(files.send(&email), Err(SendError::Temporary(_))));
}

#[test]
fn administrators_try_again_and_take_back_and_both_are_on_record() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let smtp = SmtpServer::start(Manner::Recipient("550 no"));
        let server = TestServer::on(backend).env("NIGHTLATCH_SMTP_URL", &smtp.url()).start();
        let id = queue(&server, 1, false);
        eventually("it is given up", || state(&server, id).state == EmailState::GivenUp);
        smtp.behave(Manner::Takes);
        assert!(server.run(mail::retry(&server.ctx, &operator(), id)).unwrap());
        eventually("it is taken", || state(&server, id).state == EmailState::Sent);
        assert!(!server.run(mail::retry(&server.ctx, &operator(), id)).unwrap());
        smtp.behave(Manner::Recipient("450 later"));
        let other = queue(&server, 2, false);
        eventually("it waits", || state(&server, other).words.contains("450"));
        assert!(server.run(mail::discard(&server.ctx, &operator(), other)).unwrap());
        assert!(!server.run(mail::discard(&server.ctx, &operator(), other)).unwrap());
        let outbox = server
            .run(mail::list(
                &server.ctx,
                EmailFilter {
                    limit: 10,
                    ..EmailFilter::default()
                },
            ))
            .unwrap();
        assert_eq!(
            (outbox.items.len(), outbox.counts.sent, outbox.counts.discarded),
            (2, 1, 1)
        );
        let events = server.events();
        for event in ["mail.retried", "mail.discarded"] {
            assert_eq!(
                events.iter().filter(|known| *known == event).count(),
                1,
                "{backend:?}: {events:?}"
            );
        }
    }
}

/// The lines of an email's text part, and how the part is encoded.
fn text_part(text: &str, eight_bit: bool) -> (String, String) {
    let id = Uuid::from_u128(7);
    let made = EmailMessage::new(&MessageParts {
        id,
        message_id: &message_id(id, &sender()),
        from: &sender(),
        to: "ada@example.org",
        to_name: "Ada",
        subject: "Hello",
        text,
        html: "<p>Hello</p>",
        at: AT,
        eight_bit,
    });
    let email = String::from_utf8(made.unwrap().bytes).unwrap();
    let part = email.split("\r\n--").nth(1).unwrap().to_owned();
    (
        header(part.trim_start_matches(|c| c != '\r'), "Content-Transfer-Encoding").unwrap_or_default(),
        part,
    )
}

#[test]
fn a_link_stays_in_one_piece() {
    let link = format!("https://login.example.org/password/reset?token={}", "a".repeat(64));
    let plain = format!("Hello Ada,\n\n{link}\n\nBye");
    let german = plain.replace("Hello", "Grüße,");
    for eight_bit in [false, true] {
        let (encoding, part) = text_part(&plain, eight_bit);
        assert_eq!(encoding, "7bit");
        assert!(part.contains(&format!("\r\n{link}\r\n")), "{part}");
    }
    let (encoding, part) = text_part(&german, true);
    assert_eq!(encoding, "8bit");
    assert!(part.contains(&format!("Grüße, Ada,\r\n\r\n{link}\r\n")), "{part}");
    // Not every mail server accepts characters outside ASCII, and none accepts a longer line.
    for text in [german, "x".repeat(999)] {
        let (encoding, part) = text_part(&text, false);
        assert_eq!(encoding, "quoted-printable");
        assert!(part.is_ascii() && part.lines().all(|line| line.len() <= 78), "{part}");
    }
}
