//! A software device key that registers itself and answers challenges as a browser does (W3C Device
//! Bound Session Credentials, ES256 and RS256).

use super::client::{Answer, Client};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use reqwest::Method;
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde_json::{Value, json};

/// Where keys are registered.
pub const START: &str = "/nightlatch/device/start";
/// Where they are proved.
pub const REFRESH: &str = "/nightlatch/device/refresh";

/// A key of 2048 bits, PKCS #8 in base64, that is used in tests alone.
const RSA_2048: &str = concat!(
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC+HAbF0aJ/Lg4Fwxtr6Tq7ySkLfgGFNXz+YU2pFMjCzSPi",
    "N/hUBSSfDiqaEEgvmgpIJ9aZpWz6OSDaKasE1D3kGsQvWLtWxU0RNmdBwXbYNCv3kihFHFdWjlz5fr9ESmoFVbXa4JUsHJhX",
    "gjDRLP5VGGDxA2gnCoo2DGCjETNwNxl098MGdg9wxueLmHE6HcG9u+doT5P9ehiVB/0kmP0LICHHxzled/+KM2RZ2eqAM0S1",
    "+bht2w3I0oIjVeZ+RBsFT/2q9EzbJrgsQf+2GWs8VxlZd5DzX563RJ1V+PabZugpMEryA/7iPrvKNSnrOef4gRgVgQ1F1trO",
    "EmC1H/UpAgMBAAECggEAWv8cSMzevISFZsGsmvsAx4jykhMm1CW1pidaHnAZ5pB9uBb1UPZDQLTttF/Nxac0e7RB9rpljuIQ",
    "dQyT1RRoaYpcVJNi3JZFHNOPGjzpz3QthWuaxfXaYk5zd2LxV1VNKS+NA+8SyBIJ430oM7+XH5EzObnZPTLA1D0ZdoRRvEh2",
    "BBCRRwUM7sfB+2S1QcQWh4LjIE++N1U/kD2TK8SvLeX2KnFjaK8WGnbtapWe++hMc6tVAZV3cgEgbq7E2wpfoDUf0rmZSLiy",
    "blfVF2wAYbZi+R6gL9LvPZ3JXhN1c4FFUZMXvmi2mUv/F9IzMsyPAdDM5S5FEQFauOlLQHDR3wKBgQD/HekIb72JqGcjeNtq",
    "jtTTa67TJeAEpMEWgitQdQ1LZ4pxL4mgCPITZ+BhwN7bS+f801gA3WLqIk5oUHx9N5LnNjMzRgJPFodTLwRXL/yibls3wWWU",
    "gPGwnVapGG1A6FutDyTwp823mkWNlHko8wyEGe6IwLhM8P7YhW2pNd+YZwKBgQC+xIFdZEvxkVkvqOdRcUupkrv1sQ97koWU",
    "YnHnTlTXcGpX3w8+JydO0ndw3sWA7cQkrxgPMhPkT4mmli0bpvirTo66LhfYVPZ183uDeMfxO0ArUpnHetJheV2dP1rSguji",
    "LtjQe45+EpfEGcXrQwFu/2i1qZ9YckSm1fjO7+HL7wKBgDIRbrCnLW2czVEa4QUSrxYnJhJudn6yzupZ9aI+trM7yOHZ0IrF",
    "9qx0UIce0R380bS+zaCt0kHdJcI3OZdhlsUlz/qaHM3kv/5FVfa+hjhirChPHl58x/I/jsh08MwyTfuy4y8P38HO1yOoJfcx",
    "bB1o8XWJTSJckcdwuErjNdS1AoGBAL2B2EE+cXL4QPDniWOOeOtrqOzZh9fqJmjRovV1CzM5qWrBXBMSMipLSfwGUY1SpZcL",
    "mYr+5GPZ35Rte0INDNqgn4i0YVu2i1+BESH5yiYKBiUDWWCg0n2iYyzi0wZspYyLnTb+hv8W2U0ljUe4uKPbddmBN5pVaX2S",
    "8igghN5hAoGAcag90oMEnGU6ocyNY4Nbl2fn4eW8hXFt+/x+oUhyewqrLEA9IVjvzzML/hOj66BnXFCkFUWyKtSpTqmCWKus",
    "LX6pTi4o6RdsarVFXF8i2LqH+KYZVAd+0cfO4JaQrjLRqZyeIsEFwnSnMntJdy+yk4Mn1RkDGXfT3cGJERkI5Ws=",
);

/// The key of a device.
pub enum SoftDevice {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SoftDevice {
    /// Makes a key on P-256.
    pub fn new() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    /// The RSA key of 2048 bits, which is always the same.
    pub fn rsa() -> Self {
        let pkcs8 = BASE64.decode(RSA_2048.as_bytes()).unwrap();
        Self::Rsa(RsaKeyPair::from_pkcs8(&pkcs8).unwrap())
    }

    /// Answers an offer, with the public key.
    pub fn registration(&self, challenge: &str) -> String {
        self.sign(
            &json!({ "alg": self.algorithm(), "jwk": self.jwk(), "typ": "dbsc+jwt" }),
            challenge,
        )
    }

    /// Answers a challenge.
    pub fn proof(&self, challenge: &str) -> String {
        self.sign(&json!({ "alg": self.algorithm(), "typ": "dbsc+jwt" }), challenge)
    }

    /// The public key.
    pub fn jwk(&self) -> Value {
        let part = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        match self {
            Self::P256(key) => {
                let point = key.public_key().as_ref();
                json!({ "crv": "P-256", "kty": "EC", "x": part(&point[1..33]), "y": part(&point[33..]) })
            }
            Self::Rsa(key) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({ "e": part(&public.e), "kty": "RSA", "n": part(&public.n) })
            }
        }
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    /// Signs a challenge under any header.
    pub fn sign(&self, header: &Value, challenge: &str) -> String {
        let part = |json: &Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let signed = format!("{}.{}", part(header), part(&json!({ "jti": challenge })));
        let (random, bytes) = (SystemRandom::new(), signed.as_bytes());
        let signature = match self {
            Self::P256(key) => key.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature).unwrap();
                signature
            }
        };
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
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
