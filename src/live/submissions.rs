//! Forms in progress, which must not be submitted twice at the same time.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The forms in progress on this instance, each with its own key.
#[derive(Debug, Clone, Default)]
pub struct Submissions(Arc<Mutex<HashSet<String>>>);

/// A form in progress; it ends when this is dropped.
#[derive(Debug)]
pub struct Submission {
    all: Submissions,
    key: String,
}

impl Submissions {
    /// Starts the form with this key; `None`: it is already in progress.
    pub fn begin(&self, key: &str) -> Option<Submission> {
        self.keys().insert(key.to_owned()).then(|| Submission {
            all: self.clone(),
            key: key.to_owned(),
        })
    }

    fn keys(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        self.all.keys().remove(&self.key);
    }
}
