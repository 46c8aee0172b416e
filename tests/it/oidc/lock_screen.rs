//! Signing in again at the provider over a covered page: in a window of its own, by the same
//! person, who proves it to the provider again.

use super::kit::{add_source, arrive, corp, find_account, knows_source, sign_in};
use crate::harness::{
    chromium::{Browser, with_browser},
    client::Client,
    forged_provider::{ForgedProvider, SigningKey, parse_numeric_date},
    gateway::Gateway,
    real_provider::{CLIENT_ID, RealProvider},
    server::{Backend, TestServer, operator},
};
use nightlatch::{
    domain::account::{AccountId, Role},
    flows::{
        accounts::AccountAction,
        applications::{self, ApplicationChange, ApplicationOutcome},
    },
};
use serde_json::{Value as Json, json};

/// Runs blocking work outside of the browser's own loop.
fn aside<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(act).join().unwrap())
}

fn end_sessions(server: &TestServer, account: AccountId) {
    aside(|| server.act(account, AccountAction::EndSessions));
}

/// Fills in the provider's form.
async fn sign_in_there(browser: &Browser, login: &str) {
    browser.type_into("input[name=login]", login).await;
    browser.click("button[type=submit]").await;
}

/// Opens the window of the provider from the lock screen, and turns to it.
async fn open_provider(browser: &Browser, link: &str) {
    browser.guard(link).await.click().await.unwrap();
    browser.tabs(2).await;
    browser.to_tab(1).await;
}

/// Waits until the provider's window has closed itself, and turns to the covered page.
async fn return_to_page(browser: &Browser) {
    browser.tabs(1).await;
    browser.to_tab(0).await;
    browser.guard_goes().await;
}

const LINK: &str = "dialog.cover a.primary";

#[test]
fn the_lock_screen_leads_to_the_provider_and_the_page_stays_as_it_was() {
    let server = TestServer::start();
    let real = corp(&server, &[]);
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/login").await;
        browser.click("a[href='/login/oidc/corp']").await;
        sign_in_there(&browser, "ada").await;
        browser.arrives_at("/").await;
        browser.go("/admin/accounts/new").await;
        browser.type_into("#name", "half").await;
        let ada = find_account(&server, "ada").unwrap().id;
        end_sessions(&server, ada);
        browser.guard_says(LINK, "Sign in at The corp provider").await;
        browser.guard("#username").await;
        assert!(!browser.guard_has("#password").await, "there is no password here");
        for (width, height, theme) in [(1280, 800, "light"), (1280, 800, "dark"), (320, 640, "light")] {
            browser.resize(width, height).await;
            browser.theme(theme).await;
            assert_eq!(browser.axe().await, Vec::<String>::new(), "{theme} {width}");
            assert!(browser.fits().await, "{theme} {width}");
            browser.picture(&format!("gate-provider-{theme}-{width}")).await;
        }
        browser.resize(1280, 800).await;
        // Another person signs in at the provider: the page stays covered, and nobody is signed in.
        open_provider(&browser, LINK).await;
        sign_in_there(&browser, "bob").await;
        browser.find("a[href^='/login/oidc/corp/again?user=ada&']").await;
        let told = browser.text().await;
        assert!(
            told.contains("The corp provider signed in another person than ada."),
            "{told}"
        );
        for theme in ["light", "dark"] {
            browser.theme(theme).await;
            assert_eq!(browser.axe().await, Vec::<String>::new(), "{theme}");
            browser.picture(&format!("provider-refused-{theme}")).await;
        }
        let search = browser.script("return location.search").await;
        let search = search.as_str().unwrap();
        assert!(!search.contains("code=") && !search.contains("state="), "{search}");
        assert_eq!(
            aside(|| server.events()).last().unwrap(),
            "sign_in.refused other_person"
        );
        assert!(find_account(&server, "bob").is_none());
        // The owner does, although the provider has a session of another one.
        browser.click("a.primary").await;
        sign_in_there(&browser, "ada").await;
        return_to_page(&browser).await;
        let typed = browser.script("return document.querySelector('#name').value").await;
        assert_eq!(typed, "half");
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
    drop(real);
}

#[test]
fn an_end_that_cannot_be_postponed_is_answered_at_the_provider_before_it_comes() {
    let server = TestServer::start();
    let real = corp(&server, &[]);
    server.policy(&[("auth.idle_session_timeout", "never"), ("session.ttl", "1m")]);
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/login").await;
        browser.click("a[href='/login/oidc/corp']").await;
        sign_in_there(&browser, "ada").await;
        browser.arrives_at("/").await;
        browser.go("/admin/accounts/new").await;
        browser.type_into("#name", "half").await;
        // The provider's clock is the machine's, and may differ by a minute.
        server.advance(45);
        browser.guard_says("h2", "about to end").await;
        browser.guard("button.primary").await.click().await.unwrap();
        browser.guard_says("h2", "Sign in again").await;
        open_provider(&browser, "dialog a.primary").await;
        sign_in_there(&browser, "ada").await;
        return_to_page(&browser).await;
        let status = "const request = new XMLHttpRequest(); request.open('GET', '/nightlatch/session', false); request.send(); \
                      return JSON.parse(request.responseText)";
        assert_eq!(browser.script(status).await["ends_in"], 60.0);
        let typed = browser.script("return document.querySelector('#name').value").await;
        assert_eq!(typed, "half");
        browser
    });
    drop(real);
}

/// The application's page on another domain.
const PAGE: &str = "<!doctype html><html lang=\"en\"><title>Shop</title><main><h1>Shop</h1>\
                    <label>Note <input id=\"note\"></label></main><script defer src=\"/nightlatch/guard.js\"></script>";

#[test]
fn on_another_domain_the_window_ends_on_the_host_of_the_covered_page() {
    for same_site in ["Lax", "Strict"] {
        let gateway = Gateway::open();
        let port = gateway.port();
        let login = format!("http://login.one.test:{port}");
        let shop = format!("http://shop.two.test:{port}");
        let server = TestServer::on(Backend::Sqlite)
            .env("NIGHTLATCH_PUBLIC_URL", &login)
            .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
            .start();
        let real = RealProvider::start();
        real.register("corp", &[&login]);
        add_source(&server, "corp", &real.issuer, &[]);
        server.policy(&[("session.same_site", same_site)]);
        let change = ApplicationChange {
            hosts: Some(vec!["shop.two.test".to_owned()]),
            ..ApplicationChange::default()
        };
        let acting = operator();
        let made = applications::create(&server.ctx, &acting, "shop", change);
        assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
        gateway.serve(&server.base, PAGE);
        with_browser("", async |browser| {
            let page = format!("{shop}/page?x=1");
            browser.go(&page).await;
            browser.arrives_at(&format!("{login}/login?return_to=")).await;
            browser.click("a[href^='/login/oidc/corp']").await;
            sign_in_there(&browser, "bob").await;
            browser.arrives_at(&page).await;
            browser.type_into("#note", "half a sentence").await;
            let bob = find_account(&server, "bob").unwrap().id;
            end_sessions(&server, bob);
            open_provider(&browser, LINK).await;
            sign_in_there(&browser, "bob").await;
            return_to_page(&browser).await;
            let note = browser.script("return document.querySelector('#note').value").await;
            assert_eq!(note, "half a sentence", "{same_site}");
            browser
        });
    }
}

fn providers(client: &Client) -> Json {
    client.get("/nightlatch/session").expect(200).json()["providers"].clone()
}

#[test]
fn the_state_of_a_session_names_the_provider_of_its_account_and_without_one_all() {
    let server = TestServer::start();
    let real = corp(&server, &[]);
    let offered = json!([{ "title": "The corp provider", "address": "/login/oidc/corp/again" }]);
    assert_eq!(providers(&server.anyone()), offered);
    assert_eq!(providers(&server.member("root")), Json::Null);
    let client = server.anyone();
    sign_in(&client, &real.browser(), "bob").expect(303);
    assert_eq!(providers(&client), offered);
    let closing = server.anyone().get("/nightlatch/signed-in").expect(200);
    assert_eq!(closing.page().heading(), "Signed in");
}

const AGAIN: &str = "/login/oidc/corp/again?user=bob";

/// Signs bob in at a provider that says that he signed in there `age` seconds ago.
fn answer(server: &TestServer, forged: &ForgedProvider, key: &SigningKey, start: &str, age: i64) -> u16 {
    let client = server.anyone();
    let sent = client.get(start).expect(303);
    let there = url::Url::parse(sent.location()).unwrap();
    let found = |name: &str| Some(there.query_pairs().find(|(key, _)| key == name)?.1.into_owned());
    let asked = |name: &str| found(name).unwrap_or_else(|| panic!("no {name} in {there}"));
    let again = (start == AGAIN).then_some(["login", "0", "bob"].map(str::to_owned));
    assert_eq!(
        ["prompt", "max_age", "login_hint"].map(found),
        match again {
            Some(again) => again.map(Some),
            None => [None, None, None],
        }
    );
    let now = parse_numeric_date(server.now());
    let claims = json!({
        "iss": forged.issuer, "sub": "bob", "aud": CLIENT_ID, "exp": now + 300, "iat": now, "nonce": asked("nonce"),
        "auth_time": now - age, "preferred_username": "bob",
    });
    forged.change(|answers| {
        answers.id_token = key.sign(None, &claims);
        answers.userinfo = json!({ "sub": "bob", "preferred_username": "bob", "groups": ["staff"] });
    });
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("code", "x"), ("state", &asked("state")), ("iss", &forged.issuer)])
        .finish();
    arrive(&client, &format!("/login/oidc/corp/callback?{query}")).status()
}

#[test]
fn signing_in_again_needs_a_fresh_proof_at_the_provider_and_an_account_that_exists() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        server.account("root", Role::Administrator);
        let key = SigningKey::new("first");
        let forged = ForgedProvider::start(&key);
        add_source(&server, "corp", &forged.issuer, &[]);
        // Nobody has signed in as bob yet: this way creates no account.
        assert_eq!(answer(&server, &forged, &key, AGAIN, 0), 422, "{backend:?}");
        assert_eq!(server.events().last().unwrap(), "sign_in.refused other_person");
        assert!(find_account(&server, "bob").is_none());
        assert_eq!(
            answer(&server, &forged, &key, "/login/oidc/corp", 3600),
            303,
            "{backend:?}"
        );
        assert!(find_account(&server, "bob").is_some());
        assert_eq!(answer(&server, &forged, &key, AGAIN, 3600), 422, "{backend:?}");
        assert_eq!(server.events().last().unwrap(), "sign_in.refused auth_time");
        assert_eq!(answer(&server, &forged, &key, AGAIN, 0), 303, "{backend:?}");
        let client = server.anyone();
        client.get("/login/oidc/nobody/again?user=bob").expect(404);
        client.get("/login/oidc/corp/again").expect(404);
    }
}

#[test]
fn a_confirmation_closes_its_window_and_the_action_goes_on() {
    let first = TestServer::start();
    let real = corp(&first, &[]);
    with_browser("", async |browser| {
        browser.go(&format!("{}/login", first.base)).await;
        browser.click("a[href='/login/oidc/corp']").await;
        sign_in_there(&browser, "ada").await;
        browser.arrives_at(&format!("{}/", first.base)).await;
        browser.leave().await;
        // As in `confirmation`: the session is made old instead of waiting, and another server reads it.
        let (database, clock) = (first.database.clone(), first.clock.clone());
        let source = first.ctx.live.sources().by_name("corp").unwrap().source.id;
        let server = aside(|| {
            first
                .database
                .sql("UPDATE sessions SET proved_at = '2026-01-01 00:00:00.000000'");
            drop(first);
            let server = TestServer::beside(&database).clock(&clock).start();
            knows_source(&server, source);
            real.register("corp", &[&server.base]);
            server
        });
        browser.go(&format!("{}/admin/accounts/new", server.base)).await;
        browser.type_into("#name", "newcomer").await;
        browser.click("main form button.primary").await;
        browser.click("a[data-confirm-elsewhere]").await;
        browser.tabs(2).await;
        browser.to_tab(1).await;
        sign_in_there(&browser, "ada").await;
        browser.tabs(1).await;
        browser.to_tab(0).await;
        let made = format!("{}/admin/accounts/", server.base);
        browser.arrives_at(&made).await;
        assert!(browser.path().await.len() > made.len(), "{}", browser.path().await);
        assert!(find_account(&server, "newcomer").is_some());
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        aside(|| drop(server));
        browser
    });
}
