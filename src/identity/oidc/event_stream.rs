//! Polling the security events of a provider (RFC 8936).

use super::{
    fault::{FailedCheck, OidcFault, quote},
    logout_token::TokenParties,
    provider::{ErrorAnswer, Provider},
    security_event::{SecurityEvent, verify_security_event},
};
use crate::domain::{secret::Secret, time::Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use url::{Url, form_urlencoded};

const POLL_ENDPOINT: &str = "the poll endpoint";

/// One request for security events.
#[derive(Debug, Default, Serialize)]
pub struct EventPoll {
    /// Maximum number of events in the answer; 0: the request only acknowledges.
    #[serde(rename = "maxEvents")]
    pub max_events: u32,
    /// Always true: the provider does not wait for new events.
    #[serde(rename = "returnImmediately")]
    pub return_immediately: bool,
    /// IDs of tokens whose effect is stored.
    pub ack: Vec<String>,
    /// IDs of tokens that were refused, with the reasons.
    #[serde(rename = "setErrs", skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, EventRefusal>,
}

/// Why a token was refused, for the provider (RFC 8935, 2.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventRefusal {
    /// The error code.
    pub err: &'static str,
    /// The description, a sentence.
    pub description: &'static str,
}

/// The provider's answer to a poll.
#[derive(Debug, Default, Deserialize)]
pub struct EventAnswer {
    /// Tokens by their IDs.
    #[serde(default)]
    pub sets: BTreeMap<String, String>,
}

impl EventPoll {
    /// Creates a request that is answered at once and acknowledges nothing yet.
    pub fn immediate(max_events: u32) -> Self {
        Self {
            max_events,
            return_immediately: true,
            ..Self::default()
        }
    }
}

impl EventRefusal {
    /// Creates the report to the provider about a token that a check refused. `None`: the token was
    /// not judged, so the provider keeps it.
    pub fn new(fault: &OidcFault) -> Option<Self> {
        let OidcFault::Check { check, .. } = fault else {
            return None;
        };
        let err = match check {
            FailedCheck::Issuer => "invalid_issuer",
            FailedCheck::Audience => "invalid_audience",
            FailedCheck::Key => "invalid_key",
            FailedCheck::Signature => "authentication_failed",
            _ => "invalid_request",
        };
        Some(Self {
            err,
            description: check.sentence(),
        })
    }
}

impl Provider {
    /// Gets an access token for our client (RFC 6749, 4.4).
    pub async fn client_token(&self, scopes: &[String], now: Timestamp) -> Result<Secret, OidcFault> {
        let known = self.known(now).await?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes.join(" "));
        }
        let answer = self.request_tokens(&known.metadata.token_endpoint, form).await?;
        let token = answer.access_token.filter(|token| !token.is_empty());
        token.map(Secret::new).ok_or_else(|| OidcFault::Answer {
            endpoint: super::provider::TOKEN_ENDPOINT,
            problem: "it contains no access token".to_owned(),
        })
    }

    /// Asks for security events, and acknowledges earlier ones.
    pub async fn poll_events(&self, url: &str, access: &Secret, poll: &EventPoll) -> Result<EventAnswer, OidcFault> {
        let url = Url::parse(url)
            .map_err(|error| OidcFault::Configuration(format!("{} is no address: {error}", quote(url))))?;
        let request = self.transport.post(&url)?.bearer_auth(access.expose()).json(poll);
        let answer = self.transport.send(POLL_ENDPOINT, request).await?;
        if answer.status.is_client_error()
            && let Ok(refusal) = answer.parse::<ErrorAnswer>()
        {
            return Err(OidcFault::Refused(quote(&refusal.error)));
        }
        answer.into_json()
    }

    /// Verifies a security event token. `audience`: what it must name; `None`: our client ID.
    pub async fn verify_event(
        &self,
        token: &str,
        audience: Option<&str>,
        now: Timestamp,
    ) -> Result<SecurityEvent, OidcFault> {
        let known = self.known(now).await?;
        let own = self.parties();
        let parties = TokenParties {
            client_id: audience.unwrap_or(own.client_id),
            ..own
        };
        self.with_keys(known, now, |known| {
            verify_security_event(token, &known.keys, &parties, now)
        })
        .await
    }
}
