//! The end of a session at the provider ends those here, on every instance, and the reverse.

use super::kit::{corp, knows_source, sign_in};
use crate::harness::{
    forged_provider::{ForgedProvider, SigningKey, parse_numeric_date, unsigned},
    real_provider::CLIENT_ID,
    server::{Backend, TestServer},
};
use nightlatch::domain::account::Role;
use serde_json::{Value as Json, json};

#[test]
fn a_session_that_ends_at_the_provider_ends_here_on_every_instance() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let real = corp(&server, &[]);
        let beside =
            (backend == Backend::Postgres).then(|| TestServer::beside(&server.database).clock(&server.clock).start());
        if let Some(beside) = &beside {
            let id = server.ctx.live.sources().by_name("corp").unwrap().source.id;
            knows_source(beside, id);
        }
        let (client, at_provider) = (server.anyone(), real.browser());
        sign_in(&client, &at_provider, "bob").expect(303);
        client.get("/").expect(200);
        // Another session of the same person, at another session of the provider.
        let (other, elsewhere) = (server.anyone(), real.browser());
        sign_in(&other, &elsewhere, "bob").expect(303);
        let client = match &beside {
            Some(beside) => {
                let there = client.at(&beside.base);
                there.get("/").expect(200);
                there
            }
            None => client,
        };
        at_provider.sign_out(&format!("{}/session/end", real.issuer));
        assert_eq!(
            real.state()["backchannel"][0]["event"],
            "backchannel.success",
            "{}",
            real.state()
        );
        let refused = client.get("/").expect(303);
        assert_eq!(refused.location(), "/login?reason=identity_provider", "{backend:?}");
        other.get("/").expect(200);
        let events = server.events();
        assert!(
            events.contains(&"session.ended identity_provider".to_owned()),
            "{events:?}"
        );
        assert!(events.contains(&"provider.sign_out".to_owned()), "{events:?}");
    }
}

#[test]
fn a_logout_token_counts_once_and_a_forged_one_never() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = TestServer::on(backend).start();
        let key = SigningKey::new("first");
        let forged = ForgedProvider::start(&key);
        super::kit::add_source(&server, "corp", &forged.issuer, &[]);
        let now = parse_numeric_date(server.now());
        let claims = |jti: &str| {
            json!({
                "iss": forged.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 120, "jti": jti, "sub": "ada",
                "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
            })
        };
        let provider = server.anyone().header("accept", "*/*");
        let post = |token: &str| provider.post("/oidc/corp/backchannel-logout", &[("logout_token", token)]);
        let refused = |token: &str, check: &str| {
            let answer = post(token).expect(400);
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            let expected = json!({ "error": "invalid_request", "error_description": check });
            assert_eq!(answer.json(), expected);
        };
        let good = key.sign(Some("logout+jwt"), &claims("one"));
        let answer = post(&good).expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        refused(&good, "token_id");
        refused(&unsigned(&claims("two")), "token_algorithm");
        let other = SigningKey::new("first");
        refused(&other.sign(Some("logout+jwt"), &claims("two")), "token_signature");
        refused("", "token_format");
        provider
            .post("/oidc/nobody/backchannel-logout", &[("logout_token", &good)])
            .expect(404);
        let detail: Vec<Json> = server.audit().into_iter().map(|row| row.detail).collect();
        assert!(detail.iter().all(|detail| !detail.to_string().contains("eyJ")));
        assert_eq!(
            server.events().last().unwrap(),
            "provider.sign_out_refused token_format"
        );
    }
}

#[test]
fn signing_out_here_offers_to_sign_out_at_the_provider() {
    let server = TestServer::start();
    let real = corp(&server, &[("sign_out", "offer")]);
    let (client, at_provider) = (server.anyone(), real.browser());
    sign_in(&client, &at_provider, "bob").expect(303);
    let left = client.post("/logout", &[]).expect(303);
    assert_eq!(left.location(), "/logout/provider");
    let page = client.get("/logout/provider").expect(200);
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let page = page.page();
    assert_eq!(page.heading(), "Signed out");
    let there = page.link("Sign out at The corp provider");
    assert!(
        there.starts_with(&format!("{}/session/end?id_token_hint=", real.issuer)),
        "{there}"
    );
    let back = at_provider.sign_out(&there);
    assert_eq!(back, format!("{}/login", server.base));
    // The page is shown once.
    assert_eq!(client.get("/logout/provider").expect(303).location(), "/");
    // A local account signs out as ever.
    let local = server.member("root");
    assert_eq!(local.post("/logout", &[]).expect(303).location(), "/login");
    let silent = TestServer::start();
    silent.account("root", Role::Administrator);
    let real = corp(&silent, &[("sign_out", "local")]);
    let client = silent.anyone();
    sign_in(&client, &real.browser(), "bob").expect(303);
    assert_eq!(client.post("/logout", &[]).expect(303).location(), "/login");
}
