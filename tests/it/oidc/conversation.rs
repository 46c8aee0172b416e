//! The client of providers against a real one.

use crate::harness::{
    real_provider::{CLIENT_ID, CLIENT_SECRET, RealProvider},
    server::block_on,
};
use nightlatch::{
    clock::{Clock, SystemClock},
    domain::secret::Secret,
    identity::oidc::{
        AuthorizationRequest, CallbackQuery, ClaimNames, OidcFault, Provider, ProviderRegistration, ProviderSignIn,
        SignInSecrets,
    },
};
use std::time::Duration;
use url::Url;

const SERVER: &str = "http://127.0.0.1:9";

fn provider(real: &RealProvider) -> Provider {
    Provider::new(ProviderRegistration {
        issuer: real.issuer.clone(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(Secret::new(CLIENT_SECRET.to_owned())),
        secret_in_body: true,
        ca_file: None,
        time_limit: Duration::from_secs(5),
        claims: ClaimNames {
            name: "preferred_username".to_owned(),
            display_name: "name".to_owned(),
            email: "email".to_owned(),
            groups: "groups".to_owned(),
        },
    })
    .unwrap()
}

fn sign_in(real: &RealProvider, provider: &Provider, must_authenticate: bool) -> Result<ProviderSignIn, OidcFault> {
    let redirect_uri = format!("{SERVER}/login/oidc/corp/callback");
    let secrets = SignInSecrets::new([[1; 32], [2; 32], [3; 32]]);
    let scopes = ["openid", "profile", "email", "groups"].map(str::to_owned);
    let request = AuthorizationRequest {
        redirect_uri: &redirect_uri,
        secrets: &secrets,
        scopes: &scopes,
        acr_values: &[],
        must_authenticate,
        login_hint: None,
    };
    let url = block_on(provider.authorization_url(&request, SystemClock.now()))?;
    let form = [("login", "ada"), ("amr", "pwd otp")];
    let back = Url::parse(&real.browser().authorize_with(url.as_str(), &form)).unwrap();
    let value = |name: &str| {
        let found = back.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    };
    let answer = CallbackQuery {
        code: value("code").unwrap_or_default(),
        state: value("state").unwrap_or_default(),
        iss: value("iss"),
        error: value("error"),
    };
    let now = SystemClock.now();
    let since = must_authenticate.then_some(now);
    block_on(provider.complete(&answer, &secrets, &redirect_uri, since, now))
}

#[test]
fn a_real_provider_is_understood_also_after_it_changed_its_keys() {
    let real = RealProvider::start();
    real.register("corp", &[SERVER]);
    let provider = provider(&real);
    let first = sign_in(&real, &provider, false).unwrap();
    assert_eq!(first.id_token.subject, "ada");
    assert_eq!(first.id_token.methods, ["pwd", "otp"]);
    assert_eq!(first.claims.name.as_deref(), Some("ada"));
    assert_eq!(first.claims.email.as_deref(), Some("ada@example.org"));
    assert_eq!(first.claims.groups, ["staff", "admins"]);
    assert!(first.claims.session.is_some());
    let again = sign_in(&real, &provider, true).unwrap();
    assert!(again.id_token.auth_time.is_some());
    assert_eq!(real.state()["jwksRequests"], 1);
    real.rotate_keys();
    sign_in(&real, &provider, false).unwrap();
    assert_eq!(real.state()["jwksRequests"], 2);
}
