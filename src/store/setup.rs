//! Who may create the first administrator: the digests of set-up links, and whether set-up is over for good.
use super::{Conn, StoreError, instant::At, meta, schema::setup_tokens};
use crate::domain::time::{Span, Timestamp};
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl};

const COMPLETED: &str = "setup.completed_at";
/// Links older than this are swept when a new one is made; `redeem` has its own limit.
const KEPT: Span = Span::from_secs(7 * 86_400);

pub fn create_token(c: &mut Conn, digest: &str, at: Timestamp) -> Result<(), StoreError> {
    let stale = At::from(at.saturating_sub(KEPT));
    diesel::delete(setup_tokens::table.filter(setup_tokens::created_at.lt(stale))).execute(c.db())?;
    diesel::insert_into(setup_tokens::table)
        .values((
            setup_tokens::digest.eq(digest),
            setup_tokens::created_at.eq(At::from(at)),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Uses a link up: true once, if it was made at or after `not_before` and set-up is not over.
pub fn redeem(c: &mut Conn, digest: &str, not_before: Timestamp) -> Result<bool, StoreError> {
    if completed(c)? {
        return Ok(false);
    }
    let link = setup_tokens::table
        .find(digest)
        .filter(setup_tokens::created_at.ge(At::from(not_before)));
    Ok(diesel::delete(link).execute(c.db())? == 1)
}

/// Whether [`redeem`] would take the link; looking does not use it up.
pub fn is_valid(c: &mut Conn, digest: &str, not_before: Timestamp) -> Result<bool, StoreError> {
    if completed(c)? {
        return Ok(false);
    }
    let link = setup_tokens::table
        .find(digest)
        .filter(setup_tokens::created_at.ge(At::from(not_before)));
    Ok(diesel::select(diesel::dsl::exists(link)).get_result(c.db())?)
}

pub fn drop_tokens(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(setup_tokens::table).execute(c.db())?;
    Ok(())
}

pub fn completed(c: &mut Conn) -> Result<bool, StoreError> {
    Ok(meta::get(c, COMPLETED)?.is_some())
}

/// Ends set-up for good; false when it was over already. On Postgres a second one waits here for the first.
pub fn complete(c: &mut Conn, at: Timestamp) -> Result<bool, StoreError> {
    meta::insert_if_absent(c, COMPLETED, &at.to_rfc3339())
}
