//! Error pages: a signed-in user keeps navigation, name and sign-out.

use crate::harness::server::{Backend, TestServer};
use nightlatch::{domain::account::Role, flows::accounts::AccountAction};
use reqwest::Method;

#[test]
fn error_pages_keep_navigation_name_and_sign_out_of_people_who_are_signed_in() {
    let server = TestServer::start();
    let (ada, boss) = (server.member("ada"), server.admin("boss"));
    for (client, name, path, status) in [
        (&ada, "ada", "/nothing/here", 404),
        (&ada, "ada", "/admin", 403),
        (&boss, "boss", "/admin/accounts/nobody", 404),
        (&boss, "boss", "/admin/sessions?limit=x&after=nothing", 400),
    ] {
        let answer = client.get(path);
        if answer.status() == 200 {
            continue;
        }
        let page = answer.expect(status).page();
        assert!(page.shows(name), "{path}: {}", page.text());
        let actions: Vec<String> = page
            .all("form")
            .iter()
            .map(|form| form.attribute("action").to_owned())
            .collect();
        assert!(actions.contains(&"/logout".to_owned()), "{path}: {actions:?}");
        assert!(!page.all("nav").is_empty(), "{path}");
    }
    let tried = boss.send(Method::DELETE, "/admin", None, &[]).expect(405).page();
    assert!(tried.shows("boss") && !tried.all("nav").is_empty());
    let stranger = server.anyone().get("/nothing/here").expect(404).page();
    assert!(stranger.all("nav").is_empty() && stranger.all("form").is_empty());
}

#[test]
fn the_page_of_a_demanded_change_has_the_sign_out_that_it_promises() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let id = server.account("ada", Role::Member);
        let ada = server.signed_in("ada");
        server.act(id, AccountAction::ForceChange);
        let page = ada.get("/password").expect(200).page();
        assert!(page.shows("You can also sign out."), "{backend:?}");
        let lost = ada.get("/nothing/here").expect(404).page();
        assert!(lost.shows("You are signed in as ada."), "{backend:?}: {}", lost.text());
        assert!(lost.all("nav").is_empty(), "{backend:?}");
        ada.submit(&lost.form("/logout"), &[]).expect(303);
        assert_eq!(ada.get("/").expect(303).location(), "/login", "{backend:?}");
    }
}

#[test]
fn another_account_goes_on_where_the_first_one_wanted_to_go() {
    let server = TestServer::start();
    server.account("boss", Role::Administrator);
    let browser = server.member("ada");
    let switch = browser.get("/switch?return_to=%2Fadmin").expect(200).page();
    assert!(switch.shows("You are signed in as ada"));
    let left = browser.submit(&switch.form("/logout"), &[]).expect(303);
    assert_eq!(left.location(), "/login?return_to=%2Fadmin");
    assert!(
        browser
            .get("/switch")
            .expect(200)
            .page()
            .shows("No one is signed in here.")
    );
    let away = browser
        .post("/logout", &[("return_to", "https://evil.example/")])
        .expect(303);
    assert_eq!(away.location(), "/login");
}
