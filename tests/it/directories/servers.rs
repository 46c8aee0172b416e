//! Directories with several servers, and several directories.

use super::{add_source, find, last_refusal, signed_in};
use crate::harness::{
    server::{Backend, TestServer},
    slapd::{PERSON_PASSWORD, Slapd},
};
use nightlatch::{
    clock::{Clock, SystemClock},
    domain::secret::Secret,
    identity::ldap::PasswordAnswer,
};
use std::{net::TcpListener, time::Duration};

/// Maximum time of a test of a directory.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A server that accepts connections and says nothing.
fn silent_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ldaps://localhost:{}", listener.local_addr().unwrap().port());
    (listener, url)
}

#[test]
fn a_silent_first_server_is_skipped_and_then_tried_last() {
    let slapd = Slapd::start();
    let (_listener, silent) = silent_server();
    let urls = format!("{silent}\n{}", slapd.tls_url("localhost"));
    let definition = slapd.definition(&[
        ("urls", &urls),
        ("connect_timeout", "10s"),
        ("operation_timeout", "10s"),
    ]);
    super::client::run(async {
        let directory = super::client::client(definition);
        let probe = directory.probe(Some("ada.l"), SystemClock.now(), MAX_WAIT).await;
        let steps: Vec<(&str, bool)> = probe
            .steps
            .iter()
            .map(|step| (step.step.as_str(), step.result.is_ok()))
            .collect();
        let opened = [("resolve", true), ("connect", true), ("tls", true)];
        let rest = [("bind", true), ("search", true), ("groups", true)];
        let all: Vec<_> = opened.iter().chain(&opened).chain(&rest).copied().collect();
        assert_eq!(steps, all, "{:?}", probe.steps);
        let skipped = probe.steps[2].result.clone().unwrap();
        assert!(
            skipped.starts_with(&format!("skipped {silent}: no answer within")),
            "{skipped}"
        );
        // Now the other server comes first: each opening would have the wait in it otherwise.
        let person = probe.person.unwrap();
        let again = directory.probe(None, SystemClock.now(), MAX_WAIT).await;
        assert_eq!(again.steps.len(), 4, "{:?}", again.steps);
        let password = Secret::new(PERSON_PASSWORD.to_owned());
        let answer = directory.check_password(&person, &password).await.unwrap();
        assert_eq!(answer, PasswordAnswer::Right);
    });
}

#[test]
fn people_sign_in_although_the_first_server_is_silent() {
    let slapd = Slapd::start();
    let (_listener, silent) = silent_server();
    let urls = format!("{silent}\n{}", slapd.tls_url("localhost"));
    let server = TestServer::start();
    // The default of the time to connect is longer than a sign-in waits.
    add_source(&server, "corp", &slapd, &[("urls", &urls), ("connect_timeout", "5s")]);
    signed_in(&server, "ada.l", PERSON_PASSWORD);
    server.anyone().sign_in("ada.l", "wrong").expect(422);
    assert_eq!(last_refusal(&server).1, "credentials");
}

#[test]
fn known_and_unknown_names_cost_the_same_searches_in_every_directory() {
    let (first, second) = (Slapd::start(), Slapd::start());
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        add_source(&server, "one", &first, &[]);
        add_source(&server, "two", &second, &[]);
        signed_in(&server, "linus", PERSON_PASSWORD);
        assert!(find(&server, "linus").is_some());
        for name in ["linus", "ada.l", "nobody"] {
            let filter = format!("uid={name})");
            let count = || (first.searches(&filter), second.searches(&filter));
            let before = count();
            server.anyone().sign_in(name, "wrong").expect(422);
            let after = count();
            assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1), "{name} {backend:?}");
        }
    }
}

#[test]
fn an_outage_of_another_directory_does_not_tell_which_names_are_known() {
    let (first, mut second) = (Slapd::start(), Slapd::start());
    let server = TestServer::start();
    add_source(&server, "one", &first, &[]);
    add_source(&server, "two", &second, &[]);
    signed_in(&server, "linus", PERSON_PASSWORD);
    second.kill();
    for name in ["linus", "ada.l", "nobody"] {
        server.anyone().sign_in(name, "wrong").expect(503);
    }
    // The right password waits for no other directory.
    signed_in(&server, "linus", PERSON_PASSWORD);
}

#[test]
fn the_test_of_a_silent_directory_shows_the_step_that_waits() {
    let slapd = Slapd::start();
    let (_listener, silent) = silent_server();
    let server = TestServer::start();
    let boss = server.admin("boss");
    add_source(
        &server,
        "corp",
        &slapd,
        &[("urls", &silent), ("connect_timeout", "60s")],
    );
    let page = boss.get("/admin/sources/corp?test=yes").expect(200).page();
    for part in [
        "Find the server",
        "Connect",
        "Encrypt",
        "Failed: no answer until the test was given up",
    ] {
        assert!(page.shows(part), "{part}: {}", page.text());
    }
    assert!(!page.shows("Bind the service account"), "{}", page.text());
}
