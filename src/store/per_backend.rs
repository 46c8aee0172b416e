//! What the two-headed connection cannot say in one breath: upserts, many-row inserts, row locks, bulk updates. Two
//! arms each, here and nowhere else.
use super::{
    StoreError,
    conn::{AnyConn, MultiBackend},
    instant::At,
    schema::{accounts, session_applications, sessions},
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

/// A statement that both databases can render, though the enum's dialect cannot: upserts.
pub(super) struct Both<T>(pub(super) T);

impl<T> QueryFragment<MultiBackend> for Both<T>
where
    T: QueryFragment<Pg> + QueryFragment<Sqlite>,
{
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        MultiBackend::walk_variant_ast(&self.0, pass)
    }
}

impl<T: QueryId> QueryId for Both<T> {
    type QueryId = T::QueryId;
    const HAS_STATIC_QUERY_ID: bool = T::HAS_STATIC_QUERY_ID;
}

impl<T: Query> Query for Both<T> {
    type SqlType = T::SqlType;
}

impl<T> RunQueryDsl<AnyConn> for Both<T> {}

/// A statement whose words are the same at every call: prepared once for each connection. By itself diesel supposes that
/// of no UPDATE, no upsert, no IN and no insert of several rows, and has the database parse and plan them every time.
/// To be loaded, not executed (say RETURNING): when executing, diesel asks past this.
pub(super) struct Prepared<Q>(pub(super) Q);

impl<DB: Backend, Q: QueryFragment<DB>> QueryFragment<DB> for Prepared<Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

/// Without an id of its own it is kept under its words.
impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C: Connection> RunQueryDsl<C> for Prepared<Q> {}

/// Two statements in one journey: the first as a `WITH` of the second, whose rows come back. Neither sees what the other writes.
pub(super) struct Together<A, B>(pub(super) A, pub(super) B);

impl<A: QueryFragment<Pg>, B: QueryFragment<Pg>> QueryFragment<Pg> for Together<A, B> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        pass.push_sql("WITH first AS (");
        self.0.walk_ast(pass.reborrow())?;
        pass.push_sql(") ");
        self.1.walk_ast(pass)
    }
}

impl<A, B> QueryId for Together<A, B> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<A, B: Query> Query for Together<A, B> {
    type SqlType = B::SqlType;
}

/// Writes twice, each statement returning a text: in one journey where the database is at the end of one.
macro_rules! write_together {
    ($conn:expr, $first:expr, $second:expr) => {
        match $conn {
            $crate::store::conn::AnyConn::Postgres(c) => {
                let both = $crate::store::per_backend::Together($first, $second);
                diesel::RunQueryDsl::load::<String>($crate::store::per_backend::Prepared(both), c).map(drop)
            }
            $crate::store::conn::AnyConn::Sqlite(c) => {
                diesel::RunQueryDsl::load::<String>($crate::store::per_backend::Prepared($first), c)
                    .and_then(|_| diesel::RunQueryDsl::load::<String>($crate::store::per_backend::Prepared($second), c))
                    .map(drop)
            }
        }
    };
}
pub(super) use write_together;

/// Deletes the oldest rows of a table before an instant, about so many at once; how many. By instant, for neither database deletes by
/// pairs of columns or with a limit.
macro_rules! purge_oldest {
    ($c:expr, $table:ident.$at:ident before $before:expr, $limit:expr $(, only $filter:expr)?) => {{
        let old = $table::table.filter($table::$at.lt(At::from($before)))$(.filter($filter))?;
        let last: Option<At> = old
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

/// The rows of a query, held until the transaction ends. SQLite: the writer is alone anyway.
pub(super) struct Held<Q>(pub(super) Q);

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

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Held<Q> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        self.0.walk_ast(pass.reborrow())?;
        MultiBackend::walk_variant_ast(&ForNoKeyUpdate, pass)
    }
}

impl<Q: QueryId> QueryId for Held<Q> {
    type QueryId = Held<Q::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = Q::HAS_STATIC_QUERY_ID;
}

impl<Q: Query> Query for Held<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> RunQueryDsl<AnyConn> for Held<Q> {}

/// How many rows a query has, counted where they are; with a limit in it, at most so many.
pub(super) struct Counted<Q>(pub(super) Q);

impl<Q: QueryFragment<MultiBackend>> QueryFragment<MultiBackend> for Counted<Q> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        pass.push_sql("SELECT count(*) FROM (");
        self.0.walk_ast(pass.reborrow())?;
        pass.push_sql(") AS counted");
        Ok(())
    }
}

impl<Q> QueryId for Counted<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Counted<Q> {
    type SqlType = sql_types::BigInt;
}

impl<Q> RunQueryDsl<AnyConn> for Counted<Q> {}

/// A text column's name as a condition may use it when another index shall lead: SQLite knows nothing of how many rows
/// match and would start from this one. Postgres knows.
pub(super) fn not_leading(c: &AnyConn, column: &'static str, hidden: &'static str) -> &'static str {
    match c {
        AnyConn::Postgres(_) => column,
        AnyConn::Sqlite(_) => hidden,
    }
}

/// Inserts many rows with few statements; neither database's limit of bound values is reached.
macro_rules! insert_rows {
    ($conn:expr, $table:expr, $rows:expr) => {{
        let mut inserted = Ok(());
        for rows in $rows.chunks(500) {
            let insert = diesel::insert_into($table).values(rows);
            let done = match $conn {
                // One row or two is what most acts write; other numbers are too many to keep prepared.
                $crate::store::conn::AnyConn::Postgres(c) if rows.len() <= 2 => {
                    let insert = insert.returning(diesel::dsl::sql::<diesel::sql_types::Integer>("1"));
                    diesel::RunQueryDsl::load::<i32>($crate::store::per_backend::Prepared(insert), c)
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

/// SQL for a whole number that the JSON in the column `detail` has at its top.
pub(super) fn number_in_detail(c: &AnyConn, name: &'static str) -> String {
    match c {
        AnyConn::Postgres(_) => format!("CAST(CAST(detail AS json) ->> '{name}' AS BIGINT)"),
        AnyConn::Sqlite(_) => format!("json_extract(detail, '$.{name}')"),
    }
}

/// The database's words for people: one line, bounded. (Neither database puts a statement into its primary message.)
pub(super) fn plain_words(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    line.chars().take(200).collect()
}

/// Holds the rows of all administrators until the transaction ends. SQLite: the writer is alone anyway.
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

/// Holds an account's row until the transaction ends. SQLite: the writer is alone anyway.
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

/// Raises the activity of live sessions; an ended one stays as it is. `rows` is sorted by id, so that two instances
/// that flush the same sessions take the row locks in the same order.
pub(super) fn touch_sessions(c: &mut AnyConn, rows: &[(String, Timestamp, Timestamp)]) -> Result<(), StoreError> {
    match c {
        AnyConn::Postgres(c) => {
            for rows in rows.chunks(5000) {
                let ids: Vec<&str> = rows.iter().map(|(id, ..)| id.as_str()).collect();
                let active: Vec<At> = rows.iter().map(|(_, active, _)| At::from(*active)).collect();
                let seen: Vec<At> = rows.iter().map(|(.., seen)| At::from(*seen)).collect();
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
                .bind::<sql_types::Timestamp, _>(At::from(*active))
                .bind::<sql_types::Timestamp, _>(At::from(*seen))
                .bind::<sql_types::Text, _>(id)
                .execute(c)?;
            }
        }
    }
    Ok(())
}

/// Adds a session's application while the session lives; twice is once.
pub(super) fn enter_application(c: &mut AnyConn, session: &str, application: &str) -> Result<bool, StoreError> {
    // The session's row is held, so that an ending that runs now is either before this (no row) or after (marked).
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
    let added = Both(
        diesel::insert_into(session_applications::table)
            .values(row)
            .on_conflict_do_nothing(),
    )
    .execute(c)?;
    Ok(added > 0)
}

/// The latest number that a listener may wait for, told to the other instances when this transaction commits.
pub(super) fn notify(c: &mut AnyConn, channel: &str, payload: &str) -> Result<(), StoreError> {
    if let AnyConn::Postgres(c) = c {
        diesel::sql_query("SELECT pg_notify($1, $2)")
            .bind::<sql_types::Text, _>(channel)
            .bind::<sql_types::Text, _>(payload)
            .execute(c)?;
    }
    Ok(())
}
