//! Sign-ins that the provider's sign-out overtakes, on two instances where there are two.

use super::kit::{add_source, arrive, find_account, knows_source, refusal};
use crate::{
    factors::kit::enrol_app,
    harness::{
        client::{Answer, Client},
        forged_provider::{ForgedProvider, SigningKey, parse_numeric_date},
        real_provider::CLIENT_ID,
        server::{Backend, TestServer, eventually},
    },
};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use url::Url;

/// A server, one beside it on Postgres, and a provider whose answers the test makes.
struct Case {
    server: TestServer,
    beside: Option<TestServer>,
    key: SigningKey,
    forged: ForgedProvider,
}

impl Case {
    fn on(backend: Backend) -> Self {
        let server = TestServer::on(backend).start();
        let key = SigningKey::new("first");
        let forged = ForgedProvider::start(&key);
        let id = add_source(&server, "corp", &forged.issuer, &[]);
        forged.change(|answers| answers.userinfo = json!({ "sub": "bob", "preferred_username": "bob" }));
        let beside =
            (backend == Backend::Postgres).then(|| TestServer::beside(&server.database).clock(&server.clock).start());
        if let Some(beside) = &beside {
            knows_source(beside, id);
        }
        Self {
            server,
            beside,
            key,
            forged,
        }
    }

    /// Goes to the provider and comes back; returns the answer of the callback.
    fn sign_in(&self, client: &Client) -> Answer {
        let sent = client.get("/login/oidc/corp").expect(303);
        let url = Url::parse(sent.location()).unwrap();
        let value = |name: &str| {
            let found = url.query_pairs().find(|(key, _)| key == name);
            found.unwrap().1.into_owned()
        };
        let now = parse_numeric_date(self.server.now());
        let claims = json!({
            "iss": self.forged.issuer, "sub": "bob", "aud": CLIENT_ID, "exp": now + 300, "iat": now,
            "nonce": value("nonce"), "sid": "one",
        });
        self.forged
            .change(|answers| answers.id_token = self.key.sign(None, &claims));
        let path = format!(
            "/login/oidc/corp/callback?code=a&state={}&iss={}",
            value("state"),
            self.forged.issuer
        );
        arrive(client, &path)
    }

    /// Makes the act of the provider that sends a logout token, to the other instance if there is
    /// one.
    fn sign_out(&self, token_id: &str, named: &[(&str, &str)]) -> Arc<dyn Fn() + Send + Sync> {
        let now = parse_numeric_date(self.server.now());
        let mut claims = json!({
            "iss": self.forged.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 120, "jti": token_id,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        for (name, value) in named {
            claims[*name] = Json::from(*value);
        }
        let token = self.key.sign(Some("logout+jwt"), &claims);
        let provider = self
            .beside
            .as_ref()
            .unwrap_or(&self.server)
            .anyone()
            .header("accept", "*/*");
        Arc::new(move || {
            let form = [("logout_token", token.as_str())];
            provider.post("/oidc/corp/backchannel-logout", &form).expect(200);
        })
    }
}

#[test]
fn a_sign_out_during_the_exchange_of_tokens_counts() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let case = Case::on(backend);
        let named: [&[(&str, &str)]; 3] = [&[("sub", "bob")], &[("sid", "one")], &[("sub", "bob"), ("sid", "one")]];
        for (number, named) in named.into_iter().enumerate() {
            let client = case.server.anyone();
            let act = case.sign_out(&format!("token {number}"), named);
            case.forged.change(|answers| answers.meanwhile = Some(act));
            let answer = case.sign_in(&client);
            let (message, reason) = refusal(&case.server, &client, answer);
            assert_eq!(reason, "ended_session", "{backend:?} {named:?}");
            assert!(message.contains("ended this session"), "{message}");
            client.get("/").expect(303);
        }
        // Another person's or another session's end is not a reason to refuse.
        let client = case.server.anyone();
        let act = case.sign_out("of another", &[("sub", "bob"), ("sid", "two")]);
        case.forged.change(|answers| answers.meanwhile = Some(act));
        assert_eq!(case.sign_in(&client).expect(303).location(), "/", "{backend:?}");
        client.get("/").expect(200);
        // Nor is one that came before.
        case.sign_out("earlier", &[("sub", "bob")])();
        let mut location = String::new();
        eventually("the other instance learns of it", || {
            let answer = client.get("/");
            let is_over = answer.status() == 303;
            if is_over {
                answer.location().clone_into(&mut location);
            }
            is_over
        });
        assert_eq!(location, "/login?reason=identity_provider");
        assert_eq!(case.sign_in(&client).expect(303).location(), "/", "{backend:?}");
    }
}

#[test]
fn a_sign_out_during_the_second_step_counts() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let case = Case::on(backend);
        let owner = case.server.anyone();
        case.sign_in(&owner).expect(303);
        let (app, _) = enrol_app(&case.server, &owner);
        assert!(find_account(&case.server, "bob").unwrap().factors.has_any());
        let client = case.server.anyone();
        assert_eq!(
            case.sign_in(&client).expect(303).location(),
            "/login/factor",
            "{backend:?}"
        );
        case.sign_out("during the second step", &[("sid", "one")])();
        let answer = client.post("/login/factor", &[("code", &app.code(&case.server))]);
        assert_eq!(answer.status(), 303, "{}", answer.text());
        assert!(
            answer.location().starts_with("/login"),
            "{backend:?} {}",
            answer.location()
        );
        client.get("/").expect(303);
    }
}
