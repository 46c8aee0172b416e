//! The keys of a provider, and the check of a signature with them (RFC 7515, RFC 7517).

use super::{
    discovery::ACCEPTED,
    fault::{FailedCheck, OidcFault, quote},
    transport::Transport,
};
use crate::domain::time::Timestamp;
use data_encoding::BASE64URL_NOPAD;
use openidconnect::{
    JsonWebKey, JsonWebKeyAlgorithm,
    core::{CoreJsonWebKey, CoreJsonWebKeySet, CoreJsonWebKeyType, CoreJsonWebKeyUse},
};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use url::Url;

const ENDPOINT: &str = "the key set";
/// Longest accepted token, in bytes.
const MAX_TOKEN: usize = 64 * 1024;

/// The payload of a token.
pub(super) type Payload = Map<String, Json>;

/// Fetches a provider's keys. Keys of unknown types are skipped.
pub(super) async fn fetch_keys(transport: &Transport, url: &Url) -> Result<CoreJsonWebKeySet, OidcFault> {
    let answer = transport.send(ENDPOINT, transport.get(url)?).await?;
    answer.into_json()
}

/// Returns how many keys can verify a signature with this algorithm, one of [`ACCEPTED`].
pub(super) fn count_usable_keys(keys: &CoreJsonWebKeySet, algorithm: &str) -> usize {
    let kind = match algorithm {
        "ES256" => CoreJsonWebKeyType::EllipticCurve,
        _ => CoreJsonWebKeyType::RSA,
    };
    let fits = |key: &&CoreJsonWebKey| {
        let is_for_signatures = key.key_use().is_none_or(|used| *used == CoreJsonWebKeyUse::Signature);
        let is_for_algorithm = match key.signing_alg() {
            JsonWebKeyAlgorithm::Algorithm(named) => ACCEPTED
                .iter()
                .any(|(name, accepted)| *name == algorithm && accepted == named),
            JsonWebKeyAlgorithm::Unspecified => true,
            JsonWebKeyAlgorithm::Unsupported => false,
        };
        *key.key_type() == kind && is_for_signatures && is_for_algorithm
    };
    keys.keys().iter().filter(fits).count()
}

/// Reads a NumericDate (RFC 7519, 2).
pub(super) fn parse_numeric_date(value: &Json) -> Option<Timestamp> {
    let seconds = value
        .as_i64()
        .or_else(|| value.as_f64().map(|seconds| seconds as i64))?;
    Some(Timestamp::from_micros(seconds.checked_mul(1_000_000)?))
}

#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Json>,
}

/// A token whose parts were decoded; nothing about it has been verified.
pub(super) struct DecodedToken<'a> {
    header: TokenHeader,
    pub(super) payload: Payload,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> DecodedToken<'a> {
    /// Splits and decodes a token in compact form.
    pub(super) fn decode(token: &'a str) -> Result<Self, OidcFault> {
        let fault = || OidcFault::failed(FailedCheck::Format);
        if token.len() > MAX_TOKEN {
            return Err(fault());
        }
        let (signed, signature) = token.rsplit_once('.').ok_or_else(fault)?;
        let (header, payload) = signed.split_once('.').ok_or_else(fault)?;
        let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| fault());
        let token = Self {
            header: serde_json::from_slice(&decode(header)?).map_err(|_| fault())?,
            payload: serde_json::from_slice(&decode(payload)?).map_err(|_| fault())?,
            signed,
            signature: decode(signature)?,
        };
        // Nothing here understands a critical extension (RFC 7515, 4.1.11).
        match token.header.crit {
            Some(_) => Err(fault()),
            None => Ok(token),
        }
    }

    /// Returns the type in the header, in lower case and without `application/`.
    pub(super) fn kind(&self) -> Option<String> {
        let kind = self.header.typ.as_deref()?.to_ascii_lowercase();
        Some(kind.strip_prefix("application/").unwrap_or(&kind).to_owned())
    }

    /// Verifies the signature with a key of the set that fits the header. A fault with
    /// [`FailedCheck::Key`] or [`FailedCheck::Signature`] may disappear once the keys are fetched
    /// again.
    pub(super) fn verify(&self, keys: &CoreJsonWebKeySet) -> Result<(), OidcFault> {
        let accepted = ACCEPTED.iter().find(|(name, _)| *name == self.header.alg);
        let Some((_, algorithm)) = accepted else {
            return Err(OidcFault::Check {
                check: FailedCheck::Algorithm,
                detail: quote(&self.header.alg),
            });
        };
        let is_named = |key: &&CoreJsonWebKey| match &self.header.kid {
            Some(kid) => key.key_id().is_some_and(|known| known.as_str() == kid),
            None => true,
        };
        let named: Vec<&CoreJsonWebKey> = keys.keys().iter().filter(is_named).collect();
        // `verify_signature` also refuses a key of another type or use.
        let message = self.signed.as_bytes();
        match named.is_empty() {
            true => Err(OidcFault::failed(FailedCheck::Key)),
            false
                if named
                    .iter()
                    .any(|key| key.verify_signature(algorithm, message, &self.signature).is_ok()) =>
            {
                Ok(())
            }
            false => Err(OidcFault::failed(FailedCheck::Signature)),
        }
    }
}
