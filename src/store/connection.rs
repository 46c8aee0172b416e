//! The connection that a call of the store works on.

use super::{change_kind::ChangeKind, conn::AnyConn, pool::ConnectionManager};
use std::sync::Arc;

/// A connection with the state of a write. Only `store` sees inside.
pub struct Conn {
    pub(super) pooled: r2d2::PooledConnection<ConnectionManager>,
    pub(super) writer: Arc<str>,
    pub(super) writing: bool,
    /// Announcements of this transaction, written just before it commits.
    pub(super) pending: Vec<(ChangeKind, String)>,
}

impl Conn {
    pub(super) fn db(&mut self) -> &mut AnyConn {
        self.pooled.for_a_statement()
    }

    pub(super) fn writer(&self) -> &str {
        &self.writer
    }
}
