//! A form that is sent twice: the action happens once, and both responses show the result.

use crate::harness::{
    client::{Answer, Client},
    server::{Backend, TestServer, eventually},
};
use nightlatch::domain::account::Role;

const IMPORT: &str = "/admin/accounts/import";

/// Sends the form twice at the same moment. A client that is redirected to the progress page waits
/// for the result there.
fn send_twice(client: &Client, action: &str, fields: &[(String, String)]) -> Vec<Answer> {
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    std::thread::scope(|scope| {
        let clicks: Vec<_> = (0..2)
            .map(|_| {
                let (client, fields) = (client.thief(), &fields);
                scope.spawn(move || client.post(action, fields))
            })
            .collect();
        clicks.into_iter().map(|click| click.join().unwrap()).collect()
    })
}

fn events(server: &TestServer, code: &str) -> usize {
    server.audit().iter().filter(|row| row.event.as_str() == code).count()
}

/// Returns the usernames and one-time passwords that a page shows.
fn passwords(answer: &Answer) -> Vec<String> {
    let page = answer.page();
    let cells = page.all("#passwords td");
    cells.iter().map(|cell| cell.text()).collect()
}

#[test]
fn an_import_that_is_sent_twice_happens_once_and_its_passwords_are_fetched_once() {
    let server = TestServer::start();
    let (boss, other) = (server.admin("boss"), server.admin("other"));
    let shown = boss
        .upload(IMPORT, &[], Some(("accounts.csv", b"name\nann\nben\ncid\n")))
        .expect(200);
    let page = shown.page();
    let form = page.form("/admin/accounts/import/apply");
    let (mut fields, key) = (form.fields(), form.field("key"));
    fields.push(("lines".to_owned(), "all".to_owned()));
    let address = format!("/admin/accounts/acts/{key}");
    let before = events(&server, "account.created");
    let answers = send_twice(&boss, "/admin/accounts/import/apply", &fields);
    for answer in &answers {
        let result = match answer.status() {
            200 => passwords(answer),
            303 => {
                assert_eq!(answer.location(), address);
                continue;
            }
            status => panic!("{status}: {}", answer.text()),
        };
        assert_eq!(result.len(), 3, "{}", answer.text());
    }
    eventually("it is done", || {
        boss.get(&address).page().heading() == "Accounts imported"
    });
    assert_eq!(events(&server, "account.created") - before, 3, "once");
    // The page was left and opened again: the importing administrator fetches the passwords once.
    let result = boss.get(&address).expect(200);
    assert!(passwords(&result).is_empty());
    other.get(&address).expect(404);
    other.post(&format!("{address}/passwords"), &[]).expect(404);
    let page = result.page();
    let fetched = boss
        .submit(&page.form(&format!("{address}/passwords")), &[])
        .expect(200);
    assert_eq!(passwords(&fetched).len(), 3);
    assert_eq!(fetched.header("cache-control"), Some("no-store"));
    // The second click of two replaces the page of the first, so it shows them too; a later one no
    // more.
    let second = boss.post(&format!("{address}/passwords"), &[]).expect(200);
    assert_eq!(passwords(&second), passwords(&fetched));
    server.advance(11);
    let later = boss.post(&format!("{address}/passwords"), &[]).expect(200);
    assert!(passwords(&later).is_empty());
    let password = &passwords(&fetched)[0];
    let signed_in = server.anyone().sign_in("ann", password).expect(303);
    assert_eq!(signed_in.location(), "/password");
}

/// The form that imports three accounts, and the address of its result.
fn import_form(boss: &Client) -> (Vec<(String, String)>, String) {
    let shown = boss
        .upload(IMPORT, &[], Some(("accounts.csv", b"name\nann\nben\ncid\n")))
        .expect(200);
    let page = shown.page();
    let form = page.form("/admin/accounts/import/apply");
    let (mut fields, key) = (form.fields(), form.field("key"));
    fields.push(("lines".to_owned(), "all".to_owned()));
    (fields, format!("/admin/accounts/acts/{key}"))
}

#[test]
fn an_import_that_is_sent_to_two_servers_happens_once_and_both_clicks_see_it() {
    let server = TestServer::on(Backend::Postgres).start();
    let there = TestServer::beside(&server.database).clock(&server.clock).start();
    let boss = server.admin("boss");
    let (fields, address) = import_form(&boss);
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let before = events(&server, "account.created");
    let clicks = [boss.thief(), boss.thief().at(&there.base)];
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let fields = &fields;
        let sent = clicks.map(|client| scope.spawn(move || client.post("/admin/accounts/import/apply", fields)));
        sent.into_iter().map(|click| click.join().unwrap()).collect()
    });
    for answer in &answers {
        match answer.status() {
            200 => assert_eq!(passwords(answer).len(), 3, "{}", answer.text()),
            303 => assert_eq!(answer.location(), address),
            status => panic!("{status}: {}", answer.text()),
        }
    }
    for base in [&server.base, &there.base] {
        let client = boss.thief().at(base);
        eventually("it is done", || {
            client.get(&address).page().heading() == "Accounts imported"
        });
    }
    assert_eq!(events(&server, "account.created") - before, 3, "once");
    // Fetched at one server, the passwords are gone at the other.
    let at_there = boss.thief().at(&there.base);
    let fetched = at_there.post(&format!("{address}/passwords"), &[]).expect(200);
    assert_eq!(passwords(&fetched).len(), 3);
    server.advance(11);
    let later = boss.post(&format!("{address}/passwords"), &[]).expect(200);
    assert!(passwords(&later).is_empty());
}

#[test]
fn the_result_of_an_import_outlives_the_server_that_performed_it() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let boss = server.admin("boss");
        let (fields, address) = import_form(&boss);
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let sent = boss.post("/admin/accounts/import/apply", &fields);
        assert!([200, 303].contains(&sent.status()), "{backend:?}: {}", sent.text());
        eventually("it is done", || {
            boss.get(&address).page().heading() == "Accounts imported"
        });
        let (database, clock) = (server.database.clone(), server.clock.clone());
        server.stop();
        let again = TestServer::beside(&database).clock(&clock).start();
        let boss = boss.at(&again.base);
        // A second click, later and elsewhere, gets the result and not a complaint.
        let second = boss.post("/admin/accounts/import/apply", &fields);
        assert!([200, 303].contains(&second.status()), "{backend:?}: {}", second.text());
        let result = boss.get(&address).expect(200);
        assert_eq!(result.page().heading(), "Accounts imported", "{backend:?}");
        let fetched = boss.post(&format!("{address}/passwords"), &[]).expect(200);
        let shown = passwords(&fetched);
        assert_eq!(shown.len(), 3, "{backend:?}");
        again.anyone().sign_in("ann", &shown[0]).expect(303);
        assert_eq!(
            events(&again, "account.created"),
            4,
            "{backend:?}: boss and three others"
        );
    }
}

#[test]
fn the_result_of_an_import_is_forgotten_after_an_hour() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let shown = boss
        .upload(IMPORT, &[], Some(("accounts.csv", b"name\nann\n")))
        .expect(200);
    let page = shown.page();
    let form = page.form("/admin/accounts/import/apply");
    let key = form.field("key");
    let sent = boss.submit(&form, &[("lines", "all")]);
    assert!([200, 303].contains(&sent.status()), "{}", sent.text());
    let address = format!("/admin/accounts/acts/{key}");
    eventually("it is done", || {
        boss.get(&address).page().heading() == "Accounts imported"
    });
    server.advance(3_601);
    boss.get(&address).expect(404);
}

#[test]
fn an_act_on_many_accounts_that_is_sent_twice_happens_once() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    let ids: Vec<String> = ["ann", "ben"]
        .iter()
        .map(|name| server.account(name, Role::Member).0.to_string())
        .collect();
    let chosen: Vec<(&str, &str)> = [("what", "selected"), ("act", "disable")]
        .into_iter()
        .chain(ids.iter().map(|id| ("id", id.as_str())))
        .collect();
    let question = boss.post("/admin/accounts/bulk", &chosen).expect(200).page();
    let fields = question.form("/admin/accounts/bulk").fields();
    for answer in send_twice(&boss, "/admin/accounts/bulk", &fields) {
        assert_eq!(answer.expect(303).location(), "/admin/accounts");
    }
    assert_eq!(events(&server, "account.disabled"), 2);
    // A third click, later, gets the same answer.
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    boss.post("/admin/accounts/bulk", &fields).expect(303);
    let list = boss.get("/admin/accounts").expect(200).page();
    assert!(list.shows("2 accounts disabled."), "{:?}", list.messages());
}

#[test]
fn ending_all_that_match_twice_says_the_same_twice() {
    let server = TestServer::start();
    let boss = server.admin("boss");
    server.account("ada", Role::Member);
    for _ in 0..3 {
        server.signed_in("ada");
    }
    let question = boss.get("/admin/sessions/end?q=ada").expect(200).page();
    let fields = question.form("/admin/sessions/end").fields();
    for answer in send_twice(&boss, "/admin/sessions/end", &fields) {
        answer.expect(303);
    }
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    boss.post("/admin/sessions/end", &fields).expect(303);
    let list = boss.get("/admin/sessions").expect(200).page();
    assert!(list.shows("Ended 3 sessions."), "{:?}", list.messages());
    assert_eq!(events(&server, "session.ended"), 3);
}
