//! Passkey challenges that were answered, so that each is answered once. An unanswered challenge is
//! stored nowhere.
use super::{
    Conn, StoreError,
    instant::StoredInstant,
    meta,
    per_backend::{PortableStatement, purge_oldest},
    schema::used_passkey_challenges,
};
use crate::domain::time::Timestamp;
use diesel::{
    ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl,
    dsl::{exists, select},
};

/// The last expiry of the challenges that are void (`meta`), in microseconds.
const VOID_UNTIL: &str = "passkey_challenges_void_until";

/// Records an answer to a challenge. Returns false if one was recorded before: of several answers
/// at the same time, in any instance, one gets true.
pub fn insert(c: &mut Conn, digest: &str, expires_at: Timestamp) -> Result<bool, StoreError> {
    let row = (
        used_passkey_challenges::digest.eq(digest),
        used_passkey_challenges::expires_at.eq(StoredInstant::from(expires_at)),
    );
    let insert = diesel::insert_into(used_passkey_challenges::table)
        .values(row)
        .on_conflict_do_nothing();
    Ok(PortableStatement(insert).execute(c.db())? == 1)
}

/// Returns whether a challenge was answered before, or is void.
pub fn is_spent(c: &mut Conn, digest: &str, expires_at: Timestamp) -> Result<bool, StoreError> {
    if let Some(until) = meta::get(c, VOID_UNTIL)? {
        let until: i64 = until.parse().map_err(|_| StoreError::Corrupt(VOID_UNTIL.into()))?;
        if expires_at.as_micros() <= until {
            return Ok(true);
        }
    }
    Ok(select(exists(used_passkey_challenges::table.find(digest))).get_result(c.db())?)
}

/// Makes every challenge void that expires at `until` or before.
pub fn void_all(c: &mut Conn, until: Timestamp) -> Result<(), StoreError> {
    meta::set(c, VOID_UNTIL, &until.as_micros().to_string())
}

/// Deletes challenges that expired before `before`, at most about `limit`; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, used_passkey_challenges.expires_at before before, limit))
}
