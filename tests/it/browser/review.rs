//! The review in a browser: a provisional save, one that signs its author out, and settings that
//! two administrators changed.

use crate::harness::{
    chromium::{Browser, with_browser},
    server::{PASSWORD, TestServer, eventually},
};
use nightlatch::domain::{account::Role, policy::Key};

fn ttl(server: &TestServer) -> String {
    let policy = &server.ctx.in_force().policy;
    policy.value(Key::SessionTtl, Role::Member, None).0.to_string()
}

/// Runs blocking work outside of the browser's own loop.
fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

/// Signed in, in the editor.
async fn editor(browser: &Browser) {
    browser.go("/login?return_to=%2Fadmin%2Fpolicy").await;
    browser.sign_in("ada", PASSWORD).await;
    browser.arrives_at("/admin/policy").await;
}

async fn draft(browser: &Browser, field: &str, text: &str) {
    browser.type_into(&format!("[name='{field}']"), text).await;
    browser.click(".savebar button.primary").await;
    browser.arrives_at("/admin/policy/review").await;
}

/// Opens the page light, dark and on a phone, and expects no axe-core finding.
async fn look(browser: &Browser, name: &str) {
    for (form, width, theme) in [
        ("light", 1280, "light"),
        ("dark", 1280, "dark"),
        ("phone", 390, "light"),
    ] {
        browser.resize(width, 1000).await;
        browser.theme(theme).await;
        assert_eq!(browser.axe().await, Vec::<String>::new(), "{name} {form}");
        assert!(browser.fits().await, "{name} {form}");
        browser.picture(&format!("{name}-{form}")).await;
    }
    browser.resize(1280, 1000).await;
}

#[test]
fn a_save_that_asks_to_be_kept_counts_down_and_is_kept_or_undone() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    let other = server.admin("other");
    with_browser(&server.base.clone(), async |browser| {
        editor(&browser).await;
        draft(&browser, "session.ttl", "2 hours").await;
        look(&browser, "review").await;
        browser.click("[name=provisional]").await;
        browser.click("#save button.primary").await;
        browser.find(".provisional").await;
        assert_eq!(ttl(&server), "7200");
        // It counts down for every administrator.
        let first = browser.find("[data-countdown]").await.text().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        assert_ne!(first, browser.find("[data-countdown]").await.text().await.unwrap());
        let seen = aside(|| other.get("/admin/audit").expect(200).text().contains("Keep revision 2"));
        assert!(seen, "by every administrator");
        look(&browser, "provisional").await;
        browser.click(".provisional button.primary").await;
        browser.find(".flash.ok").await;
        assert!(!browser.has(".provisional").await);
        server.advance(120);
        assert_eq!(ttl(&server), "7200", "kept");
        // Another save that is not kept.
        browser.go("/admin/policy").await;
        draft(&browser, "session.ttl", "3 hours").await;
        browser.click("[name=provisional]").await;
        browser.click("#save button.primary").await;
        browser.find(".provisional").await;
        server.advance(61);
        browser.go("/admin/policy").await;
        assert!(!browser.has(".provisional").await);
        assert_eq!(ttl(&server), "7200", "undone");
        aside(|| {
            eventually("the history says so", || {
                other.get("/admin/policy/revisions").text().contains("reverted")
            });
        });
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}

#[test]
fn a_save_that_signs_its_author_out_is_confirmed_after_a_new_sign_in_or_reverted() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    with_browser(&server.base.clone(), async |browser| {
        editor(&browser).await;
        server.advance(3600);
        draft(&browser, "session.ttl", "30 minutes").await;
        let text = browser.text().await;
        assert!(text.contains("Your own session ends"), "{text}");
        look(&browser, "review-risky").await;
        browser.click("#save button.primary").await;
        // An hour after the sign-in, a save asks for the password.
        browser.find("#step_up_password").await;
        look(&browser, "step-up").await;
        browser.type_into("#step_up_password", PASSWORD).await;
        browser.click("main form button.primary").await;
        browser.arrives_at("/login").await;
        browser.shows("after you had signed in").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.go("/admin").await;
        browser.click(".provisional button.primary").await;
        browser.find(".flash.ok").await;
        server.advance(61);
        assert_eq!(ttl(&server), "1800", "kept by a session that works under it");
        browser
    });
}

#[test]
fn conflicting_edits_are_resolved_by_choice_and_no_input_is_lost() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    with_browser(&server.base.clone(), async |browser| {
        editor(&browser).await;
        draft(&browser, "session.ttl", "2 hours").await;
        // Back to the editor: what was typed is there.
        browser.click("#save a.btn").await;
        browser.arrives_at("/admin/policy?scope").await;
        let typed = browser.find("[name='session.ttl']").await;
        assert_eq!(typed.prop("value").await.unwrap().as_deref(), Some("2 hours"));
        aside(|| server.policy(&[("session.ttl", "3h"), ("password.min_length", "15")]));
        browser.click(".savebar button.primary").await;
        browser.arrives_at("/admin/policy/review").await;
        browser.shows("Changed by both").await;
        look(&browser, "review-conflict").await;
        browser.click("input[value=mine]").await;
        browser.click("form[action$=resolve] button.primary").await;
        browser.find("#save button.primary:not([disabled])").await;
        browser.click("#save button.primary").await;
        browser.find(".flash.ok").await;
        assert_eq!(ttl(&server), "7200", "mine");
        let theirs = server.ctx.in_force().everyone().password.min_length;
        assert_eq!(theirs, 15, "theirs, where we did not meet");
        browser
    });
}

#[test]
fn an_import_a_posture_item_and_a_restored_revision_all_go_through_the_review() {
    let server = TestServer::start();
    server.account("ada", Role::Administrator);
    with_browser(&server.base.clone(), async |browser| {
        editor(&browser).await;
        browser.click(".head details.dropdown summary").await;
        browser.click("a[href='/admin/policy/import']").await;
        browser.arrives_at("/admin/policy/import").await;
        let ini =
            "[desktop]\n[[auth]]\nidle_session_timeout=900\nbackend=desktop.auth.backend.AllowFirstUserDjangoBackend\n";
        browser.type_into("#text", ini).await;
        browser.click("main form button.primary").await;
        browser.arrives_at("/admin/policy/review").await;
        let text = browser.text().await;
        for word in ["An import", "Idle timeout", "15 minutes", "line 4", "backend"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        browser.click("a[href*='replay=7d']").await;
        browser.arrives_at("/admin/policy/review?draft").await;
        browser.find("#replay details").await;
        look(&browser, "review-import-replay").await;
        browser.click("#save button.primary").await;
        browser.find(".flash.ok").await;
        // One item of the checklist.
        browser.go("/admin/policy/posture").await;
        browser.click("#asvs-l2 button[name=item]").await;
        browser.arrives_at("/admin/policy/review").await;
        browser.click("#save button.primary").await;
        browser.find(".flash.ok").await;
        // The way back, by the history.
        browser.go("/admin/policy/revisions?from=1&to=2").await;
        assert!(
            browser.text().await.contains("Idle timeout"),
            "what differs between the two"
        );
        browser.go("/admin/policy/revisions/1").await;
        browser.click("form[action$=restore] button").await;
        browser.arrives_at("/admin/policy/review").await;
        browser.shows("Restoring revision 1").await;
        browser.click("#save button.primary").await;
        browser.find(".flash.ok").await;
        assert_eq!(server.ctx.in_force().policy.revision(), 4);
        assert!(
            server.ctx.in_force().policy.document().everyone.is_empty(),
            "as at first"
        );
        // The differences from the default, by scope: none remain.
        browser.go("/admin/policy/matrix").await;
        assert!(!browser.text().await.contains("auth.idle_session_timeout"));
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}
