//! The request that sends a person to the provider, and the answer that brings them back
//! (authorization code flow with PKCE: RFC 6749, RFC 7636, RFC 9207).

use super::{
    discovery::ProviderMetadata,
    fault::{FailedCheck, OidcFault, quote},
};
use crate::domain::secret::{self, Secret, digest};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

/// The random values of one sign-in, which the browser keeps in an encrypted cookie.
#[derive(Clone)]
pub struct SignInSecrets {
    /// Binds the answer to the browser.
    pub state: Secret,
    /// Binds the ID token to the sign-in.
    pub nonce: Secret,
    /// Binds the code to the sign-in (PKCE).
    pub verifier: Secret,
}

impl SignInSecrets {
    /// Creates them from fresh random bytes.
    pub fn new([state, nonce, verifier]: [[u8; 32]; 3]) -> Self {
        Self {
            state: secret::token(state),
            nonce: secret::token(nonce),
            verifier: secret::token(verifier),
        }
    }
}

/// A request for a sign-in at the provider.
pub struct AuthorizationRequest<'a> {
    /// The address to which the provider sends the answer, as registered there.
    pub redirect_uri: &'a str,
    /// The random values of this sign-in.
    pub secrets: &'a SignInSecrets,
    /// The requested scopes, with `openid`.
    pub scopes: &'a [String],
    /// The requested classes of authentication; may be empty.
    pub acr_values: &'a [String],
    /// Whether the person must authenticate now, whatever session the provider has.
    pub must_authenticate: bool,
    /// The account that is expected, for the provider's form.
    pub login_hint: Option<&'a str>,
}

impl AuthorizationRequest<'_> {
    /// Returns the address to which the browser is sent.
    pub(super) fn url(&self, metadata: &ProviderMetadata, client_id: &str) -> Url {
        let challenge = BASE64URL_NOPAD.encode(&Sha256::digest(self.secrets.verifier.expose()));
        let mut url = metadata.authorization_endpoint.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", self.redirect_uri)
            .append_pair("scope", &self.scopes.join(" "))
            .append_pair("state", self.secrets.state.expose())
            .append_pair("nonce", self.secrets.nonce.expose())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if !self.acr_values.is_empty() {
            query.append_pair("acr_values", &self.acr_values.join(" "));
        }
        if self.must_authenticate {
            query.append_pair("prompt", "login").append_pair("max_age", "0");
        }
        if let Some(hint) = self.login_hint {
            query.append_pair("login_hint", hint);
        }
        drop(query);
        url
    }
}

/// The provider's answer in the address of our callback.
#[derive(Clone, Deserialize, Default)]
pub struct CallbackQuery {
    /// The authorization code.
    #[serde(default)]
    pub code: String,
    /// The state of the request.
    #[serde(default)]
    pub state: String,
    /// The issuer that answers.
    pub iss: Option<String>,
    /// An error code, instead of a code.
    pub error: Option<String>,
}

impl CallbackQuery {
    /// Returns whether the answer has the state of a sign-in. Digests are compared, so that the
    /// time says nothing about the state.
    pub fn belongs_to(&self, secrets: &SignInSecrets) -> bool {
        digest(&self.state) == digest(secrets.state.expose())
    }

    /// Checks state and issuer, and returns the code. A refusal by the provider is reported after
    /// these checks.
    pub(super) fn check(&self, metadata: &ProviderMetadata, secrets: &SignInSecrets) -> Result<Secret, OidcFault> {
        if !self.belongs_to(secrets) {
            return Err(OidcFault::failed(FailedCheck::State));
        }
        match &self.iss {
            Some(issuer) if *issuer != metadata.issuer => {
                return Err(OidcFault::differs(
                    FailedCheck::ResponseIssuer,
                    &metadata.issuer,
                    issuer,
                ));
            }
            None if metadata.authorization_response_iss_parameter_supported => {
                return Err(OidcFault::failed(FailedCheck::ResponseIssuer));
            }
            Some(_) | None => {}
        }
        if let Some(error) = &self.error {
            return Err(OidcFault::Refused(quote(error)));
        }
        match self.code.is_empty() {
            true => Err(OidcFault::Refused("neither a code nor an error".to_owned())),
            false => Ok(Secret::new(self.code.clone())),
        }
    }
}
