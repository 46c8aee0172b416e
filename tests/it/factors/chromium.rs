//! Passkeys in real Chromium with chromedriver's virtual authenticator.

use crate::{
    guard::chromium::aside,
    harness::{
        authenticator::Authenticator,
        chromium::{Browser, with_browser},
        server::{PASSWORD, TestServer},
    },
};
use nightlatch::domain::account::Role;

fn server() -> (TestServer, String) {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    server.policy(&[("auth.idle_session_timeout", "10m")]);
    let base = server.base.replace("127.0.0.1", "localhost");
    (server, base)
}

async fn sign_in(browser: &Browser) {
    browser.go("/login").await;
    browser.sign_in("ada", PASSWORD).await;
    browser.arrives_at("/").await;
}

/// Sets up a passkey as its owner does, and continues to the list.
async fn enrol(browser: &Browser) {
    browser.go("/factors").await;
    browser.click("form[action='/factors/passkeys/new'] button").await;
    browser.find("#name:focus").await;
    browser.type_into("#name", "test laptop").await;
    browser.click("[data-passkey-start]").await;
    browser.find("[data-recovery-code]").await;
}

#[test]
fn a_passkey_is_set_up_signs_in_with_one_touch_and_is_removed() {
    let (server, base) = server();
    with_browser(&base, async |browser| {
        let device = Authenticator::plug(&browser).await;
        sign_in(&browser).await;
        enrol(&browser).await;
        browser.picture("passkey-recovery-codes").await;
        assert_eq!(browser.title().await, "Your passkey is set up · Nightlatch");
        assert!(!browser.text().await.contains("Your browser asks for your fingerprint"));
        assert_eq!(browser.axe().await, Vec::<String>::new());
        browser.click("[data-continue]").await;
        browser.arrives_at("/factors").await;
        browser.shows("test laptop").await;
        browser.picture("factors").await;
        let stored = device.credentials(&browser).await;
        assert_eq!(stored.len(), 1);
        assert_eq!(stored[0]["isResidentCredential"], true, "it signs in without a name");
        // Signed out, one touch of the button is enough: no name, no password.
        // The device refuses until then, or it would accept the request of the username field first.
        browser.forget_cookies().await;
        device.verifies(&browser, false).await;
        browser.go("/login?return_to=%2Ffactors").await;
        browser.find("[data-passkey-start]").await;
        device.verifies(&browser, true).await;
        browser
            .script("document.querySelector('[data-passkey-start]').click()")
            .await;
        browser.arrives_at("/factors").await;
        browser.click("a[href$='/remove']").await;
        browser.find("form[action$='/remove']").await;
        let asked = browser.text().await;
        assert!(asked.contains("Remove the passkey test laptop?"), "{asked}");
        assert!(
            asked.contains("You will sign in with your password alone; your 10 recovery codes stop working."),
            "{asked}"
        );
        assert_eq!(browser.axe().await, Vec::<String>::new());
        browser.click("form[action$='/remove'] button").await;
        browser.find(".flash").await;
        browser.shows("You have no passkey.").await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
    let events = server.events();
    for expected in ["factor.added", "recovery_codes.made", "factor.proved", "factor.removed"] {
        assert!(events.iter().any(|event| event == expected), "{expected}: {events:?}");
    }
}

#[test]
fn the_username_field_offers_the_passkey_by_itself() {
    let (_server, base) = server();
    with_browser(&base, async |browser| {
        let _device = Authenticator::plug(&browser).await;
        sign_in(&browser).await;
        enrol(&browser).await;
        browser.forget_cookies().await;
        // The virtual authenticator accepts a conditional request as soon as it is made.
        browser.go("/login?return_to=%2Ffactors").await;
        browser.arrives_at("/factors").await;
        browser
    });
}

#[test]
fn a_person_who_is_not_verified_gets_a_sentence_and_can_type_the_password() {
    let (_server, base) = server();
    with_browser(&base, async |browser| {
        let device = Authenticator::plug(&browser).await;
        sign_in(&browser).await;
        enrol(&browser).await;
        browser.forget_cookies().await;
        device.verifies(&browser, false).await;
        browser.go("/login").await;
        browser.find("[data-passkey-start]").await;
        browser
            .script("document.querySelector('[data-passkey-start]').click()")
            .await;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !browser.text().await.contains("No passkey was used.") {
            assert!(std::time::Instant::now() < deadline, "{}", browser.text().await);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        // The second step offers the passkey first; verified again, it opens.
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/login/factor").await;
        browser.picture("login-factor").await;
        assert_eq!(browser.axe().await, Vec::<String>::new());
        device.verifies(&browser, true).await;
        browser.click("[data-passkey-start]").await;
        browser.arrives_at("/").await;
        browser
    });
}

#[test]
fn one_touch_unlocks_the_lock_screen_with_an_unsaved_form_behind_it() {
    let (server, base) = server();
    with_browser(&base, async |browser| {
        let _device = Authenticator::plug(&browser).await;
        sign_in(&browser).await;
        enrol(&browser).await;
        browser.go("/admin/accounts/new").await;
        crate::guard::chromium::answered(&browser, "/nightlatch/session").await;
        browser.type_into("#name", "half typed").await;
        crate::guard::chromium::answered(&browser, "/nightlatch/session/touch").await;
        server.advance(601);
        browser.guard("dialog.cover[open]").await;
        browser.guard("#passkey").await.click().await.unwrap();
        browser.guard_goes().await;
        assert_eq!(
            browser.script("return document.getElementById('name').value").await,
            "half typed"
        );
        assert!(browser.path().await.starts_with("/admin/accounts/new"));
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}

#[test]
fn the_lock_screen_asks_for_a_code_after_the_password() {
    let (server, base) = server();
    let ada = crate::factors::kit::signed_in_at_localhost(&server, "ada");
    let (app, _) = crate::factors::kit::enrol_app(&server, &ada);
    with_browser(&base, async |browser| {
        browser.go("/login").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/login/factor").await;
        browser.type_into("#code", &app.code(&server)).await;
        browser
            .press(&String::from(char::from(fantoccini::key::Key::Enter)))
            .await;
        browser.arrives_at("/").await;
        browser.go("/admin/accounts/new").await;
        crate::guard::chromium::answered(&browser, "/nightlatch/session").await;
        browser.type_into("#name", "half typed").await;
        crate::guard::chromium::answered(&browser, "/nightlatch/session/touch").await;
        server.advance(601);
        browser.guard("#password").await.send_keys(PASSWORD).await.unwrap();
        browser.guard("#enter").await.click().await.unwrap();
        let code = browser.guard("#code").await;
        browser.picture("guard-factor").await;
        code.send_keys(&app.code(&server)).await.unwrap();
        browser.guard("#enter").await.click().await.unwrap();
        browser.guard_goes().await;
        assert_eq!(
            browser.script("return document.getElementById('name').value").await,
            "half typed"
        );
        browser
    });
}

#[test]
fn the_pages_of_the_duty_are_accessible_in_light_dark_and_on_a_phone() {
    let (server, base) = server();
    with_browser(&base, async |browser| {
        sign_in(&browser).await;
        aside(|| server.policy(&[("factor.required", "any")]));
        browser.go("/").await;
        browser.arrives_at("/factor").await;
        for (width, theme) in [(1280, "light"), (1280, "dark"), (390, "light"), (320, "dark")] {
            browser.resize(width, 900).await;
            browser.theme(theme).await;
            assert_eq!(browser.axe().await, Vec::<String>::new(), "{width} {theme}");
            assert!(browser.fits().await, "{width}");
        }
        browser.picture("factor-enrol").await;
        browser.resize(1280, 900).await;
        browser.click("form[action='/factors/totp/start'] button").await;
        browser.find("[data-secret]").await;
        for (width, theme) in [(1280, "light"), (1280, "dark"), (390, "light"), (320, "dark")] {
            browser.resize(width, 900).await;
            browser.theme(theme).await;
            assert_eq!(browser.axe().await, Vec::<String>::new(), "{width} {theme}");
            assert!(browser.fits().await, "{width}");
        }
        browser.picture("factors-app").await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}
