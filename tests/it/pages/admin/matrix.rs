//! `/admin/policy/matrix`: where the scopes differ.

use crate::{harness::server::TestServer, pages::kit::between};
use nightlatch::domain::policy::{Key, Scope};

/// The cells of a setting's row, tags and all.
fn cells<'a>(page: &'a str, key: &str) -> Option<Vec<&'a str>> {
    between(page, "<tr>", "</tr>")
        .into_iter()
        .find(|row| row.contains(&format!("<code>{key}</code>")))
        .map(|row| between(row, "<td>", "</td>"))
}

#[test]
fn only_cells_that_differ_are_filled_and_each_leads_to_its_setting() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let wiki = Scope::Application("wiki".to_owned());
    server.policy(&[("auth.idle_session_timeout", "15m")]);
    server.policy_in(&Scope::Administrators, &[("session.ttl", "1h")]);
    server.policy_in(
        &wiki,
        &[
            ("auth.idle_session_timeout", "5m"),
            ("activity.counts", "every_request"),
        ],
    );
    let page = boss.get("/admin/policy/matrix").expect(200);
    let ttl = cells(page.text(), "session.ttl").unwrap();
    assert_eq!((ttl.len(), ttl[2]), (3, ""), "everyone, administrators, wiki");
    assert!(ttl[0].contains("2 weeks") && ttl[1].contains("1 hour"));
    assert!(ttl[1].contains("href=\"/admin/policy?scope=administrators#session-ttl\""));
    let is_filled = |cell: &str| cell.contains("class=\"differs\"");
    assert!(!is_filled(ttl[0]) && is_filled(ttl[1]));
    let idle = cells(page.text(), "auth.idle_session_timeout").unwrap();
    assert!(idle[1].is_empty() && idle[2].contains("5 minutes"));
    assert!(idle[2].contains("scope=app%3Awiki#auth-idle_session_timeout"));
    assert_eq!(
        cells(page.text(), "activity.counts"),
        None,
        "an override that says the same does not differ"
    );
}

#[test]
fn all_settings_are_a_click_away() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let none = boss.get("/admin/policy/matrix").expect(200);
    assert!(none.text().contains("Nothing differs"));
    let all = boss.get("/admin/policy/matrix?settings=all").expect(200);
    for key in Key::ALL {
        let cells = cells(all.text(), key.name()).unwrap_or_else(|| panic!("{key}"));
        assert!(!cells[0].is_empty() && cells[1].is_empty(), "{key}");
    }
}
