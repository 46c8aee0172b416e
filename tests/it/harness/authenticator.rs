//! chromedriver's virtual authenticator (WebDriver extension of W3C WebAuthn Level 3, 11): a
//! passkey device that needs no person.

use super::chromium::Browser;
use fantoccini::wd::WebDriverCompatibleCommand;
use serde_json::{Value, json};

/// A device connected to the browser's window.
pub struct Authenticator(String);

impl Authenticator {
    /// Connects a platform authenticator that stores passkeys and verifies its user.
    pub async fn plug(browser: &Browser) -> Self {
        let options = json!({
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserVerified": true,
            "isUserConsenting": true,
        });
        let id = browser.issue(Command::post("webauthn/authenticator", options)).await;
        Self(id.as_str().expect("an authenticator's id").to_owned())
    }

    /// Sets whether the PIN or biometric will be right from now on.
    pub async fn verifies(&self, browser: &Browser, verified: bool) {
        let path = format!("webauthn/authenticator/{}/uv", self.0);
        browser
            .issue(Command::post(&path, json!({ "isUserVerified": verified })))
            .await;
    }

    /// Returns the stored credentials with their private keys.
    pub async fn credentials(&self, browser: &Browser) -> Vec<Value> {
        let path = format!("webauthn/authenticator/{}/credentials", self.0);
        let found = browser.issue(Command::get(&path)).await;
        found.as_array().cloned().unwrap_or_default()
    }
}

/// One command of the extension.
#[derive(Debug)]
pub struct Command {
    method: http::Method,
    path: String,
    body: Option<Value>,
}

impl Command {
    fn post(path: &str, body: Value) -> Self {
        Self {
            method: http::Method::POST,
            path: path.to_owned(),
            body: Some(body),
        }
    }

    fn get(path: &str) -> Self {
        Self {
            method: http::Method::GET,
            path: path.to_owned(),
            body: None,
        }
    }
}

impl WebDriverCompatibleCommand for Command {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (self.method.clone(), self.body.as_ref().map(Value::to_string))
    }
}
