//! Acts on many accounts: the number first, yourself and the last administrator left as they are,
//! each one on record.

use crate::{
    harness::{
        client::{Answer, Client},
        server::{Backend, PASSWORD, TestServer},
    },
    pages::kit::between,
};
use nightlatch::{
    domain::account::{AccountId, Role},
    flows::accounts::{self, AccountAction},
};

const BULK: &str = "/admin/accounts/bulk";

fn ids(ids: &[AccountId]) -> Vec<String> {
    ids.iter().map(|id| id.0.to_string()).collect()
}

/// Submits the form of the list with these accounts selected.
fn ask(client: &Client, act: &str, group: &str, chosen: &[AccountId]) -> Answer {
    let chosen = ids(chosen);
    let mut form = vec![("what", "selected"), ("act", act), ("group", group)];
    form.extend(chosen.iter().map(|id| ("id", id.as_str())));
    client.post(BULK, &form)
}

/// Confirms the page as its form does.
fn confirm(client: &Client, page: &Answer, typed: &str) -> Answer {
    let form = page.text().split("action=\"/admin/accounts/bulk\"").nth(1).unwrap();
    let fields: Vec<(String, String)> = form
        .split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|rest| {
            let (name, rest) = rest.split_once("\" value=\"").unwrap();
            (name.to_owned(), rest.split('"').next().unwrap().replace("&#38;", "&"))
        })
        .collect();
    let mut form: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    form.push(("typed", typed));
    client.post(BULK, &form)
}

#[test]
fn the_number_is_shown_before_anything_is_done() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let (ada, bob) = (server.account("ada", Role::Member), server.account("bob", Role::Member));
        let phone = server.signed_in("ada");
        let page = ask(&boss, "disable", "", &[ada, bob]).expect(200);
        assert!(page.text().contains("Disable 2\u{a0}accounts"), "{backend:?}");
        assert!(
            page.text().contains("<span class=\"chip\"><bdi>ada</bdi></span>"),
            "{backend:?}"
        );
        phone.get("/").expect(200);
        let done = confirm(&boss, &page, "").expect(303);
        assert_eq!(done.location(), "/admin/accounts");
        assert_eq!(
            phone.get("/").expect(303).location(),
            "/login?reason=account_disabled",
            "{backend:?}"
        );
        let list = boss.get("/admin/accounts?state=disabled").expect(200);
        assert!(
            list.text().contains("2\u{a0}accounts disabled. 1\u{a0}session ended."),
            "{backend:?}"
        );
        assert!(list.text().contains("2\u{a0}accounts match the filter"), "{backend:?}");
        let events = server.events();
        assert_eq!(
            events.iter().filter(|event| *event == "account.disabled").count(),
            2,
            "{backend:?} {events:?}"
        );
    }
}

#[test]
fn yourself_and_the_last_administrator_are_left_as_they_are_and_named() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let me = server.account("boss", Role::Administrator);
        let ada = server.account("ada", Role::Member);
        let boss = server.signed_in("boss");
        for act in ["disable", "expire", "force-change", "end-sessions", "delete"] {
            let back = ask(&boss, act, "", &[me]).expect(303);
            let list = boss.get(back.location()).expect(200);
            assert!(
                list.text().contains("Your own account was skipped"),
                "{backend:?} {act}"
            );
        }
        let page = ask(&boss, "delete", "", &[me, ada]).expect(200);
        // The number shown is the number of accounts that would change.
        assert!(page.text().contains("Delete 1\u{a0}account?"), "{backend:?}");
        assert!(!page.text().contains("<span class=\"chip\">boss</span>"), "{backend:?}");
        confirm(&boss, &page, "2").expect(422);
        let left = confirm(&boss, &page, "1").expect(200);
        assert!(left.text().contains("your own account"), "{backend:?}");
        assert!(left.text().contains("1\u{a0}account deleted."), "{backend:?}");
        assert!(
            server
                .run(accounts::find_by_name(&server.ctx, "ada"))
                .unwrap()
                .is_none(),
            "{backend:?}"
        );
        // Another administrator's console: of two administrators one stays.
        let spare = server.account("spare", Role::Administrator);
        let whom = accounts::AccountSelection::These(vec![me, spare]);
        let initiator = crate::harness::server::operator();
        let done = server
            .run(accounts::act_on_all(
                &server.ctx,
                &initiator,
                whom,
                accounts::BulkAction::Disable,
            ))
            .unwrap();
        assert_eq!(done.done, 1, "{backend:?}");
        assert!(
            matches!(
                done.skipped.as_slice(),
                [(_, _, accounts::SkipReason::LastAdministrator)]
            ),
            "{backend:?}"
        );
    }
}

#[test]
fn everybody_who_matches_is_meant_wherever_in_the_list() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let text: String = (0..230).map(|number| format!("user{number:03},ops\r\n")).collect();
        let file = accounts::ImportFile {
            bytes: format!("name,groups\r\n{text}").into_bytes().into(),
            passwords: accounts::Passwords::Unknown,
        };
        let confirmed = accounts::ImportConfirmation {
            shown: None,
            good_lines: false,
        };
        let initiator = crate::harness::server::operator();
        server
            .run(accounts::import(&server.ctx, &initiator, file, confirmed))
            .unwrap();
        let form = [
            ("what", "matching"),
            ("act", "add-group"),
            ("group", " night shift "),
            ("back", "q=user&role=member"),
        ];
        let page = boss.post(BULK, &form).expect(200);
        assert!(
            page.text().contains("Add 230\u{a0}accounts to night shift"),
            "{backend:?}"
        );
        assert!(page.text().contains("and 210 more"), "{backend:?}");
        confirm(&boss, &page, "").expect(422);
        let done = confirm(&boss, &page, "230").expect(303);
        assert_eq!(done.location(), "/admin/accounts?q=user&role=member");
        let list = |group: &str| {
            let page = boss.get(&format!("/admin/accounts?group={group}")).expect(200);
            between(page.text(), "<p role=\"status\">", "</p>")[0].to_owned()
        };
        assert!(list("night+shift").starts_with("230\u{a0}accounts"), "{backend:?}");
        for group in ["night", "Night+shift", "shift", "%25", "ops%22"] {
            assert!(list(group).starts_with("0\u{a0}accounts"), "{backend:?} {group}");
        }
        let mut form = form;
        form[1].1 = "remove-group";
        form[3].1 = "group=night+shift&q=user00";
        let page = boss.post(BULK, &form).expect(200);
        confirm(&boss, &page, "").expect(303);
        assert!(list("night+shift").starts_with("220\u{a0}accounts"), "{backend:?}");
        assert!(list("ops").starts_with("230\u{a0}accounts"), "{backend:?}");
        let again = boss.post(BULK, &form).expect(303);
        assert_eq!(again.location(), "/admin/accounts?group=night+shift&q=user00");
    }
}

#[test]
fn an_unreadable_filter_is_a_fault_and_matches_nothing() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let eve = server.member("eve");
        for (field, filter) in [
            ("role", "role=administratr"),
            ("state", "state=lives"),
            ("state", "state=All"),
        ] {
            let list = boss.get(&format!("/admin/accounts?{filter}")).expect(200);
            assert!(
                list.text().contains(&format!("<a href=\"#{field}\">There is no ")),
                "{backend:?} {filter}"
            );
            assert!(
                list.text().contains(&format!("aria-describedby=\"{field}-fault\"")),
                "{backend:?} {filter}"
            );
            assert!(!list.text().contains("value=\"matching\""), "{backend:?} {filter}");
            assert!(!list.text().contains("match the filter"), "{backend:?} {filter}");
            for confirmed in [&[][..], &[("confirmed", "yes"), ("shown", "1"), ("typed", "1")]] {
                let form = [&[("what", "matching"), ("act", "disable"), ("back", filter)], confirmed].concat();
                boss.post(BULK, &form).expect(400);
            }
            let asked = format!("/admin/accounts/export?format=csv&{filter}");
            boss.post(&asked, &[]).expect(400);
        }
        assert!(!server.events().contains(&"data.exported".to_owned()), "{backend:?}");
        eve.get("/").expect(200);
        let list = boss.get("/admin/accounts?state=active&role=member").expect(200);
        assert!(
            list.text().contains("value=\"matching\"") && !list.text().contains("There is no "),
            "{backend:?}"
        );
    }
}

#[test]
fn accounts_without_a_change_are_counted_and_skipped() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let (ada, bob) = (server.account("ada", Role::Member), server.account("bob", Role::Member));
    server.act(ada, AccountAction::Disable);
    let before = server.events().len();
    let page = ask(&boss, "disable", "", &[ada, bob]).expect(200);
    confirm(&boss, &page, "").expect(303);
    assert_eq!(server.events()[before..], ["account.disabled"]);
    assert!(
        boss.get("/admin/accounts")
            .text()
            .contains("No change for 1\u{a0}account.")
    );
    let page = ask(&boss, "enable", "", &[ada, bob]).expect(200);
    confirm(&boss, &page, "").expect(303);
    server.anyone().sign_in("ada", PASSWORD).expect(303);
    for (act, group) in [("", ""), ("vanish", ""), ("add-group", ""), ("add-group", "a,b")] {
        ask(&boss, act, group, &[ada]).expect(303);
    }
    ask(&boss, "disable", "", &[]).expect(303);
    assert_eq!(
        server
            .run(accounts::find_by_name(&server.ctx, "ada"))
            .unwrap()
            .unwrap()
            .groups,
        Vec::<String>::new()
    );
}
