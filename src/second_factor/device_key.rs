//! Proofs of a device key: JSON Web Signatures of the type `dbsc+jwt` (W3C Device Bound Session
//! Credentials), with ES256 or RS256. A registration carries its public key; later proofs are
//! verified with the stored one.

use data_encoding::BASE64URL_NOPAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Longest accepted proof, in bytes. One with an RSA key of 4096 bits has about 1600.
const MAX_LEN: usize = 8192;
/// The type of every proof.
const TYPE: &str = "dbsc+jwt";

/// A proof as the browser sent it; nothing is verified yet.
#[derive(Debug)]
pub struct DeviceAnswer {
    algorithm: String,
    key: Option<PublicKey>,
    challenge: String,
    audience: Option<String>,
    signed: String,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: String,
    #[serde(default)]
    jwk: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    #[serde(default)]
    aud: Option<String>,
}

impl DeviceAnswer {
    /// Reads a compact serialization; browsers may quote it. `None`: it is not a proof.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_matches('"');
        if text.len() > MAX_LEN {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        let claims: Claims = serde_json::from_slice(&decode(claims)?).ok()?;
        if header.typ != TYPE {
            return None;
        }
        let key = match &header.jwk {
            Some(jwk) => Some(PublicKey::from_jwk(jwk)?),
            None => None,
        };
        Some(Self {
            algorithm: header.alg,
            key,
            challenge: claims.jti,
            audience: claims.aud,
            signed: signed.to_owned(),
            signature: decode(signature)?,
        })
    }

    /// Returns the challenge that it answers.
    pub fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Returns the public key of a registration.
    pub fn key(&self) -> Option<&PublicKey> {
        self.key.as_ref()
    }

    /// Returns whether it was made for one of these addresses. Browsers may leave out for which.
    pub fn is_for(&self, addresses: &[String]) -> bool {
        self.audience
            .as_ref()
            .is_none_or(|audience| addresses.contains(audience))
    }

    /// Returns whether this key signed it.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        self.algorithm == key.algorithm() && key.verify(self.signed.as_bytes(), &self.signature)
    }
}

/// A public key that can verify proofs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// A point on P-256, as 4, x, y.
    P256([u8; 65]),
    /// Modulus and exponent, big-endian.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
}

impl PublicKey {
    /// Reads a JSON Web Key; `None`: another kind of key, or a part is missing.
    pub fn from_jwk(jwk: &serde_json::Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(serde_json::Value::as_str);
        let bytes = |name: &str| BASE64URL_NOPAD.decode(text(name)?.as_bytes()).ok();
        match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => {
                let (x, y): ([u8; 32], [u8; 32]) = (bytes("x")?.try_into().ok()?, bytes("y")?.try_into().ok()?);
                let mut point = [4; 65];
                point[1..33].copy_from_slice(&x);
                point[33..].copy_from_slice(&y);
                Some(Self::P256(point))
            }
            ("RSA", None) => Some(Self::Rsa {
                n: bytes("n")?,
                e: bytes("e")?,
            }),
            (_, _) => None,
        }
    }

    /// Reads a stored key.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_jwk(&serde_json::from_str(text).ok()?)
    }

    /// Returns the JSON Web Key with only the members that identify it, in the order of RFC 7638.
    pub fn to_jwk(&self) -> String {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        match self {
            Self::P256(point) => {
                json!({ "crv": "P-256", "kty": "EC", "x": text(&point[1..33]), "y": text(&point[33..]) })
            }
            Self::Rsa { n, e } => json!({ "e": text(e), "kty": "RSA", "n": text(n) }),
        }
        .to_string()
    }

    /// Returns its thumbprint (RFC 7638): SHA-256, base64url.
    pub fn thumbprint(&self) -> String {
        BASE64URL_NOPAD.encode(&Sha256::digest(self.to_jwk()))
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Rsa { .. } => "RS256",
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature)
                .is_ok(),
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        }
    }
}

#[cfg(test)]
mod tests;
