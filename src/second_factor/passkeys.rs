//! Passkey ceremonies (W3C WebAuthn Level 3): the options for the browser, and the verification of
//! its answers. The library's states differ only in their challenge, so that none is stored: a new
//! state is made for the challenge of an answer, which the caller has checked
//! ([`super::challenge`]).

use crate::domain::account::AccountId;
use data_encoding::BASE64URL_NOPAD;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value as Json, json};
use url::Url;
use uuid::Uuid;
use webauthn_rs::{
    Webauthn, WebauthnBuilder,
    prelude::{
        AuthenticationResult, DiscoverableAuthentication, Passkey, PasskeyAuthentication, PasskeyRegistration,
        PublicKeyCredential, RegisterPublicKeyCredential, WebauthnError,
    },
};

/// The site's name that users see while they use a passkey.
const SITE_NAME: &str = "Nightlatch";

/// A browser's answer to a passkey request, with the parts that identify it. Nothing is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyAnswer {
    /// The answered challenge, base64url.
    pub challenge: String,
    /// The credential's ID, base64url.
    pub credential_id: String,
    /// The account that the authenticator stored with the credential.
    pub account: Option<AccountId>,
    /// Whether it comes from inside a frame of another site.
    is_framed: bool,
    /// The whole answer, for the library.
    content: Json,
}

/// A registered credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCredential {
    /// Its ID, base64url.
    pub credential_id: String,
    /// Public key, counter and backup flags, as JSON.
    pub credential: String,
    /// Whether its authenticator copies it to other devices.
    pub synced: bool,
}

/// The content of an accepted answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedAnswer {
    /// The credential with its current counter and flags, as JSON.
    pub credential: String,
    /// Whether its authenticator copies it to other devices.
    pub synced: bool,
    /// Whether the authenticator verified the user (by a PIN or a biometric).
    pub user_verified: bool,
}

/// The reason why an answer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFault {
    /// It is malformed, from inside a frame of another site, or for another challenge, origin,
    /// relying party or key.
    Invalid,
    /// Its counter did not increase, so the key may have been copied (WebAuthn, 6.1.1).
    CounterFell,
}

/// The reason why a ceremony cannot start: the library refuses the configuration or the stored
/// credentials.
#[derive(Debug, thiserror::Error)]
#[error("passkeys: {0}")]
pub struct CeremonyError(String);

impl PasskeyAnswer {
    /// Reads an answer. `None`: it does not answer a passkey ceremony.
    pub fn read(content: Json) -> Option<Self> {
        let bytes = |text: &Json| {
            BASE64URL_NOPAD
                .decode(text.as_str()?.trim_end_matches('=').as_bytes())
                .ok()
        };
        let response = &content["response"];
        let client_data: Json = serde_json::from_slice(&bytes(&response["clientDataJSON"])?).ok()?;
        let account = bytes(&response["userHandle"])
            .and_then(|handle| Uuid::from_slice(&handle).ok())
            .map(AccountId);
        Some(Self {
            challenge: client_data["challenge"].as_str()?.trim_end_matches('=').to_owned(),
            credential_id: BASE64URL_NOPAD.encode(&bytes(&content["rawId"])?),
            account,
            is_framed: client_data["crossOrigin"].as_bool() == Some(true) || !client_data["topOrigin"].is_null(),
            content,
        })
    }

    /// Returns an answer to a challenge as the library reads it. None is accepted from inside a
    /// frame of another site (WebAuthn Level 3, 7.2): Nightlatch's pages are never embedded in one.
    /// The library checks that only at registration.
    fn assertion(&self) -> Result<PublicKeyCredential, AnswerFault> {
        if self.is_framed {
            return Err(AnswerFault::Invalid);
        }
        parse(&self.content)
    }
}

/// The site for which passkeys are made.
pub struct RelyingParty(Webauthn);

impl RelyingParty {
    /// Creates the relying party. `domain` is its ID; `origins` are the accepted ones, our own
    /// first.
    pub fn new(domain: &str, origins: &[Url]) -> Result<Self, CeremonyError> {
        let own = origins.first().ok_or_else(|| CeremonyError("no origin".to_owned()))?;
        let builder = WebauthnBuilder::new(domain, own).map_err(refused)?.rp_name(SITE_NAME);
        let others = origins.iter().skip(1);
        let builder = others.fold(builder, |builder, origin| builder.append_allowed_origin(origin));
        Ok(Self(builder.build().map_err(refused)?))
    }

    /// Returns the options for registering a passkey: `{"publicKey": …}`, with a challenge in
    /// base64url. `credentials`: those of the account, as JSON, which no authenticator registers
    /// again.
    pub fn start_registration(
        &self,
        challenge: &str,
        account: AccountId,
        username: &str,
        display_name: &str,
        credentials: &[String],
    ) -> Result<Json, CeremonyError> {
        let known = credentials
            .iter()
            .map(|text| read::<Passkey>(text).map(|passkey| passkey.cred_id().clone()))
            .collect::<Result<_, _>>()?;
        let display_name = if display_name.is_empty() {
            username
        } else {
            display_name
        };
        let (options, _) = self
            .0
            .start_passkey_registration(account.0, username, display_name, Some(known))
            .map_err(refused)?;
        let mut options = options_with(&options, challenge)?;
        // The library discourages discoverable keys, but without one a sign-in needs a username.
        let selection = &mut options["publicKey"]["authenticatorSelection"];
        selection["residentKey"] = json!("preferred");
        selection["requireResidentKey"] = json!(false);
        Ok(options)
    }

    /// Verifies the answer to [`Self::start_registration`] with this challenge. Whether the
    /// credential is registered already is for the caller to find out.
    pub fn finish_registration(
        &self,
        answer: &PasskeyAnswer,
        challenge: &str,
        account: AccountId,
    ) -> Result<NewCredential, AnswerFault> {
        let answer: RegisterPublicKeyCredential = parse(&answer.content)?;
        let name = account.0.to_string();
        let begun = self.0.start_passkey_registration(account.0, &name, &name, None);
        let (_, state) = begun.map_err(|_| AnswerFault::Invalid)?;
        let state: PasskeyRegistration = state_with(&state, "rs", challenge)?;
        let passkey = self.0.finish_passkey_registration(&answer, &state).map_err(fault)?;
        let credential = serde_json::to_value(&passkey).map_err(|_| AnswerFault::Invalid)?;
        Ok(NewCredential {
            credential_id: BASE64URL_NOPAD.encode(passkey.cred_id()),
            synced: is_synced(&credential),
            credential: credential.to_string(),
        })
    }

    /// Returns the options of a sign-in without a username, with a challenge in base64url: any
    /// passkey of this site may answer, and user verification is required. Except for the
    /// challenge, the options are the same for everyone, so that they reveal nothing.
    pub fn start_sign_in(&self, challenge: &str) -> Result<Json, CeremonyError> {
        let (mut options, _) = self.0.start_discoverable_authentication().map_err(refused)?;
        // The page decides whether the browser offers passkeys while a username is typed.
        options.mediation = None;
        options_with(&options, challenge)
    }

    /// Verifies the answer to [`Self::start_sign_in`] with this challenge and the credential that
    /// the answer names, as JSON.
    pub fn finish_sign_in(
        &self,
        answer: &PasskeyAnswer,
        challenge: &str,
        credential: &str,
    ) -> Result<VerifiedAnswer, AnswerFault> {
        let answer = answer.assertion()?;
        let begun = self.0.start_discoverable_authentication();
        let (_, state) = begun.map_err(|_| AnswerFault::Invalid)?;
        let state: DiscoverableAuthentication = state_with(&state, "ast", challenge)?;
        let passkey: Passkey = read(credential).map_err(|_| AnswerFault::Invalid)?;
        let result = self.0.finish_discoverable_authentication_v2(&answer, state, &passkey);
        verified(passkey, &result.map_err(fault)?)
    }

    /// Returns the options of a proof by one of an account's passkeys, as JSON, with a challenge in
    /// base64url; user verification is required.
    pub fn start_proof(&self, challenge: &str, credentials: &[String]) -> Result<Json, CeremonyError> {
        let passkeys = credentials
            .iter()
            .map(|text| read(text))
            .collect::<Result<Vec<Passkey>, _>>()?;
        let (options, _) = self.0.start_passkey_authentication(&passkeys).map_err(refused)?;
        options_with(&options, challenge)
    }

    /// Verifies the answer to [`Self::start_proof`] with this challenge and the current credential
    /// that the answer names, as JSON.
    pub fn finish_proof(
        &self,
        answer: &PasskeyAnswer,
        challenge: &str,
        credential: &str,
    ) -> Result<VerifiedAnswer, AnswerFault> {
        let answer = answer.assertion()?;
        let passkey: Passkey = read(credential).map_err(|_| AnswerFault::Invalid)?;
        let begun = self.0.start_passkey_authentication(std::slice::from_ref(&passkey));
        let (_, state) = begun.map_err(|_| AnswerFault::Invalid)?;
        let state: PasskeyAuthentication = state_with(&state, "ast", challenge)?;
        let result = self.0.finish_passkey_authentication(&answer, &state).map_err(fault)?;
        verified(passkey, &result)
    }
}

/// Puts our challenge in place of the library's.
fn options_with(options: &impl Serialize, challenge: &str) -> Result<Json, CeremonyError> {
    let mut options = serde_json::to_value(options).map_err(unreadable)?;
    options["publicKey"]["challenge"] = json!(challenge);
    Ok(options)
}

/// Makes a state of the library, whose content is in the member `part`, expect this challenge.
fn state_with<S: Serialize + DeserializeOwned>(state: &S, part: &str, challenge: &str) -> Result<S, AnswerFault> {
    let mut state = serde_json::to_value(state).map_err(|_| AnswerFault::Invalid)?;
    match state.get_mut(part).and_then(|content| content.get_mut("challenge")) {
        Some(expected) => *expected = json!(challenge),
        None => return Err(AnswerFault::Invalid),
    }
    serde_json::from_value(state).map_err(|_| AnswerFault::Invalid)
}

fn verified(mut passkey: Passkey, result: &AuthenticationResult) -> Result<VerifiedAnswer, AnswerFault> {
    passkey.update_credential(result).ok_or(AnswerFault::Invalid)?;
    let credential = serde_json::to_value(&passkey).map_err(|_| AnswerFault::Invalid)?;
    Ok(VerifiedAnswer {
        synced: is_synced(&credential),
        credential: credential.to_string(),
        user_verified: result.user_verified(),
    })
}

fn is_synced(credential: &Json) -> bool {
    credential["cred"]["backup_state"].as_bool().unwrap_or(false)
}

fn parse<T: DeserializeOwned>(answer: &Json) -> Result<T, AnswerFault> {
    T::deserialize(answer).map_err(|_| AnswerFault::Invalid)
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, CeremonyError> {
    serde_json::from_str(text).map_err(unreadable)
}

fn fault(error: WebauthnError) -> AnswerFault {
    match error {
        WebauthnError::CredentialPossibleCompromise => AnswerFault::CounterFell,
        _ => AnswerFault::Invalid,
    }
}

fn refused(error: WebauthnError) -> CeremonyError {
    CeremonyError(error.to_string())
}

fn unreadable(error: serde_json::Error) -> CeremonyError {
    // The text is not shown, because it may contain a state.
    CeremonyError(format!("unreadable data at column {}", error.column()))
}
