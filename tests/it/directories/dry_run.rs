//! The test of a source: each step, and who becomes an administrator.

use super::{add_definition, add_source};
use crate::harness::{
    server::TestServer,
    slapd::{SERVICE_PASSWORD, Slapd, person_dn},
};
use nightlatch::flows::source_test::{SourceTest, test_source};
use std::time::Duration;

/// Maximum time of a test.
const LONGEST: Duration = Duration::from_secs(60);

fn dry_run(server: &TestServer, account: Option<&str>) -> SourceTest {
    server.run(test_source(&server.ctx, "corp", account, LONGEST)).unwrap()
}

fn codes(test: &SourceTest) -> Vec<&'static str> {
    test.steps.iter().map(|step| step.step).collect()
}

#[test]
fn each_step_is_shown_and_who_becomes_an_administrator() {
    let slapd = Slapd::start();
    let server = TestServer::start();
    add_source(&server, "corp", &slapd, &[]);
    let test = dry_run(&server, Some("grace"));
    let all = [
        "resolve", "connect", "tls", "bind", "search", "groups", "mapping", "sample",
    ];
    assert_eq!(codes(&test), all, "{:?}", test.steps);
    assert!(test.is_passed(), "{:?}", test.steps);
    assert_eq!(test.steps[4].result, Ok(person_dn("grace")));
    assert_eq!(test.steps[6].result, Ok("administrator".to_owned()));
    assert_eq!(
        (test.administrators.as_slice(), test.sampled),
        (["grace".to_owned()].as_slice(), 4)
    );
    let test = dry_run(&server, Some("nobody"));
    assert_eq!(codes(&test), ["resolve", "connect", "tls", "bind", "search"]);
    assert!(!test.is_passed());
    assert_eq!(slapd.binds(&person_dn("grace")), 0, "no password is needed");
    assert!(server.events().is_empty(), "nothing is changed");
}

#[test]
fn the_page_of_a_directory_tests_it() {
    let slapd = Slapd::start();
    let server = TestServer::start();
    let boss = server.admin("boss");
    add_source(&server, "corp", &slapd, &[]);
    let page = boss.get("/admin/sources/corp").expect(200);
    assert!(!page.text().contains("Every step succeeded."));
    let tested = boss.get("/admin/sources/corp?test=yes&account=grace").expect(200);
    assert!(tested.text().contains("Every step succeeded."), "{}", tested.text());
    assert!(tested.text().contains("Administrators in the sample: grace"));
    let failed = boss.get("/admin/sources/corp?test=yes&account=nobody").expect(200);
    assert!(failed.text().contains("The test failed."));
    assert!(failed.text().contains("Failed: no entry matches the name"));
}

/// Faults of settings and of directories, each with the step that fails and what to do.
/// Settings and secret of a directory, and the step and the remedy of its fault.
type RemedyCase<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, &'a str);

#[test]
fn a_failed_step_names_its_remedy() {
    let slapd = Slapd::start();
    let server = TestServer::start();
    let other = rcgen::generate_simple_self_signed(vec!["other".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let wrong_ca = folder.path().join("wrong.pem");
    std::fs::write(&wrong_ca, other.cert.pem()).unwrap();
    let wrong_ca = wrong_ca.display().to_string();
    let (by_address, plain) = (slapd.tls_url("127.0.0.1"), slapd.plain_url("localhost"));
    let tls_at_plain = plain.replace("ldap://", "ldaps://");
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let closed = format!("ldaps://localhost:{}", closed.port());
    let cases: [RemedyCase<'_>; 9] = [
        (
            &[("ca_file", &wrong_ca)],
            SERVICE_PASSWORD,
            "tls",
            "Set ca_file to the certificate of the authority.",
        ),
        (
            &[("ca_file", "/nowhere.pem")],
            SERVICE_PASSWORD,
            "tls",
            "Set ca_file to a PEM file",
        ),
        (
            &[("urls", &by_address)],
            SERVICE_PASSWORD,
            "tls",
            "Use the name in the certificate",
        ),
        (&[("urls", &tls_at_plain)], SERVICE_PASSWORD, "tls", "start_tls = true"),
        (
            &[("urls", &closed)],
            SERVICE_PASSWORD,
            "connect",
            "Check host and port in urls",
        ),
        (&[], "wrong", "bind", "Check bind_dn, and enter the secret again."),
        (&[("bind_dn", "no DN")], SERVICE_PASSWORD, "bind", "Check bind_dn."),
        (
            &[("base", "ou=nowhere,dc=example,dc=test")],
            SERVICE_PASSWORD,
            "search",
            "Check base",
        ),
        (
            &[("user_filter", "(|(uid={})(objectClass=inetOrgPerson))")],
            SERVICE_PASSWORD,
            "search",
            "Narrow it.",
        ),
    ];
    for (number, (settings, secret, step, remedy)) in cases.into_iter().enumerate() {
        let name = format!("case{number}");
        add_definition(&server, &name, slapd.definition(settings), secret);
        let test = server
            .run(test_source(&server.ctx, &name, Some("grace"), LONGEST))
            .unwrap();
        let failed = test.steps.iter().find(|step| step.result.is_err());
        let failed = failed.unwrap_or_else(|| panic!("{name}: {:?}", test.steps));
        let named = failed.remedy.clone().unwrap_or_default();
        assert!(failed.step == step && named.contains(remedy), "{name}: {failed:?}");
    }
}
