//! Which live sessions might be due? A superset by instants alone; `domain::session` judges each. When few are beyond a
//! bound they are read from that bound's own index; when many are, one walk by id reads them page by page.
use super::{
    Record, SessionRow, key,
    list::{FEW, with_accounts},
};
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
type Boxed = sessions::BoxedQuery<'static, MultiBackend>;

impl SweepBounds {
    /// One condition per rule.
    fn conditions(&self) -> Vec<Condition> {
        let signed_in = self
            .signed_in_before
            .map(|at| Box::new(sessions::signed_in_at.lt(At::from(at))) as Condition);
        let active = self
            .active_before
            .map(|at| Box::new(sessions::last_active_at.lt(At::from(at))) as Condition);
        // Window life is never older than activity, so that the index over activity finds it too.
        let seen = self.seen_before.map(|at| {
            let at = At::from(at);
            Box::new(sessions::last_active_at.lt(at).and(sessions::last_seen_at.lt(at))) as Condition
        });
        [signed_in, active, seen].into_iter().flatten().collect()
    }
}

fn live() -> Boxed {
    sessions::table
        .into_boxed::<MultiBackend>()
        .filter(sessions::ended_at.is_null())
}

/// Live sessions beyond any of the bounds, by id after `after`; without tokens.
pub fn sweep_candidates(
    c: &mut Conn,
    bounds: &SweepBounds,
    after: Option<SessionId>,
    limit: i64,
) -> Result<Vec<SessionRow>, StoreError> {
    let after = after.map(key).unwrap_or_default();
    let rows = match few(c, bounds)? {
        Some(mut ids) => {
            ids.retain(|id| *id > after);
            ids.truncate(usize::try_from(limit).unwrap_or(0));
            live().filter(sessions::id.eq_any(ids))
        }
        None => {
            let any = bounds
                .conditions()
                .into_iter()
                .reduce(|one, other| Box::new(one.or(other)) as Condition);
            let Some(any) = any else { return Ok(Vec::new()) };
            live().filter(any).filter(sessions::id.gt(after)).limit(limit)
        }
    };
    let rows: Vec<Record> = rows.order(sessions::id).select(Record::as_select()).load(c.db())?;
    with_accounts(c, rows)
}

/// The ids of all candidates, sorted, if they are few.
fn few(c: &mut Conn, bounds: &SweepBounds) -> Result<Option<Vec<String>>, StoreError> {
    let mut ids: Vec<String> = Vec::new();
    for condition in bounds.conditions() {
        let found: Vec<String> = live()
            .filter(condition)
            .limit(FEW + 1)
            .select(sessions::id)
            .load(c.db())?;
        if found.len() as i64 > FEW {
            return Ok(None);
        }
        ids.extend(found);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(Some(ids))
}
