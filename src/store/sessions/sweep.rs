//! Live sessions that might be due: a superset by instants only, of which `domain::session` judges
//! each. If few are beyond a bound they are read from that bound's own index; if many are, one walk
//! by ID reads them page by page.
use super::{
    list::{FEW, attach_accounts},
    rows::{SessionRow, key_of},
};
use crate::{
    domain::session::{AccountSession, SessionId, SweepBounds},
    store::{Conn, StoreError, conn::MultiBackend, instant::StoredInstant, schema::sessions},
};
use diesel::{
    BoolExpressionMethods, BoxableExpression, ExpressionMethods, QueryDsl, RunQueryDsl, SelectableHelper,
    sql_types::Bool,
};

type Condition = Box<dyn BoxableExpression<sessions::table, MultiBackend, SqlType = Bool>>;
type DueSelect = sessions::BoxedQuery<'static, MultiBackend>;

/// Returns one condition per rule.
fn build_conditions(bounds: &SweepBounds) -> Vec<Condition> {
    let signed_in = bounds
        .signed_in_before
        .map(|at| Box::new(sessions::signed_in_at.lt(StoredInstant::from(at))) as Condition);
    let active = bounds
        .active_before
        .map(|at| Box::new(sessions::last_active_at.lt(StoredInstant::from(at))) as Condition);
    // Signs of an open window are never older than activity, so the index over activity finds these
    // sessions too.
    let seen = bounds.seen_before.map(|at| {
        let at = StoredInstant::from(at);
        Box::new(sessions::last_active_at.lt(at).and(sessions::last_seen_at.lt(at))) as Condition
    });
    [signed_in, active, seen].into_iter().flatten().collect()
}

fn select_live() -> DueSelect {
    sessions::table
        .into_boxed::<MultiBackend>()
        .filter(sessions::ended_at.is_null())
}

/// Lists live sessions beyond any of the bounds, by ID after `after`, without tokens.
pub fn sweep_candidates(
    c: &mut Conn,
    bounds: &SweepBounds,
    after: Option<SessionId>,
    limit: i64,
) -> Result<Vec<AccountSession>, StoreError> {
    let after = after.map(key_of).unwrap_or_default();
    let rows = match find_few(c, bounds)? {
        Some(mut ids) => {
            ids.retain(|id| *id > after);
            ids.truncate(usize::try_from(limit).unwrap_or(0));
            select_live().filter(sessions::id.eq_any(ids))
        }
        None => {
            let any = build_conditions(bounds)
                .into_iter()
                .reduce(|one, other| Box::new(one.or(other)) as Condition);
            let Some(any) = any else { return Ok(Vec::new()) };
            select_live().filter(any).filter(sessions::id.gt(after)).limit(limit)
        }
    };
    let rows: Vec<SessionRow> = rows.order(sessions::id).select(SessionRow::as_select()).load(c.db())?;
    attach_accounts(c, rows)
}

/// Returns the sorted IDs of all candidates, if there are few.
fn find_few(c: &mut Conn, bounds: &SweepBounds) -> Result<Option<Vec<String>>, StoreError> {
    let mut ids: Vec<String> = Vec::new();
    for condition in build_conditions(bounds) {
        let found: Vec<String> = select_live()
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
