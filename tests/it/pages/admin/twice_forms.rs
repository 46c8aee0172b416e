//! A form of the console that is sent twice, to one server or to two: the act happens once, and
//! both responses lead to the same page with the same message and the same secret.

use crate::{
    harness::{
        client::{Answer, Client},
        server::{Backend, PASSWORD, TestServer},
    },
    pages::kit::{at_once, one_time_password},
};
use nightlatch::{
    domain::account::Role,
    flows::{accounts::AccountAction, forget_old_forms},
};

/// A form as a browser sends it.
struct SentForm {
    action: String,
    fields: Vec<(String, String)>,
}

impl SentForm {
    /// Fills in a field.
    fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    fn send(&self, client: &Client) -> Answer {
        let fields: Vec<(&str, &str)> = self
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        client.post(&self.action, &fields)
    }

    /// Sends the form from these copies of a browser at the same moment. Returns where each is led,
    /// and the page that it sees there.
    fn send_from(&self, clients: &[Client]) -> Vec<(String, Answer)> {
        at_once(clients.len(), |index| {
            let answer = self.send(&clients[index]);
            assert_eq!(answer.status(), 303, "{}", answer.text());
            let to = answer.location().to_owned();
            let page = clients[index].get(&to).expect(200);
            (to, page)
        })
    }
}

/// Returns the form of this page with this action, with more fields.
fn form(client: &Client, page: &str, action: &str, more: &[(&str, &str)]) -> SentForm {
    let shown = client.get(page).expect(200).page();
    let fields = shown.form(action).fields();
    assert!(
        fields.iter().any(|(name, _)| name == "form_key" || name == "key"),
        "{page}"
    );
    let sent = SentForm {
        action: action.to_owned(),
        fields,
    };
    more.iter().fold(sent, |sent, (name, value)| sent.with(name, value))
}

/// Returns the form of the account's page with this act.
fn act_form(client: &Client, account: &str, act: &str) -> SentForm {
    let shown = client.get(account).expect(200).page();
    let forms = shown.all("form");
    let found = forms
        .iter()
        .map(|form| form.fields())
        .find(|fields| fields.iter().any(|(name, value)| name == "act" && value == act));
    SentForm {
        action: account.to_owned(),
        fields: found.unwrap_or_else(|| panic!("{account} has no form {act}")),
    }
}

fn events(server: &TestServer, code: &str) -> usize {
    server.audit().iter().filter(|row| row.event.as_str() == code).count()
}

/// A server on each database, and two on one Postgres.
fn installations() -> Vec<(&'static str, TestServer, Option<TestServer>)> {
    let two = TestServer::on(Backend::Postgres).start();
    let there = TestServer::beside(&two.database).clock(&two.clock).start();
    vec![
        ("SQLite", TestServer::on(Backend::Sqlite).start(), None),
        ("Postgres", TestServer::on(Backend::Postgres).start(), None),
        ("two servers", two, Some(there)),
    ]
}

/// Returns two copies of a browser, the second at the other server if there is one.
fn copies(client: &Client, there: Option<&TestServer>) -> [Client; 2] {
    let second = client.thief();
    let second = match there {
        Some(there) => second.at(&there.base),
        None => second,
    };
    [client.thief(), second]
}

#[test]
fn a_password_that_is_reset_twice_is_reset_once_and_both_clicks_see_it() {
    for (backend, server, there) in installations() {
        let boss = server.admin("boss");
        let ada = format!("/admin/accounts/{}", server.account("ada", Role::Member).0);
        let sent = form(&boss, &format!("{ada}/confirm?act=reset-password"), &ada, &[]);
        let answers = sent.send_from(&copies(&boss, there.as_ref()));
        let passwords: Vec<String> = answers
            .iter()
            .map(|(to, page)| {
                assert_eq!(*to, ada, "{backend}");
                assert!(page.page().shows("The password was reset."), "{backend}");
                one_time_password(page).unwrap_or_else(|| panic!("{backend}: no password on {}", page.text()))
            })
            .collect();
        assert_eq!(passwords[0], passwords[1], "{backend}");
        assert_eq!(events(&server, "password.reset"), 1, "{backend}");
        server.anyone().sign_in("ada", &passwords[0]).expect(303);
        // Later the message is repeated, but not the secret.
        server.advance(11);
        let late = boss.get(sent.send(&boss).expect(303).location()).expect(200);
        assert!(late.page().shows("The password was reset."), "{backend}");
        assert_eq!(one_time_password(&late), None, "{backend}");
        assert_eq!(events(&server, "password.reset"), 1, "{backend}");
    }
}

#[test]
fn an_account_that_is_created_or_deleted_twice_is_so_once() {
    for (backend, server, there) in installations() {
        let boss = server.admin("boss");
        let new = [("name", "ann"), ("role", "member")];
        let sent = form(&boss, "/admin/accounts/new", "/admin/accounts", &new);
        let answers = sent.send_from(&copies(&boss, there.as_ref()));
        let ann = answers[0].0.clone();
        assert_eq!(answers[1].0, ann, "{backend}");
        let passwords: Vec<_> = answers.iter().map(|(_, page)| one_time_password(page)).collect();
        assert!(
            passwords[0].is_some() && passwords[0] == passwords[1],
            "{backend}: {passwords:?}"
        );
        let sent = act_form(&boss, &ann, "delete").with("confirm_name", "ann");
        for (to, page) in sent.send_from(&copies(&boss, there.as_ref())) {
            assert_eq!(to, "/admin/accounts", "{backend}");
            assert!(page.page().shows("The account was deleted."), "{backend}");
        }
        assert_eq!(events(&server, "account.deleted"), 1, "{backend}");
    }
}

#[test]
fn links_are_sent_once() {
    for (backend, server, there) in installations() {
        let boss = server.admin("boss");
        let ada = server.account("ada", Role::Member);
        let profile = AccountAction::SetProfile {
            display_name: String::new(),
            email: "ada@example.org".to_owned(),
            groups: Vec::new(),
        };
        server.act(ada, profile);
        let page = format!("/admin/accounts/{}", ada.0);
        let told = [
            ("mail-link", "A password reset link was sent"),
            ("enrolment-link", "An enrolment link was sent"),
        ];
        for (act, message) in told {
            for (_, page) in act_form(&boss, &page, act).send_from(&copies(&boss, there.as_ref())) {
                assert!(page.page().shows(message), "{backend}: {:?}", page.page().messages());
            }
        }
        assert_eq!(events(&server, "password.reset_requested"), 1, "{backend}");
        let shown = act_form(&boss, &page, "show-enrolment-link").send_from(&copies(&boss, there.as_ref()));
        let links: Vec<String> = shown
            .iter()
            .map(|(_, page)| {
                page.page()
                    .all("#one-time-link")
                    .first()
                    .map(|link| link.text())
                    .unwrap_or_default()
            })
            .collect();
        assert!(!links[0].is_empty() && links[0] == links[1], "{backend}: {links:?}");
    }
}

#[test]
fn an_application_or_source_that_is_created_or_deleted_twice_is_so_once() {
    for (backend, server, there) in installations() {
        let boss = server.admin("boss");
        let new = [("name", "wiki"), ("hosts", "wiki.example.org")];
        let sent = form(&boss, "/admin/applications?new=1", "/admin/applications", &new);
        for (to, page) in sent.send_from(&copies(&boss, there.as_ref())) {
            assert_eq!(to, "/admin/applications/wiki", "{backend}");
            assert!(page.page().shows("wiki is registered"), "{backend}");
        }
        let sent = act_form(&boss, "/admin/applications/wiki", "delete").with("confirm_name", "wiki");
        for (to, page) in sent.send_from(&copies(&boss, there.as_ref())) {
            assert_eq!(to, "/admin/applications", "{backend}");
            assert!(page.page().shows("wiki was removed."), "{backend}");
        }
        let new = [
            ("name", "corp"),
            ("title", "Corp"),
            ("urls", "ldaps://ldap.example.org"),
            ("base", "dc=example,dc=org"),
        ];
        let sent = form(&boss, "/admin/sources?new=ldap", "/admin/sources", &new);
        for (to, page) in sent.send_from(&copies(&boss, there.as_ref())) {
            assert_eq!(to, "/admin/sources/corp", "{backend}");
            assert!(page.page().shows("The source was created."), "{backend}");
        }
        let sent = act_form(&boss, "/admin/sources/corp", "delete").with("confirm_name", "corp");
        for (to, page) in sent.send_from(&copies(&boss, there.as_ref())) {
            assert_eq!(to, "/admin/sources", "{backend}");
            assert!(page.page().shows("The source was deleted."), "{backend}");
        }
        assert_eq!(
            (events(&server, "source.created"), events(&server, "source.deleted")),
            (1, 1),
            "{backend}"
        );
    }
}

#[test]
fn an_act_on_many_accounts_and_an_end_of_many_sessions_happen_once_on_two_servers() {
    let server = TestServer::on(Backend::Postgres).start();
    let there = TestServer::beside(&server.database).clock(&server.clock).start();
    let boss = server.admin("boss");
    let ids = ["ann", "ben"].map(|name| server.account(name, Role::Member).0.to_string());
    let chosen: Vec<(&str, &str)> = [("what", "selected"), ("act", "disable")]
        .into_iter()
        .chain(ids.iter().map(|id| ("id", id.as_str())))
        .collect();
    let question = boss.post("/admin/accounts/bulk", &chosen).expect(200).page();
    let sent = SentForm {
        action: "/admin/accounts/bulk".to_owned(),
        fields: question.form("/admin/accounts/bulk").fields(),
    };
    for (client, answer) in copies(&boss, Some(&there))
        .iter()
        .map(|client| (client, sent.send(client)))
    {
        let page = client.get(answer.expect(303).location()).expect(200).page();
        assert!(page.shows("2 accounts disabled."), "{:?}", page.messages());
    }
    assert_eq!(events(&server, "account.disabled"), 2);
    server.account("eve", Role::Member);
    for _ in 0..3 {
        server.signed_in("eve");
    }
    let sent = form(&boss, "/admin/sessions/end?q=eve", "/admin/sessions/end", &[]);
    for (_, page) in sent.send_from(&copies(&boss, Some(&there))) {
        assert!(page.page().shows("Ended 3 sessions."), "{:?}", page.page().messages());
    }
    assert_eq!(events(&server, "session.ended"), 3);
}

#[test]
fn a_key_of_another_account_is_nobodys() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let (boss, other) = (server.admin("boss"), server.admin("other"));
        let ada = format!("/admin/accounts/{}", server.account("ada", Role::Member).0);
        let sent = form(&boss, &format!("{ada}/confirm?act=reset-password"), &ada, &[]);
        let shown = |client: &Client| {
            let to = sent.send(client).expect(303).location().to_owned();
            one_time_password(&client.get(&to)).unwrap()
        };
        let (first, second) = (shown(&boss), shown(&other));
        assert_ne!(
            first, second,
            "{backend:?}: the other administrator's form is another act"
        );
        assert_eq!(events(&server, "password.reset"), 2, "{backend:?}");
        // A form without a key acts each time, as programs expect.
        for _ in 0..2 {
            boss.post(&ada, &[("act", "reset-password")]).expect(303);
        }
        assert_eq!(events(&server, "password.reset"), 4, "{backend:?}");
    }
}

#[test]
fn a_form_that_came_to_nothing_leaves_its_key_unused() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let ann = server.account("ann", Role::Member);
        let new = [("name", "ann"), ("role", "member"), ("password", PASSWORD)];
        let sent = form(&boss, "/admin/accounts/new", "/admin/accounts", &new);
        sent.send(&boss).expect(422);
        server.act(ann, AccountAction::Delete);
        // The same form again: nothing of the first sending is remembered.
        sent.send(&boss).expect(303);
        assert_eq!(events(&server, "account.created"), 3, "{backend:?}: boss, ann and ann");
        // The same key with another content is another act.
        sent.with("name", "ben").send(&boss).expect(303);
        assert_eq!(events(&server, "account.created"), 4, "{backend:?}");
    }
}

#[test]
fn the_result_of_a_form_is_forgotten_after_an_hour() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let ada = format!("/admin/accounts/{}", server.account("ada", Role::Member).0);
        let sent = form(&boss, &format!("{ada}/confirm?act=reset-password"), &ada, &[]);
        sent.send(&boss).expect(303);
        server.advance(3_599);
        let boss = server.signed_in("boss");
        sent.send(&boss).expect(303);
        assert_eq!(events(&server, "password.reset"), 1, "{backend:?}");
        server.advance(2);
        // Whether the job has run or not.
        if backend == Backend::Postgres {
            server.run(forget_old_forms(&server.ctx)).unwrap();
        }
        sent.send(&boss).expect(303);
        assert_eq!(events(&server, "password.reset"), 2, "{backend:?}");
    }
}
