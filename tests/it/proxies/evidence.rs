//! What a real browser withholds over plain http behind a proxy: the Secure cookie, and the origin
//! of a form where the proxy adds `Referrer-Policy: no-referrer`.

use crate::harness::{
    chain::{Chain, Kind},
    chromium::with_browser,
    server::PASSWORD,
    trace::Trace,
};
use nightlatch::domain::account::Role;

fn origin(chain: &Chain) -> String {
    format!("http://{}", chain.authority("login"))
}

#[test]
fn a_browser_that_refuses_the_secure_cookie_shows_why_and_the_log_says_it_too() {
    let trace = Trace::from(tracing::Level::WARN);
    // Browsers keep Secure cookies of localhost, but not of other names, over plain http.
    let chain = Chain::of(Kind::Nginx).domain("example.test").start();
    chain.server.account("ada", Role::Member);
    chain.server.policy(&[("session.secure", "true")]);
    with_browser(&origin(&chain), async |browser| {
        browser.go("/login").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.find(".callout.danger[role=alert]").await;
        let text = browser.text().await;
        for part in [
            "Your browser did not keep the session cookie.",
            "session.secure is on",
            "plain http",
            "nightlatch policy set session.secure false",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            browser.has("input[name=password]").await,
            "the form is there to try again"
        );
        browser
    });
    let log = trace.text();
    assert!(
        log.contains("did not keep the session cookie") && log.contains("session.secure"),
        "{log}"
    );
    // With the cause removed, the same steps sign in.
    chain.server.policy(&[("session.secure", "false")]);
    with_browser(&origin(&chain), async |browser| {
        browser.go("/login").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/").await;
        assert!(browser.has("form[action='/logout']").await, "{}", browser.text().await);
        browser
    });
}

#[test]
fn behind_a_proxy_that_hides_the_origin_of_forms_people_sign_in_or_read_the_cause() {
    let trace = Trace::from(tracing::Level::WARN);
    let chain = Chain::of(Kind::Nginx)
        .domain("example.test")
        .lines("add_header Referrer-Policy no-referrer always;")
        .start();
    chain.server.account("ada", Role::Member);
    let form = |path: &str| {
        let forms = chain.relay.forms();
        let sent = forms.iter().rfind(|sent| sent.target == path);
        sent.unwrap_or_else(|| panic!("{path} was not sent")).clone()
    };
    with_browser(&origin(&chain), async |browser| {
        browser.go("/login").await;
        // A form that lacks its token proves nothing; the page names the cause.
        browser
            .script("document.querySelectorAll('input[name=form_token]').forEach(field => field.remove())")
            .await;
        browser.sign_in("ada", PASSWORD).await;
        browser.find("h1").await;
        let text = browser.text().await;
        assert!(text.contains("Referrer-Policy: no-referrer"), "{text}");
        let refused = form("/login");
        assert_eq!(refused.header("origin").as_deref(), Some("null"), "{}", refused.head);
        assert_eq!(refused.header("sec-fetch-site"), None, "{}", refused.head);
        assert_eq!(refused.header("referer"), None, "{}", refused.head);
        // The form as it is signs in, and out again.
        browser.go("/login").await;
        browser.sign_in("ada", PASSWORD).await;
        browser.arrives_at("/").await;
        browser.click("form[action='/logout'] button").await;
        browser.arrives_at("/login").await;
        assert_eq!(form("/logout").header("origin").as_deref(), Some("null"));
        browser
    });
    assert!(chain.server.events().contains(&"sign_out".to_owned()));
    let log = trace.text();
    assert!(log.contains("Referrer-Policy: no-referrer"), "{log}");
}
