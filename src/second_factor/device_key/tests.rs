//! Tests of [`super`].

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

/// Registrations that OpenSSL signed, with the challenge `C1`.
const RSA_2048: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImp3ayI6eyJlIjoiQVFBQiIsImt0eSI6IlJTQSIsIm4iOiJ2aHdHeGRHaWZ5NE9CY01iYS1rNnU4",
    "a3BDMzRCaFRWOF9tRk5xUlRJd3MwajRqZjRWQVVrbnc0cW1oQklMNW9LU0NmV21hVnMtamtnMmltckJOUTk1QnJFTDFpN1Zz",
    "Vk5FVFpuUWNGMjJEUXI5NUlvUlJ4WFZvNWMtWDZfUkVwcUJWVzEydUNWTEJ5WVY0SXcwU3otVlJoZzhRTm9Kd3FLTmd4Z294",
    "RXpjRGNaZFBmREJuWVBjTWJuaTVoeE9oM0J2YnZuYUUtVF9Yb1lsUWY5SkpqOUN5QWh4OGM1WG5mX2lqTmtXZG5xZ0RORXRm",
    "bTRiZHNOeU5LQ0kxWG1ma1FiQlVfOXF2Uk0yeWE0TEVIX3RobHJQRmNaV1hlUTgxLWV0MFNkVmZqMm0yYm9LVEJLOGdQLTRq",
    "Njd5alVwNnpubi1JRVlGWUVOUmRiYXpoSmd0Ul8xS1EifSwidHlwIjoiZGJzYytqd3QifQ.eyJqdGkiOiJDMSJ9.su_HEQrh",
    "XRInpWIwSL5Tc-7TPBXsPh5TWIDGI-PNDcuhizzhWOMDDi8_nccZ3MBybr_p4tVnJS9HTE9s3oCH3NG0LrvjBMqLWMTmJHaa",
    "wd30jL0IffFkyYaB7kWrEfwZxw_bLHFA7buipR5hBGNUCvuAhnItcMfFm52ZeddvE4yO_Kp5JmxwGjEAh8ITm6jX8SU0PoFU",
    "2u_T2-OgIx7sclzLhkngp86lRZi4ip9tULEch4b-Y2UND6usRCq1nwOq8JjvG0z67WK-",
    "fFw3fZAou5lwHXvbheHa1gqrjJAqY6K4m_CUOJk_XHHzmTn9fW6pwaRQwl6qTu3tvVZvu88CdQ",
);
const RSA_1024: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImp3ayI6eyJlIjoiQVFBQiIsImt0eSI6IlJTQSIsIm4iOiJuUGtiT0RKYXRYS2pJSTREMFpoZWFX",
    "QWZwVzFDUktJemZlUm9jOVdtOWtoMUpGdzg3clBmUW9yUkluRUJoVDRncWJ0ZWVpb0lKQlAtZmFiUm1fR09obDVFdGg2VENz",
    "R1FkOVA2bnNiamdlU0liWUZJM0p1Z0RydXJiTzBSVWNvTGV2RjlpYnBtWmFJZG9fMG5NY01OUGkyNUdST1E1Y3hoTW9keHJv",
    "OXFxejAifSwidHlwIjoiZGJzYytqd3QifQ.eyJqdGkiOiJDMSJ9.VeDCVSk1x-0tf-WiaKhqroCIo_7mkoL2-",
    "uqgUFg3mMAO0T_h2Y5e-",
    "7mkG06QKNKlmZ0Q1zjt9jXTjQH3aW1F3YYtnWknOAWkDOfGxmpkYLCh5QRObkrYbHE2wcuFI1PcN1c7Aqamw7TZqIjXbbUQu",
    "tBf83SSyL_f_VUOY2g5in8",
);

#[test]
fn an_rsa_key_proves_itself_if_it_is_long_enough() {
    let answer = DeviceAnswer::parse(RSA_2048).unwrap();
    let key = answer.key().unwrap();
    assert_eq!(answer.challenge(), "C1");
    assert!(answer.is_signed_by(key));
    let stored = PublicKey::parse(&key.to_jwk()).unwrap();
    assert!(answer.is_signed_by(&stored));
    let short = DeviceAnswer::parse(RSA_1024).unwrap();
    assert!(!short.is_signed_by(short.key().unwrap()), "1024 bits are too few");
    assert!(!answer.is_signed_by(short.key().unwrap()), "another key");
}

#[test]
fn the_algorithm_must_be_that_of_the_key() {
    let (_, rest) = RSA_2048.split_once('.').unwrap();
    let header: serde_json::Value = {
        let (header, _) = RSA_2048.split_once('.').unwrap();
        serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes()).unwrap()).unwrap()
    };
    for algorithm in ["ES256", "RS512", "PS256", "HS256", "none", "rs256", ""] {
        let mut changed = header.clone();
        changed["alg"] = algorithm.into();
        let text = format!("{}.{rest}", BASE64URL_NOPAD.encode(changed.to_string().as_bytes()));
        let answer = DeviceAnswer::parse(&text).unwrap();
        assert!(!answer.is_signed_by(answer.key().unwrap()), "{algorithm}");
    }
    for jwk in [
        serde_json::json!({ "kty": "RSA", "n": "AQAB" }),
        serde_json::json!({ "kty": "RSA", "crv": "P-256", "n": "AQAB", "e": "AQAB" }),
        serde_json::json!({ "kty": "oct", "k": "AQAB" }),
        serde_json::json!({ "kty": "EC", "crv": "P-384", "x": "AQAB", "y": "AQAB" }),
        serde_json::json!({ "kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB" }),
    ] {
        assert_eq!(PublicKey::from_jwk(&jwk), None, "{jwk}");
    }
}
