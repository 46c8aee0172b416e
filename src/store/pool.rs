//! The pool of connections: checks each one before it is used, and reports a loss once.

use super::{
    StoreError,
    conn::{AnyConn, Location, SIGN_OF_LIFE, WAIT, expect_within, one_line},
    socket_watch::{self, SocketWatch},
};
use diesel::r2d2::R2D2Connection;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// A connection that was unused for longer is checked before it is used.
const FRESH: Duration = Duration::from_secs(1);
/// How long one statement may take before its connection is closed: a second longer than the
/// database's own limit.
const STATEMENT: Duration = Duration::from_secs(10);

/// A pooled connection with the instant at which it last answered.
pub(super) struct PooledConnection {
    any: AnyConn,
    line: Option<Arc<SocketWatch>>,
    alive_at: Option<Instant>,
}

impl PooledConnection {
    /// Returns the connection for one more statement, which must be answered in time.
    pub(super) fn for_a_statement(&mut self) -> &mut AnyConn {
        expect_within(&self.line, STATEMENT);
        &mut self.any
    }

    /// Called after use. An error may mean that the server is gone, so the connection is checked
    /// before its next use.
    pub(super) fn mark_used(&mut self, well: bool) {
        self.line.iter().for_each(|line| line.clear_limit());
        self.alive_at = well.then(Instant::now);
    }
}

pub(super) struct ConnectionManager {
    location: Location,
    loss: Arc<ConnectionLoss>,
}

/// Whether the last attempt to connect failed, so that a loss is logged once until it is over.
#[derive(Debug, Default)]
struct ConnectionLoss(AtomicBool);

impl r2d2::ManageConnection for ConnectionManager {
    type Connection = PooledConnection;
    type Error = StoreError;

    fn connect(&self) -> Result<PooledConnection, StoreError> {
        let (any, line) = self.location.connect_watched()?;
        if self.loss.0.swap(false, Ordering::SeqCst) {
            tracing::info!("the database accepts connections again");
        }
        Ok(PooledConnection {
            any,
            line,
            alive_at: Some(Instant::now()),
        })
    }

    fn is_valid(&self, conn: &mut PooledConnection) -> Result<(), StoreError> {
        if conn.line.is_some() && conn.alive_at.is_some_and(socket_watch::is_suspect) {
            return Err(StoreError::Unavailable("an old connection stopped answering".into()));
        }
        if conn.alive_at.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        expect_within(&conn.line, SIGN_OF_LIFE);
        let answered = match &mut conn.any {
            AnyConn::Postgres(c) => c.ping(),
            AnyConn::Sqlite(c) => c.ping(),
        };
        conn.line.iter().for_each(|line| line.clear_limit());
        Ok(answered?)
    }

    fn has_broken(&self, conn: &mut PooledConnection) -> bool {
        std::thread::panicking()
            || match &mut conn.any {
                AnyConn::Postgres(c) => c.is_broken(),
                AnyConn::Sqlite(c) => c.is_broken(),
            }
    }
}

#[derive(Debug)]
struct LogFaults(Arc<ConnectionLoss>);

impl r2d2::HandleError<StoreError> for LogFaults {
    fn handle_error(&self, fault: StoreError) {
        if !self.0.0.swap(true, Ordering::SeqCst) {
            tracing::warn!(%fault, "no new database connection");
        }
    }
}

pub(super) fn build_pool(location: &Location, size: u32) -> r2d2::Pool<ConnectionManager> {
    let loss = Arc::<ConnectionLoss>::default();
    r2d2::Pool::builder()
        .max_size(size)
        .min_idle(Some(1))
        .connection_timeout(WAIT)
        .test_on_check_out(true)
        .error_handler(Box::new(LogFaults(loss.clone())))
        .build_unchecked(ConnectionManager {
            location: location.clone(),
            loss,
        })
}

pub(super) fn pool_error(location: &Location, error: &r2d2::Error) -> StoreError {
    // r2d2's message ends with the last connection error, which is already one line without a
    // password.
    StoreError::Unavailable(location.redact(&one_line(&error.to_string())))
}
