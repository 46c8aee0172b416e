//! Passwords that were tried at directories. All instances count in one row for each person, so
//! that together they stay below the limit at which the directory locks the account.
use super::{
    Conn, StoreError,
    instant::StoredInstant,
    per_backend::{LockedRows, PortableStatement, purge_oldest},
    schema::directory_binds,
    text,
};
use crate::domain::time::{Span, Timestamp};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl};

/// Reserves one try of a password, unless there were `limit` within `window` before `now`. The
/// row is locked, so that parallel attempts are counted one after the other. Call it in a write.
pub fn reserve(c: &mut Conn, subject: &str, now: Timestamp, window: Span, limit: u32) -> Result<bool, StoreError> {
    let subject = text::clean(subject);
    let fresh = (
        directory_binds::subject.eq(subject.as_ref()),
        directory_binds::instants.eq("[]"),
        directory_binds::last_at.eq(StoredInstant::from(now)),
    );
    let insert = diesel::insert_into(directory_binds::table).values(fresh);
    PortableStatement(insert.on_conflict_do_nothing()).execute(c.db())?;
    let row = directory_binds::table
        .find(subject.as_ref())
        .select(directory_binds::instants);
    let stored: String = LockedRows(row).get_result(c.db())?;
    let mut instants: Vec<i64> =
        serde_json::from_str(&stored).map_err(|_| StoreError::Corrupt("the binds of a person".into()))?;
    let start = now.saturating_sub(window).as_micros();
    instants.retain(|at| *at > start);
    if instants.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
        return Ok(false);
    }
    instants.push(now.as_micros());
    let text = serde_json::to_string(&instants).map_err(|_| StoreError::Corrupt("the binds of a person".into()))?;
    diesel::update(directory_binds::table.find(subject.as_ref()))
        .set((
            directory_binds::instants.eq(text),
            directory_binds::last_at.eq(StoredInstant::from(now)),
        ))
        .execute(c.db())?;
    Ok(true)
}

/// Forgets the tries of a person after the right password, as directories do.
pub fn clear(c: &mut Conn, subject: &str) -> Result<(), StoreError> {
    diesel::delete(directory_binds::table.find(text::clean(subject).as_ref())).execute(c.db())?;
    Ok(())
}

/// Deletes rows whose last try was before `before`, about `limit` of them; returns their number.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, directory_binds.last_at before before, limit))
}
