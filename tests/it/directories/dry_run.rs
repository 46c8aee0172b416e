//! The test of a source: each step, and who becomes an administrator.

use super::add_source;
use crate::harness::{
    server::TestServer,
    slapd::{Slapd, person_dn},
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
