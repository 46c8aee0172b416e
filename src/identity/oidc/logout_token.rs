//! Logout tokens, which report the end of a provider's session (OpenID Connect Back-Channel Logout
//! 1.0). The library does not know them; the provider's keys verify them.

use super::{
    fault::{FailedCheck, OidcFault},
    keys::{DecodedToken, Payload, parse_numeric_date},
};
use crate::domain::time::{Span, Timestamp};
use openidconnect::core::CoreJsonWebKeySet;
use serde_json::Value as Json;

const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Largest accepted distance between the time of issue and now.
const FRESHNESS: Span = Span::from_secs(120);

/// The provider and client that a token must name.
pub(super) struct TokenParties<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
}

/// The sessions that a verified logout token ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutNotice {
    /// The token's ID, which may be used once.
    pub token_id: String,
    /// The person whose sessions end; at least one of this and `session` is there.
    pub subject: Option<String>,
    /// The provider's session that ended.
    pub session: Option<String>,
    /// When the ID need not be remembered any longer.
    pub expires_at: Timestamp,
}

/// Verifies a logout token (Back-Channel Logout 1.0, 2.6).
pub(super) fn verify_logout_token(
    token: &str,
    keys: &CoreJsonWebKeySet,
    parties: &TokenParties<'_>,
    now: Timestamp,
) -> Result<LogoutNotice, OidcFault> {
    let decoded = DecodedToken::decode(token)?;
    let events = decoded.payload.get("events").and_then(Json::as_object);
    match decoded.kind().as_deref() {
        Some("logout+jwt") => {}
        // Older providers send no specific type: the event distinguishes it from an ID token.
        None | Some("jwt") if events.is_some() => {}
        None | Some(_) => return Err(OidcFault::failed(FailedCheck::Type)),
    }
    decoded.verify(keys)?;
    let payload = &decoded.payload;
    check_parties(payload, parties)?;
    // A token with a nonce could be an ID token (2.4).
    if payload.contains_key("nonce")
        || !events.is_some_and(|events| events.get(LOGOUT_EVENT).is_some_and(Json::is_object))
    {
        return Err(OidcFault::failed(FailedCheck::Events));
    }
    let issued = instant(payload, "iat").ok_or_else(|| OidcFault::failed(FailedCheck::IssuedAt))?;
    if issued > now.saturating_add(FRESHNESS) || issued.saturating_add(FRESHNESS) < now {
        return Err(OidcFault::failed(FailedCheck::IssuedAt));
    }
    let expires_at = match payload.contains_key("exp") {
        true => instant(payload, "exp").ok_or_else(|| OidcFault::failed(FailedCheck::Expiry))?,
        false => issued.saturating_add(FRESHNESS),
    };
    if expires_at.saturating_add(super::id_token::SKEW) <= now {
        return Err(OidcFault::failed(FailedCheck::Expiry));
    }
    let notice = LogoutNotice {
        token_id: text(payload, "jti").ok_or_else(|| OidcFault::failed(FailedCheck::TokenId))?,
        subject: text(payload, "sub"),
        session: text(payload, "sid"),
        // After this instant the time of issue alone refuses the token.
        expires_at: issued.saturating_add(FRESHNESS),
    };
    match notice.subject.is_none() && notice.session.is_none() {
        true => Err(OidcFault::failed(FailedCheck::Subject)),
        false => Ok(notice),
    }
}

/// Checks the issuer and the audience of a token.
pub(super) fn check_parties(payload: &Payload, parties: &TokenParties<'_>) -> Result<(), OidcFault> {
    let issuer = payload.get("iss").and_then(Json::as_str).unwrap_or_default();
    if issuer != parties.issuer {
        return Err(OidcFault::differs(FailedCheck::Issuer, parties.issuer, issuer));
    }
    let is_ours = match payload.get("aud") {
        Some(Json::String(audience)) => audience == parties.client_id,
        Some(Json::Array(audiences)) => audiences.iter().any(|audience| audience == parties.client_id),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_)) | None => false,
    };
    match is_ours {
        true => Ok(()),
        false => Err(OidcFault::failed(FailedCheck::Audience)),
    }
}

/// Reads a text of reasonable length; `None`: there is none.
pub(super) fn text(payload: &Payload, name: &str) -> Option<String> {
    let text = payload.get(name)?.as_str()?;
    (!text.is_empty() && text.len() <= 1024).then(|| text.to_owned())
}

/// Reads a NumericDate (RFC 7519, 2).
pub(super) fn instant(payload: &Payload, name: &str) -> Option<Timestamp> {
    payload.get(name).and_then(parse_numeric_date)
}
