//! Which live sessions might be due? A superset by instants alone, found through indexes; `domain::session` judges each.
use super::{Record, SessionRow, key, list::with_accounts};
use crate::{
    domain::{session::SessionId, time::Timestamp},
    store::{Conn, StoreError, conn::MultiBackend, instant::At, schema::sessions},
};
use diesel::{
    BoolExpressionMethods, BoxableExpression, ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper,
    sql_types::Bool,
};

/// Instants before which a session may be due; `None`: no such rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweepBounds {
    pub signed_in_before: Option<Timestamp>,
    pub active_before: Option<Timestamp>,
    pub seen_before: Option<Timestamp>,
}

type Condition = Box<dyn BoxableExpression<sessions::table, MultiBackend, SqlType = Bool>>;

/// Live sessions beyond any of the bounds, by id after `after`; without tokens.
pub fn sweep_candidates(
    c: &mut Conn,
    bounds: &SweepBounds,
    after: Option<SessionId>,
    limit: i64,
) -> Result<Vec<SessionRow>, StoreError> {
    let signed_in = bounds
        .signed_in_before
        .map(|at| Box::new(sessions::signed_in_at.lt(At::from(at))) as Condition);
    let active = bounds
        .active_before
        .map(|at| Box::new(sessions::last_active_at.lt(At::from(at))) as Condition);
    // Window life is never older than activity, so that the index over activity finds it too.
    let seen = bounds.seen_before.map(|at| {
        let at = At::from(at);
        Box::new(sessions::last_active_at.lt(at).and(sessions::last_seen_at.lt(at))) as Condition
    });
    let any = [signed_in, active, seen]
        .into_iter()
        .flatten()
        .reduce(|one, other| Box::new(one.or(other)) as Condition);
    let Some(any) = any else { return Ok(Vec::new()) };
    let rows = sessions::table
        .into_boxed::<MultiBackend>()
        .filter(sessions::ended_at.is_null())
        .filter(any)
        .filter(sessions::id.gt(after.map(key).unwrap_or_default()))
        .order(sessions::id)
        .limit(limit)
        .select(Record::as_select())
        .load(c.db())?;
    with_accounts(c, rows)
}
