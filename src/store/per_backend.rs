//! Everything that the connection type for both databases cannot express once: upserts, inserts of
//! many rows, row locks, bulk updates. Only this file distinguishes the databases.
use super::{
    StoreError,
    conn::{AnyConn, MultiBackend},
    instant::StoredInstant,
    schema::{accounts, session_applications, sessions, sources},
};
use crate::domain::time::Timestamp;
use diesel::{
    Connection, ExpressionMethods, OptionalExtension, QueryDsl, QueryResult, RunQueryDsl,
    backend::Backend,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types,
    sqlite::Sqlite,
};

/// A statement that both databases can render although the enum's dialect cannot: upserts.
pub(super) struct PortableStatement<T>(pub(super) T);

impl<T> QueryFragment<MultiBackend> for PortableStatement<T>
where
    T: QueryFragment<Pg> + QueryFragment<Sqlite>,
{
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        MultiBackend::walk_variant_ast(&self.0, pass)
    }
}

impl<T: QueryId> QueryId for PortableStatement<T> {
    type QueryId = T::QueryId;
    const HAS_STATIC_QUERY_ID: bool = T::HAS_STATIC_QUERY_ID;
}

impl<T: Query> Query for PortableStatement<T> {
    type SqlType = T::SqlType;
}

impl<T> RunQueryDsl<AnyConn> for PortableStatement<T> {}

/// A statement whose text is the same at every call, prepared once for each connection. Diesel does
/// not assume that of an UPDATE, an upsert, an IN or an insert of several rows, and would have the
/// database parse and plan them every time. Use it with RETURNING and load it, because diesel
/// ignores this when it executes a statement.
pub(super) struct PreparedStatement<Q>(pub(super) Q);

impl<DB: Backend, Q: QueryFragment<DB>> QueryFragment<DB> for PreparedStatement<Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

/// Without an ID of its own it is cached under its text.
impl<Q> QueryId for PreparedStatement<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for PreparedStatement<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C: Connection> RunQueryDsl<C> for PreparedStatement<Q> {}

/// Two statements in one round trip: the first as a `WITH` of the second, whose rows are returned.
/// Neither sees the writes of the other.
pub(super) struct JoinedStatements<A, B>(pub(super) A, pub(super) B);

impl<A: QueryFragment<Pg>, B: QueryFragment<Pg>> QueryFragment<Pg> for JoinedStatements<A, B> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql("WITH first AS (");
        self.0.walk_ast(pass.reborrow())?;
        pass.push_sql(") ");
        self.1.walk_ast(pass)
    }
}

impl<A, B> QueryId for JoinedStatements<A, B> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<A, B: Query> Query for JoinedStatements<A, B> {
    type SqlType = B::SqlType;
}

/// Writes twice, each statement returning a text: in one round trip on Postgres.
macro_rules! write_together {
    ($conn:expr, $first:expr, $second:expr) => {
        match $conn {
            $crate::store::conn::AnyConn::Postgres(c) => {
                let both = $crate::store::per_backend::JoinedStatements($first, $second);
                diesel::RunQueryDsl::load::<String>($crate::store::per_backend::PreparedStatement(both), c).map(drop)
            }
            $crate::store::conn::AnyConn::Sqlite(c) => {
                diesel::RunQueryDsl::load::<String>($crate::store::per_backend::PreparedStatement($first), c)
                    .and_then(|_| {
                        diesel::RunQueryDsl::load::<String>($crate::store::per_backend::PreparedStatement($second), c)
                    })
                    .map(drop)
            }
        }
    };
}
pub(super) use write_together;

/// Deletes the oldest rows of a table before an instant, about the given number; returns their
/// number. It deletes by instant, because neither database deletes by pairs of columns or with a
/// limit.
macro_rules! purge_oldest {
    ($c:expr, $table:ident.$at:ident before $before:expr, $limit:expr $(, only $filter:expr)?) => {{
        let old = $table::table.filter($table::$at.lt(StoredInstant::from($before)))$(.filter($filter))?;
        let last: Option<StoredInstant> = old
            .order($table::$at)
            .offset($limit.max(1) - 1)
            .select($table::$at)
            .first($c.db())
            .optional()?;
        match last {
            Some(last) => diesel::delete($table::table.filter($table::$at.le(last))$(.filter($filter))?).execute($c.db())?,
            None => diesel::delete(old).execute($c.db())?,
        }
    }};
}
pub(super) use purge_oldest;

/// The rows of a query, locked until the transaction ends. On SQLite the writer is alone anyway.
pub(super) struct LockedRows<Q>(pub(super) Q);

struct ForNoKeyUpdate;

impl QueryFragment<Pg> for ForNoKeyUpdate {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql(" FOR NO KEY UPDATE");
        Ok(())
    }
}

impl QueryFragment<Sqlite> for ForNoKeyUpdate {
    fn walk_ast<'b>(&'b self, _: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        Ok(())
    }
}

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for LockedRows<Q> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        self.0.walk_ast(pass.reborrow())?;
        MultiBackend::walk_variant_ast(&ForNoKeyUpdate, pass)
    }
}

impl<Q: QueryId> QueryId for LockedRows<Q> {
    type QueryId = LockedRows<Q::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = Q::HAS_STATIC_QUERY_ID;
}

impl<Q: Query> Query for LockedRows<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> RunQueryDsl<AnyConn> for LockedRows<Q> {}

/// The number of rows of a query, counted in the database; with a limit, at most that many.
pub(super) struct RowCount<Q>(pub(super) Q);

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for RowCount<Q> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        pass.push_sql("SELECT count(*) FROM (");
        self.0.walk_ast(pass.reborrow())?;
        pass.push_sql(") AS counted");
        Ok(())
    }
}

impl<Q> QueryId for RowCount<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for RowCount<Q> {
    type SqlType = sql_types::BigInt;
}

impl<Q> RunQueryDsl<AnyConn> for RowCount<Q> {}

/// Returns a text column's name for a condition when another index should be used first: SQLite
/// does not know how many rows match and would start with this column. Postgres does.
pub(super) fn not_leading(c: &AnyConn, column: &'static str, hidden: &'static str) -> &'static str {
    match c {
        AnyConn::Postgres(_) => column,
        AnyConn::Sqlite(_) => hidden,
    }
}

/// Inserts many rows with few statements, within either database's limit of bound values.
macro_rules! insert_rows {
    ($conn:expr, $table:expr, $rows:expr) => {{
        let mut inserted = Ok(());
        for rows in $rows.chunks(500) {
            let insert = diesel::insert_into($table).values(rows);
            let done = match $conn {
                // Most actions write one or two rows; other numbers are too many to keep prepared.
                $crate::store::conn::AnyConn::Postgres(c) if rows.len() <= 2 => {
                    let insert = insert.returning(diesel::dsl::sql::<diesel::sql_types::Integer>("1"));
                    diesel::RunQueryDsl::load::<i32>($crate::store::per_backend::PreparedStatement(insert), c)
                        .map(|inserted| inserted.len())
                }
                $crate::store::conn::AnyConn::Postgres(c) => diesel::RunQueryDsl::execute(insert, c),
                $crate::store::conn::AnyConn::Sqlite(c) => diesel::RunQueryDsl::execute(insert, c),
            };
            if let Err(fault) = done {
                inserted = Err($crate::store::StoreError::from(fault));
                break;
            }
        }
        inserted
    }};
}
pub(super) use insert_rows;

/// Returns the SQL for a whole number at the top level of the JSON in the column `detail`.
pub(super) fn number_in_detail(c: &AnyConn, name: &'static str) -> String {
    match c {
        AnyConn::Postgres(_) => format!("CAST(CAST(detail AS json) ->> '{name}' AS BIGINT)"),
        AnyConn::Sqlite(_) => format!("json_extract(detail, '$.{name}')"),
    }
}

/// Locks the rows of all administrators until the transaction ends. On SQLite the writer is alone
/// anyway.
pub(super) fn lock_administrators(c: &mut AnyConn, role: &str) -> Result<(), StoreError> {
    if let AnyConn::Postgres(c) = c {
        accounts::table
            .filter(accounts::role.eq(role))
            .order(accounts::id)
            .select(accounts::id)
            .for_no_key_update()
            .load::<String>(c)?;
    }
    Ok(())
}

/// Locks an account's row until the transaction ends. On SQLite the writer is alone anyway.
pub(super) fn lock_account(c: &mut AnyConn, id: &str) -> Result<(), StoreError> {
    if let AnyConn::Postgres(c) = c {
        accounts::table
            .find(id)
            .select(accounts::id)
            .for_no_key_update()
            .first::<String>(c)
            .optional()?;
    }
    Ok(())
}

/// Keeps a source's row from changing until the transaction ends; other transactions may do the
/// same. On SQLite the writer is alone anyway.
pub(super) fn hold_source(c: &mut AnyConn, id: &str) -> Result<(), StoreError> {
    if let AnyConn::Postgres(c) = c {
        sources::table
            .find(id)
            .select(sources::id)
            .for_share()
            .first::<String>(c)
            .optional()?;
    }
    Ok(())
}

/// Raises the activity of live sessions; an ended one stays unchanged. `rows` is sorted by ID, so
/// that two instances that flush the same sessions lock the rows in the same order.
pub(super) fn touch_sessions(c: &mut AnyConn, rows: &[(String, Timestamp, Timestamp)]) -> Result<(), StoreError> {
    match c {
        AnyConn::Postgres(c) => {
            for rows in rows.chunks(5000) {
                let ids: Vec<&str> = rows.iter().map(|(id, ..)| id.as_str()).collect();
                let active: Vec<StoredInstant> =
                    rows.iter().map(|(_, active, _)| StoredInstant::from(*active)).collect();
                let seen: Vec<StoredInstant> = rows.iter().map(|(.., seen)| StoredInstant::from(*seen)).collect();
                diesel::sql_query(
                    "WITH flushed AS (SELECT * FROM unnest($1::text[], $2::timestamp[], $3::timestamp[]) \
                                      AS f (id, active, seen)), \
                     held AS (SELECT s.id FROM sessions s JOIN flushed f ON f.id = s.id \
                              WHERE s.ended_at IS NULL AND (f.active > s.last_active_at OR f.seen > s.last_seen_at) \
                              ORDER BY s.id FOR NO KEY UPDATE OF s) \
                     UPDATE sessions s SET last_active_at = greatest(s.last_active_at, f.active), \
                                           last_seen_at = greatest(s.last_seen_at, f.seen) \
                     FROM flushed f JOIN held h ON h.id = f.id WHERE s.id = f.id AND s.ended_at IS NULL",
                )
                .bind::<sql_types::Array<sql_types::Text>, _>(ids)
                .bind::<sql_types::Array<sql_types::Timestamp>, _>(active)
                .bind::<sql_types::Array<sql_types::Timestamp>, _>(seen)
                .execute(c)?;
            }
        }
        AnyConn::Sqlite(c) => {
            for (id, active, seen) in rows {
                diesel::sql_query(
                    "UPDATE sessions SET last_active_at = max(last_active_at, $1), last_seen_at = max(last_seen_at, $2) \
                     WHERE id = $3 AND ended_at IS NULL AND (last_active_at < $1 OR last_seen_at < $2)",
                )
                .bind::<sql_types::Timestamp, _>(StoredInstant::from(*active))
                .bind::<sql_types::Timestamp, _>(StoredInstant::from(*seen))
                .bind::<sql_types::Text, _>(id)
                .execute(c)?;
            }
        }
    }
    Ok(())
}

/// Adds an application to a live session; repetitions have no effect.
pub(super) fn enter_application(c: &mut AnyConn, session: &str, application: &str) -> Result<bool, StoreError> {
    // The session's row is locked, so that a concurrent end comes either before this (no row) or
    // after it (marked).
    let live = match c {
        AnyConn::Postgres(c) => sessions::table
            .find(session)
            .filter(sessions::ended_at.is_null())
            .select(sessions::id)
            .for_no_key_update()
            .first::<String>(c)
            .optional()?,
        AnyConn::Sqlite(c) => sessions::table
            .find(session)
            .filter(sessions::ended_at.is_null())
            .select(sessions::id)
            .first::<String>(c)
            .optional()?,
    };
    if live.is_none() {
        return Ok(false);
    }
    let row = (
        session_applications::session_id.eq(session),
        session_applications::application.eq(application),
        session_applications::live.eq(true),
    );
    let added = PortableStatement(
        diesel::insert_into(session_applications::table)
            .values(row)
            .on_conflict_do_nothing(),
    )
    .execute(c)?;
    Ok(added > 0)
}

/// Sends the latest number to the other instances' listeners when this transaction commits.
pub(super) fn notify(c: &mut AnyConn, channel: &str, payload: &str) -> Result<(), StoreError> {
    if let AnyConn::Postgres(c) = c {
        diesel::sql_query("SELECT pg_notify($1, $2)")
            .bind::<sql_types::Text, _>(channel)
            .bind::<sql_types::Text, _>(payload)
            .execute(c)?;
    }
    Ok(())
}
