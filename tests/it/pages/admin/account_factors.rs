//! Second factors on an account's page: listing and removing them, and links to enrol a first one.

use crate::harness::{
    client::{Answer, Client},
    server::{Backend, TestServer},
};
use nightlatch::{
    domain::account::{AccountId, Role},
    flows::accounts::AccountAction,
};

const BOTH: [Backend; 2] = [Backend::Sqlite, Backend::Postgres];

fn path(id: AccountId) -> String {
    format!("/admin/accounts/{}", id.0)
}

fn act(client: &Client, id: AccountId, act: &str) -> Answer {
    client.post(&path(id), &[("act", act)])
}

fn with_email(server: &TestServer, name: &str) -> AccountId {
    let id = server.account(name, Role::Member);
    let profile = AccountAction::SetProfile {
        display_name: String::new(),
        email: format!("{name}@example.org"),
        groups: Vec::new(),
    };
    server.act(id, profile);
    id
}

/// Gives an account a passkey.
fn enrol(server: &TestServer, name: &str) {
    server.database.sql(&format!(
        "INSERT INTO passkeys (id, account_id, name, credential_id, credential, domain, added_at, synced)
            SELECT '01900000-0000-7000-8000-000000000002', id, 'Blue key', 'c1', '{{}}', 'localhost', created_at, TRUE
            FROM accounts WHERE name = '{name}';
         UPDATE accounts SET passkeys = 1 WHERE name = '{name}';"
    ));
}

#[test]
fn the_page_shows_the_factors_and_removes_them_with_the_sessions() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let id = with_email(&server, "ada");
        let phone = server.signed_in("ada");
        enrol(&server, "ada");
        let boss = server.admin("boss");
        let page = boss.get(&path(id)).expect(200).page();
        let passkey = page.row("Blue key");
        assert!(passkey.cell("Last used").contains("never"), "{backend:?}");
        assert!(page.shows("Reset factors"));
        assert!(!page.shows("Show enrolment link"), "it has a factor: {backend:?}");
        let question = boss.get(&format!("{}/confirm?act=reset-factors", path(id))).expect(200);
        assert_eq!(
            question.page().heading(),
            "Remove the second factors of ada?",
            "{backend:?}"
        );
        act(&boss, id, "reset-factors").expect(303);
        let page = boss.get(&path(id)).expect(200).page();
        assert!(page.shows("The second factors were removed."), "{backend:?}");
        assert!(
            page.find_row("Blue key").is_none() && !page.shows("Reset factors"),
            "{backend:?}"
        );
        assert_eq!(
            phone.get("/").expect(303).location(),
            "/login?reason=revoked",
            "{backend:?}"
        );
        let events = server.events();
        assert!(
            events.iter().any(|event| event.starts_with("factor.reset")),
            "{backend:?} {events:?}"
        );
    }
}

#[test]
fn a_link_is_mailed_or_shown_once() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let (ada, bob) = (with_email(&server, "ada"), server.account("bob", Role::Member));
        let boss = server.admin("boss");
        act(&boss, ada, "enrolment-link").expect(303);
        assert!(
            boss.get(&path(ada))
                .expect(200)
                .page()
                .shows("An enrolment link was sent"),
            "{backend:?}"
        );
        act(&boss, ada, "show-enrolment-link").expect(303);
        let shown = boss.get(&path(ada)).expect(200).page();
        let link = shown.all("#one-time-link")[0].text();
        assert!(link.contains("/factors/enrol?token="), "{backend:?} {link}");
        let again = boss.get(&path(ada)).expect(200).page();
        assert!(again.all("#one-time-link").is_empty(), "shown once: {backend:?}");
        act(&boss, bob, "enrolment-link").expect(303);
        assert!(
            boss.get(&path(bob)).expect(200).page().shows("no email address"),
            "{backend:?}"
        );
        let secret = link.split("token=").nth(1).unwrap();
        assert!(!format!("{:?}", server.audit()).contains(secret), "{backend:?}");
    }
}

#[test]
fn links_go_to_everybody_without_a_factor_at_once() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let ids = [
            with_email(&server, "ada"),
            with_email(&server, "grace"),
            server.account("bob", Role::Member),
        ];
        enrol(&server, "grace");
        let boss = server.admin("boss");
        let ids: Vec<String> = ids.iter().map(|id| id.0.to_string()).collect();
        let mut form = vec![("what", "selected"), ("act", "enrolment-link")];
        form.extend(ids.iter().map(|id| ("id", id.as_str())));
        let question = boss.post("/admin/accounts/bulk", &form).expect(200).page();
        assert!(
            question.shows("Email enrolment links to 3\u{a0}accounts"),
            "{backend:?} {}",
            question.text()
        );
        let asked = question.form("/admin/accounts/bulk");
        let done = boss.submit(&asked, &[]).expect(200).page();
        assert!(
            done.shows("Enrolment links were sent to 1\u{a0}account."),
            "{backend:?} {}",
            done.text()
        );
        assert!(done.shows("no email address"), "{backend:?}");
        let linked = server.audit();
        let linked = linked
            .iter()
            .filter(|row| format!("{row:?}").contains("enrolment_link"))
            .count();
        assert_eq!(linked, 1, "{backend:?}");
    }
}

#[test]
fn nobody_makes_an_enrolment_link_for_themselves() {
    for backend in BOTH {
        let server = TestServer::on(backend).start();
        let id = server.account("boss", Role::Administrator);
        let boss = server.signed_in("boss");
        let page = boss.get(&path(id)).expect(200).page();
        assert!(!page.shows("Show enrolment link"), "{backend:?}");
        for kind in ["show-enrolment-link", "enrolment-link"] {
            act(&boss, id, kind).expect(303);
            let page = boss.get(&path(id)).expect(200).page();
            assert!(
                page.shows("You cannot make an enrolment link for your own account."),
                "{backend:?} {kind}: {}",
                page.text()
            );
        }
        let own = id.0.to_string();
        let form = [("what", "selected"), ("act", "enrolment-link"), ("id", own.as_str())];
        boss.post("/admin/accounts/bulk", &form).expect(303);
        assert!(
            boss.get("/admin/accounts").page().shows("Your own account was skipped"),
            "{backend:?}"
        );
        let linked = server.audit();
        assert!(
            !linked.iter().any(|row| format!("{row:?}").contains("enrolment_link")),
            "{backend:?}"
        );
    }
}

#[test]
fn the_page_tells_since_when_a_factor_is_required_only_while_it_is() {
    let server = TestServer::start();
    let id = server.account("ada", Role::Member);
    let boss = server.admin("boss");
    server.policy(&[("factor.required", "any"), ("factor.enrolment_grace", "1d")]);
    server.signed_in("ada").get("/").expect(200);
    let policy = || {
        let page = boss.get(&path(id)).expect(200).page();
        page.all("section[aria-labelledby='factors-h']")[0].fact("Policy")
    };
    assert!(policy().contains("a second factor is required since"), "{}", policy());
    server.policy(&[("factor.required", "off")]);
    assert_eq!(policy(), "not required");
}
