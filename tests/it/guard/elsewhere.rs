//! The way to an application on another domain in real Chromium, and the guard on that
//! application's own page.

use crate::harness::{
    chromium::{Browser, with_browser},
    gateway::Gateway,
    server::{Backend, PASSWORD, TestServer, operator},
};
use fantoccini::key::Key;
use nightlatch::{
    domain::account::{AccountId, Role},
    flows::{
        accounts::AccountAction,
        applications::{self, ApplicationChange, ApplicationOutcome},
    },
};

/// The application's page: it has a strict content security policy, and a field.
const PAGE: &str = "<!doctype html><html lang=\"en\"><title>Shop</title><main><h1>Shop</h1>\
                    <label>Note <input id=\"note\"></label></main><script defer src=\"/nightlatch/guard.js\"></script>";

struct Town {
    server: TestServer,
    login: String,
    shop: String,
    ada: AccountId,
}

fn town() -> Town {
    let gateway = Gateway::open();
    let port = gateway.port();
    let (login, shop) = (
        format!("http://login.one.test:{port}"),
        format!("http://shop.two.test:{port}"),
    );
    let server = TestServer::on(Backend::Sqlite)
        .env("NIGHTLATCH_PUBLIC_URL", &login)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
        .start();
    let change = ApplicationChange {
        hosts: Some(vec!["shop.two.test".to_owned()]),
        groups: Some(vec!["staff".to_owned()]),
        ..ApplicationChange::default()
    };
    let operator = operator();
    let made = applications::create(&server.ctx, &operator, "shop", change);
    assert_eq!(server.run(made).unwrap(), ApplicationOutcome::Done);
    let ada = server.account("ada", Role::Member);
    server.act(ada, groups(&["staff"]));
    gateway.serve(&server.base, PAGE);
    Town {
        server,
        login,
        shop,
        ada,
    }
}

fn groups(groups: &[&str]) -> AccountAction {
    AccountAction::SetProfile {
        display_name: String::new(),
        email: String::new(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    }
}

/// Runs blocking work outside of the browser's own loop.
fn aside<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(act).join().unwrap())
}

/// To the application's page by way of the sign-in.
async fn enter(browser: &Browser, town: &Town) {
    let page = format!("{}/page?x=1", town.shop);
    browser.go(&page).await;
    browser.arrives_at(&format!("{}/login?return_to=", town.login)).await;
    browser.sign_in("ada", PASSWORD).await;
    browser.arrives_at(&page).await;
    browser.shows("Shop").await;
}

#[test]
fn a_sign_in_leads_over_to_the_other_domain_whatever_the_cookie_may_do() {
    for same_site in ["Lax", "Strict"] {
        let town = town();
        town.server.policy(&[("session.same_site", same_site)]);
        with_browser("", async |browser| {
            enter(&browser, &town).await;
            // Once there one stays there.
            browser.go(&format!("{}/other", town.shop)).await;
            assert_eq!(browser.path().await, format!("{}/other", town.shop), "{same_site}");
            // Signed in on our host, without a cookie there: it ends immediately.
            browser.forget_cookies().await;
            browser
                .go(&format!("{}/login?return_to={}/again", town.login, town.shop))
                .await;
            browser.arrives_at(&format!("{}/again", town.shop)).await;
            browser
        });
    }
}

#[test]
fn the_guard_works_on_the_applications_own_page() {
    let town = town();
    town.server.policy(&[("auth.idle_session_timeout", "10m")]);
    with_browser("", async |browser| {
        enter(&browser, &town).await;
        let asked =
            "return performance.getEntriesByType('resource').some(entry => entry.name.endsWith('/nightlatch/session'))";
        while browser.script(asked).await != true {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        browser.type_into("#note", "half a sentence").await;
        let touched = "return performance.getEntriesByType('resource').some(entry => entry.name.endsWith('/touch') && entry.responseEnd > 0)";
        while browser.script(touched).await != true {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        town.server.advance(490);
        browser.guard_says("h2", "Still there?").await;
        browser.keys(&Key::Escape).await;
        browser.guard_goes().await;
        town.server.advance(601);
        browser.guard_says("dialog.cover h2", "inactivity").await;
        let out = browser
            .guard("dialog.cover a")
            .await
            .attr("href")
            .await
            .unwrap()
            .unwrap();
        assert!(
            out.starts_with(&format!("{}/login?return_to=http%3A%2F%2Fshop.two.test", town.login)),
            "{out}"
        );
        browser.guard("#password").await.click().await.unwrap();
        browser.keys(PASSWORD).await;
        browser.keys(&Key::Enter).await;
        browser.guard_goes().await;
        let note = browser.script("return document.querySelector('#note').value").await;
        assert_eq!(note, "half a sentence");
        // Shut out while the page is open.
        aside(|| town.server.act(town.ada, groups(&[])));
        browser
            .guard_says("dialog.cover h2", "You don’t have access to this application")
            .await;
        aside(|| town.server.act(town.ada, groups(&["staff"])));
        browser.guard_goes().await;
        // Signed out there, and in again by the way of the sign-in, back to the page.
        aside(|| town.server.act(town.ada, AccountAction::EndSessions));
        browser.guard("dialog.cover a").await.click().await.unwrap();
        browser.arrives_at(&format!("{}/login?return_to=", town.login)).await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at(&format!("{}/page?x=1", town.shop)).await;
        browser
    });
}

#[test]
fn the_page_of_a_closed_way_in_is_accessible_and_begins_anew() {
    let town = town();
    with_browser("", async |browser| {
        browser.go(&format!("{}/nightlatch/handover?code=x", town.shop)).await;
        for theme in ["light", "dark"] {
            browser.theme(theme).await;
            assert_eq!(browser.axe().await, Vec::<String>::new(), "{theme}");
        }
        browser.resize(360, 740).await;
        assert!(browser.fits().await);
        browser.picture("handover-closed").await;
        browser.click("a.btn").await;
        browser.arrives_at(&format!("{}/login?return_to=", town.login)).await;
        browser
    });
}
