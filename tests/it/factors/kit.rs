//! Shared helpers: enrolling a factor as its owner does, and the codes of an app.

use crate::harness::{
    client::{Answer, Client},
    page::Part,
    passkey::SoftPasskey,
    server::TestServer,
};
use serde_json::{Value, json};
use totp_rs::{Builder, Secret};

/// An authenticator app: its key, and the codes that it shows.
pub struct App(String);

impl App {
    /// Makes an app from the key that a page showed.
    pub fn new(key: &str) -> Self {
        Self(key.to_owned())
    }

    /// Returns the code that the app shows now.
    pub fn code(&self, server: &TestServer) -> String {
        self.code_at(server.now().as_micros() / 1_000_000)
    }

    /// Returns the code that the app shows at an instant, in seconds of the Unix time.
    pub fn code_at(&self, seconds: i64) -> String {
        let totp = Builder::new()
            .with_secret(Secret::try_from_base32(&self.0).unwrap())
            .build()
            .unwrap();
        totp.generate(u64::try_from(seconds).unwrap()).to_string()
    }

    /// Returns the key, as the page showed it.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

/// Reads the key and the recovery codes that a page shows.
pub fn shown(answer: &Answer, selector: &str) -> Vec<String> {
    answer.page().all(selector).iter().map(Part::text).collect()
}

/// Sets up an authenticator app; returns it and the recovery codes. The next code counts 30 seconds
/// later.
pub fn enrol_app(server: &TestServer, client: &Client) -> (App, Vec<String>) {
    let page = client.post("/factors/totp/start", &[]).expect(200);
    let app = App(shown(&page, "[data-secret]").pop().expect("a secret"));
    let done = client.post("/factors/totp", &[("code", &app.code(server))]).expect(200);
    let codes = shown(&done, "[data-recovery-code]");
    assert_eq!(codes.len(), 10, "{}", done.text());
    server.advance(30);
    (app, codes)
}

/// Starts a server on which passkeys work: its name is localhost.
pub fn at_localhost(server: &TestServer) -> (Client, String) {
    let base = server.base.replace("127.0.0.1", "localhost");
    let host = base.trim_start_matches("http://").to_owned();
    (Client::new(&server.base).header("host", &host), base)
}

/// Signs in under the name localhost.
pub fn signed_in_at_localhost(server: &TestServer, name: &str) -> Client {
    let (client, _) = at_localhost(server);
    let answer = client.sign_in(name, crate::harness::server::PASSWORD);
    assert_eq!(answer.status(), 303, "{}", answer.text());
    client
}

/// Makes a passkey that this server never registered.
pub fn unknown_passkey(server: &TestServer) -> SoftPasskey {
    let user = json!({ "id": "AAAAAAAAAAAAAAAAAAAAAA" });
    let options = json!({ "publicKey": { "challenge": "AAAA", "rp": { "id": "localhost" }, "user": user } });
    SoftPasskey::register(&options, &origin(server)).0
}

/// Sets up a passkey; returns it and the answer of the server.
pub fn enrol_passkey(server: &TestServer, client: &Client, name: &str) -> (SoftPasskey, Value) {
    let options = client
        .post_json("/factors/passkeys/options", &json!({}), JSON)
        .expect(200)
        .json();
    let (passkey, answer) = SoftPasskey::register(&options, &origin(server));
    let body = json!({ "name": name, "credential": answer });
    let added = client.post_json("/factors/passkeys", &body, JSON).expect(200).json();
    (passkey, added)
}

fn origin(server: &TestServer) -> String {
    server.base.replace("127.0.0.1", "localhost")
}

/// Headers that Nightlatch's own scripts send.
pub const JSON: &[(&str, &str)] = &[("accept", "application/json")];

/// Returns the refusal for programs.
#[track_caller]
pub fn refused(answer: Answer, status: u16, code: &str) -> Answer {
    let answer = answer.expect(status);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.json()["code"], code, "{}", answer.text());
    answer
}
