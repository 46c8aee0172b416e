//! A browser, and what must be true of its session.

use crate::harness::client::{Answer, Client};
use reqwest::Method;

/// What is known about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionState {
    Live,
    Ended,
    /// An act that may have ended it was not acknowledged.
    Unknown,
}

/// A browser with its session.
pub(super) struct Browser {
    pub client: Client,
    pub state: SessionState,
}

impl Browser {
    /// A browser that has just signed in.
    pub fn signed_in(client: Client) -> Self {
        Self {
            client,
            state: SessionState::Live,
        }
    }

    /// The same browser, talking to the program at another address.
    pub fn at(self, base: &str) -> Self {
        Self {
            client: self.client.at(base),
            state: self.state,
        }
    }

    /// Compares the session with the model, and learns what was unknown.
    pub fn settle(&mut self) {
        // The browser would forget the cookie of an ended session.
        let status = match self.state {
            SessionState::Live => self.client.get("/").status(),
            SessionState::Ended | SessionState::Unknown => self.client.thief().get("/").status(),
        };
        let found = match status {
            200 => SessionState::Live,
            303 => SessionState::Ended,
            other => panic!("a page is answered {other}"),
        };
        if self.state != SessionState::Unknown {
            assert_eq!(found, self.state, "the session");
        }
        self.state = found;
    }

    /// Notes that this act, acknowledged or not, ends the session.
    pub fn end(&mut self, acknowledged: bool) {
        self.state = if acknowledged {
            SessionState::Ended
        } else {
            SessionState::Unknown
        };
    }
}

/// Sends a form to a program that may be killed meanwhile. `None`: it was not acknowledged. Another
/// status than 303 is a fault of the program.
pub(super) fn send_form(client: &Client, path: &str, form: &[(&str, &str)]) -> Option<Answer> {
    let answer = client.try_send(Method::POST, path, Some(form))?;
    (answer.status() != 503).then(|| answer.expect(303))
}

/// Signs in with a new browser.
pub(super) fn sign_in(base: &str, name: &str, password: &str) -> Option<Browser> {
    let client = Client::new(base);
    send_form(&client, "/login", &[("username", name), ("password", password)])?;
    Some(Browser::signed_in(client))
}
