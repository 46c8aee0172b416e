//! Cases of [`super`].

use super::{DeviceAnswer, PublicKey};
use data_encoding::BASE64URL_NOPAD;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};

fn key_pair() -> EcdsaKeyPair {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap()
}

fn jwk(key: &EcdsaKeyPair) -> serde_json::Value {
    let point = key.public_key().as_ref();
    let (x, y) = (
        BASE64URL_NOPAD.encode(&point[1..33]),
        BASE64URL_NOPAD.encode(&point[33..]),
    );
    serde_json::json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
}

fn sign(key: &EcdsaKeyPair, header: &serde_json::Value, claims: &serde_json::Value) -> String {
    let part = |json: &serde_json::Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
}

#[test]
fn a_registration_proves_the_key_that_it_carries() {
    let key = key_pair();
    let header = serde_json::json!({ "alg": "ES256", "typ": "dbsc+jwt", "jwk": jwk(&key) });
    let text = sign(&key, &header, &serde_json::json!({ "jti": "C1" }));
    let answer = DeviceAnswer::parse(&text).unwrap();
    assert_eq!(answer.challenge(), "C1");
    assert!(answer.is_for(&["https://login.example.test/x".to_owned()]));
    let own = answer.key().unwrap();
    assert!(answer.is_signed_by(own));
    let stored = PublicKey::parse(&own.to_jwk()).unwrap();
    assert_eq!((&stored, stored.thumbprint()), (own, own.thumbprint()));
    assert!(answer.is_signed_by(&stored));
    let other = PublicKey::from_jwk(&jwk(&key_pair())).unwrap();
    assert!(!answer.is_signed_by(&other), "another key");
    assert!(DeviceAnswer::parse(&format!("\"{text}\"")).is_some(), "quoted");
}

#[test]
fn a_changed_or_foreign_proof_counts_for_nothing() {
    let key = key_pair();
    let public = PublicKey::from_jwk(&jwk(&key)).unwrap();
    let (header, claims) = (
        serde_json::json!({ "alg": "ES256", "typ": "dbsc+jwt" }),
        serde_json::json!({ "jti": "C1", "aud": "https://login.example.test/a" }),
    );
    let text = sign(&key, &header, &claims);
    let answer = DeviceAnswer::parse(&text).unwrap();
    assert!(answer.is_signed_by(&public) && answer.is_for(&["https://login.example.test/a".to_owned()]));
    assert!(!answer.is_for(&["https://login.example.test/b".to_owned()]));
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let later = BASE64URL_NOPAD.encode(br#"{"jti":"C2"}"#);
    let changed = format!("{}.{later}.{signature}", signed.split_once('.').unwrap().0);
    assert!(!DeviceAnswer::parse(&changed).unwrap().is_signed_by(&public));
    for (alg, typ) in [("none", "dbsc+jwt"), ("RS256", "dbsc+jwt"), ("HS256", "dbsc+jwt")] {
        let text = sign(&key, &serde_json::json!({ "alg": alg, "typ": typ }), &claims);
        assert!(!DeviceAnswer::parse(&text).unwrap().is_signed_by(&public), "{alg}");
    }
    let other_type = sign(&key, &serde_json::json!({ "alg": "ES256", "typ": "jwt" }), &claims);
    for text in [&other_type, "", "a.b", "a.b.c", &format!("{text}{}", "A".repeat(9000))] {
        assert!(DeviceAnswer::parse(text).is_none(), "{}", &text[..text.len().min(40)]);
    }
}

#[test]
fn the_thumbprint_is_that_of_rfc_7638() {
    let n = concat!(
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc",
        "_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQ",
        "R0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bF",
        "TWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
    );
    let jwk = serde_json::json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" });
    let key = PublicKey::from_jwk(&jwk).unwrap();
    assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}
