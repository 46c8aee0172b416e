//! A real OpenID Connect provider: npm's oidc-provider in a process of its own. The test plays the
//! person at its sign-in page.

use super::client::Client;
use serde_json::{Value as Json, json};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
};

/// Our client ID at every provider of the tests.
pub const CLIENT_ID: &str = "nightlatch";
/// Our client secret there.
pub const CLIENT_SECRET: &str = "client secret of the tests + / &";

/// The running provider; it ends with this value.
pub struct RealProvider {
    pub issuer: String,
    process: Child,
    /// The process ends when this is closed.
    _input: ChildStdin,
}

impl RealProvider {
    /// Starts a provider that knows `ada`, `bob` and `eve`.
    pub fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let library = root.join("target/oidc-provider");
        assert!(library.exists(), "oidc-provider is fetched: tests/run does that");
        let mut process = Command::new("node")
            .arg(root.join("tests/it/harness/provider.mjs"))
            .arg(library)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut issuer = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut issuer)
            .unwrap();
        let provider = Self {
            issuer: issuer.trim().to_owned(),
            _input: process.stdin.take().unwrap(),
            process,
        };
        let person = |name: &str, groups: &[&str]| {
            json!({
                "preferred_username": name, "name": format!("{name} of the provider"),
                "email": format!("{name}@example.org"), "email_verified": true, "groups": groups,
            })
        };
        provider.people(&json!({
            "ada": person("ada", &["staff", "admins"]), "bob": person("bob", &["staff"]), "eve": person("eve", &[]),
        }));
        provider
    }

    /// Registers Nightlatch at these addresses for the source `name`.
    pub fn register(&self, name: &str, servers: &[&str]) {
        self.register_with(name, servers, CLIENT_SECRET);
    }

    /// Does the same with another client secret.
    pub fn register_with(&self, name: &str, servers: &[&str], secret: &str) {
        let at = |path: &str| -> Vec<String> { servers.iter().map(|server| format!("{server}{path}")).collect() };
        let back_channel = at(&format!("/oidc/{name}/backchannel-logout"));
        self.control(
            "clients",
            &json!([{
                "client_id": CLIENT_ID, "client_secret": secret,
                "redirect_uris": at(&format!("/login/oidc/{name}/callback")),
                "post_logout_redirect_uris": at("/login"),
                "backchannel_logout_uri": back_channel[0], "backchannel_logout_session_required": true,
            }]),
        );
    }

    /// Adds or replaces people, by subject.
    pub fn people(&self, people: &Json) {
        self.control("people", people);
    }

    /// Replaces every key of the provider.
    pub fn rotate_keys(&self) {
        self.control("rotate", &json!({}));
    }

    /// Returns how often the keys were fetched, and the outcomes of back-channel logouts.
    pub fn state(&self) -> Json {
        self.control("state", &json!({}))
    }

    fn control(&self, what: &str, input: &Json) -> Json {
        let client = Client::new(&self.issuer);
        client
            .post_json(&format!("/control/{what}"), input, &[])
            .expect(200)
            .json()
    }

    /// Opens a browser at the provider, without a session.
    pub fn browser(&self) -> BrowserAtProvider {
        BrowserAtProvider {
            issuer: self.issuer.clone(),
            client: Client::new(&self.issuer),
        }
    }
}

impl Drop for RealProvider {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// A browser at the provider; it keeps the provider's session.
pub struct BrowserAtProvider {
    issuer: String,
    client: Client,
}

impl BrowserAtProvider {
    /// Follows an authorization address, fills in the provider's form (`login`, `amr`, `error`)
    /// where it is shown, and returns the address of ours to which the provider sends the browser
    /// back.
    pub fn authorize_with(&self, url: &str, form: &[(&str, &str)]) -> String {
        let mut url = url.to_owned();
        for _ in 0..10 {
            let Some(path) = url.strip_prefix(&self.issuer) else {
                return url;
            };
            let answer = match path.starts_with("/interaction/") {
                true => self.client.post(path, form),
                false => self.client.get(path),
            };
            assert!(
                answer.status() == 303 || answer.status() == 302,
                "{url}: {}",
                answer.text()
            );
            let location = answer.location();
            url = match location.starts_with('/') {
                true => format!("{}{location}", self.issuer),
                false => location.to_owned(),
            };
        }
        panic!("the provider leads in circles: {url}");
    }

    /// Confirms the sign-out at the provider, and returns where it leads.
    pub fn sign_out(&self, url: &str) -> String {
        let path = url.strip_prefix(&self.issuer).unwrap();
        let page = self.client.get(path).expect(200);
        let token = page.text().split("name=\"xsrf\" value=\"").nth(1).unwrap();
        let token = token.split('"').next().unwrap();
        let answer = self
            .client
            .post("/session/end/confirm", &[("xsrf", token), ("logout", "yes")]);
        answer.location().to_owned()
    }
}
