//! Sessions that providers have ended recently. A sign-in whose tokens were being fetched in the
//! meantime checks whether its session is among them.
use super::{
    Conn, StoreError,
    instant::StoredInstant,
    per_backend::{PortableStatement, purge_oldest},
    schema::provider_sign_outs,
    text,
};
use crate::domain::{
    source::SourceId,
    time::{Span, Timestamp},
};
use diesel::{BoolExpressionMethods, ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

/// The sessions that a provider ended: those of a person, one of its own, or both.
#[derive(Debug, Clone, Copy)]
pub struct EndedAtProvider<'a> {
    /// The provider.
    pub source: SourceId,
    /// Issuer and subject, as the account stores them.
    pub external_id: Option<&'a str>,
    /// The ID of the provider's session.
    pub provider_session: Option<&'a str>,
}

/// Returns when the latest of a source was received; `None`: there is none.
pub fn latest(c: &mut Conn, source: SourceId) -> Result<Option<Timestamp>, StoreError> {
    let latest: Option<StoredInstant> = provider_sign_outs::table
        .filter(provider_sign_outs::source_id.eq(source.0.to_string()))
        .order(provider_sign_outs::received_at.desc())
        .select(provider_sign_outs::received_at)
        .first(c.db())
        .optional()?;
    Ok(latest.map(Timestamp::from))
}

/// Inserts an end; returns false if it is already stored. `digest`: that of the token that named
/// it. It gets an instant after all others of the source, whatever the clocks of the instances say:
/// call this with the source's row locked.
pub fn insert(c: &mut Conn, digest: &str, ended: EndedAtProvider<'_>, now: Timestamp) -> Result<bool, StoreError> {
    let cleaned = |value: Option<&str>| value.map(|value| text::clean(value).into_owned());
    let next = latest(c, ended.source)?.map(|latest| latest.saturating_add(Span::from_micros(1)));
    let at = next.map_or(now, |next| next.max(now));
    let row = (
        provider_sign_outs::digest.eq(digest),
        provider_sign_outs::source_id.eq(ended.source.0.to_string()),
        provider_sign_outs::external_id.eq(cleaned(ended.external_id)),
        provider_sign_outs::provider_session.eq(cleaned(ended.provider_session)),
        provider_sign_outs::received_at.eq(StoredInstant::from(at)),
    );
    let insert = diesel::insert_into(provider_sign_outs::table)
        .values(row)
        .on_conflict_do_nothing();
    Ok(PortableStatement(insert).execute(c.db())? == 1)
}

/// Returns whether a provider's session of a person was ended after an instant of
/// [`latest`]; `None`: at any time.
pub fn has_ended(
    c: &mut Conn,
    (source, external_id, provider_session): (SourceId, &str, Option<&str>),
    after: Option<Timestamp>,
) -> Result<bool, StoreError> {
    let person = text::clean(external_id).into_owned();
    let session = provider_session.map(|id| text::clean(id).into_owned());
    let found: Option<String> = provider_sign_outs::table
        .filter(provider_sign_outs::source_id.eq(source.0.to_string()))
        .filter(provider_sign_outs::received_at.gt(StoredInstant::from(after.unwrap_or(Timestamp::from_micros(0)))))
        .filter(
            provider_sign_outs::external_id
                .is_null()
                .or(provider_sign_outs::external_id.eq(person)),
        )
        .filter(
            provider_sign_outs::provider_session
                .is_null()
                .or(provider_sign_outs::provider_session.eq(session)),
        )
        .select(provider_sign_outs::digest)
        .first(c.db())
        .optional()?;
    Ok(found.is_some())
}

/// Deletes those received before `before`, about `limit`; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, provider_sign_outs.received_at before before, limit))
}
