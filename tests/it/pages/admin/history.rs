//! `/admin/policy/revisions`: any two revisions compared.

use crate::{harness::server::TestServer, pages::kit::between};

#[test]
fn any_two_revisions_are_compared_either_way() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.policy(&[("session.ttl", "3h")]);
    server.policy(&[("session.ttl", "5h"), ("auth.login_failure_limit", "7")]);
    let list = boss.get("/admin/policy/revisions").expect(200);
    assert!(!list.text().contains("id=\"compared\""), "nothing is compared unasked");
    assert!(list.text().contains("name=\"from\" value=\"2\" checked"));
    assert!(list.text().contains("name=\"to\" value=\"3\" checked"));
    let compared = |query: &str| {
        let page = boss.get(&format!("/admin/policy/revisions?{query}")).expect(200);
        between(page.text(), "id=\"compared\"", "</section>")[0].to_owned()
    };
    let forth = compared("from=1&to=3");
    for shown in [
        "2 changes",
        "session.ttl",
        "5 hours",
        "auth.login_failure_limit",
        "cli:test",
        "created by <bdi>system</bdi>",
    ] {
        assert!(forth.contains(shown), "{shown}: {forth}");
    }
    let back = compared("from=3&to=2");
    assert!(back.contains("<span class=\"was\">5 hours</span>") && back.contains("<span class=\"is\">3 hours</span>"));
    assert!(compared("from=2&to=2").contains("They are identical."));
    for unknown in ["from=1&to=99", "from=x&to=2", "from=2"] {
        assert_eq!(
            boss.get(&format!("/admin/policy/revisions?{unknown}")).status(),
            404,
            "{unknown}"
        );
    }
}
