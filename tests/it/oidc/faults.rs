//! What the page of a source says about the last fault of its provider.

use super::kit::{add_source, arrive};
use crate::harness::{
    forged_provider::{ForgedProvider, SigningKey},
    server::TestServer,
    upstream::Reply,
};
use nightlatch::{
    domain::{audit::Initiator, source::SourceId},
    flows::sources::{SourceChange, set},
    store::{StoreError, sources},
};
use serde_json::json;
use url::Url;

fn fault(server: &TestServer, id: SourceId) -> Option<String> {
    let found: Result<_, StoreError> = server.ctx.store.read_now(move |c| sources::find(c, id));
    found.unwrap().unwrap().state.fault
}

#[test]
fn a_wrong_client_secret_is_the_fault_of_the_source_until_its_settings_change() {
    let server = TestServer::start();
    let forged = ForgedProvider::start(&SigningKey::new("first"));
    let id = add_source(&server, "corp", &forged.issuer, &[]);
    let refusal = || Reply {
        status: "401 Unauthorized",
        headers: "Content-Type: application/json\r\n".to_owned(),
        body: json!({ "error": "invalid_client", "error_description": "secret" }).to_string(),
    };
    forged.change(|answers| answers.instead = Some(("/token", refusal)));
    let client = server.anyone();
    let sent = client.get("/login/oidc/corp").expect(303);
    let url = Url::parse(sent.location()).unwrap();
    let (_, state) = url.query_pairs().find(|(key, _)| key == "state").unwrap();
    let path = format!("/login/oidc/corp/callback?code=a&state={state}&iss={}", forged.issuer);
    arrive(&client, &path).expect(303);
    let shown = fault(&server, id).unwrap();
    assert!(shown.ends_with("client_auth: “invalid_client”"), "{shown}");
    let change = SourceChange {
        enabled: Some(true),
        ..SourceChange::default()
    };
    server
        .run(set(&server.ctx, &Initiator::system(), "corp", change))
        .unwrap();
    assert_eq!(fault(&server, id), None);
}
