//! Small facts about the installation (name → value), the database's own time, and the check of its
//! schema.
use super::{
    Conn, StoreError,
    conn::AnyConn,
    instant, migrations,
    per_backend::{PortableStatement, PreparedStatement},
    schema::meta,
};
use crate::domain::time::Timestamp;
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, QueryableByName, RunQueryDsl, sql_types};

/// Returns a stored value by name.
pub fn get(c: &mut Conn, name: &str) -> Result<Option<String>, StoreError> {
    Ok(meta::table.find(name).select(meta::value).first(c.db()).optional()?)
}

/// Stores a value under a name.
pub fn set(c: &mut Conn, name: &str, value: &str) -> Result<(), StoreError> {
    let upsert = diesel::insert_into(meta::table)
        .values((meta::name.eq(name), meta::value.eq(value)))
        .on_conflict(meta::name)
        .do_update()
        .set(meta::value.eq(value));
    PortableStatement(upsert).execute(c.db())?;
    Ok(())
}

/// Writes `value` if the stored one is still `expected`; returns whether it did.
pub fn replace(c: &mut Conn, name: &str, expected: Option<&str>, value: &str) -> Result<bool, StoreError> {
    let Some(expected) = expected else {
        return insert_if_absent(c, name, value);
    };
    let current = meta::table.find(name).filter(meta::value.eq(expected));
    Ok(diesel::update(current).set(meta::value.eq(value)).execute(c.db())? == 1)
}

/// Writes `value` unless the name has one; returns the stored value.
pub fn set_once(c: &mut Conn, name: &str, value: &str) -> Result<String, StoreError> {
    insert_if_absent(c, name, value)?;
    get(c, name)?.ok_or(StoreError::NotFound("stored value"))
}

/// Inserts a value; returns whether this call wrote it.
pub(super) fn insert_if_absent(c: &mut Conn, name: &str, value: &str) -> Result<bool, StoreError> {
    let row = (meta::name.eq(name), meta::value.eq(value));
    let inserted =
        PortableStatement(diesel::insert_into(meta::table).values(row).on_conflict_do_nothing()).execute(c.db())?;
    Ok(inserted == 1)
}

#[derive(QueryableByName)]
struct ServerTimeRow {
    #[diesel(sql_type = sql_types::Text)]
    now: String,
}

#[derive(QueryableByName)]
struct DataVersion {
    #[diesel(sql_type = sql_types::BigInt)]
    data_version: i64,
}

/// Returns the database's time, with which lifetimes are compared. SQLite returns whole
/// milliseconds.
pub fn now(c: &mut Conn) -> Result<Timestamp, StoreError> {
    let sql = match c.db() {
        AnyConn::Postgres(_) => {
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS now"
        }
        AnyConn::Sqlite(_) => "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') AS now",
    };
    let ServerTimeRow { now } = PreparedStatement(diesel::sql_query(sql)).get_result(c.db())?;
    instant::parse_text(&now).ok_or_else(|| StoreError::Corrupt("the database's time".into()))
}

/// Returns whether the schema is exactly this program's.
pub fn migrations_current(c: &mut Conn) -> Result<bool, StoreError> {
    migrations::migrations_current(c.db())
}

/// Returns a number that changes when another connection changed the file (SQLite); always 0 on
/// Postgres.
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
