//! Values of identity providers that count once: the state of a sign-in, the ID of a logout token.
//! Only digests are stored, until the value would be refused for its age anyway.
use super::{
    Conn, StoreError,
    instant::StoredInstant,
    per_backend::{PortableStatement, purge_oldest},
    schema::spent_provider_values,
};
use crate::domain::time::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

/// Records the use of a value. Returns false if it was used before; of several attempts at once,
/// one gets true.
pub fn spend(c: &mut Conn, digest: &str, expires_at: Timestamp) -> Result<bool, StoreError> {
    let row = (
        spent_provider_values::digest.eq(digest),
        spent_provider_values::expires_at.eq(StoredInstant::from(expires_at)),
    );
    let insert = diesel::insert_into(spent_provider_values::table)
        .values(row)
        .on_conflict_do_nothing();
    Ok(PortableStatement(insert).execute(c.db())? == 1)
}

/// Deletes values that expired before `before`, about `limit`; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, spent_provider_values.expires_at before before, limit))
}
