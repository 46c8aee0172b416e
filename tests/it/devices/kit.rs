//! Shared helpers: a server that browsers reach over https, and a browser that is bound.

use crate::harness::{
    client::{Answer, Client},
    device::{SoftDevice, challenged},
    server::{Backend, PASSWORD, TestServer},
};
use nightlatch::domain::account::Role;
use reqwest::Method;

/// The name of the server.
pub const LOGIN: &str = "login.example.org";
/// The cookie that carries the proof of a device.
pub const DEVICE: &str = "__Host-nightlatch-device";

/// Starts a server that browsers reach over https, with the account `ada`.
pub fn server(backend: Backend) -> TestServer {
    let server = TestServer::on(backend)
        .env("NIGHTLATCH_PUBLIC_URL", &format!("https://{LOGIN}"))
        .start();
    server.account("ada", Role::Member);
    server
}

/// A browser without cookies.
pub fn browser(server: &TestServer) -> Client {
    server.anyone().header("host", LOGIN)
}

/// A browser whose session is bound.
pub struct Bound {
    pub client: Client,
    pub device: SoftDevice,
    /// The device session.
    pub id: String,
    /// The challenge of the next proof.
    pub challenge: String,
}

impl Bound {
    /// Signs in and binds the session.
    #[track_caller]
    pub fn sign_in(server: &TestServer, name: &str) -> Self {
        let client = browser(server);
        let signed_in = client.sign_in(name, PASSWORD).expect(303);
        let device = SoftDevice::new();
        let answer = device.register(&client, &signed_in).expect(200);
        let (challenge, id) = challenged(&answer);
        Self {
            client,
            device,
            id,
            challenge,
        }
    }

    /// Proves the device, as a browser does before the cookie expires.
    #[track_caller]
    pub fn refresh(&mut self) -> Answer {
        let answer = self
            .device
            .refresh(&self.client, &self.id, Some(&self.challenge))
            .expect(204);
        self.challenge = challenged(&answer).0;
        answer
    }

    /// The same cookies in other hands, without the proof of the device.
    pub fn stolen(&self) -> Client {
        let thief = self.client.thief();
        thief.set_cookie(DEVICE, "");
        thief
    }
}

/// Expects that a page is refused because the device did not prove itself.
#[track_caller]
pub fn refused(client: &Client, code: &str) {
    let page = client.get("/").expect(303);
    assert_eq!(page.location(), format!("/login?reason={code}"));
    let program = client.send(Method::GET, "/", None, &[("accept", "application/json")]);
    assert_eq!(program.expect(401).json()["code"], code);
    let state = client.get("/nightlatch/session").expect(200).json();
    assert_eq!((&state["state"], &state["reason"]), (&"anonymous".into(), &code.into()));
    assert!(state["user"].is_null(), "{state}");
}

/// Expects that pages are shown.
#[track_caller]
pub fn admitted(client: &Client) {
    client.get("/").expect(200);
    let state = client.get("/nightlatch/session").expect(200).json();
    assert_eq!(state["state"], "live", "{state}");
}
