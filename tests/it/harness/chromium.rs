//! Real Chromium through chromedriver: one headless browser per test, removed afterwards.

use fantoccini::{
    Client as WebDriver, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions, MouseActions, PointerAction},
    elements::Element,
    wd::{Capabilities, WebDriverCompatibleCommand},
};
use hyper_util::client::legacy::connect::HttpConnector;
use std::{
    future::Future,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(30);

static AXE: LazyLock<String> = LazyLock::new(|| {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/target/axe/node_modules/axe-core/axe.min.js"
    );
    std::fs::read_to_string(path).expect("axe-core is fetched: tests/run does that")
});

const RUN_AXE: &str = r#"
const done = arguments[arguments.length - 1];
axe.run(document, {
  resultTypes: ["violations"],
  runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] },
}).then(
  ({ violations }) => done(violations.flatMap(({ id, nodes }) => nodes.map(
    ({ target, html, failureSummary }) => `${id} at ${target.join(" ")}: ${html}\n    ${failureSummary}`))),
  (error) => done(String(error)),
);
"#;

/// A browser window.
pub struct Browser {
    driver: WebDriver,
    base: String,
    process: Child,
    _profile: tempfile::TempDir,
}

/// Runs a test that drives a browser.
pub fn with_browser<F, R>(base: &str, test: F)
where
    F: FnOnce(Browser) -> R,
    R: Future<Output = Browser>,
{
    with_arguments(base, &[], test);
}

/// Does the same with a browser that binds sessions to keys of its own, kept in software, and that
/// trusts the certificate with this key.
pub fn with_binding_browser<F, R>(base: &str, key_hash: &str, test: F)
where
    F: FnOnce(Browser) -> R,
    R: Future<Output = Browser>,
{
    let features = "DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting";
    let arguments = [
        format!("--enable-features={features}"),
        format!("--ignore-certificate-errors-spki-list={key_hash}"),
    ];
    with_arguments(base, &arguments, test);
}

fn with_arguments<F, R>(base: &str, arguments: &[String], test: F)
where
    F: FnOnce(Browser) -> R,
    R: Future<Output = Browser>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let browser = Browser::open(base, arguments).await;
        test(browser).await.close().await;
    });
}

impl Browser {
    async fn open(base: &str, further: &[String]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed: tests/run does that");
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "chromedriver does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-default-apps",
            "--lang=en",
            // Test names of several domains resolve to this machine.
            "--host-resolver-rules=MAP *.test 127.0.0.1",
            "--window-size=1280,800",
            // Colours change without transition.
            "--force-prefers-reduced-motion",
        ];
        let mut arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        arguments.extend_from_slice(further);
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let mut capabilities = Capabilities::new();
        capabilities.insert(
            "goog:chromeOptions".to_owned(),
            serde_json::json!({ "args": arguments }),
        );
        capabilities.insert("goog:loggingPrefs".to_owned(), serde_json::json!({ "browser": "ALL" }));
        let driver = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        Self {
            driver,
            base: base.to_owned(),
            process,
            _profile: profile,
        }
    }

    async fn close(mut self) {
        // The answer comes once Chromium has ended; otherwise the browser outlives its driver.
        self.driver.issue_cmd(Quit).await.unwrap();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends a command that fantoccini does not know.
    pub async fn issue(&self, command: impl WebDriverCompatibleCommand + Send + 'static) -> serde_json::Value {
        self.driver.issue_cmd(command).await.unwrap()
    }

    pub async fn go(&self, path: &str) {
        self.driver.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    /// Closes the page; the window stays.
    pub async fn leave(&self) {
        self.driver.goto("about:blank").await.unwrap();
    }

    pub async fn path(&self) -> String {
        let url = self.driver.current_url().await.unwrap();
        url.as_str().trim_start_matches(&self.base).to_owned()
    }

    /// Waits until the address starts with this text.
    pub async fn arrives_at(&self, path: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.path().await.starts_with(path) {
            assert!(
                Instant::now() < deadline,
                "still at {}, not at {path}",
                self.path().await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn find(&self, css: &str) -> Element {
        self.driver
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css(css))
            .await
            .unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    pub async fn has(&self, css: &str) -> bool {
        !self.driver.find_all(Locator::Css(css)).await.unwrap().is_empty()
    }

    /// Waits for an element of the page guard.
    pub async fn guard(&self, css: &str) -> Element {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(element) = self.guard_now(css).await {
                return element;
            }
            assert!(Instant::now() < deadline, "the guard never shows {css}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns whether the guard shows an element now.
    pub async fn guard_has(&self, css: &str) -> bool {
        self.guard_now(css).await.is_some()
    }

    async fn guard_now(&self, css: &str) -> Option<Element> {
        let host = self.driver.find(Locator::Css("nightlatch-guard")).await.ok()?;
        host.shadow_root().await.ok()?.find(Locator::Css(css)).await.ok()
    }

    /// Waits until the lock screen has gone.
    pub async fn guard_goes(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.guard_now("dialog").await.is_some() {
            assert!(Instant::now() < deadline, "the guard does not go");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until an element of the guard shows this text.
    pub async fn guard_says(&self, css: &str, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = match self.guard_now(css).await {
                Some(element) => element
                    .prop("textContent")
                    .await
                    .unwrap_or_default()
                    .unwrap_or_default(),
                None => String::new(),
            };
            if text.contains(words) {
                return;
            }
            assert!(Instant::now() < deadline, "{css} says {text:?}, not {words:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Presses keys as a keyboard does: they go to the focused element, also in a shadow root.
    pub async fn keys(&self, text: &str) {
        let mut keys = KeyActions::new("keyboard".to_owned());
        for value in text.chars() {
            keys = keys.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.driver.perform_actions(keys).await.unwrap();
    }

    pub async fn move_mouse(&self, x: f64, y: f64) {
        let mouse = MouseActions::new("mouse".to_owned()).then(PointerAction::MoveTo { duration: None, x, y });
        self.driver.perform_actions(mouse).await.unwrap();
    }

    /// Opens a tab at this address; its number is one more than the last one's.
    pub async fn new_tab(&self, path: &str) {
        let tab = self.driver.new_window(true).await.unwrap();
        self.driver.switch_to_window(tab.handle).await.unwrap();
        self.go(path).await;
    }

    /// Closes the current tab.
    pub async fn close_tab(&self) {
        self.driver.close_window().await.unwrap();
    }

    /// Waits until there are this many tabs and windows.
    pub async fn tabs(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let open = self.driver.windows().await.unwrap().len();
            if open == count {
                return;
            }
            assert!(Instant::now() < deadline, "{open} windows are open, not {count}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn to_tab(&self, number: usize) {
        let tabs = self.driver.windows().await.unwrap();
        self.driver.switch_to_window(tabs[number].clone()).await.unwrap();
    }

    pub async fn title(&self) -> String {
        self.driver.title().await.unwrap()
    }

    pub async fn text(&self) -> String {
        self.find("body").await.text().await.unwrap()
    }

    /// Waits until the page shows these words. An address is known before its page has arrived.
    pub async fn shows(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.text().await;
            if text.contains(words) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{} does not show {words:?}: {text}",
                self.path().await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    pub async fn type_into(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    pub async fn tab(&self) {
        self.press(&String::from(char::from(fantoccini::key::Key::Tab))).await;
    }

    /// Types into the focused element.
    pub async fn press(&self, text: &str) {
        self.driver
            .active_element()
            .await
            .unwrap()
            .send_keys(text)
            .await
            .unwrap();
    }

    pub async fn sign_in(&self, name: &str, password: &str) {
        self.type_into("input[name=username]", name).await;
        self.type_into("input[name=password]", password).await;
        self.click("form[action='/login'] button.primary, form[action='/login'] button[type=submit]")
            .await;
    }

    pub async fn script(&self, script: &str) -> serde_json::Value {
        self.driver.execute(script, Vec::new()).await.unwrap()
    }

    /// Faults that axe-core finds on the page as it is shown now: rule, target and markup of each.
    pub async fn axe(&self) -> Vec<String> {
        if self.script("return typeof axe").await == "undefined" {
            self.script(AXE.as_str()).await;
        }
        let found = self.driver.execute_async(RUN_AXE, Vec::new()).await.unwrap();
        let lines = found.as_array().unwrap_or_else(|| panic!("axe-core failed: {found}"));
        lines.iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    }

    /// Resizes the window and waits until the page has this width.
    pub async fn resize(&self, width: u32, height: u32) {
        self.driver.set_window_size(width, height).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while self.script("return innerWidth").await != width {
            assert!(Instant::now() < deadline, "the window does not become {width} wide");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Runs this script in every page that is opened from now on, before the page's own scripts.
    pub async fn script_on_new_pages(&self, source: &str) {
        let source = source.to_owned();
        self.issue(AddScript { source }).await;
    }

    /// Opens a page with script switched off.
    pub async fn without_script(&self, path: &str) {
        self.issue(SetScript { is_on: false }).await;
        self.go(path).await;
    }

    /// Switches script on again, for the next page.
    pub async fn with_script(&self) {
        self.issue(SetScript { is_on: true }).await;
    }

    /// Switches to `light` or `dark`, as the theme button does.
    pub async fn theme(&self, theme: &str) {
        self.script(&format!("document.documentElement.dataset.theme = '{theme}'"))
            .await;
    }

    /// The cookies of the page's host, HttpOnly included.
    pub async fn cookies(&self) -> Vec<(String, String)> {
        let cookies = self.driver.get_all_cookies().await.unwrap();
        let pair =
            |cookie: &fantoccini::cookies::Cookie<'static>| (cookie.name().to_owned(), cookie.value().to_owned());
        cookies.iter().map(pair).collect()
    }

    pub async fn forget_cookie(&self, name: &str) {
        self.driver.delete_cookie(name).await.unwrap();
    }

    pub async fn forget_cookies(&self) {
        self.driver.delete_all_cookies().await.unwrap();
    }

    /// Errors of the browser's console: script faults and content that the content security policy
    /// refused.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.driver.issue_cmd(ReadLog).await.unwrap();
        let entries = log.as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["level"] == "SEVERE")
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            // Pages that are refused on purpose are not errors.
            .filter(|message| !message.contains("the server responded with a status of 4"))
            .collect()
    }

    /// Saves a picture under `target/screenshots`.
    pub async fn picture(&self, name: &str) {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("{name}.png")), self.driver.screenshot().await.unwrap()).unwrap();
    }

    /// Fails when the page is wider than the window.
    pub async fn fits(&self) -> bool {
        self.script("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            .await
            == true
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // After a failed assertion the driver still runs; Chromium ends with it.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// `DELETE /session/{id}` (WebDriver 8.2).
#[derive(Debug)]
struct Quit;

impl WebDriverCompatibleCommand for Quit {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::DELETE, None)
    }
}

/// chromedriver's command for messages of the console.
#[derive(Debug)]
struct ReadLog;

impl WebDriverCompatibleCommand for ReadLog {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (
            http::Method::POST,
            Some(serde_json::json!({ "type": "browser" }).to_string()),
        )
    }
}

/// Adds a script to every new page, by a command of Chromium's own protocol.
#[derive(Debug)]
struct AddScript {
    source: String,
}

impl WebDriverCompatibleCommand for AddScript {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let command = serde_json::json!({
            "cmd": "Page.addScriptToEvaluateOnNewDocument", "params": { "source": self.source },
        });
        (http::Method::POST, Some(command.to_string()))
    }
}

/// Switches script on or off, by a command of Chromium's own protocol.
#[derive(Debug)]
struct SetScript {
    is_on: bool,
}

impl WebDriverCompatibleCommand for SetScript {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        let command = serde_json::json!({
            "cmd": "Emulation.setScriptExecutionDisabled", "params": { "value": !self.is_on },
        });
        (http::Method::POST, Some(command.to_string()))
    }
}
