//! Sessions that began at an OpenID Connect provider, with the provider's own session. Their rows
//! go when the session's row goes.
use super::{
    Conn, StoreError,
    instant::StoredInstant,
    schema::{provider_sessions, sessions},
    sessions::parse_id,
    text,
};
use crate::{
    domain::{session::SessionId, source::SourceId, time::Timestamp},
    second_factor::SealedSecret,
};
use diesel::{
    ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper,
};
use uuid::Uuid;

/// A session at an identity provider, and the session here that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSession {
    /// The session here.
    pub session: SessionId,
    /// The provider.
    pub source: SourceId,
    /// Issuer and subject, as the account stores them.
    pub external_id: String,
    /// The ID of the provider's session (`sid`), if it sent one.
    pub provider_session: Option<String>,
    /// When the person authenticated at the provider, if it said so.
    pub authenticated_at: Option<Timestamp>,
    /// When the ID token expires; this does not end the session.
    pub token_expires_at: Timestamp,
    /// The ID token.
    pub id_token: SealedSecret,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = provider_sessions, treat_none_as_default_value = false)]
struct ProviderSessionRow {
    session_id: String,
    source_id: String,
    external_id: String,
    provider_session: Option<String>,
    authenticated_at: Option<StoredInstant>,
    token_expires_at: StoredInstant,
    id_token: String,
    key_id: String,
}

impl ProviderSessionRow {
    fn from_session(session: &ProviderSession) -> Self {
        Self {
            session_id: session.session.0.to_string(),
            source_id: session.source.0.to_string(),
            external_id: text::clean(&session.external_id).into_owned(),
            provider_session: session
                .provider_session
                .as_deref()
                .map(|id| text::clean(id).into_owned()),
            authenticated_at: session.authenticated_at.map(StoredInstant::from),
            token_expires_at: session.token_expires_at.into(),
            id_token: session.id_token.text.clone(),
            key_id: session.id_token.key_id.clone(),
        }
    }

    fn read(self) -> Result<ProviderSession, StoreError> {
        let source = Uuid::parse_str(&self.source_id);
        Ok(ProviderSession {
            session: parse_id(&self.session_id)?,
            source: SourceId(source.map_err(|_| StoreError::Corrupt("a provider session's source".into()))?),
            external_id: self.external_id,
            provider_session: self.provider_session,
            authenticated_at: self.authenticated_at.map(Timestamp::from),
            token_expires_at: self.token_expires_at.into(),
            id_token: SealedSecret {
                text: self.id_token,
                key_id: self.key_id,
            },
        })
    }
}

/// Inserts what is known about a new session.
pub fn insert(c: &mut Conn, session: &ProviderSession) -> Result<(), StoreError> {
    diesel::insert_into(provider_sessions::table)
        .values(ProviderSessionRow::from_session(session))
        .execute(c.db())?;
    Ok(())
}

/// Replaces what is known about a session after a new authentication at the provider. Returns false
/// if the session did not begin there.
pub fn replace(c: &mut Conn, session: &ProviderSession) -> Result<bool, StoreError> {
    let row = ProviderSessionRow::from_session(session);
    let same = provider_sessions::table
        .find(row.session_id)
        .filter(provider_sessions::source_id.eq(row.source_id))
        .filter(provider_sessions::external_id.eq(row.external_id));
    let replaced = diesel::update(same)
        .set((
            provider_sessions::provider_session.eq(row.provider_session),
            provider_sessions::authenticated_at.eq(row.authenticated_at),
            provider_sessions::token_expires_at.eq(row.token_expires_at),
            provider_sessions::id_token.eq(row.id_token),
            provider_sessions::key_id.eq(row.key_id),
        ))
        .execute(c.db())?;
    Ok(replaced == 1)
}

/// Finds what is known about a session; `None`: it did not begin at a provider.
pub fn find(c: &mut Conn, session: SessionId) -> Result<Option<ProviderSession>, StoreError> {
    let row: Option<ProviderSessionRow> = provider_sessions::table
        .find(session.0.to_string())
        .select(ProviderSessionRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(ProviderSessionRow::read).transpose()
}

/// Lists the live sessions here of a person or of one session at a provider. With both, a session
/// must match both.
pub fn list_live(
    c: &mut Conn,
    source: SourceId,
    external_id: Option<&str>,
    provider_session: Option<&str>,
) -> Result<Vec<SessionId>, StoreError> {
    let of_source = provider_sessions::table
        .inner_join(sessions::table)
        .filter(sessions::ended_at.is_null())
        .filter(provider_sessions::source_id.eq(source.0.to_string()))
        .order(provider_sessions::session_id)
        .select(provider_sessions::session_id);
    let by_person = |id: &str| provider_sessions::external_id.eq(text::clean(id).into_owned());
    let by_session = |id: &str| provider_sessions::provider_session.eq(text::clean(id).into_owned());
    let ids: Vec<String> = match (external_id, provider_session) {
        (Some(person), Some(session)) => of_source
            .filter(by_person(person))
            .filter(by_session(session))
            .load(c.db())?,
        (Some(person), None) => of_source.filter(by_person(person)).load(c.db())?,
        (None, Some(session)) => of_source.filter(by_session(session)).load(c.db())?,
        (None, None) => Vec::new(),
    };
    ids.iter().map(|id| parse_id(id)).collect()
}
