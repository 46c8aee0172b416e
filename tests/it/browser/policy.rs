//! The policy editor by keyboard and with script: search, modes and their settings, unsaved
//! changes, and a save bar that covers nothing.

use crate::harness::{
    chromium::{Browser, with_browser},
    server::{PASSWORD, TestServer},
};
use nightlatch::{
    domain::{
        account::Role,
        policy::{Key, Scope},
    },
    flows::policy,
};

async fn editor(browser: &Browser) {
    browser.go("/login?return_to=%2Fadmin%2Fpolicy").await;
    browser.sign_in("ada", PASSWORD).await;
    browser.arrives_at("/admin/policy").await;
    unfold(browser).await;
}

/// Opens every group of settings.
async fn unfold(browser: &Browser) {
    browser
        .script("for (const group of document.querySelectorAll('details[data-group]')) group.open = true")
        .await;
}

async fn unsaved(browser: &Browser) -> serde_json::Value {
    browser
        .script("return document.querySelector('[data-dirty-count]').textContent")
        .await
}

/// Returns whether the browser would ask before leaving.
async fn asks_before_leaving(browser: &Browser) -> bool {
    browser
        .script("const leaving = new Event('beforeunload', { cancelable: true }); return !dispatchEvent(leaving)")
        .await
        == true
}

const COVERED: &str = "
    const focused = document.activeElement;
    if (focused === document.body) return 'end';
    const of = (selector) => [...document.querySelectorAll(selector)].filter((bar) => !bar.contains(focused));
    const box = focused.getBoundingClientRect();
    const bars = [...of('.savebar'), ...of('.policy-tools').filter((bar) => getComputedStyle(bar).position === 'sticky')];
    // A scrolling region may be taller than the space between the bars, so part of it must be
    // visible; a control must be fully visible.
    const region = focused.classList.contains('tablewrap');
    const under = bars.some((bar) => {
      const on = bar.getBoundingClientRect();
      if (region) return box.top >= on.top && box.bottom <= on.bottom;
      return box.bottom > on.top + 1 && box.top < on.bottom - 1 && box.right > on.left && box.left < on.right;
    });
    const outside = region ? box.top > innerHeight || box.bottom < 0 : box.bottom > innerHeight + 1 || box.top < -1;
    const known = focused.name || focused.href || focused.textContent;
    return (under ? 'covered: ' : outside ? 'outside: ' : 'seen: ') + known;
";

#[test]
fn no_control_is_ever_focused_under_a_bar() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    server.policy(&[("auth.idle_session_timeout", "15m")]);
    with_browser(&server.base.clone(), async |browser| {
        editor(&browser).await;
        for (width, height) in [(1280, 800), (960, 600), (390, 844)] {
            browser.resize(width, height).await;
            browser.go("/admin/policy").await;
            unfold(&browser).await;
            let mut seen = Vec::new();
            loop {
                browser.tab().await;
                let place = browser.script(COVERED).await.as_str().unwrap().to_owned();
                assert!(place == "end" || place.starts_with("seen"), "{width}×{height}: {place}");
                if place == "end" || seen.len() > 400 {
                    break;
                }
                seen.push(place);
            }
            for key in Key::ALL {
                assert!(
                    seen.contains(&format!("seen: {key}")),
                    "{width}×{height}: {key} is reached by Tab"
                );
            }
        }
        browser
    });
}

#[test]
fn a_mode_shows_at_once_what_it_derives_and_only_what_was_touched_is_saved_beside_it() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    with_browser(&server.base.clone(), async |browser| {
        editor(&browser).await;
        let value = async |key: Key| {
            let script = format!("return document.querySelector(\"[name='{key}']:not([type=hidden])\").value");
            browser.script(&script).await
        };
        let choose = async |key: Key, word: &str| {
            browser
                .click(&format!("select[name='{key}'] option[value='{word}']"))
                .await;
        };
        assert_eq!(value(Key::SessionSessionIpSubnetBits).await, "24");
        choose(Key::SessionSessionValidationMode, "strict").await;
        assert_eq!(value(Key::SessionSessionIpSubnetBits).await, "32");
        assert_eq!(value(Key::SessionSessionUserAgentMatch).await, "exact");
        assert_eq!(value(Key::SessionSessionAllowIpChanges).await, "0");
        assert_eq!(
            unsaved(&browser).await,
            "1 unsaved change",
            "what follows is no change of its own"
        );
        assert!(!browser.has("[data-custom]:not([hidden])").await);
        choose(Key::SessionSessionIpSubnetBits, "16").await;
        assert_eq!(unsaved(&browser).await, "2 unsaved changes");
        browser.shows("Custom, from strict").await;
        browser.picture("policy-custom").await;
        choose(Key::SessionSessionValidationMode, "permissive").await;
        assert_eq!(
            value(Key::SessionSessionIpSubnetBits).await,
            "16",
            "a touched knob stays"
        );
        choose(Key::SessionSessionValidationMode, "strict").await;
        browser.click(".savebar button.primary").await;
        browser.arrives_at("/admin/policy/review").await;
        browser.click("#save button.primary").await;
        browser.arrives_at("/admin/policy?").await;
        let document = policy::in_force(&server.ctx).await.unwrap().revision.document;
        let set: Vec<&Key> = document.scope(&Scope::Everyone).unwrap().keys().collect();
        assert_eq!(
            set,
            [&Key::SessionSessionValidationMode, &Key::SessionSessionIpSubnetBits]
        );
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}

#[test]
fn the_search_is_live_its_shortcut_can_be_switched_off_and_leaving_asks_only_when_dirty() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    with_browser(&server.base.clone(), async |browser| {
        editor(&browser).await;
        let rows = "return document.querySelectorAll('[data-setting]:not([hidden])').length";
        let focused = "return document.activeElement.id";
        assert!(!asks_before_leaving(&browser).await);
        browser.press("/").await;
        assert_eq!(browser.script(focused).await, "find");
        browser.press("samesite").await;
        assert_eq!(browser.script(rows).await, 2);
        browser.find("[data-policy-find] [role=status]").await;
        browser.shows("2 settings found").await;
        browser.picture("policy-search").await;
        browser.type_into("#find", "").await;
        browser.press(" ").await;
        assert_eq!(browser.script(rows).await, Key::ALL.len());
        browser.type_into("[name='session.ttl']", "3 hours").await;
        assert_eq!(unsaved(&browser).await, "1 unsaved change");
        assert!(asks_before_leaving(&browser).await);
        let seconds = "return document.querySelector(\"#session-ttl [data-seconds]\").textContent";
        assert_eq!(browser.script(seconds).await, "= 10\u{202f}800 s");
        browser.type_into("[name='session.ttl']", "2 weeks").await;
        assert!(!asks_before_leaving(&browser).await, "as it was");
        browser.click("[data-shortcuts] input").await;
        browser.script("document.activeElement.blur()").await;
        browser.press("/").await;
        assert_ne!(browser.script(focused).await, "find");
        browser.go("/admin/policy#session-same_site").await;
        assert_eq!(
            browser.script("return document.querySelector(':target').id").await,
            "session-same_site"
        );
        browser.picture("policy-target").await;
        browser
    });
}
