//! An OpenID Connect provider that answers whatever a test wants, with tokens that the test signs.

use super::upstream::{ReceivedRequest, Reply, Upstream};
use data_encoding::BASE64URL_NOPAD;
use nightlatch::domain::time::Timestamp;
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};

/// A key with which a provider signs (ES256).
pub struct SigningKey {
    pub kid: String,
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl SigningKey {
    pub fn new(kid: &str) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self {
            kid: kid.to_owned(),
            pair: EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap(),
            random,
        }
    }

    /// The public key, as a provider publishes it.
    pub fn public(&self) -> Json {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "use": "sig", "alg": "ES256" })
    }

    /// A token with this payload and the type `typ`.
    pub fn sign(&self, typ: Option<&str>, payload: &Json) -> String {
        let mut header = json!({ "alg": "ES256", "kid": self.kid });
        if let Some(typ) = typ {
            header["typ"] = typ.into();
        }
        self.sign_under(&header, payload)
    }

    /// A token with this header, whatever it says.
    pub fn sign_under(&self, header: &Json, payload: &Json) -> String {
        let signed = signed_part(header, payload);
        let signature = self.pair.sign(&self.random, signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

/// A token without a signature.
pub fn unsigned(payload: &Json) -> String {
    format!("{}.", signed_part(&json!({ "alg": "none" }), payload))
}

/// A token that is signed with a shared secret (HS256).
pub fn signed_with_secret(secret: &str, payload: &Json) -> String {
    let signed = signed_part(&json!({ "alg": "HS256" }), payload);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

fn signed_part(header: &Json, payload: &Json) -> String {
    let encode = |json: &Json| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    format!("{}.{}", encode(header), encode(payload))
}

/// Seconds since the epoch, as tokens state times.
pub fn parse_numeric_date(at: Timestamp) -> i64 {
    at.as_micros() / 1_000_000
}

/// Makes an answer of a faulty provider.
pub type ReplyMaker = fn() -> Reply;

/// Something that happens while the provider answers a request for tokens.
pub type WhileAnswering = Arc<dyn Fn() + Send + Sync>;

/// What the provider answers.
pub struct ForgedAnswers {
    /// Published keys.
    pub keys: Vec<Json>,
    /// Members that replace those of the metadata.
    pub metadata: Json,
    /// The ID token that it issues.
    pub id_token: String,
    /// The claims of the userinfo endpoint.
    pub userinfo: Json,
    /// Answers another way; the path is the key.
    pub instead: Option<(&'static str, ReplyMaker)>,
    /// Happens before the next request for tokens is answered.
    pub meanwhile: Option<WhileAnswering>,
}

/// The running provider; it ends with the test process.
pub struct ForgedProvider {
    pub issuer: String,
    pub upstream: Upstream,
    answers: Arc<Mutex<ForgedAnswers>>,
}

impl ForgedProvider {
    /// Starts a provider that publishes this key.
    pub fn start(key: &SigningKey) -> Self {
        let answers = Arc::new(Mutex::new(ForgedAnswers {
            keys: vec![key.public()],
            metadata: json!({}),
            id_token: String::new(),
            userinfo: json!({}),
            instead: None,
            meanwhile: None,
        }));
        let current = answers.clone();
        let upstream = Upstream::start(Arc::new(move |request| {
            let meanwhile = match request.target.as_str() {
                "/token" => current.lock().unwrap().meanwhile.take(),
                _ => None,
            };
            if let Some(meanwhile) = meanwhile {
                meanwhile();
            }
            answer(request, &current.lock().unwrap())
        }));
        Self {
            issuer: format!("http://{}", upstream.address),
            upstream,
            answers,
        }
    }

    /// Changes what it answers.
    pub fn change(&self, change: impl FnOnce(&mut ForgedAnswers)) {
        change(&mut self.answers.lock().unwrap());
    }

    /// Returns how many requests a path received.
    pub fn requests_to(&self, path: &str) -> usize {
        self.upstream
            .asked()
            .iter()
            .filter(|request| request.target == path)
            .count()
    }
}

fn answer(request: &ReceivedRequest, answers: &ForgedAnswers) -> Reply {
    let issuer = format!("http://{}", request.header("host").unwrap());
    if let Some((path, instead)) = &answers.instead
        && request.target == *path
    {
        return instead();
    }
    match request.target.as_str() {
        "/.well-known/openid-configuration" => {
            let mut metadata = json!({
                "issuer": issuer,
                "authorization_endpoint": format!("{issuer}/auth"),
                "token_endpoint": format!("{issuer}/token"),
                "userinfo_endpoint": format!("{issuer}/userinfo"),
                "jwks_uri": format!("{issuer}/keys"),
                "end_session_endpoint": format!("{issuer}/end"),
                // A careless provider: it offers everything.
                "id_token_signing_alg_values_supported": ["none", "HS256", "ES256", "RS256"],
                "authorization_response_iss_parameter_supported": true,
            });
            for (name, value) in answers.metadata.as_object().unwrap() {
                metadata[name] = value.clone();
            }
            Reply::json(&metadata)
        }
        "/keys" => Reply::json(&json!({ "keys": answers.keys })),
        "/token" => Reply::json(&json!({
            "access_token": "an access token", "token_type": "Bearer", "id_token": answers.id_token,
        })),
        "/userinfo" => Reply::json(&answers.userinfo),
        _ => Reply {
            status: "404 Not Found",
            headers: String::new(),
            body: String::new(),
        },
    }
}

impl Reply {
    /// An answer with JSON.
    pub fn json(json: &Json) -> Self {
        Self {
            status: "200 OK",
            headers: "Content-Type: application/json\r\n".to_owned(),
            body: json.to_string(),
        }
    }
}
