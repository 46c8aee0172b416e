//! The table of applications, remembered and swapped whole: every forwarded request asks it.

use super::Live;
use crate::{
    domain::application::Applications,
    store::{Conn, StoreError, applications},
};
use std::sync::Arc;

/// The table as read once.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Where the changes stood before it was read.
    seq: i64,
    table: Arc<Applications>,
}

/// Reads the table as it is now.
pub fn read(c: &mut Conn) -> Result<Known, StoreError> {
    let (seq, all) = applications::snapshot(c)?;
    Ok(Known {
        seq,
        table: Arc::new(Applications::new(all)),
    })
}

impl Live {
    /// As last learned; [`crate::flows::Ctx::current_applications`] asks the database when the line is silent.
    pub fn applications(&self) -> Arc<Applications> {
        self.applications.load().table.clone()
    }

    /// Puts a reading in place, unless a newer one already is.
    pub fn set_applications(&self, known: Known) {
        let known = Arc::new(known);
        self.applications.rcu(|current| {
            if known.seq >= current.seq {
                known.clone()
            } else {
                current.clone()
            }
        });
    }
}
