//! Tokens of every wrong kind, and the check that refuses each.

use crate::harness::{
    forged_provider::{ForgedProvider, ReplyMaker, SigningKey, parse_numeric_date, signed_with_secret, unsigned},
    real_provider::{CLIENT_ID, CLIENT_SECRET},
    server::block_on,
    upstream::Reply,
};
use nightlatch::{
    clock::{Clock, SystemClock},
    domain::{
        secret::Secret,
        time::{Span, Timestamp},
    },
    identity::oidc::{
        CallbackQuery, ClaimNames, OidcFault, Provider, ProviderRegistration, ProviderSignIn, SignInSecrets,
    },
};
use serde_json::{Value as Json, json};
use std::time::Duration;

const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";
const REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

fn registration(issuer: &str) -> ProviderRegistration {
    ProviderRegistration {
        issuer: issuer.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(Secret::new(CLIENT_SECRET.to_owned())),
        secret_in_body: false,
        ca_file: None,
        time_limit: Duration::from_secs(5),
        claims: ClaimNames {
            name: "preferred_username".to_owned(),
            display_name: "name".to_owned(),
            email: "email".to_owned(),
            groups: "groups".to_owned(),
        },
    }
}

/// A forged provider, a client of it, and one sign-in.
struct Case {
    key: SigningKey,
    forged: ForgedProvider,
    provider: Provider,
    secrets: SignInSecrets,
    now: Timestamp,
}

impl Case {
    fn new() -> Self {
        let key = SigningKey::new("first");
        let forged = ForgedProvider::start(&key);
        forged.change(|answers| answers.userinfo = json!({ "sub": "ada", "preferred_username": "ada" }));
        Self {
            provider: Provider::new(registration(&forged.issuer)).unwrap(),
            secrets: SignInSecrets::new([[1; 32], [2; 32], [3; 32]]),
            now: SystemClock.now(),
            forged,
            key,
        }
    }

    /// The claims of a valid ID token.
    fn claims(&self) -> Json {
        let now = parse_numeric_date(self.now);
        json!({
            "iss": self.forged.issuer, "sub": "ada", "aud": CLIENT_ID, "exp": now + 300, "iat": now,
            "nonce": self.secrets.nonce.expose(),
        })
    }

    /// The provider's answer, as it comes to our callback.
    fn answer(&self) -> CallbackQuery {
        CallbackQuery {
            code: "a code".to_owned(),
            state: self.secrets.state.expose().to_owned(),
            iss: Some(self.forged.issuer.clone()),
            error: None,
        }
    }

    fn complete(&self, answer: &CallbackQuery, since: Option<Timestamp>) -> Result<ProviderSignIn, OidcFault> {
        let completing = self.provider.complete(
            answer,
            &self.secrets,
            "https://login.example.org/login/oidc/corp/callback",
            since,
            self.now,
        );
        block_on(completing)
    }

    /// The code of the check that refuses this ID token; `accepted` if none does.
    fn verdict(&self, id_token: String) -> &'static str {
        self.forged.change(|answers| answers.id_token = id_token);
        code(&self.complete(&self.answer(), None))
    }

    /// The same for the valid claims with some changed; `null` leaves one out.
    fn verdict_with(&self, changes: &[(&str, Json)]) -> &'static str {
        self.verdict(self.key.sign(None, &changed(self.claims(), changes)))
    }
}

fn code<T>(result: &Result<T, OidcFault>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(fault) => fault.code(),
    }
}

fn changed(mut claims: Json, changes: &[(&str, Json)]) -> Json {
    for (name, value) in changes {
        match value {
            Json::Null => {
                claims.as_object_mut().unwrap().remove(*name);
            }
            value => claims[*name] = value.clone(),
        }
    }
    claims
}

/// The left half of a hash, as ID tokens state it.
fn half_hash(text: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    data_encoding::BASE64URL_NOPAD.encode(&hash.as_ref()[..16])
}

#[test]
fn an_id_token_is_accepted_only_if_every_claim_fits() {
    let case = Case::new();
    let now = parse_numeric_date(case.now);
    let cases: Vec<(&str, Vec<(&str, Json)>)> = vec![
        ("accepted", vec![]),
        ("accepted", vec![("aud", json!([CLIENT_ID]))]),
        // Some providers send the word.
        ("accepted", vec![("email_verified", json!("true"))]),
        (
            "accepted",
            vec![("aud", json!([CLIENT_ID, "api"])), ("azp", json!(CLIENT_ID))],
        ),
        (
            "token_azp",
            vec![("aud", json!([CLIENT_ID, "api"])), ("azp", json!("api"))],
        ),
        ("token_azp", vec![("aud", json!([CLIENT_ID, "api"]))]),
        ("token_azp", vec![("azp", json!("another"))]),
        ("token_audience", vec![("aud", json!("another"))]),
        ("token_audience", vec![("aud", json!([]))]),
        ("token_audience", vec![("aud", Json::Null)]),
        ("token_issuer", vec![("iss", json!("https://other.example.org"))]),
        ("token_issuer", vec![("iss", json!(format!("{}/", case.forged.issuer)))]),
        ("token_format", vec![("iss", Json::Null)]),
        ("token_nonce", vec![("nonce", json!("of another sign-in"))]),
        ("token_nonce", vec![("nonce", Json::Null)]),
        ("accepted", vec![("exp", json!(now - 58))]),
        ("token_expired", vec![("exp", json!(now - 61))]),
        ("token_format", vec![("exp", Json::Null)]),
        ("accepted", vec![("iat", json!(now + 59))]),
        ("token_issued_at", vec![("iat", json!(now + 62))]),
        ("token_issued_at", vec![("iat", json!(now - 602))]),
        ("token_format", vec![("sub", Json::Null)]),
        ("token_subject", vec![("sub", json!(""))]),
        ("token_subject", vec![("sub", json!("ada\0"))]),
        ("token_subject", vec![("sub", json!("ad\u{e4}"))]),
        ("token_subject", vec![("sub", json!("a".repeat(256)))]),
        ("accepted", vec![("nbf", json!(now + 59))]),
        ("token_issued_at", vec![("nbf", json!(now + 62))]),
        ("token_issued_at", vec![("nbf", json!("now"))]),
        ("accepted", vec![("at_hash", json!(half_hash("an access token")))]),
        ("token_hash", vec![("at_hash", json!(half_hash("another")))]),
        ("token_format", vec![("at_hash", json!(1))]),
        ("accepted", vec![("c_hash", json!(half_hash("a code")))]),
        ("token_hash", vec![("c_hash", json!(half_hash("another")))]),
        ("auth_time", vec![("auth_time", json!(now + 62))]),
    ];
    for (expected, changes) in cases {
        assert_eq!(case.verdict_with(&changes), expected, "{changes:?}");
    }
}

#[test]
fn the_fault_of_a_token_for_another_client_has_both_values() {
    let case = Case::new();
    for (claim, value, found) in [
        ("aud", json!("another"), "found “another”"),
        ("aud", json!(["one", "two"]), "found “one, two”"),
        (
            "iss",
            json!("https://other.example.org"),
            "found “https://other.example.org”",
        ),
    ] {
        let token = case.key.sign(None, &changed(case.claims(), &[(claim, value)]));
        case.forged.change(|answers| answers.id_token = token);
        let fault = case.complete(&case.answer(), None).map(drop).unwrap_err().to_string();
        let expected = if claim == "aud" {
            CLIENT_ID
        } else {
            case.forged.issuer.as_str()
        };
        assert!(fault.contains(&format!("expected “{expected}”, {found}")), "{fault}");
    }
}

#[test]
fn an_id_token_is_accepted_only_with_a_signature_of_the_provider() {
    let case = Case::new();
    let claims = case.claims();
    assert_eq!(case.verdict(case.key.sign(None, &claims)), "accepted");
    assert_eq!(case.verdict(case.key.sign(Some("JWT"), &claims)), "accepted");
    assert_eq!(case.verdict(unsigned(&claims)), "token_algorithm");
    assert_eq!(
        case.verdict(signed_with_secret(CLIENT_SECRET, &claims)),
        "token_algorithm"
    );
    assert_eq!(case.verdict(case.key.sign(Some("logout+jwt"), &claims)), "token_type");
    assert_eq!(case.verdict("no token".to_owned()), "token_format");
    // A stranger's key under the provider's name, and the provider's key under another algorithm.
    let stranger = SigningKey::new("first");
    assert_eq!(case.verdict(stranger.sign(None, &claims)), "token_signature");
    let header = json!({ "alg": "RS256", "kid": "first" });
    assert_eq!(case.verdict(case.key.sign_under(&header, &claims)), "token_key");
    let critical = json!({ "alg": "ES256", "kid": "first", "crit": ["exp"] });
    assert_eq!(case.verdict(case.key.sign_under(&critical, &claims)), "token_type");
    // Another payload under a valid signature.
    let good = case.key.sign(None, &claims);
    let other = case.key.sign(None, &changed(claims, &[("sub", json!("eve"))]));
    let (start, end) = (other.rsplit_once('.').unwrap().0, good.rsplit_once('.').unwrap().1);
    assert_eq!(case.verdict(format!("{start}.{end}")), "token_signature");
}

#[test]
fn unknown_keys_are_fetched_once_and_not_more_often_than_every_ten_seconds() {
    let mut case = Case::new();
    assert_eq!(case.verdict_with(&[]), "accepted");
    assert_eq!(case.forged.requests_to("/keys"), 1);
    let second = SigningKey::new("second");
    case.forged.change(|answers| answers.keys = vec![second.public()]);
    assert_eq!(case.verdict(second.sign(None, &case.claims())), "accepted");
    assert_eq!(case.forged.requests_to("/keys"), 2);
    // The old key is gone, and strangers cannot make the keys be fetched at will.
    for _ in 0..5 {
        assert_eq!(case.verdict_with(&[]), "token_key");
    }
    assert_eq!(case.forged.requests_to("/keys"), 2);
    case.now = case.now.saturating_add(Span::from_secs(11));
    assert_eq!(case.verdict_with(&[]), "token_key");
    assert_eq!(case.forged.requests_to("/keys"), 3);
}

#[test]
fn the_answer_must_come_from_the_provider_and_to_the_browser_that_asked() {
    let case = Case::new();
    case.forged
        .change(|answers| answers.id_token = case.key.sign(None, &case.claims()));
    let verdict = |change: fn(&mut CallbackQuery)| {
        let mut answer = case.answer();
        change(&mut answer);
        code(&case.complete(&answer, None))
    };
    assert_eq!(verdict(|_| {}), "accepted");
    assert_eq!(verdict(|answer| answer.state = "other".to_owned()), "state");
    assert_eq!(verdict(|answer| answer.state.clear()), "state");
    let other = |answer: &mut CallbackQuery| answer.iss = Some("https://other.example.org".to_owned());
    assert_eq!(verdict(other), "response_issuer");
    // The provider says that it always names itself.
    assert_eq!(verdict(|answer| answer.iss = None), "response_issuer");
    assert_eq!(
        verdict(|answer| answer.error = Some("access_denied".to_owned())),
        "provider_refused"
    );
    assert_eq!(verdict(|answer| answer.code.clear()), "provider_refused");
    assert_eq!(case.forged.requests_to("/token"), 1);
}

#[test]
fn a_re_authentication_needs_a_fresh_time_of_authentication() {
    let case = Case::new();
    let now = parse_numeric_date(case.now);
    let verdict = |auth_time: Json| {
        let claims = changed(case.claims(), &[("auth_time", auth_time)]);
        case.forged
            .change(|answers| answers.id_token = case.key.sign(None, &claims));
        code(&case.complete(&case.answer(), Some(case.now)))
    };
    assert_eq!(verdict(json!(now)), "accepted");
    assert_eq!(verdict(json!(now - 59)), "accepted");
    assert_eq!(verdict(json!(now - 62)), "auth_time");
    // A time to come would make the token count at every later confirmation.
    assert_eq!(verdict(json!(now + 59)), "accepted");
    assert_eq!(verdict(json!(now + 62)), "auth_time");
    assert_eq!(verdict(Json::Null), "auth_time");
}

#[test]
fn the_userinfo_endpoint_must_speak_of_the_same_person() {
    let case = Case::new();
    case.forged
        .change(|answers| answers.userinfo = json!({ "sub": "eve", "groups": ["admins"] }));
    assert_eq!(case.verdict_with(&[]), "userinfo_subject");
    case.forged
        .change(|answers| answers.userinfo = json!({ "sub": "ada", "groups": ["staff"] }));
    case.forged
        .change(|answers| answers.id_token = case.key.sign(None, &case.claims()));
    let signed_in = case.complete(&case.answer(), None).unwrap();
    assert_eq!(signed_in.claims.groups, ["staff"]);
    let request = case.forged.upstream.asked();
    let exchange = request.iter().find(|request| request.target == "/token").unwrap();
    // Both parts are form-encoded before they are joined (RFC 6749, 2.3.1).
    let credentials = "nightlatch:client+secret+of+the+tests+%2B+%2F+%26";
    let expected = format!("Basic {}", data_encoding::BASE64.encode(credentials.as_bytes()));
    assert_eq!(exchange.header("authorization").as_deref(), Some(expected.as_str()));
    let body = String::from_utf8(exchange.body.clone()).unwrap();
    assert!(body.contains("code_verifier=AwMD"), "{body}");
    assert!(!body.contains("client_secret"), "{body}");
}

#[test]
fn answers_of_a_faulty_provider_are_refused() {
    let endless = || Reply::text(&" ".repeat(1024 * 1024 + 1));
    let redirect = || Reply {
        status: "307 Temporary Redirect",
        headers: "Location: /elsewhere\r\n".to_owned(),
        body: String::new(),
    };
    let broken = || Reply::text("{");
    let refusal = || Reply {
        status: "400 Bad Request",
        headers: String::new(),
        body: json!({ "error": "invalid_grant", "error_description": "secret" }).to_string(),
    };
    let cases: [(&'static str, ReplyMaker, &str); 7] = [
        ("/.well-known/openid-configuration", broken, "provider_answer"),
        ("/.well-known/openid-configuration", redirect, "provider_answer"),
        ("/keys", endless, "provider_answer"),
        ("/token", redirect, "provider_answer"),
        ("/token", endless, "provider_answer"),
        ("/token", refusal, "provider_refused"),
        ("/userinfo", broken, "provider_answer"),
    ];
    for (path, instead, expected) in cases {
        let case = Case::new();
        case.forged.change(|answers| answers.instead = Some((path, instead)));
        assert_eq!(case.verdict_with(&[]), expected, "{path}");
        assert_eq!(case.forged.requests_to("/elsewhere"), 0);
    }
}

#[test]
fn a_provider_is_believed_only_under_its_own_name_and_over_tls() {
    let case = Case::new();
    case.forged
        .change(|answers| answers.metadata = json!({ "issuer": "https://other.example.org" }));
    assert_eq!(case.verdict_with(&[]), "discovery_issuer");
    // Browsers are sent to two of the addresses.
    for (endpoint, address) in [
        ("token_endpoint", "http://login.example.org/token"),
        ("jwks_uri", "file:///etc/passwd"),
        ("userinfo_endpoint", "http://login.example.org/userinfo"),
        ("authorization_endpoint", "http://login.example.org/auth"),
        ("authorization_endpoint", "javascript:alert(1)"),
        ("end_session_endpoint", "http://login.example.org/end"),
        ("end_session_endpoint", "javascript:alert(1)//"),
        ("end_session_endpoint", "data:text/html,<script>alert(1)</script>"),
    ] {
        let case = Case::new();
        case.forged
            .change(|answers| answers.metadata = json!({ endpoint: address }));
        assert_eq!(case.verdict_with(&[]), "source_settings", "{endpoint} {address}");
        let end = block_on(case.provider.sign_out_url(None, "https://login.example.org/", case.now));
        assert_eq!(code(&end), "source_settings", "{endpoint} {address}");
    }
    assert!(
        Provider::new(ProviderRegistration {
            ca_file: Some("/nowhere.pem".to_owned()),
            ..registration("https://login.example.org")
        })
        .is_err()
    );
}

#[test]
fn a_provider_that_cannot_be_reached_is_asked_again_after_ten_seconds() {
    let mut case = Case::new();
    // The port is closed: nothing listens on it.
    case.provider = Provider::new(registration("http://127.0.0.1:9")).unwrap();
    let fault = case.complete(&case.answer(), None).err().unwrap();
    assert_eq!((fault.code(), fault.is_outage()), ("provider_unreachable", true));
    assert!(fault.to_string().contains("cannot be reached"), "{fault}");
}

/// Verdicts on logout tokens.
#[test]
fn a_logout_token_is_accepted_only_if_every_claim_fits() {
    let case = Case::new();
    let now = parse_numeric_date(case.now);
    let claims = json!({
        "iss": case.forged.issuer, "sub": "ada", "sid": "s1", "aud": CLIENT_ID, "jti": "j1", "iat": now,
        "exp": now + 120, "events": { LOGOUT: {} },
    });
    let verdict = |typ: Option<&str>, changes: &[(&str, Json)]| {
        let token = case.key.sign(typ, &changed(claims.clone(), changes));
        code(&block_on(case.provider.verify_logout(&token, case.now)))
    };
    let typ = Some("logout+jwt");
    assert_eq!(verdict(typ, &[]), "accepted");
    assert_eq!(verdict(Some("application/logout+JWT"), &[]), "accepted");
    // Older providers name no type; the event shows what it is.
    assert_eq!(verdict(None, &[]), "accepted");
    assert_eq!(verdict(None, &[("events", Json::Null)]), "token_type");
    assert_eq!(verdict(Some("secevent+jwt"), &[]), "token_type");
    assert_eq!(verdict(typ, &[("sub", Json::Null)]), "accepted");
    assert_eq!(verdict(typ, &[("sid", Json::Null)]), "accepted");
    assert_eq!(
        verdict(typ, &[("sid", Json::Null), ("sub", Json::Null)]),
        "token_subject"
    );
    assert_eq!(verdict(typ, &[("nonce", json!("n"))]), "token_events");
    assert_eq!(verdict(typ, &[("events", json!({ REVOKED: {} }))]), "token_events");
    assert_eq!(verdict(typ, &[("jti", Json::Null)]), "token_id");
    assert_eq!(verdict(typ, &[("aud", json!("another"))]), "token_audience");
    assert_eq!(
        verdict(typ, &[("iss", json!("https://other.example.org"))]),
        "token_issuer"
    );
    assert_eq!(verdict(typ, &[("iat", json!(now - 121))]), "token_issued_at");
    assert_eq!(verdict(typ, &[("iat", json!(now + 122))]), "token_issued_at");
    assert_eq!(verdict(typ, &[("iat", Json::Null)]), "token_issued_at");
    assert_eq!(verdict(typ, &[("exp", json!(now - 61))]), "token_expired");
    let verdict = |token: String| code(&block_on(case.provider.verify_logout(&token, case.now)));
    assert_eq!(verdict(unsigned(&claims)), "token_algorithm");
    assert_eq!(verdict(signed_with_secret(CLIENT_SECRET, &claims)), "token_algorithm");
    assert_eq!(verdict(SigningKey::new("first").sign(typ, &claims)), "token_signature");
    // An ID token is not a logout token.
    assert_eq!(verdict(case.key.sign(None, &case.claims())), "token_type");
}
