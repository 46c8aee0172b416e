//! Emptying SQLite's write-ahead log: it keeps copies of pages, and with them deleted data, such as
//! the links of emails, until a checkpoint restarts it.

use super::{Store, StoreError, conn::AnyConn};
use diesel::connection::SimpleConnection;

/// Waits briefly for the readers and writers of other connections: where they take longer, the next
/// run empties the log. Then the usual time limit is set again (`conn::SQLITE_SETUP`).
const EMPTY_LOG: &str = "PRAGMA busy_timeout = 100; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = 5000;";

impl Store {
    /// SQLite: moves the write-ahead log into the file and empties it, unless others read or write
    /// just then.
    pub async fn empty_log(&self) -> Result<(), StoreError> {
        if !self.inner.location.has_log() {
            return Ok(());
        }
        self.read(|c| match c.db() {
            AnyConn::Sqlite(connection) => Ok(connection.batch_execute(EMPTY_LOG)?),
            AnyConn::Postgres(_) => Ok(()),
        })
        .await
    }
}
