//! Keys of second factors and of the secrets of sources, derived from the cookie keys by HKDF (RFC
//! 5869), one for each purpose. The newest key seals; all of them can open.

use crate::domain::{account::AccountId, source::SourceId};
use data_encoding::{BASE64, HEXLOWER};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    hmac,
};
use uuid::Uuid;

const SALT: &[u8] = b"nightlatch second factors";
const SEALING: &[u8] = b"totp secret, v1";
const RECOVERY: &[u8] = b"recovery code, v1";
const SOURCE_SEALING: &[u8] = b"source secret, v1";
const RESULT_SEALING: &[u8] = b"imported passwords, v1";
const CHALLENGE: &[u8] = b"passkey challenge, v1";
const IDENTITY: &[u8] = b"key id, v1";

/// A secret as stored in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Nonce and ciphertext with its tag (AES-256-GCM), base64.
    pub text: String,
    /// ID of the key that sealed it.
    pub key_id: String,
}

/// The derived keys, newest first.
pub struct FactorKeys(Vec<DerivedKeys>);

struct DerivedKeys {
    id: String,
    sealing: LessSafeKey,
    source_sealing: LessSafeKey,
    result_sealing: LessSafeKey,
    recovery: hmac::Key,
    challenge: hmac::Key,
}

/// Length of a key's ID, for HKDF.
struct IdLength;

impl KeyType for IdLength {
    fn len(&self) -> usize {
        8
    }
}

impl DerivedKeys {
    fn derive(master: &[u8]) -> Option<Self> {
        let master: Prk = Salt::new(HKDF_SHA256, SALT).extract(master);
        let mut id = [0; 8];
        master.expand(&[IDENTITY], IdLength).ok()?.fill(&mut id).ok()?;
        Some(Self {
            id: HEXLOWER.encode(&id),
            sealing: LessSafeKey::new(UnboundKey::from(master.expand(&[SEALING], &AES_256_GCM).ok()?)),
            source_sealing: LessSafeKey::new(UnboundKey::from(master.expand(&[SOURCE_SEALING], &AES_256_GCM).ok()?)),
            result_sealing: LessSafeKey::new(UnboundKey::from(master.expand(&[RESULT_SEALING], &AES_256_GCM).ok()?)),
            recovery: hmac::Key::from(master.expand(&[RECOVERY], hmac::HMAC_SHA256).ok()?),
            challenge: hmac::Key::from(master.expand(&[CHALLENGE], hmac::HMAC_SHA256).ok()?),
        })
    }
}

impl FactorKeys {
    /// Derives the keys. `masters`: the cookie keys, newest first. `None`: there are none.
    pub fn derive<'a>(masters: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let keys: Vec<DerivedKeys> = masters.map(DerivedKeys::derive).collect::<Option<_>>()?;
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Returns the ID of the key that seals.
    pub fn newest_id(&self) -> &str {
        self.0.first().map_or("", |key| &key.id)
    }

    /// Returns whether the key with this ID is among them.
    pub fn has(&self, key_id: &str) -> bool {
        self.0.iter().any(|key| key.id == key_id)
    }

    /// Seals a secret for an account; in another account's row it cannot be opened. `nonce` is
    /// random and used once. `None`: the secret is too long for the cipher, which none of ours is.
    pub fn seal(&self, account: AccountId, secret: &[u8], nonce: [u8; NONCE_LEN]) -> Option<SealedSecret> {
        let key = self.0.first()?;
        seal_with(&key.sealing, &key.id, account.0, secret, nonce)
    }

    /// Opens a sealed secret of an account. `None`: its key no longer exists, or the text was
    /// changed.
    pub fn open(&self, account: AccountId, sealed: &SealedSecret) -> Option<Vec<u8>> {
        let key = self.0.iter().find(|key| key.id == sealed.key_id)?;
        open_with(&key.sealing, account.0, sealed)
    }

    /// Seals the secret of a source, like [`FactorKeys::seal`], under a key of its own purpose.
    pub fn seal_source(&self, source: SourceId, secret: &[u8], nonce: [u8; NONCE_LEN]) -> Option<SealedSecret> {
        let key = self.0.first()?;
        seal_with(&key.source_sealing, &key.id, source.0, secret, nonce)
    }

    /// Opens the sealed secret of a source, like [`FactorKeys::open`].
    pub fn open_source(&self, source: SourceId, sealed: &SealedSecret) -> Option<Vec<u8>> {
        let key = self.0.iter().find(|key| key.id == sealed.key_id)?;
        open_with(&key.source_sealing, source.0, sealed)
    }

    /// Seals the secrets of a form's result for the account that sent it, like
    /// [`FactorKeys::seal`], under a key of its own purpose.
    pub fn seal_result(&self, owner: AccountId, secrets: &[u8], nonce: [u8; NONCE_LEN]) -> Option<SealedSecret> {
        let key = self.0.first()?;
        seal_with(&key.result_sealing, &key.id, owner.0, secrets, nonce)
    }

    /// Opens the sealed secrets of a form's result, like [`FactorKeys::open`].
    pub fn open_result(&self, owner: AccountId, sealed: &SealedSecret) -> Option<Vec<u8>> {
        let key = self.0.iter().find(|key| key.id == sealed.key_id)?;
        open_with(&key.result_sealing, owner.0, sealed)
    }

    /// Returns the digests of an account's recovery code, one for each key, newest first. A code
    /// has 80 random bits, so a keyed digest is enough, and a flood of attempts costs little.
    pub fn recovery_digests(&self, account: AccountId, code: &str) -> Vec<String> {
        let digest = |key: &DerivedKeys| {
            let message = [account.0.as_bytes().as_slice(), &[0], code.as_bytes()].concat();
            HEXLOWER.encode(hmac::sign(&key.recovery, &message).as_ref())
        };
        self.0.iter().map(digest).collect()
    }

    /// Signs the content of a passkey challenge with the newest key. `None`: there are no keys.
    pub(super) fn sign_challenge(&self, message: &[u8]) -> Option<Vec<u8>> {
        let key = self.0.first()?;
        Some(hmac::sign(&key.challenge, message).as_ref().to_vec())
    }

    /// Returns whether one of the keys signed the content of a passkey challenge. The time does not
    /// depend on the signature.
    pub(super) fn verify_challenge(&self, message: &[u8], signature: &[u8]) -> bool {
        let signed = |key: &DerivedKeys| hmac::verify(&key.challenge, message, signature).is_ok();
        self.0.iter().any(signed)
    }
}

fn seal_with(
    key: &LessSafeKey,
    key_id: &str,
    owner: Uuid,
    secret: &[u8],
    nonce: [u8; NONCE_LEN],
) -> Option<SealedSecret> {
    let mut sealed = secret.to_vec();
    let used_once = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(used_once, Aad::from(owner.as_bytes()), &mut sealed)
        .ok()?;
    Some(SealedSecret {
        text: BASE64.encode(&[nonce.as_slice(), &sealed].concat()),
        key_id: key_id.to_owned(),
    })
}

fn open_with(key: &LessSafeKey, owner: Uuid, sealed: &SealedSecret) -> Option<Vec<u8>> {
    let bytes = BASE64.decode(sealed.text.as_bytes()).ok()?;
    let (nonce, ciphertext) = bytes.split_first_chunk::<NONCE_LEN>()?;
    let mut opened = ciphertext.to_vec();
    let secret = key
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(owner.as_bytes()),
            &mut opened,
        )
        .ok()?;
    Some(secret.to_vec())
}

#[cfg(test)]
mod tests;
