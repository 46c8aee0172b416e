//! Setup: the digests of setup links, and whether setup is complete.
use super::{Conn, StoreError, instant::StoredInstant, meta, schema::setup_tokens};
use crate::domain::time::{Span, Timestamp};
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

const COMPLETED: &str = "setup.completed_at";
/// Older links are deleted when a new one is made; `redeem` has its own limit.
const RETENTION: Span = Span::from_secs(7 * 86_400);

/// Stores the digest of a setup link's token.
pub fn create_token(c: &mut Conn, digest: &str, at: Timestamp) -> Result<(), StoreError> {
    let stale = StoredInstant::from(at.saturating_sub(RETENTION));
    diesel::delete(setup_tokens::table.filter(setup_tokens::created_at.lt(stale))).execute(c.db())?;
    diesel::insert_into(setup_tokens::table)
        .values((
            setup_tokens::digest.eq(digest),
            setup_tokens::created_at.eq(StoredInstant::from(at)),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Consumes a link: true once, if it was made at or after `not_before` and setup is not complete.
pub fn redeem(c: &mut Conn, digest: &str, not_before: Timestamp) -> Result<bool, StoreError> {
    if is_completed(c)? {
        return Ok(false);
    }
    let link = setup_tokens::table
        .find(digest)
        .filter(setup_tokens::created_at.ge(StoredInstant::from(not_before)));
    Ok(diesel::delete(link).execute(c.db())? == 1)
}

/// Returns whether [`redeem`] would accept the link, without consuming it.
pub fn is_valid(c: &mut Conn, digest: &str, not_before: Timestamp) -> Result<bool, StoreError> {
    if is_completed(c)? {
        return Ok(false);
    }
    let link = setup_tokens::table
        .find(digest)
        .filter(setup_tokens::created_at.ge(StoredInstant::from(not_before)));
    Ok(diesel::select(diesel::dsl::exists(link)).get_result(c.db())?)
}

/// Deletes all setup links.
pub fn drop_tokens(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(setup_tokens::table).execute(c.db())?;
    Ok(())
}

/// Returns whether an account was created.
pub fn is_completed(c: &mut Conn) -> Result<bool, StoreError> {
    Ok(meta::get(c, COMPLETED)?.is_some())
}

/// Completes setup permanently; returns false if it was complete before. On Postgres a second call
/// waits here for the first.
pub fn mark_completed(c: &mut Conn, at: Timestamp) -> Result<bool, StoreError> {
    meta::insert_if_absent(c, COMPLETED, &at.to_rfc3339())
}
