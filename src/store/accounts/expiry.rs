//! Accounts that an expiry rule may have expired.

use super::row::AccountRow;
use crate::{
    domain::account::{Account, AccountId, ExpiryBounds},
    store::{Conn, StoreError, conn::MultiBackend, instant::StoredInstant, schema::accounts},
};
use diesel::{
    BoolExpressionMethods, BoxableExpression, ExpressionMethods, NullableExpressionMethods, QueryDsl, RunQueryDsl,
    SelectableHelper,
    sql_types::{Bool, Nullable},
};

/// Lists accounts for the expiry job: enabled, not marked as expired yet, and past one of the
/// bounds. At most `limit`, by ID, with IDs above `after`.
pub fn list_expiry_candidates(
    c: &mut Conn,
    bounds: &ExpiryBounds,
    after: Option<AccountId>,
    limit: i64,
) -> Result<Vec<Account>, StoreError> {
    type Condition = Box<dyn BoxableExpression<accounts::table, MultiBackend, SqlType = Nullable<Bool>>>;
    let mut due: Condition = Box::new(accounts::expires_at.lt(StoredInstant::from(bounds.dated_before)));
    if let Some(at) = bounds.ended_before {
        due = Box::new(due.or(accounts::last_session_ended_at.lt(StoredInstant::from(at))));
    }
    if let Some(at) = bounds.unused_before {
        let unused = accounts::last_sign_in_at
            .is_null()
            .and(accounts::activated_at.lt(StoredInstant::from(at)));
        due = Box::new(due.or(unused.nullable()));
    }
    let rows: Vec<AccountRow> = accounts::table
        .into_boxed::<MultiBackend>()
        .filter(accounts::disabled_at.is_null())
        .filter(accounts::expired_at.is_null())
        .filter(due)
        .filter(accounts::id.gt(after.map(|id| id.0.to_string()).unwrap_or_default()))
        .order(accounts::id)
        .limit(limit)
        .select(AccountRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(AccountRow::read).collect()
}
