//! The metadata that a provider publishes about itself (OpenID Connect Discovery 1.0).

use super::{
    fault::{OidcFault, quote},
    transport::Transport,
};
use openidconnect::core::CoreJwsSigningAlgorithm;
use serde::Deserialize;
use url::Url;

const ENDPOINT: &str = "the discovery document";

/// The published metadata, as far as they are used here.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ProviderMetadata {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    pub(super) userinfo_endpoint: Option<Url>,
    pub(super) end_session_endpoint: Option<Url>,
    pub(super) backchannel_logout_supported: Option<bool>,
    #[serde(default)]
    id_token_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

impl ProviderMetadata {
    /// Fetches the metadata of an issuer, which must name the same issuer (Discovery 1.0, 4.3).
    pub(super) async fn fetch(transport: &Transport, issuer: &str) -> Result<Self, OidcFault> {
        let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let url = Url::parse(&address)
            .map_err(|error| OidcFault::Configuration(format!("{} is no address: {error}", quote(issuer))))?;
        let answer = transport.send(ENDPOINT, transport.get(&url)?).await?;
        let metadata: Self = answer.into_json()?;
        if metadata.issuer != issuer {
            return Err(OidcFault::OtherIssuer {
                expected: quote(issuer),
                found: quote(&metadata.issuer),
            });
        }
        metadata.check_addresses(transport)?;
        Ok(metadata)
    }

    /// Checks every address, also those to which browsers are sent.
    fn check_addresses(&self, transport: &Transport) -> Result<(), OidcFault> {
        let required = [&self.authorization_endpoint, &self.token_endpoint, &self.jwks_uri];
        let optional = [&self.userinfo_endpoint, &self.end_session_endpoint];
        required
            .into_iter()
            .chain(optional.into_iter().flatten())
            .try_for_each(|url| transport.check_address(url))
    }

    /// Returns the accepted algorithms that the provider uses for ID tokens. A provider that lists
    /// none uses RS256, which every provider supports.
    pub(super) fn algorithms(&self) -> Vec<CoreJwsSigningAlgorithm> {
        let accepted = ACCEPTED.iter().filter(|(name, _)| self.signs_with(name));
        accepted.map(|(_, algorithm)| algorithm.clone()).collect()
    }

    /// Returns the names of [`ProviderMetadata::algorithms`].
    pub(super) fn algorithm_names(&self) -> Vec<&'static str> {
        let names = ACCEPTED.iter().map(|(name, _)| *name);
        names.filter(|name| self.signs_with(name)).collect()
    }

    fn signs_with(&self, name: &str) -> bool {
        let names = &self.id_token_signing_alg_values_supported;
        names.iter().any(|known| known == name) || (names.is_empty() && name == "RS256")
    }
}

/// Signature algorithms that are accepted: asymmetric ones alone, never `none`, never HMAC.
pub(super) const ACCEPTED: [(&str, CoreJwsSigningAlgorithm); 3] = [
    ("RS256", CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256),
    ("ES256", CoreJwsSigningAlgorithm::EcdsaP256Sha256),
    ("PS256", CoreJwsSigningAlgorithm::RsaSsaPssSha256),
];
