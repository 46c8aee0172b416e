//! The checks of an ID token (OpenID Connect Core 1.0, 3.1.3.7).

use super::{
    fault::{FailedCheck, OidcFault},
    keys::{DecodedToken, Payload, parse_numeric_date},
};
use crate::domain::time::{Span, Timestamp};
use chrono::{DateTime, Utc};
use data_encoding::BASE64URL_NOPAD;
use openidconnect::{
    ClaimsVerificationError, ClientId, IdTokenVerifier, IssuerUrl, Nonce, SignatureVerificationError,
    core::{CoreIdToken, CoreJsonWebKeySet, CoreJwsSigningAlgorithm},
};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// How far the clocks of the provider and of this server may differ.
pub(super) const SKEW: Span = Span::from_secs(60);
/// Longest subject, in characters.
const MAX_SUBJECT: usize = 255;
/// Maximum time between the issue of an ID token and its arrival.
const MAX_AGE: Span = Span::from_secs(10 * 60);

/// The values that an ID token must contain to be accepted.
pub struct IdTokenExpectation<'a> {
    /// Our client ID at the provider.
    pub client_id: &'a str,
    /// The provider's issuer, byte for byte.
    pub issuer: &'a str,
    /// The nonce of the sign-in.
    pub nonce: &'a str,
    /// The earliest accepted instant of the person's authentication, for a re-authentication.
    pub authenticated_since: Option<Timestamp>,
}

/// An ID token that passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedIdToken {
    /// The subject, unique at its issuer.
    pub subject: String,
    /// When the person authenticated at the provider, if it says so.
    pub auth_time: Option<Timestamp>,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// Methods of the authentication (`amr`, RFC 8176).
    pub methods: Vec<String>,
    /// Class of the authentication (`acr`).
    pub class: Option<String>,
}

/// Verifies an ID token that the token endpoint answered.
pub(super) fn verify_id_token(
    token: &str,
    keys: CoreJsonWebKeySet,
    algorithms: Vec<CoreJwsSigningAlgorithm>,
    expected: &IdTokenExpectation<'_>,
    now: Timestamp,
) -> Result<VerifiedIdToken, OidcFault> {
    let parsed = CoreIdToken::from_str(token).map_err(|_| OidcFault::failed(FailedCheck::Format))?;
    let issuer = IssuerUrl::new(expected.issuer.to_owned())
        .map_err(|error| OidcFault::Configuration(format!("the issuer is no address: {error}")))?;
    let client_id = ClientId::new(expected.client_id.to_owned());
    let lenient_now = instant(now.saturating_sub(SKEW));
    // Without a client secret the verifier refuses HMAC, whatever the provider lists.
    let verifier = IdTokenVerifier::new_public_client(client_id, issuer, keys)
        .set_allowed_algs(algorithms)
        .set_time_fn(move || lenient_now)
        .set_issue_time_verifier_fn(move |issued| check_issue_time(issued, now))
        // `azp` decides about further audiences below.
        .set_other_audience_verifier_fn(|_| true);
    let nonce = Nonce::new(expected.nonce.to_owned());
    let claims = parsed
        .claims(&verifier, &nonce)
        .map_err(|error| fault_of(&error, token, expected))?;
    let authorized = claims.authorized_party().map(|party| party.as_str());
    match authorized {
        Some(party) if party == expected.client_id => {}
        None if claims.audiences().len() == 1 => {}
        other => {
            let found = other.unwrap_or("none beside several audiences");
            return Err(OidcFault::differs(
                FailedCheck::AuthorizedParty,
                expected.client_id,
                found,
            ));
        }
    }
    let auth_time = claims.auth_time().map(timestamp);
    if auth_time.is_some_and(|at| at > now.saturating_add(SKEW)) {
        return Err(OidcFault::failed(FailedCheck::AuthTime));
    }
    if let Some(since) = expected.authenticated_since
        && auth_time.is_none_or(|at| at.saturating_add(SKEW) < since || at > now.saturating_add(SKEW))
    {
        return Err(OidcFault::failed(FailedCheck::AuthTime));
    }
    let methods = claims.auth_method_refs().into_iter().flatten();
    Ok(VerifiedIdToken {
        subject: Some(claims.subject().as_str().to_owned())
            .filter(|subject| is_subject(subject))
            .ok_or_else(|| OidcFault::failed(FailedCheck::Subject))?,
        auth_time,
        expires_at: timestamp(claims.expiration()),
        methods: methods.map(|method| method.as_str().to_owned()).collect(),
        class: claims.auth_context_ref().map(|class| class.as_str().to_owned()),
    })
}

/// Returns whether a text can be a subject: at most 255 ASCII characters (Core 1.0, 2). Control
/// characters are refused, because Postgres does not store NUL.
fn is_subject(text: &str) -> bool {
    let is_printable = |byte: u8| byte.is_ascii() && !byte.is_ascii_control();
    (1..=MAX_SUBJECT).contains(&text.len()) && text.bytes().all(is_printable)
}

/// Refuses a verified token that is not valid yet (`nbf`, RFC 7519, 4.1.5).
pub(super) fn check_start(payload: &Payload, now: Timestamp) -> Result<(), OidcFault> {
    let Some(start) = payload.get("nbf") else {
        return Ok(());
    };
    match parse_numeric_date(start) {
        Some(start) if start <= now.saturating_add(SKEW) => Ok(()),
        Some(_) | None => Err(OidcFault::failed(FailedCheck::IssuedAt)),
    }
}

/// Refuses a verified token with the hash of another access token or code (Core 1.0, 3.1.3.8 and
/// 3.3.2.11): the left half of its SHA-256, because every accepted signature uses SHA-256.
pub(super) fn check_hash(payload: &Payload, claim: &str, value: Option<&str>) -> Result<(), OidcFault> {
    let (Some(stated), Some(value)) = (payload.get(claim), value) else {
        return Ok(());
    };
    let hash = Sha256::digest(value);
    let (left, _) = hash.split_at(hash.len() / 2);
    match stated.as_str() == Some(BASE64URL_NOPAD.encode(left).as_str()) {
        true => Ok(()),
        false => Err(OidcFault::failed(FailedCheck::Hash)),
    }
}

fn check_issue_time(issued: DateTime<Utc>, now: Timestamp) -> Result<(), String> {
    let issued = timestamp(issued);
    match issued <= now.saturating_add(SKEW) && issued.saturating_add(MAX_AGE) >= now {
        true => Ok(()),
        false => Err(ISSUE_TIME.to_owned()),
    }
}

/// Marks the library's error about the time of issue, which has the same type as an expiry.
const ISSUE_TIME: &str = "issue time";

/// Returns a claim of a token that was not accepted, for the message; several values are joined.
fn stated(token: &str, claim: &str) -> String {
    let Ok(decoded) = DecodedToken::decode(token) else {
        return String::new();
    };
    match decoded.payload.get(claim) {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(values)) => {
            let texts: Vec<&str> = values.iter().filter_map(Json::as_str).collect();
            texts.join(", ")
        }
        Some(_) | None => String::new(),
    }
}

fn fault_of(error: &ClaimsVerificationError, token: &str, expected: &IdTokenExpectation<'_>) -> OidcFault {
    let check = match error {
        ClaimsVerificationError::Expired(reason) if reason == ISSUE_TIME => FailedCheck::IssuedAt,
        ClaimsVerificationError::Expired(_) => FailedCheck::Expiry,
        ClaimsVerificationError::InvalidAudience(_) => FailedCheck::Audience,
        ClaimsVerificationError::InvalidIssuer(_) => FailedCheck::Issuer,
        ClaimsVerificationError::InvalidNonce(_) => FailedCheck::Nonce,
        ClaimsVerificationError::InvalidAuthTime(_) => FailedCheck::AuthTime,
        ClaimsVerificationError::InvalidSubject(_) => FailedCheck::Subject,
        ClaimsVerificationError::Unsupported(_) => FailedCheck::Type,
        ClaimsVerificationError::SignatureVerification(error) => match error {
            SignatureVerificationError::NoSignature
            | SignatureVerificationError::DisallowedAlg(_)
            | SignatureVerificationError::UnsupportedAlg(_) => FailedCheck::Algorithm,
            SignatureVerificationError::NoMatchingKey
            | SignatureVerificationError::AmbiguousKeyId(_)
            | SignatureVerificationError::InvalidKey(_) => FailedCheck::Key,
            _ => FailedCheck::Signature,
        },
        _ => FailedCheck::Format,
    };
    match check {
        // Which values the provider and the source have, for the two that people mistype.
        FailedCheck::Audience => OidcFault::differs(check, expected.client_id, &stated(token, "aud")),
        FailedCheck::Issuer => OidcFault::differs(check, expected.issuer, &stated(token, "iss")),
        check => OidcFault::failed(check),
    }
}

fn instant(at: Timestamp) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(at.as_micros()).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp::from_micros(at.timestamp_micros())
}
