//! Challenges of passkey ceremonies (W3C WebAuthn Level 3, 13.4.3) and of device keys, and the
//! cookie that carries a device's proof. Nothing is stored when one is issued: a challenge contains
//! random bytes, the instant at which it expires, and a keyed digest of both and of what it is
//! bound to. Only this installation can make one, and an answer counts only for the purpose,
//! account and browser for which its challenge was issued.

use super::FactorKeys;
use crate::domain::{
    account::AccountId,
    session::{DeviceKeyId, SessionId},
    time::Timestamp,
};
use data_encoding::BASE64URL_NOPAD;

const RANDOM_BYTES: usize = 32;
const SIGNED_BYTES: usize = RANDOM_BYTES + size_of::<i64>();

/// The purpose of a challenge. An answer counts for no other purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengePurpose {
    /// A sign-in without a password.
    SignIn,
    /// The second step of a sign-in.
    SecondStep,
    /// A proof within a session.
    Proof,
    /// A new passkey.
    Enrolment,
    /// A new device key.
    DeviceRegistration,
    /// A proof of a device key.
    DeviceProof,
    /// The cookie after a proof of a device key. It is not a challenge, but is made in the same
    /// way.
    DeviceCookie,
}

impl ChallengePurpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SecondStep => "second_step",
            Self::Proof => "proof",
            Self::Enrolment => "enrolment",
            Self::DeviceRegistration => "device_registration",
            Self::DeviceProof => "device_proof",
            Self::DeviceCookie => "device_cookie",
        }
    }
}

/// What a challenge is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeBinding {
    /// What an answer is for.
    pub purpose: ChallengePurpose,
    /// Whose passkeys may answer; `None`: anyone's.
    pub account: Option<AccountId>,
    /// The browser: its pending sign-in, its session, or its user agent.
    subject: String,
}

impl ChallengeBinding {
    /// Binds a sign-in without a password to the browser. No account is known yet.
    pub fn for_sign_in(user_agent: Option<&str>) -> Self {
        Self {
            purpose: ChallengePurpose::SignIn,
            account: None,
            subject: user_agent.unwrap_or_default().to_owned(),
        }
    }

    /// Binds a second step to the pending sign-in with this digest.
    pub fn for_second_step(account: AccountId, pending_digest: &str) -> Self {
        Self {
            purpose: ChallengePurpose::SecondStep,
            account: Some(account),
            subject: pending_digest.to_owned(),
        }
    }

    /// Binds a proof to the session in which it is given.
    pub fn for_proof(account: AccountId, session: SessionId) -> Self {
        Self {
            purpose: ChallengePurpose::Proof,
            account: Some(account),
            subject: session.0.to_string(),
        }
    }

    /// Binds a new passkey to the session in which it is enrolled.
    pub fn for_enrolment(account: AccountId, session: SessionId) -> Self {
        Self {
            purpose: ChallengePurpose::Enrolment,
            ..Self::for_proof(account, session)
        }
    }

    /// Binds a new device key to its session and host.
    pub fn for_device_registration(session: SessionId, host: &str) -> Self {
        Self::for_device(ChallengePurpose::DeviceRegistration, format!("{} {host}", session.0))
    }

    /// Binds a proof to its key and to the number of earlier proofs, so that the next proof uses up
    /// every challenge that was made before it.
    pub fn for_device_proof(key: DeviceKeyId, proofs: i64) -> Self {
        Self::for_device(ChallengePurpose::DeviceProof, format!("{} {proofs}", key.0))
    }

    /// Binds a device cookie to its key.
    pub fn for_device_cookie(key: DeviceKeyId) -> Self {
        Self::for_device(ChallengePurpose::DeviceCookie, key.0.to_string())
    }

    fn for_device(purpose: ChallengePurpose, subject: String) -> Self {
        Self {
            purpose,
            account: None,
            subject,
        }
    }

    /// Makes a challenge, base64url without padding, that can be answered until `expires_at`,
    /// inclusive. `random` is used once. `None`: there is no key.
    pub fn issue(&self, keys: &FactorKeys, random: [u8; RANDOM_BYTES], expires_at: Timestamp) -> Option<String> {
        let mut challenge = random.to_vec();
        challenge.extend(expires_at.as_micros().to_be_bytes());
        let signature = keys.sign_challenge(&self.message(&challenge))?;
        challenge.extend(signature);
        Some(BASE64URL_NOPAD.encode(&challenge))
    }

    /// Returns the last instant at which a challenge can be answered. `None`: no key of this
    /// installation issued it for this binding.
    pub fn expiry_of(&self, keys: &FactorKeys, challenge: &str) -> Option<Timestamp> {
        let bytes = BASE64URL_NOPAD.decode(challenge.as_bytes()).ok()?;
        let (signed, signature) = bytes.split_at_checked(SIGNED_BYTES)?;
        if !keys.verify_challenge(&self.message(signed), signature) {
            return None;
        }
        let expiry = signed.last_chunk::<{ size_of::<i64>() }>()?;
        Some(Timestamp::from_micros(i64::from_be_bytes(*expiry)))
    }

    /// Returns the bytes that are signed. Each part is preceded by its length, so that no two
    /// bindings have the same bytes.
    fn message(&self, challenge: &[u8]) -> Vec<u8> {
        let account = self.account.map(|account| *account.0.as_bytes());
        let account = account.as_ref().map_or(&[][..], |bytes| bytes.as_slice());
        let parts = [
            self.purpose.as_str().as_bytes(),
            account,
            self.subject.as_bytes(),
            challenge,
        ];
        let mut message = Vec::new();
        for part in parts {
            message.extend((part.len() as u64).to_be_bytes());
            message.extend(part);
        }
        message
    }
}

#[cfg(test)]
mod tests;
