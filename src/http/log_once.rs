//! Warnings that are logged once per text, so that repeated requests cannot fill the log.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// Maximum number of texts that are stored; further ones would add nothing new.
const MAX_ENTRIES: usize = 256;

static WRITTEN: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Logs a warning unless the same one was logged before.
pub fn warn(message: &str) {
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let written = written.get_or_insert_with(HashSet::new);
    if written.len() < MAX_ENTRIES && written.insert(message.to_owned()) {
        tracing::warn!("{message}");
    }
}
