//! Small facts about the installation (name → value), the database's own time, and whether its schema is ours.
use super::{
    Conn, StoreError,
    conn::{self, AnyConn},
    instant,
    per_backend::{Both, Prepared},
    schema::meta,
};
use crate::domain::time::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryableByName, RunQueryDsl, sql_types};

pub fn get(c: &mut Conn, name: &str) -> Result<Option<String>, StoreError> {
    Ok(meta::table.find(name).select(meta::value).first(c.db()).optional()?)
}

pub fn set(c: &mut Conn, name: &str, value: &str) -> Result<(), StoreError> {
    let upsert = diesel::insert_into(meta::table)
        .values((meta::name.eq(name), meta::value.eq(value)))
        .on_conflict(meta::name)
        .do_update()
        .set(meta::value.eq(value));
    Both(upsert).execute(c.db())?;
    Ok(())
}

/// Writes `value` unless the name has one; returns the value that stands, whoever was first.
pub fn set_once(c: &mut Conn, name: &str, value: &str) -> Result<String, StoreError> {
    insert_if_absent(c, name, value)?;
    get(c, name)?.ok_or(StoreError::NotFound("stored value"))
}

/// True when this call wrote it.
pub(super) fn insert_if_absent(c: &mut Conn, name: &str, value: &str) -> Result<bool, StoreError> {
    let row = (meta::name.eq(name), meta::value.eq(value));
    let inserted = Both(diesel::insert_into(meta::table).values(row).on_conflict_do_nothing()).execute(c.db())?;
    Ok(inserted == 1)
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = sql_types::Text)]
    now: String,
}

#[derive(QueryableByName)]
struct DataVersion {
    #[diesel(sql_type = sql_types::BigInt)]
    data_version: i64,
}

/// The database's time: what lifetimes are compared with. SQLite answers in whole milliseconds.
pub fn now(c: &mut Conn) -> Result<Timestamp, StoreError> {
    let sql = match c.db() {
        AnyConn::Postgres(_) => {
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS now"
        }
        AnyConn::Sqlite(_) => "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') AS now",
    };
    let Now { now } = Prepared(diesel::sql_query(sql)).get_result(c.db())?;
    instant::parse_text(&now).ok_or_else(|| StoreError::Corrupt("the database's time".into()))
}

/// Whether the schema is exactly this program's.
pub fn migrations_current(c: &mut Conn) -> Result<bool, StoreError> {
    conn::migrations_current(c.db())
}

/// SQLite: a number that moves when another connection changed the file. Postgres: always 0.
pub fn data_version(c: &mut Conn) -> Result<i64, StoreError> {
    data_version_of(c.db())
}

pub(super) fn data_version_of(c: &mut AnyConn) -> Result<i64, StoreError> {
    match c {
        AnyConn::Postgres(_) => Ok(0),
        AnyConn::Sqlite(c) => Ok(diesel::sql_query("PRAGMA data_version")
            .get_result::<DataVersion>(c)?
            .data_version),
    }
}
