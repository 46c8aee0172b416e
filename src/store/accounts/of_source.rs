//! Accounts whose identity is proved at a source. They are found by their identity there, never by
//! their name alone.

use super::{
    AccountSelect,
    row::{AccountRow, parse_id, parse_role, parse_source_id},
};
use crate::{
    domain::{
        account::{Account, AccountId, Role},
        source::{LOCAL, SourceId},
    },
    store::{
        Conn, StoreError,
        per_backend::LockedRows,
        schema::{accounts, sessions, sources},
        text,
    },
};
use diesel::{
    AggregateExpressionMethods, ExpressionMethods, NullableExpressionMethods, OptionalExtension, QueryDsl, RunQueryDsl,
    SelectableHelper, dsl::exists,
};

/// Finds the account with this identity at a source. In a write its row is locked, as by
/// [`super::find`].
pub fn find_by_external_id(c: &mut Conn, source: SourceId, external_id: &str) -> Result<Option<Account>, StoreError> {
    let row = accounts::table
        .filter(accounts::source_id.eq(source.0.to_string()))
        .filter(accounts::external_id.eq(external_id))
        .select(AccountRow::as_select());
    let row: Option<AccountRow> = if c.writing {
        LockedRows(row).get_result(c.db()).optional()?
    } else {
        row.get_result(c.db()).optional()?
    };
    row.map(AccountRow::read).transpose()
}

/// Finds the account that an administrator listed for a source under this name and that has not
/// signed in yet. In a write its row is locked, as by [`super::find`].
pub fn find_listed(c: &mut Conn, source: SourceId, name_key: &str) -> Result<Option<Account>, StoreError> {
    let key = text::clean(name_key);
    let row = accounts::table
        .filter(accounts::source_id.eq(source.0.to_string()))
        .filter(accounts::external_id.is_null())
        .filter(accounts::name_key.eq(key.as_ref()))
        .select(AccountRow::as_select());
    let row: Option<AccountRow> = if c.writing {
        LockedRows(row).get_result(c.db()).optional()?
    } else {
        row.get_result(c.db()).optional()?
    };
    row.map(AccountRow::read).transpose()
}

/// Lists accounts of a source by ID after `after`, at most `limit`; in a write their rows are
/// locked.
pub fn list_of_source(
    c: &mut Conn,
    source: SourceId,
    after: Option<AccountId>,
    limit: i64,
) -> Result<Vec<Account>, StoreError> {
    let rows = accounts::table
        .filter(accounts::source_id.eq(source.0.to_string()))
        .filter(accounts::id.gt(after.map(|id| id.0.to_string()).unwrap_or_default()))
        .order(accounts::id)
        .limit(limit)
        .select(AccountRow::as_select());
    let rows: Vec<AccountRow> = if c.writing {
        LockedRows(rows).load(c.db())?
    } else {
        rows.load(c.db())?
    };
    rows.into_iter().map(AccountRow::read).collect()
}

/// Lists the accounts of a source that have a live session, by ID after `after`, at
/// most `limit`, each with its identity there; empty: it has none yet.
pub fn list_with_sessions(
    c: &mut Conn,
    source: SourceId,
    after: Option<AccountId>,
    limit: i64,
) -> Result<Vec<(AccountId, String)>, StoreError> {
    let live = sessions::table
        .filter(sessions::account_id.eq(accounts::id))
        .filter(sessions::ended_at.is_null());
    let rows: Vec<(String, Option<String>)> = accounts::table
        .filter(accounts::source_id.eq(source.0.to_string()))
        .filter(accounts::id.gt(after.map(|id| id.0.to_string()).unwrap_or_default()))
        .filter(exists(live))
        .order(accounts::id)
        .limit(limit)
        .select((accounts::id, accounts::external_id))
        .load(c.db())?;
    let read = |(id, external_id): (String, Option<String>)| Ok((parse_id(&id)?, external_id.unwrap_or_default()));
    rows.into_iter().map(read).collect()
}

/// Live sessions of the accounts of a source with one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveSessionCount {
    /// The role.
    pub role: Role,
    /// The number of sessions.
    pub sessions: i64,
    /// The number of accounts that have them.
    pub accounts: i64,
}

/// Counts the live sessions of a source's accounts by role.
pub fn count_live_sessions(c: &mut Conn, source: SourceId) -> Result<Vec<LiveSessionCount>, StoreError> {
    let rows: Vec<(String, i64, i64)> = accounts::table
        .inner_join(sessions::table)
        .filter(accounts::source_id.eq(source.0.to_string()))
        .filter(sessions::ended_at.is_null())
        .group_by(accounts::role)
        .select((
            accounts::role,
            diesel::dsl::count(sessions::id),
            diesel::dsl::count(accounts::id).aggregate_distinct(),
        ))
        .load(c.db())?;
    let read = |(role, sessions, accounts): (String, i64, i64)| {
        let role = parse_role(&role)?;
        Ok(LiveSessionCount {
            role,
            sessions,
            accounts,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Counts the accounts of a source.
pub fn count_of_source(c: &mut Conn, source: SourceId) -> Result<i64, StoreError> {
    let of_source = accounts::table.filter(accounts::source_id.eq(source.0.to_string()));
    Ok(of_source.count().get_result(c.db())?)
}

/// Counts the accounts of a source that are not disabled.
pub fn count_enabled_of_source(c: &mut Conn, source: SourceId) -> Result<i64, StoreError> {
    let enabled = accounts::table
        .filter(accounts::source_id.eq(source.0.to_string()))
        .filter(accounts::disabled_at.is_null());
    Ok(enabled.count().get_result(c.db())?)
}

/// Counts the accounts of every source that has some.
pub fn count_by_source(c: &mut Conn) -> Result<Vec<(SourceId, i64)>, StoreError> {
    let rows: Vec<(Option<String>, i64)> = accounts::table
        .filter(accounts::source_id.is_not_null())
        .group_by(accounts::source_id)
        .select((accounts::source_id, diesel::dsl::count_star()))
        .load(c.db())?;
    let read = |(id, number): (Option<String>, i64)| Ok((parse_source_id(&id.unwrap_or_default())?, number));
    rows.into_iter().map(read).collect()
}

/// Restricts a query to the accounts of the source with this name, or to local ones.
pub(in crate::store) fn restrict_to_source(query: AccountSelect, source: &str) -> AccountSelect {
    if source == LOCAL {
        return query.filter(accounts::source_id.is_null());
    }
    let named = sources::table
        .filter(sources::id.nullable().eq(accounts::source_id))
        .filter(sources::name.eq(text::clean(source).into_owned()));
    query.filter(exists(named))
}
