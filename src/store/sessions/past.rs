//! Which sessions were live at some time since an instant? Those that are live now, and those that ended later than that.
use super::{Record, SessionRow, list::with_accounts};
use crate::{
    domain::time::Timestamp,
    store::{Conn, StoreError, instant::At, schema::sessions},
};
use diesel::{ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper};

/// The newest sign-ins first, at most `limit`, without tokens; true: there are more.
pub fn live_since(c: &mut Conn, since: Timestamp, limit: i64) -> Result<(Vec<SessionRow>, bool), StoreError> {
    let mut rows: Vec<Record> = sessions::table
        .filter(sessions::ended_at.is_null())
        .order(sessions::id.desc())
        .limit(limit + 1)
        .select(Record::as_select())
        .load(c.db())?;
    let ended: Vec<Record> = sessions::table
        .filter(sessions::ended_at.is_not_null())
        .filter(sessions::ended_at.ge(At::from(since)))
        .order((sessions::ended_at.desc(), sessions::id.desc()))
        .limit(limit + 1)
        .select(Record::as_select())
        .load(c.db())?;
    rows.extend(ended);
    rows.sort_unstable_by(|a, b| (b.signed_in_at, &b.id).cmp(&(a.signed_in_at, &a.id)));
    let limit = usize::try_from(limit).unwrap_or(0);
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok((with_accounts(c, rows)?, more))
}
