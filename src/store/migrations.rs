//! The migrations: applied under a lock, counted, and compared with what the database has.

use super::{
    StoreError,
    conn::{AnyConn, Location, one_line},
    schema,
};
use diesel::{
    Connection, RunQueryDsl,
    connection::{AnsiTransactionManager, SimpleConnection, TransactionManager},
    migration::{MigrationSource, MigrationVersion},
};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
/// The Postgres advisory lock for migrations: "nightlat" in ASCII.
const MIGRATION_LOCK: i64 = 0x6e69_6768_746c_6174;
/// The limits for migrations, which may take long.
const POSTGRES_MIGRATION_SETUP: &str = "SET statement_timeout = 0; SET lock_timeout = '120s'; \
     SET idle_in_transaction_session_timeout = 0;";

/// Brings the database to this program's schema, or returns why not. Other processes that start
/// wait for their turn.
pub(super) fn migrate(location: &Location, apply: bool) -> Result<(), StoreError> {
    match location.connect()? {
        AnyConn::Postgres(mut c) => {
            c.batch_execute(POSTGRES_MIGRATION_SETUP)?;
            diesel::sql_query("SELECT pg_advisory_lock($1)")
                .bind::<diesel::sql_types::BigInt, _>(MIGRATION_LOCK)
                .execute(&mut c)?;
            // The lock belongs to this connection, which is dropped at the end in any case.
            migrate_on(&mut c, apply)
        }
        AnyConn::Sqlite(mut c) => {
            // A new index sorts its whole table, which may not fit into memory.
            c.batch_execute("PRAGMA busy_timeout = 60000; PRAGMA temp_store = DEFAULT;")?;
            AnsiTransactionManager::begin_transaction_sql(&mut c, "BEGIN IMMEDIATE")
                .map_err(|e| location.not_ready(e))?;
            migrate_on(&mut c, apply)?;
            Ok(AnsiTransactionManager::commit_transaction(&mut c)?)
        }
    }
}

fn migrate_on<C>(c: &mut C, apply: bool) -> Result<(), StoreError>
where
    C: Connection + MigrationHarness<C::Backend>,
    C::Backend: diesel::backend::Backend,
{
    let applied = applied_migrations(c)?;
    let known = known_versions::<C::Backend>()?;
    let pending = known
        .iter()
        .filter(|version| !applied.contains(&MigrationVersion::from(version.as_str())))
        .count();
    if pending == 0 {
        return Ok(());
    }
    if !apply {
        return Err(StoreError::Config(format!(
            "the database lacks {pending} migration(s): run `nightlatch migrate`, or start without --no-migrate"
        )));
    }
    c.run_pending_migrations(MIGRATIONS).map_err(|e| not_migrated(&*e))?;
    Ok(())
}

/// Lists the applied migrations and checks that none is newer than this program.
pub(super) fn applied_migrations<C>(c: &mut C) -> Result<Vec<MigrationVersion<'static>>, StoreError>
where
    C: Connection + MigrationHarness<C::Backend>,
    C::Backend: diesel::backend::Backend,
{
    let applied = c.applied_migrations().map_err(|e| not_migrated(&*e))?;
    let known = known_versions::<C::Backend>()?;
    match applied.iter().find(|version| !known.contains(&version.to_string())) {
        None => Ok(applied),
        Some(unknown) => Err(StoreError::Config(format!(
            "the database is newer than this program: unknown migration {unknown}"
        ))),
    }
}

fn not_migrated(error: &dyn std::error::Error) -> StoreError {
    StoreError::Config(format!("migrations: {}", one_line(&error.to_string())))
}

fn known_versions<DB: diesel::backend::Backend>() -> Result<Vec<String>, StoreError> {
    let unreadable = |_| StoreError::Config("migrations: the embedded ones cannot be read".into());
    let migrations = MigrationSource::<DB>::migrations(&MIGRATIONS).map_err(unreadable)?;
    Ok(migrations
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect())
}

/// Returns whether the database has exactly the migrations of this program.
pub(super) fn migrations_current(c: &mut AnyConn) -> Result<bool, StoreError> {
    use diesel::QueryDsl;
    use schema::__diesel_schema_migrations::dsl as m;
    let mut applied = m::__diesel_schema_migrations.select(m::version).load::<String>(c)?;
    let mut known = match c {
        AnyConn::Postgres(_) => known_versions::<diesel::pg::Pg>()?,
        AnyConn::Sqlite(_) => known_versions::<diesel::sqlite::Sqlite>()?,
    };
    applied.sort_unstable();
    known.sort_unstable();
    Ok(applied == known)
}
