//! A software authenticator that registers a passkey and answers challenges as a browser would send
//! them (WebAuthn Level 3, attestation "none", ES256).

use data_encoding::BASE64URL_NOPAD;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};

/// Flags of the authenticator data (WebAuthn Level 3, 6.1).
const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 4;
const ATTESTED: u8 = 64;

/// A passkey with its private key.
pub struct SoftPasskey {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    /// The account's ID, which the site gave to the passkey.
    pub user: Vec<u8>,
    pub domain: String,
    pub origin: String,
    pub counter: u32,
    pub is_verified: bool,
    /// Whether it answers from inside a frame of another site.
    pub is_framed: bool,
}

fn text(bytes: &[u8]) -> Value {
    json!(BASE64URL_NOPAD.encode(bytes))
}

impl SoftPasskey {
    /// Registers a new passkey and returns it with the browser's answer.
    pub fn register(options: &Value, origin: &str) -> (Self, Value) {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let mut id = vec![0; 32];
        random.fill(&mut id).unwrap();
        let public = &options["publicKey"];
        let passkey = Self {
            key,
            id,
            user: BASE64URL_NOPAD
                .decode(public["user"]["id"].as_str().unwrap().as_bytes())
                .unwrap(),
            domain: public["rp"]["id"].as_str().unwrap().to_owned(),
            origin: origin.to_owned(),
            counter: 1,
            is_verified: true,
            is_framed: false,
        };
        let client_data = passkey.client_data("webauthn.create", public);
        let mut data = passkey.authenticator_data(ATTESTED, 1);
        data.extend([0; 16]);
        data.extend(u16::try_from(passkey.id.len()).unwrap().to_be_bytes());
        data.extend(&passkey.id);
        data.extend(passkey.cose_key());
        let mut object = vec![0xa3];
        object.extend(b"\x63fmt\x64none\x67attStmt\xa0\x68authData\x58");
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(&data);
        let answer = json!({
            "id": text(&passkey.id), "rawId": text(&passkey.id), "type": "public-key",
            "response": { "clientDataJSON": text(&client_data), "attestationObject": text(&object), "transports": ["internal"] },
            "clientExtensionResults": {},
        });
        (passkey, answer)
    }

    /// Answers a challenge and increments the counter.
    pub fn answer(&mut self, options: &Value) -> Value {
        self.counter += 1;
        self.answer_at(options, self.counter)
    }

    /// Answers a challenge with the given counter.
    pub fn answer_at(&self, options: &Value, counter: u32) -> Value {
        let client_data = self.client_data("webauthn.get", &options["publicKey"]);
        let data = self.authenticator_data(0, counter);
        let signed = [data.clone(), digest(&SHA256, &client_data).as_ref().to_vec()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": text(&self.id), "rawId": text(&self.id), "type": "public-key",
            "response": {
                "clientDataJSON": text(&client_data), "authenticatorData": text(&data),
                "signature": text(signature.as_ref()), "userHandle": text(&self.user),
            },
            "clientExtensionResults": {},
        })
    }

    fn client_data(&self, kind: &str, public: &Value) -> Vec<u8> {
        let data = json!({ "type": kind, "challenge": public["challenge"], "origin": self.origin, "crossOrigin": self.is_framed });
        data.to_string().into_bytes()
    }

    fn authenticator_data(&self, flags: u8, counter: u32) -> Vec<u8> {
        let verified = if self.is_verified { USER_VERIFIED } else { 0 };
        let mut data = digest(&SHA256, self.domain.as_bytes()).as_ref().to_vec();
        data.push(USER_PRESENT | verified | flags);
        data.extend(counter.to_be_bytes());
        data
    }

    /// Returns the public key as a COSE key (RFC 9053):
    /// {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}.
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.public_key().as_ref();
        let mut key = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20".to_vec();
        key.extend(&point[1..33]);
        key.extend(b"\x22\x58\x20");
        key.extend(&point[33..65]);
        key
    }
}
