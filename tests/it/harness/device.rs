//! A software device key that registers itself and answers challenges as a browser does (W3C Device
//! Bound Session Credentials, ES256).

use super::client::{Answer, Client};
use data_encoding::BASE64URL_NOPAD;
use reqwest::Method;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

/// Where keys are registered.
pub const START: &str = "/nightlatch/device/start";
/// Where they are proved.
pub const REFRESH: &str = "/nightlatch/device/refresh";

/// The key of a device.
pub struct SoftDevice(EcdsaKeyPair);

impl SoftDevice {
    /// Makes a key.
    pub fn new() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    /// Answers an offer, with the public key.
    pub fn registration(&self, challenge: &str) -> String {
        let point = self.0.public_key().as_ref();
        let part = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let jwk = json!({ "crv": "P-256", "kty": "EC", "x": part(&point[1..33]), "y": part(&point[33..]) });
        self.sign(&json!({ "alg": "ES256", "jwk": jwk, "typ": "dbsc+jwt" }), challenge)
    }

    /// Answers a challenge.
    pub fn proof(&self, challenge: &str) -> String {
        self.sign(&json!({ "alg": "ES256", "typ": "dbsc+jwt" }), challenge)
    }

    fn sign(&self, header: &Value, challenge: &str) -> String {
        let part = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(&json!({ "jti": challenge })));
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }

    /// Answers the offer of an answer in the client's own session.
    pub fn register(&self, client: &Client, offer: &Answer) -> Answer {
        let challenge = offered(offer).expect("an offer");
        self.register_with(client, &challenge)
    }

    /// Registers itself with a challenge.
    pub fn register_with(&self, client: &Client, challenge: &str) -> Answer {
        let answer = self.registration(challenge);
        client.send(Method::POST, START, None, &[("secure-session-response", &answer)])
    }

    /// Proves itself for the device session `id`. Without a challenge nothing is signed.
    pub fn refresh(&self, client: &Client, id: &str, challenge: Option<&str>) -> Answer {
        let answer = challenge.map(|challenge| self.proof(challenge));
        let id = ("sec-secure-session-id", id);
        match &answer {
            Some(answer) => client.send(
                Method::POST,
                REFRESH,
                None,
                &[id, ("secure-session-response", answer.as_str())],
            ),
            None => client.send(Method::POST, REFRESH, None, &[id]),
        }
    }
}

/// Returns the challenge with which an answer offers to bind its session.
pub fn offered(answer: &Answer) -> Option<String> {
    let offer = answer.header("secure-session-registration")?;
    let rest = offer.strip_prefix("(ES256 RS256);path=\"/nightlatch/device/start\";challenge=\"")?;
    Some(rest.strip_suffix('"').expect("a quoted challenge").to_owned())
}

/// Returns the next challenge of an answer, and the device session for which it is.
pub fn challenged(answer: &Answer) -> (String, String) {
    let line = answer.header("secure-session-challenge").expect("a challenge");
    let (challenge, id) = line.split_once(";id=").expect("an id");
    let plain = |text: &str| text.trim_matches('"').to_owned();
    (plain(challenge), plain(id))
}
