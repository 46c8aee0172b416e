//! What proxies asked this instance, until it is written down: a question that repeats the last one costs a look and no lock.

use crate::domain::{
    forwarded::{Asked, Dialect, Subject},
    time::Timestamp,
};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    net::IpAddr,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

/// Strangers noted between two writes at most.
const MOST: usize = 64;

/// Who asked, how, and whether it said for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct By {
    pub peer: IpAddr,
    pub dialect: Dialect,
    /// The header that names the client, when it did not come.
    pub lacks: Option<&'static str>,
}

/// What was noted last of an application.
#[derive(Debug, Default)]
struct Glance {
    second: AtomicI64,
    by: AtomicU64,
}

#[derive(Debug, Default)]
pub struct Forwarded {
    glances: RwLock<HashMap<Box<str>, Glance>>,
    unwritten: Mutex<HashMap<Subject, Asked>>,
}

impl Forwarded {
    /// A question about this application was answered: noted once a second, and when somebody else asks.
    pub fn answered(&self, application: &str, by: By, now: Timestamp) {
        let second = now.as_micros() / 1_000_000;
        let mut hasher = DefaultHasher::new();
        by.hash(&mut hasher);
        let hash = hasher.finish();
        {
            let glances = self.glances.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(glance) = glances.get(application) {
                let same_second = glance.second.swap(second, Ordering::Relaxed) == second;
                if glance.by.swap(hash, Ordering::Relaxed) == hash && same_second {
                    return;
                }
            }
        }
        let lacks = by.lacks.map(|header| {
            format!(
                "{header}: the header is missing, so that everybody comes from {} (it did not say for whom it asks)",
                by.peer
            )
        });
        let asked = Asked {
            at: now,
            peer: by.peer,
            dialect: by.dialect,
            lacks: lacks.into_iter().collect(),
        };
        self.unwritten()
            .insert(Subject::Answered(application.to_owned()), asked);
        let mut glances = self.glances.write().unwrap_or_else(PoisonError::into_inner);
        let glance = glances.entry(application.into()).or_default();
        glance.second.store(second, Ordering::Relaxed);
        glance.by.store(hash, Ordering::Relaxed);
    }

    /// A question that was refused; of strangers' only so many until the next write.
    pub fn refused(&self, subject: Subject, asked: Asked) {
        let mut unwritten = self.unwritten();
        let room = unwritten.len() < MOST || !subject.is_stranger() || unwritten.contains_key(&subject);
        if room {
            unwritten.insert(subject, asked);
        }
    }

    /// What is to be written now; it is taken out.
    pub fn take_unwritten(&self) -> Vec<(Subject, Asked)> {
        self.unwritten().drain().collect()
    }

    /// The write failed: kept for the next one, unless there is newer.
    pub fn put_back(&self, notes: Vec<(Subject, Asked)>) {
        let mut unwritten = self.unwritten();
        for (subject, asked) in notes {
            unwritten.entry(subject).or_insert(asked);
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, HashMap<Subject, Asked>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
