//! The page guard on an application's pages: a small application behind real nginx with the shipped
//! file, in real Chromium. Its style sheet conflicts with the guard's, its content security policy
//! allows nothing foreign, and it polls constantly.

use crate::{
    guard::chromium::{answered, aside, ends_in, focused},
    harness::{
        chain::{Chain, Kind},
        chromium::{Browser, with_browser},
        server::{PASSWORD, eventually},
        upstream::{ReceivedRequest, Reply},
    },
};
use fantoccini::key::Key;
use nightlatch::{
    domain::{account::Role, policy::Scope},
    flows::accounts::AccountAction,
};
use std::time::{Duration, Instant};

const PAGE: &str = r#"<!doctype html>
<html lang="en"><head><title>Tickets</title>
<link rel="stylesheet" href="/hostile.css"><script defer src="/app.js"></script></head>
<body><h1>A new ticket</h1><p>For <b id="who">USER</b>.</p>
<form action="/save" method="post">
<label>Title<input id="title" name="title"></label>
<label>What happened<textarea id="text" name="text" rows="6"></textarea></label>
<button id="save">Save</button> <button type="button" id="load">Load</button> <output id="loaded"></output>
</form><div id="long">The end of a long page</div></body></html>"#;

/// Takes everything away from everything, from dialogs and the guard above all.
const STYLE: &str = "
    * { all: unset !important; display: block !important; letter-spacing: .4em !important; text-transform: uppercase !important; }
    *::before, *::after, *::backdrop { display: none !important; }
    html { font-size: 62.5% !important; }
    head, head * { display: none !important; }
    body { padding: 24px !important; font: 16px/1.5 serif !important; }
    input, textarea, button { border: 1px solid !important; padding: 8px !important; margin: 8px 0 !important; }
    #long { padding-top: 1800px !important; }
    dialog, form, nightlatch-guard { position: static !important; opacity: .1 !important; }
    nightlatch-guard { display: none !important; visibility: hidden !important; pointer-events: none !important; font: 3px monospace !important; }
";

/// Polls, loads on request, and captures every key as early as possible.
const SCRIPT: &str = r#"
    setInterval(() => fetch("/poll").catch(() => {}), 250);
    document.getElementById("load").addEventListener("click", async () => {
      const answer = await fetch("/data");
      document.getElementById("loaded").textContent = answer.status + " " + (answer.ok ? await answer.text() : (await answer.json()).code);
    });
    window.keys = 0;
    document.addEventListener("keydown", (event) => { window.keys += 1; if (event.key === "/") event.preventDefault(); }, true);
"#;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

fn answer(asked: &ReceivedRequest) -> Reply {
    let (kind, body) = match asked.target.split('?').next().unwrap_or_default() {
        "/hostile.css" => ("text/css", STYLE.to_owned()),
        "/app.js" => ("text/javascript", SCRIPT.to_owned()),
        "/poll" => ("text/plain", "nothing new".to_owned()),
        "/data" => ("text/plain", "four tickets".to_owned()),
        "/save" => ("text/plain", String::from_utf8_lossy(&asked.body).into_owned()),
        _ => {
            let who = asked.header("remote-user").unwrap_or_default();
            ("text/html; charset=utf-8", PAGE.replace("USER", &who))
        }
    };
    Reply {
        status: "200 OK",
        headers: format!("Content-Type: {kind}\r\nContent-Security-Policy: {POLICY}\r\nETag: \"1\"\r\n"),
        body,
    }
}

/// Ten minutes idle timeout, and polling does not count as activity. Browsers resolve localhost's
/// names themselves, and trust them like https.
fn chain() -> Chain {
    let chain = Chain::of(Kind::Nginx)
        .domain("example.localhost")
        .answering(answer)
        .start();
    chain.server.account("ada", Role::Member);
    chain.server.policy(&[("auth.idle_session_timeout", "10m")]);
    let wiki = Scope::Application("wiki".to_owned());
    chain.server.policy_in(&wiki, &[("activity.ignored_paths", "/poll")]);
    chain
}

fn origin(chain: &Chain, host: &str) -> String {
    format!("http://{}", chain.authority(host))
}

/// Returns how often the application received this request.
fn times(chain: &Chain, target: &str) -> usize {
    let asked = chain.application.asked();
    asked.iter().filter(|asked| asked.target == target).count()
}

/// Comes to the application, is sent to the sign-in, and arrives where they wanted to go.
async fn enter(browser: &Browser, chain: &Chain, name: &str, path: &str) {
    browser.go(path).await;
    browser
        .arrives_at(&format!("{}/login?return_to=", origin(chain, "login")))
        .await;
    browser.sign_in(name, PASSWORD).await;
    browser.arrives_at(path).await;
    answered(browser, "/nightlatch/session").await;
}

async fn type_into(browser: &Browser, css: &str, text: &str) {
    browser.type_into(css, text).await;
    answered(browser, "/nightlatch/session/touch").await;
}

/// Signs in over the page.
async fn sign_in_again(browser: &Browser) {
    browser.guard("#password").await.click().await.unwrap();
    browser.keys(PASSWORD).await;
    browser.keys(&Key::Enter).await;
    browser.guard_goes().await;
}

async fn value(browser: &Browser, css: &str) -> String {
    let script = format!("return document.querySelector('{css}').value");
    browser.script(&script).await.as_str().unwrap().to_owned()
}

/// Takes pictures of the dialog: light, dark, and on a phone.
async fn pictures(browser: &Browser, name: &str) {
    for (form, width, height, theme) in [
        ("light", 1280, 800, "light"),
        ("dark", 1280, 800, "dark"),
        ("phone", 390, 844, "light"),
    ] {
        browser.resize(width, height).await;
        let scheme = format!("document.documentElement.style.setProperty('color-scheme', '{theme}', 'important')");
        browser.script(&scheme).await;
        browser.picture(&format!("application-{name}-{form}")).await;
        let seen = browser.script(SEEN).await;
        assert_eq!(seen, serde_json::json!([]), "{name} {form}");
    }
    browser.resize(1280, 800).await;
}

/// Returns what is wrong with the guard's dialog despite the page's style sheet.
const SEEN: &str = r#"
    const host = document.querySelector("nightlatch-guard");
    const dialog = host.shadowRoot.querySelector("dialog");
    const box = dialog.getBoundingClientRect();
    const style = getComputedStyle(dialog);
    const wrong = [];
    if (box.width < 250 || box.height < 120) wrong.push(`small: ${box.width} x ${box.height}`);
    if (box.left < 0 || box.right > innerWidth || box.top < 0 || box.bottom > innerHeight) wrong.push("outside");
    if (Math.abs(box.left + box.right - innerWidth) > 40) wrong.push("not in the middle");
    for (const [name, wanted] of [["visibility", "visible"], ["opacity", "1"], ["letterSpacing", "normal"],
      ["textTransform", "none"], ["pointerEvents", "auto"], ["position", "fixed"], ["fontSize", "15px"]]) {
      if (style[name] !== wanted) wrong.push(`${name}: ${style[name]}`);
    }
    if (document.elementFromPoint(innerWidth / 2, (box.top + box.bottom) / 2) !== host) wrong.push("something lies over it");
    return wrong;
"#;

#[test]
fn the_warning_on_an_applications_page_works_and_polling_keeps_no_session() {
    let chain = chain();
    with_browser(&origin(&chain, "wiki"), async |browser| {
        enter(&browser, &chain, "ada", "/tickets/new?from=list").await;
        assert!(
            browser.has("script[src='/nightlatch/guard.js']").await,
            "nginx put it there"
        );
        assert!(
            browser.text().await.to_lowercase().contains("for\nada"),
            "{}",
            browser.text().await
        );
        type_into(&browser, "#title", "The printer").await;
        for _ in 0..2 {
            chain.server.advance(245);
            let polls = times(&chain, "/poll");
            eventually("the page polls", || times(&chain, "/poll") > polls + 1);
        }
        browser.guard_says("h2", "Still there?").await;
        assert_eq!(focused(&browser).await, "Stay signed in");
        assert!(browser.title().await.starts_with("(1:"), "{}", browser.title().await);
        pictures(&browser, "warning").await;
        assert_eq!(ends_in(&browser).await, 110.0, "polling put nothing off");
        browser.guard("button.primary").await.click().await.unwrap();
        browser.guard_goes().await;
        assert_eq!(ends_in(&browser).await, 600.0);
        assert_eq!(focused(&browser).await, "title");
        assert_eq!(value(&browser, "#title").await, "The printer");
        assert_eq!(browser.title().await, "Tickets");
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}

#[test]
fn another_user_who_signs_in_over_a_page_does_not_change_it() {
    let chain = chain();
    with_browser(&origin(&chain, "wiki"), async |browser| {
        enter(&browser, &chain, "ada", "/tickets/new").await;
        type_into(&browser, "#title", "The printer").await;
        browser.type_into("#text", "It prints, but").await;
        browser.script("scrollTo(0, 300)").await;
        let scrolled = browser.script("return scrollY").await;
        chain.server.advance(601);
        browser.guard_says("dialog.cover h2", "inactivity").await;
        assert_eq!(focused(&browser).await, "password");
        let selectable = browser.script("return getComputedStyle(document.body).userSelect");
        assert_eq!(selectable.await, "none");
        pictures(&browser, "gate").await;
        // Keys typed into the dialog do not reach the page, which would swallow one and count the
        // others.
        let keys = browser.script("return window.keys").await;
        browser.guard("#password").await.click().await.unwrap();
        browser.keys("wr/ong").await;
        let typed = browser.guard("#password").await.prop("value").await.unwrap();
        assert_eq!(typed.as_deref(), Some("wr/ong"));
        assert_eq!(browser.script("return window.keys").await, keys);
        browser.keys(&Key::Enter).await;
        browser.guard_says("#error", "Username or password is wrong.").await;
        pictures(&browser, "gate-refused").await;
        browser.keys(PASSWORD).await;
        browser.keys(&Key::Enter).await;
        browser.guard_goes().await;
        assert_eq!(value(&browser, "#title").await, "The printer");
        assert_eq!(value(&browser, "#text").await, "It prints, but");
        assert_eq!(focused(&browser).await, "text");
        assert_eq!(browser.script("return scrollY").await, scrolled);
        assert!(browser.path().await.starts_with("/tickets/new"), "nothing was reloaded");
        // And it can be sent: the application gets it, from ada.
        browser.script("document.querySelector('form').requestSubmit()").await;
        browser.arrives_at("/save").await;
        browser.shows("text=It+prints%2C+but").await;
        assert_eq!(chain.application.last().header("remote-user").as_deref(), Some("ada"));
        assert_eq!(browser.complaints().await, Vec::<String>::new());
        browser
    });
}

#[test]
fn a_late_fetch_of_the_page_gets_a_401_and_the_lock_screen() {
    let chain = chain();
    with_browser(&origin(&chain, "wiki"), async |browser| {
        enter(&browser, &chain, "ada", "/tickets/new").await;
        browser.click("#load").await;
        eventually("it is loaded", || times(&chain, "/data") == 1);
        answered(&browser, "/nightlatch/session/touch").await;
        chain.server.advance(601);
        browser.script("document.getElementById('load').click()").await;
        browser.guard("dialog.cover #password").await;
        let loaded = "return document.getElementById('loaded').textContent";
        let deadline = Instant::now() + Duration::from_secs(30);
        while browser.script(loaded).await != "401 idle" {
            assert!(Instant::now() < deadline, "{}", browser.script(loaded).await);
        }
        sign_in_again(&browser).await;
        let polls = times(&chain, "/poll");
        eventually("the page goes on", || times(&chain, "/poll") > polls + 2);
        assert_eq!(times(&chain, "/data"), 1, "nothing is asked again but by people");
        browser.click("#load").await;
        eventually("people ask again", || times(&chain, "/data") == 2);
        browser
    });
}

#[test]
fn tabs_of_an_application_agree() {
    let chain = chain();
    with_browser(&origin(&chain, "wiki"), async |browser| {
        enter(&browser, &chain, "ada", "/tickets/new").await;
        browser.type_into("#title", "in the first tab").await;
        browser.new_tab("/tickets").await;
        answered(&browser, "/nightlatch/session").await;
        type_into(&browser, "#title", "in the second").await;
        chain.server.advance(490);
        browser.guard_says("h2", "Still there?").await;
        browser.to_tab(0).await;
        browser.guard_says("h2", "Still there?").await;
        browser.keys(&Key::Enter).await;
        browser.guard_goes().await;
        browser.to_tab(1).await;
        browser.guard_goes().await;
        chain.server.advance(601);
        browser.guard("dialog.cover #password").await;
        browser.to_tab(0).await;
        browser.guard("dialog.cover #password").await;
        sign_in_again(&browser).await;
        assert_eq!(value(&browser, "#title").await, "in the first tab");
        browser.to_tab(1).await;
        browser.guard_goes().await;
        assert_eq!(value(&browser, "#title").await, "in the second");
        browser
    });
}

#[test]
fn ended_by_an_administrator_the_page_is_covered_within_two_seconds_and_is_not_for_somebody_else() {
    let chain = chain();
    let ada = chain.server.account("grace", Role::Member);
    chain.server.account("bob", Role::Member);
    with_browser(&origin(&chain, "wiki"), async |browser| {
        enter(&browser, &chain, "grace", "/tickets/new").await;
        // Without the poller, whose 401 would show it immediately.
        browser
            .script("for (let id = 0; id < 1000; id++) clearInterval(id)")
            .await;
        browser.go("/tickets/quiet").await;
        browser.script(WATCH).await;
        answered(&browser, "/nightlatch/session").await;
        browser.script("window.began = performance.now()").await;
        aside(|| chain.server.act(ada, AccountAction::EndSessions));
        browser.guard_says("dialog.cover h2", "An administrator").await;
        let millis = browser.script("return window.covered - window.began").await;
        assert!(millis.as_f64().unwrap() < 2000.0, "{millis} ms");
        // Another user signs in in another tab: this page does not belong to them.
        browser.new_tab("/tickets").await;
        browser
            .arrives_at(&format!("{}/login?return_to=", origin(&chain, "login")))
            .await;
        browser.sign_in("bob", PASSWORD).await;
        browser.arrives_at("/tickets").await;
        browser.to_tab(0).await;
        let deadline = Instant::now() + Duration::from_secs(30);
        while browser.path().await != "/" {
            assert!(Instant::now() < deadline, "still at {}", browser.path().await);
        }
        let who = browser.find("#who").await.text().await.unwrap();
        assert_eq!(who.to_lowercase(), "bob");
        browser
    });
}

/// Stops the page's own polling, whose 401 would show it immediately, and records when it was
/// covered.
const WATCH: &str = r#"
    const plain = window.fetch;
    window.fetch = (...given) => (given[0] === "/poll" ? new Promise(() => {}) : plain(...given));
    new MutationObserver(() => { window.covered ??= performance.now(); })
      .observe(document.documentElement, { attributes: true, attributeFilter: ["data-nightlatch-covered"] });
"#;

#[test]
fn where_sessions_end_with_their_window_an_applications_window_counts() {
    let chain = chain();
    chain
        .server
        .policy(&[("auth.idle_session_timeout", "0"), ("session.window_close_grace", "2")]);
    with_browser(&origin(&chain, "wiki"), async |browser| {
        enter(&browser, &chain, "ada", "/tickets/new").await;
        // While open it reports every second: moved on by less than the grace each time, the
        // session outlives it many times.
        for _ in 0..3 {
            chain.server.advance(1);
            let deadline = Instant::now() + Duration::from_secs(30);
            while ends_in(&browser).await < 2.0 {
                assert!(Instant::now() < deadline, "no heartbeat");
            }
        }
        // After it is closed, it reports nothing.
        browser.leave().await;
        chain.server.advance(3);
        browser.go("/tickets/new").await;
        browser
            .arrives_at(&format!("{}/login?return_to=", origin(&chain, "login")))
            .await;
        assert!(
            browser.path().await.contains("reason=window_closed"),
            "{}",
            browser.path().await
        );
        browser
    });
}
