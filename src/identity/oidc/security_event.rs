//! Security event tokens (RFC 8417), by which a provider reports that a session was revoked or a
//! credential changed (OpenID Shared Signals Framework 1.0, CAEP 1.0).

use super::{
    fault::{FailedCheck, OidcFault},
    keys::{DecodedToken, Payload},
    logout_token::{TokenParties, check_parties, instant, text},
};
use crate::domain::time::{Span, Timestamp};
use openidconnect::core::CoreJsonWebKeySet;
use serde_json::Value as Json;

/// Events that end sessions, with the short names for the audit.
const ENDING_EVENTS: [(&str, &str); 2] = [
    (
        "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
        "session-revoked",
    ),
    (
        "https://schemas.openid.net/secevent/caep/event-type/credential-change",
        "credential-change",
    ),
];
/// Largest accepted distance of the time of issue into the future.
const FROM_FUTURE: Span = Span::from_secs(120);
/// Maximum number of identifiers of a subject that are read.
const MAX_IDENTIFIERS: usize = 16;

/// What a verified security event token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityEvent {
    /// The token's ID, which has an effect once.
    pub token_id: String,
    /// When the provider issued it.
    pub issued_at: Timestamp,
    /// The names of its events that end sessions; empty: it has no such event.
    pub events: Vec<&'static str>,
    /// The person whose sessions end. At least one of this and `session` is there if an event ends
    /// sessions.
    pub subject: Option<String>,
    /// The provider's session that ended.
    pub session: Option<String>,
}

/// Verifies a security event token. Its kind must be declared in its header, so that no other token
/// of the provider passes for one (RFC 8417, 4).
pub(super) fn verify_security_event(
    token: &str,
    keys: &CoreJsonWebKeySet,
    parties: &TokenParties<'_>,
    now: Timestamp,
) -> Result<SecurityEvent, OidcFault> {
    let decoded = DecodedToken::decode(token)?;
    if decoded.kind().as_deref() != Some("secevent+jwt") {
        return Err(OidcFault::failed(FailedCheck::Type));
    }
    decoded.verify(keys)?;
    let payload = &decoded.payload;
    check_parties(payload, parties)?;
    let issued_at = instant(payload, "iat").ok_or_else(|| OidcFault::failed(FailedCheck::IssuedAt))?;
    if issued_at > now.saturating_add(FROM_FUTURE) {
        return Err(OidcFault::failed(FailedCheck::IssuedAt));
    }
    // An expiry is unusual (RFC 8417, 2.2), but binding where it is given.
    if payload.contains_key("exp")
        && instant(payload, "exp").is_none_or(|at| at.saturating_add(super::id_token::SKEW) <= now)
    {
        return Err(OidcFault::failed(FailedCheck::Expiry));
    }
    let token_id = text(payload, "jti").ok_or_else(|| OidcFault::failed(FailedCheck::TokenId))?;
    let found = payload.get("events").and_then(Json::as_object);
    let found = found
        .filter(|events| !events.is_empty() && events.values().all(Json::is_object))
        .ok_or_else(|| OidcFault::failed(FailedCheck::Events))?;
    let mut event = SecurityEvent {
        token_id,
        issued_at,
        events: Vec::new(),
        subject: None,
        session: None,
    };
    for (uri, name) in ENDING_EVENTS {
        let Some(details) = found.get(uri) else { continue };
        event.events.push(name);
        // The final specification names the subject beside the events, drafts did in the event.
        let subject = payload.get("sub_id").or_else(|| details.get("subject"));
        let subject = subject.ok_or_else(|| OidcFault::failed(FailedCheck::Subject))?;
        event.read_subject(subject, parties.issuer)?;
    }
    match !event.events.is_empty() && event.subject.is_none() && event.session.is_none() {
        true => Err(OidcFault::failed(FailedCheck::Subject)),
        false => Ok(event),
    }
}

impl SecurityEvent {
    /// Reads whom a subject identifier names (RFC 9493). Email addresses and telephone numbers name
    /// nobody here: they link no accounts.
    fn read_subject(&mut self, subject: &Json, issuer: &str) -> Result<(), OidcFault> {
        match format_of(subject) {
            "complex" => {
                if let Some(user) = subject.get("user") {
                    let named = read_person(user, issuer)?;
                    self.subject = Some(named.ok_or_else(|| OidcFault::failed(FailedCheck::Subject))?);
                }
                if let Some(session) = subject.get("session") {
                    let named = opaque_id(session);
                    self.session = Some(named.ok_or_else(|| OidcFault::failed(FailedCheck::Subject))?);
                }
            }
            _ => self.subject = read_person(subject, issuer)?,
        }
        Ok(())
    }
}

/// Returns the subject of a person at the issuer. `None`: the identifier has another format. A
/// person of another issuer is a fault.
fn read_person(subject: &Json, issuer: &str) -> Result<Option<String>, OidcFault> {
    let as_payload: Option<&Payload> = subject.as_object();
    let member = |name: &str| as_payload.and_then(|payload| text(payload, name));
    match format_of(subject) {
        "iss_sub" => match member("iss") {
            Some(found) if found == issuer => Ok(member("sub")),
            found => {
                let found = found.unwrap_or_default();
                Err(OidcFault::differs(FailedCheck::Subject, issuer, &found))
            }
        },
        "opaque" => Ok(member("id")),
        "aliases" => {
            let all = subject.get("identifiers").and_then(Json::as_array);
            let all = all.into_iter().flatten().take(MAX_IDENTIFIERS);
            let of_issuer = all.filter(|one| format_of(one) == "iss_sub");
            let named: Result<Vec<_>, _> = of_issuer.map(|one| read_person(one, issuer)).collect();
            Ok(named?.into_iter().flatten().next())
        }
        _ => Ok(None),
    }
}

fn opaque_id(identifier: &Json) -> Option<String> {
    match format_of(identifier) {
        "opaque" => text(identifier.as_object()?, "id"),
        _ => None,
    }
}

fn format_of(identifier: &Json) -> &str {
    identifier.get("format").and_then(Json::as_str).unwrap_or_default()
}
