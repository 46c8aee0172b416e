//! The provider's session that belongs to one of ours: its person, the time of authentication, and
//! the sealed ID token for the sign-out at the provider.

use super::{Ctx, FlowError, Write};
use crate::{
    domain::{session::SessionId, source::SourceId, time::Timestamp},
    identity::oidc::ProviderSignIn,
    second_factor::SealedSecret,
    store::{
        StoreError,
        provider_sessions::{self, ProviderSession},
        provider_sign_outs::EndedAtProvider,
    },
};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// The facts about a provider's session, before our own session exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProviderSessionFacts {
    source: SourceId,
    external_id: String,
    provider_session: Option<String>,
    authenticated_at: Option<Timestamp>,
    token_expires_at: Timestamp,
    id_token: SealedSecret,
}

impl ProviderSessionFacts {
    /// Returns the facts for the row of a pending sign-in.
    pub(super) fn to_text(&self) -> String {
        json!({
            "source": self.source.0.to_string(),
            "external_id": self.external_id,
            "provider_session": self.provider_session,
            "authenticated_at": self.authenticated_at.map(Timestamp::as_micros),
            "token_expires_at": self.token_expires_at.as_micros(),
            "id_token": self.id_token.text,
            "key_id": self.id_token.key_id,
        })
        .to_string()
    }

    /// Reads [`ProviderSessionFacts::to_text`]; `None`: another text.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let json: Json = serde_json::from_str(text).ok()?;
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let instant = |name: &str| json[name].as_i64().map(Timestamp::from_micros);
        Some(Self {
            source: SourceId(Uuid::parse_str(json["source"].as_str()?).ok()?),
            external_id: text("external_id")?,
            provider_session: text("provider_session"),
            authenticated_at: instant("authenticated_at"),
            token_expires_at: instant("token_expires_at")?,
            id_token: SealedSecret {
                text: text("id_token")?,
                key_id: text("key_id")?,
            },
        })
    }

    /// Returns the source, the person and the provider's session.
    pub(super) fn key(&self) -> (SourceId, &str, Option<&str>) {
        (self.source, &self.external_id, self.provider_session.as_deref())
    }

    /// Returns whether the session is one that its provider ended.
    pub(super) fn is_among(&self, ended: EndedAtProvider<'_>) -> bool {
        self.source == ended.source
            && ended.external_id.is_none_or(|person| person == self.external_id)
            && (ended.provider_session.is_none() || ended.provider_session == self.provider_session.as_deref())
    }

    fn into_row(self, session: SessionId) -> ProviderSession {
        ProviderSession {
            session,
            source: self.source,
            external_id: self.external_id,
            provider_session: self.provider_session,
            authenticated_at: self.authenticated_at,
            token_expires_at: self.token_expires_at,
            id_token: self.id_token,
        }
    }
}

impl Ctx {
    /// Seals what is kept of a sign-in at a provider.
    pub(super) fn seal_provider_session(
        &self,
        source: SourceId,
        external_id: &str,
        signed_in: &ProviderSignIn,
    ) -> Result<ProviderSessionFacts, FlowError> {
        let mut nonce = [0; 12];
        self.random.fill(&mut nonce);
        let token = signed_in.hint.expose().as_bytes();
        let sealed = self.factor_keys.seal_source(source, token, nonce);
        Ok(ProviderSessionFacts {
            source,
            external_id: external_id.to_owned(),
            provider_session: signed_in.claims.session.clone(),
            authenticated_at: signed_in.id_token.auth_time,
            token_expires_at: signed_in.id_token.expires_at,
            id_token: sealed.ok_or_else(|| FlowError::Internal("an ID token cannot be sealed".to_owned()))?,
        })
    }
}

impl Write<'_> {
    /// Stores what is known of the provider's session beside a session that was just opened.
    pub(super) fn keep_provider_session(
        &mut self,
        session: SessionId,
        facts: &ProviderSessionFacts,
    ) -> Result<(), StoreError> {
        provider_sessions::insert(self.connection, &facts.clone().into_row(session))
    }

    /// Replaces it after a new authentication. Returns false if the session is another person's, or
    /// did not begin at this provider.
    pub(super) fn renew_provider_session(
        &mut self,
        session: SessionId,
        facts: &ProviderSessionFacts,
    ) -> Result<bool, StoreError> {
        provider_sessions::replace(self.connection, &facts.clone().into_row(session))
    }
}
