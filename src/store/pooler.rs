//! Detection of connection poolers in front of PostgreSQL. A pooler that shares a server connection
//! among clients (pgbouncer in transaction or statement mode) loses a session's settings, prepared
//! statements, notifications and locks, and would let commands hang. It is refused at start.

use super::{
    StoreError,
    conn::{self, Location},
};
use diesel::{connection::SimpleConnection, result::Error as DieselError};

/// The exception by which the second connection reports a setting of the first.
const SHARED: &str = "nightlatch: shared server connection";

/// Refuses a pooler that shares server connections. A setting of one connection must not be visible
/// on another; a pooler that reuses the connection that became free last reveals it.
pub(super) fn refuse_shared_connections(location: &Location) -> Result<(), StoreError> {
    if let Location::Sqlite(_) = location {
        return Ok(());
    }
    let (mut first, mut second) = (location.connect()?, location.connect()?);
    let mark = conn::random_id();
    let unavailable = |error: DieselError| StoreError::Unavailable(format!("{}: {error}", location.describe()));
    first
        .batch_execute(&format!("SET nightlatch.mark = '{mark}'"))
        .map_err(unavailable)?;
    let looked = second.batch_execute(&format!(
        "DO $$ BEGIN IF current_setting('nightlatch.mark', true) = '{mark}' THEN RAISE EXCEPTION '{SHARED}'; END IF; \
         END $$"
    ));
    // The pooler keeps the connection; the setting must not look like a shared one at the next
    // start.
    first.batch_execute("RESET nightlatch.mark").map_err(unavailable)?;
    match looked {
        Err(error) if error.to_string().contains(SHARED) => Err(StoreError::Config(format!(
            "{}: the connection pooler gives one server connection to several clients (pgbouncer with pool_mode = \
             transaction or statement): connect to PostgreSQL directly, or set pool_mode = session",
            location.describe()
        ))),
        Err(error) => Err(unavailable(error)),
        Ok(()) => Ok(()),
    }
}
