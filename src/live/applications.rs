//! The table of applications, remembered and replaced as a whole: every forwarded request looks it
//! up.

use crate::{
    domain::application::Applications,
    store::{Conn, StoreError, applications},
};
use std::sync::Arc;

/// The applications as they were read once.
#[derive(Debug, Clone, Default)]
pub struct ApplicationSnapshot {
    /// Newest change before they were read.
    seq: i64,
    applications: Arc<Applications>,
}

impl ApplicationSnapshot {
    /// Reads the applications as they are now.
    pub fn read(c: &mut Conn) -> Result<Self, StoreError> {
        let (seq, all) = applications::load_snapshot(c)?;
        Ok(Self {
            seq,
            applications: Arc::new(Applications::new(all)),
        })
    }

    /// Returns the newest change before they were read.
    pub fn seq(&self) -> i64 {
        self.seq
    }

    /// Returns the applications.
    pub fn applications(&self) -> &Arc<Applications> {
        &self.applications
    }
}
