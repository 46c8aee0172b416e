//! The guard in real Chromium: warning, staying signed in, covering, signing in again in place. The
//! server's clock stands still until the test moves it.

use crate::harness::{
    chromium::{Browser, with_browser},
    server::{PASSWORD, TestServer},
};
use fantoccini::key::Key;
use nightlatch::{
    domain::{account::Role, policy::Scope},
    flows::accounts::AccountAction,
};

/// Runs blocking work outside of the browser's own loop.
pub fn aside<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(act).join().unwrap())
}

/// Administrators idle for ten minutes at most; ada is one.
fn server() -> TestServer {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    server.policy(&[("auth.idle_session_timeout", "10m")]);
    server
}

async fn enter(browser: &Browser, path: &str) {
    browser.go("/login").await;
    browser.sign_in("ada", PASSWORD).await;
    browser.arrives_at("/").await;
    browser.go(path).await;
    answered(browser, "/nightlatch/session").await;
}

/// Waits until the guard of this page has had an answer from there: only then may the clock move
/// on.
pub async fn answered(browser: &Browser, path: &str) {
    let script = format!(
        "return performance.getEntriesByType('resource').some(entry => entry.name.endsWith('{path}') && entry.responseEnd > 0)"
    );
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while browser.script(&script).await != true {
        assert!(std::time::Instant::now() < deadline, "no answer from {path}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// Types, and waits until the guard's report of it was taken; there is one where sessions end for
/// idleness.
async fn type_into(browser: &Browser, css: &str, text: &str) {
    browser.type_into(css, text).await;
    answered(browser, "/nightlatch/session/touch").await;
}

pub async fn focused(browser: &Browser) -> String {
    let script =
        "let at = document.activeElement; at = at?.shadowRoot?.activeElement ?? at; return at?.id || at?.textContent";
    browser.script(script).await.as_str().unwrap_or_default().to_owned()
}

const STATUS: &str = "const request = new XMLHttpRequest(); request.open('GET', '/nightlatch/session', false); request.send(); \
                      return JSON.parse(request.responseText)";

pub async fn ends_in(browser: &Browser) -> f64 {
    browser.script(STATUS).await["ends_in"].as_f64().unwrap()
}

#[test]
fn the_warning_is_shown_and_one_key_postpones_the_end() {
    let server = server();
    with_browser(&server.base.clone(), async |browser| {
        enter(&browser, "/admin/accounts/new").await;
        type_into(&browser, "#name", "half").await;
        server.advance(490);
        browser.guard_says("h2", "Still there?").await;
        browser
            .guard_says("#said", "You will be signed out in 2 minutes.")
            .await;
        assert_eq!(focused(&browser).await, "Stay signed in");
        assert!(browser.title().await.starts_with("(1:"), "{}", browser.title().await);
        assert!(
            browser.has("html:not([data-nightlatch-covered])").await,
            "the page stays readable"
        );
        // Moving the pointer alone is not an answer.
        browser.move_mouse(40.0, 40.0).await;
        browser.move_mouse(300.0, 200.0).await;
        server.advance(65);
        browser.guard_says("#said", "You will be signed out in 1 minute.").await;
        assert_eq!(ends_in(&browser).await, 45.0);
        browser.keys(&Key::Escape).await;
        browser.guard_goes().await;
        assert_eq!(ends_in(&browser).await, 600.0);
        assert_eq!(focused(&browser).await, "name");
        assert!(
            browser.title().await.starts_with("New account"),
            "{}",
            browser.title().await
        );
        // The button does the same, as often as one likes.
        server.advance(520);
        browser.guard("button.primary").await.click().await.unwrap();
        browser.guard_goes().await;
        assert_eq!(ends_in(&browser).await, 600.0);
        // Or one leaves.
        server.advance(520);
        browser.guard(".actions button:last-child").await.click().await.unwrap();
        browser.arrives_at("/login").await;
        browser
    });
    let signed_out = server.events();
    assert!(signed_out.contains(&"sign_out".to_owned()), "{signed_out:?}");
}

#[test]
fn signed_out_for_idleness_one_signs_in_over_the_page_and_finds_it_as_it_was() {
    let server = server();
    with_browser(&server.base.clone(), async |browser| {
        enter(&browser, "/admin/policy").await;
        type_into(&browser, "[name='session.ttl']", "3 weeks").await;
        browser.script("scrollTo(0, 700)").await;
        let scrolled = browser.script("return scrollY").await;
        let title = browser.title().await;
        server.advance(601);
        browser
            .guard_says("dialog.cover h2", "You were signed out after 10 minutes of inactivity.")
            .await;
        assert_eq!(
            browser
                .script("return getComputedStyle(document.body).userSelect")
                .await,
            "none"
        );
        let name = browser.guard("#username").await;
        assert_eq!(name.prop("value").await.unwrap().as_deref(), Some("ada"));
        assert_eq!(name.attr("readonly").await.unwrap().as_deref(), Some("true"));
        assert_eq!(focused(&browser).await, "password");
        assert!(browser.title().await.starts_with("Signed out"));
        // Nothing closes it: neither Esc, twice, nor a script of the page.
        browser.keys(&Key::Escape).await;
        browser.keys(&Key::Escape).await;
        let host = "document.querySelector('nightlatch-guard').shadowRoot.querySelector('dialog')";
        browser.script(&format!("{host}.close()")).await;
        browser.guard("dialog[open]").await;
        let behind = browser.script(
            "document.querySelector(\"[name='session.ttl']\").focus(); return document.activeElement.localName",
        );
        assert_eq!(behind.await, "nightlatch-guard", "the page behind takes no focus");
        browser.guard("#password").await.click().await.unwrap();
        // Not even the page's own shortcut takes a key of it.
        browser.keys("wr/ong").await;
        let typed = browser.guard("#password").await.prop("value").await.unwrap();
        assert_eq!(typed.as_deref(), Some("wr/ong"));
        browser.keys(&Key::Enter).await;
        browser.guard_says("#error", "Username or password is wrong.").await;
        assert_eq!(focused(&browser).await, "password");
        browser.keys(PASSWORD).await;
        browser.keys(&Key::Enter).await;
        browser.guard_goes().await;
        assert_eq!(focused(&browser).await, "session-ttl-input", "the focus is back");
        let typed = "return document.querySelector(\"[name='session.ttl']\").value";
        assert_eq!(browser.script(typed).await, "3 weeks");
        assert_eq!(browser.script("return scrollY").await, scrolled);
        assert_eq!(browser.title().await, title);
        assert_eq!(
            browser
                .script("return getComputedStyle(document.body).userSelect")
                .await,
            "auto"
        );
        // And what was typed can be sent.
        browser.click(".savebar button.primary").await;
        browser.arrives_at("/admin/policy/review").await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}

#[test]
fn the_lock_screen_shows_a_lockout_with_its_wait() {
    let server = server();
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_failure_limit", "2"),
    ]);
    with_browser(&server.base.clone(), async |browser| {
        enter(&browser, "/admin").await;
        server.advance(601);
        browser.guard("#password").await;
        for words in [
            "Username or password is wrong.",
            "Too many attempts. Try again in 15 minutes.",
        ] {
            browser.keys("wrong").await;
            browser.keys(&Key::Enter).await;
            browser.guard_says("#error", words).await;
        }
        browser.guard_says("#wait", " left").await;
        browser.picture("gate-locked").await;
        server.advance(901);
        browser.keys(PASSWORD).await;
        browser.keys(&Key::Enter).await;
        browser.guard_goes().await;
        assert!(browser.path().await.starts_with("/admin"));
        browser
    });
}

#[test]
fn all_tabs_agree() {
    let server = server();
    with_browser(&server.base.clone(), async |browser| {
        enter(&browser, "/admin").await;
        browser.new_tab("/admin/sessions").await;
        server.advance(490);
        browser.guard_says("h2", "Still there?").await;
        browser.to_tab(0).await;
        browser.guard_says("h2", "Still there?").await;
        browser.keys(&Key::Enter).await;
        browser.guard_goes().await;
        browser.to_tab(1).await;
        browser.guard_goes().await;
        server.advance(601);
        browser.guard("dialog.cover #password").await;
        browser.to_tab(0).await;
        browser.guard("dialog.cover #password").await.click().await.unwrap();
        browser.keys(PASSWORD).await;
        browser.keys(&Key::Enter).await;
        browser.guard_goes().await;
        browser.to_tab(1).await;
        browser.guard_goes().await;
        assert!(
            browser.path().await.starts_with("/admin/sessions"),
            "nothing was reloaded elsewhere"
        );
        browser
    });
}

#[test]
fn an_end_by_an_administrator_shows_at_once_and_another_user_is_led_home() {
    let server = server();
    let bob = server.account("bob", Role::Member);
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/login").await;
        browser.sign_in("bob", PASSWORD).await;
        browser.arrives_at("/").await;
        browser.go("/password").await;
        aside(|| server.act(bob, AccountAction::EndSessions));
        browser
            .guard_says("dialog.cover h2", "An administrator or another of your sessions")
            .await;
        // Another user signs in in another tab: this page does not belong to them.
        browser.new_tab("/login").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/").await;
        browser.to_tab(0).await;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while browser.path().await != "/" {
            assert!(
                std::time::Instant::now() < deadline,
                "still at {}",
                browser.path().await
            );
        }
        browser.shows("ada").await;
        browser.guard_goes().await;
        // The exit from the lock screen, for signing in as another user.
        browser.forget_cookies().await;
        // No event announces it: the page asks when it becomes visible.
        browser.script("dispatchEvent(new Event('focus'))").await;
        browser
            .guard("dialog.cover a[href='/login']")
            .await
            .click()
            .await
            .unwrap();
        browser.arrives_at("/login").await;
        browser
    });
}

#[test]
fn a_password_that_must_change_is_changed_in_another_tab_and_the_page_goes_on() {
    let server = server();
    let bob = server.account("bob", Role::Member);
    with_browser(&server.base.clone(), async |browser| {
        browser.go("/login").await;
        browser.sign_in("bob", PASSWORD).await;
        browser.arrives_at("/").await;
        browser.go("/password").await;
        browser.type_into("[name=new_password]", "typed already").await;
        aside(|| server.act(bob, AccountAction::ForceChange));
        browser
            .guard_says("dialog.cover h2", "Choose a new password first")
            .await;
        browser.picture("gate-password").await;
        browser.guard("a[href='/password']").await.click().await.unwrap();
        browser.to_tab(1).await;
        browser.type_into("[name=current_password]", PASSWORD).await;
        browser.type_into("[name=new_password]", "three quiet lanterns").await;
        browser
            .type_into("[name=new_password_again]", "three quiet lanterns")
            .await;
        browser.click("form[action='/password'] button.primary").await;
        browser.arrives_at("/").await;
        browser.to_tab(0).await;
        browser.guard_goes().await;
        let typed = browser.script("return document.querySelector('[name=new_password]').value");
        assert_eq!(typed.await, "typed already");
        browser
    });
}

#[test]
fn after_sleep_the_page_is_covered_before_anybody_is_asked() {
    let server = server();
    with_browser(&server.base.clone(), async |browser| {
        enter(&browser, "/admin").await;
        // The first answer has arrived once the guard reports a key.
        browser.keys("x").await;
        let slept = "const now = Date.now; Date.now = () => now() + 3600000; \
                     for (let i = 0; i < 40; i++) dispatchEvent(new Event('focus')); \
                     const covered = document.querySelector('nightlatch-guard')?.shadowRoot.querySelector('dialog.cover[open]') != null; \
                     Date.now = now; return covered";
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while browser.script(slept).await != true {
            assert!(std::time::Instant::now() < deadline, "never covered");
        }
        // The server reports a live session.
        browser.guard_goes().await;
        assert!(browser.has("html:not([data-nightlatch-covered])").await);
        browser
    });
}

#[test]
fn a_page_whose_server_is_gone_warns_of_the_known_end_before_it_is_covered() {
    let mut server = server();
    with_browser(&server.base.clone(), async |browser| {
        enter(&browser, "/admin/accounts/new").await;
        type_into(&browser, "#name", "half").await;
        aside(|| server.shut_down());
        let pass = async |seconds: u32| {
            let script = format!("const now = Date.now; Date.now = () => now() + {seconds}000");
            browser.script(&script).await;
        };
        pass(490).await;
        browser
            .guard_says("#text", "The server cannot be reached. You will be signed out at ")
            .await;
        browser.guard_says("#text", "unless the connection returns.").await;
        browser
            .guard_says("#said", "You will be signed out in 2 minutes.")
            .await;
        assert!(browser.has("html:not([data-nightlatch-covered])").await);
        // Staying needs the server.
        browser.guard("button.primary").await.click().await.unwrap();
        browser.guard_says("#error", "The server cannot be reached.").await;
        pass(120).await;
        browser.guard("dialog.cover").await;
        browser
    });
}

#[test]
fn a_request_of_the_page_that_is_refused_raises_the_gate_and_is_not_sent_again() {
    let server = server();
    with_browser(&server.base.clone(), async |browser| {
        enter(&browser, "/admin").await;
        server.advance(601);
        browser
            .script("window.asked = 0; fetch('/nightlatch/session/touch', {method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'}).then((answer) => { window.asked = answer.status })")
            .await;
        browser.guard("#password").await;
        browser.keys(PASSWORD).await;
        browser.keys(&Key::Enter).await;
        browser.guard_goes().await;
        assert_eq!(browser.script("return window.asked").await, 401);
        browser
    });
}

#[test]
fn an_open_window_lives_on_its_heartbeat_and_an_open_page_alone_keeps_nothing_alive() {
    let server = server();
    server.policy(&[("auth.idle_session_timeout", "0"), ("session.window_close_grace", "2")]);
    with_browser(&server.base.clone(), async |browser| {
        enter(&browser, "/admin").await;
        // A heartbeat a second: moved on by less than the grace each time, the session outlives it
        // many times.
        for _ in 0..3 {
            server.advance(1);
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
            while ends_in(&browser).await < 2.0 {
                assert!(std::time::Instant::now() < deadline, "no heartbeat");
            }
        }
        aside(|| server.policy(&[("auth.idle_session_timeout", "10m")]));
        server.advance(590);
        browser.guard_says("h2", "Still there?").await;
        server.advance(11);
        browser.guard("dialog.cover #password").await;
        browser
    });
}

#[test]
fn an_unavoidable_end_is_announced_and_a_new_session_follows_without_a_break() {
    let server = server();
    server.policy_in(
        &Scope::Everyone,
        &[("auth.idle_session_timeout", "never"), ("session.ttl", "1h")],
    );
    with_browser(&server.base.clone(), async |browser| {
        enter(&browser, "/admin/accounts/new").await;
        browser.type_into("#name", "half").await;
        server.advance(3490);
        browser.guard_says("h2", "about to end").await;
        assert_eq!(focused(&browser).await, "Sign in again now");
        browser.picture("warning-lasting").await;
        browser.keys(&Key::Enter).await;
        browser.guard_says("h2", "Sign in again").await;
        assert_eq!(focused(&browser).await, "password");
        browser.picture("warning-again").await;
        browser.keys(PASSWORD).await;
        browser.keys(&Key::Enter).await;
        browser.guard_goes().await;
        assert_eq!(ends_in(&browser).await, 3600.0);
        let typed = browser.script("return document.querySelector('#name').value").await;
        assert_eq!((typed, focused(&browser).await.as_str()), ("half".into(), "name"));
        server.advance(3490);
        browser.guard_says("h2", "about to end").await;
        browser.keys(&Key::Escape).await;
        browser.guard_goes().await;
        assert_eq!(ends_in(&browser).await, 110.0, "waved away, not put off");
        assert!(browser.title().await.starts_with("(1:"), "the title goes on counting");
        browser
    });
}

#[test]
fn warning_and_gate_have_no_accessibility_fault_and_fit_light_dark_and_on_a_phone() {
    let server = server();
    with_browser(&server.base.clone(), async |browser| {
        enter(&browser, "/admin/sessions").await;
        let mut found = Vec::new();
        for (name, secs, shown) in [("warning", 490, "button.primary"), ("gate", 200, "#password")] {
            server.advance(secs);
            browser.guard(shown).await;
            for (width, height, theme) in [
                (1280, 800, "light"),
                (1280, 800, "dark"),
                (390, 844, "light"),
                (320, 480, "dark"),
            ] {
                browser.resize(width, height).await;
                browser.theme(theme).await;
                found.extend(
                    browser
                        .axe()
                        .await
                        .iter()
                        .map(|fault| format!("{name} {theme} {width}: {fault}")),
                );
                assert!(browser.fits().await, "{name} {width}");
                browser.picture(&format!("{name}-{theme}-{width}")).await;
            }
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}
