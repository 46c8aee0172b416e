//! Requests of proxies for an auth decision, until they are written: a request like the previous
//! one costs a lookup and no exclusive lock.

use crate::domain::{
    forwarded::{Dialect, LastProxyRequest, RequestSubject},
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

/// Maximum number of requests of strangers that are remembered between two writes.
const MAX_STRANGERS: usize = 64;

/// The proxy behind a request, its dialect, and what was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestSource {
    /// IP address of the proxy.
    pub peer: IpAddr,
    /// Dialect of the request.
    pub dialect: Dialect,
    /// The header that names the client, if it is missing.
    pub lacks: Option<&'static str>,
}

/// The last remembered request for an application.
#[derive(Debug, Default)]
struct LastRequest {
    second: AtomicI64,
    source_hash: AtomicU64,
}

#[derive(Debug, Default)]
/// Requests of proxies that are not written yet.
pub struct ForwardedRequests {
    last: RwLock<HashMap<Box<str>, LastRequest>>,
    unwritten: Mutex<HashMap<RequestSubject, LastProxyRequest>>,
}

impl ForwardedRequests {
    /// Remembers an answered request for an application: once a second, and whenever the source
    /// changes.
    pub fn note_answered(&self, application: &str, source: RequestSource, now: Timestamp) {
        let second = now.as_micros() / 1_000_000;
        let mut hasher = DefaultHasher::new();
        source.hash(&mut hasher);
        let hash = hasher.finish();
        {
            let last = self.last.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(request) = last.get(application) {
                let same_second = request.second.swap(second, Ordering::Relaxed) == second;
                if request.source_hash.swap(hash, Ordering::Relaxed) == hash && same_second {
                    return;
                }
            }
        }
        let lacks = source.lacks.map(|header| {
            format!(
                "{header}: the header is missing, so every client seems to come from {}",
                source.peer
            )
        });
        let asked = LastProxyRequest {
            at: now,
            peer: source.peer,
            dialect: source.dialect,
            lacks: lacks.into_iter().collect(),
        };
        self.unwritten()
            .insert(RequestSubject::Answered(application.to_owned()), asked);
        let mut last = self.last.write().unwrap_or_else(PoisonError::into_inner);
        let request = last.entry(application.into()).or_default();
        request.second.store(second, Ordering::Relaxed);
        request.source_hash.store(hash, Ordering::Relaxed);
    }

    /// Remembers a refused request. Of strangers only a bounded number is kept until the next
    /// write.
    pub fn note_refused(&self, subject: RequestSubject, asked: LastProxyRequest) {
        let mut unwritten = self.unwritten();
        let room = unwritten.len() < MAX_STRANGERS || !subject.is_stranger() || unwritten.contains_key(&subject);
        if room {
            unwritten.insert(subject, asked);
        }
    }

    /// Takes out what is to be written now.
    pub fn take_unwritten(&self) -> Vec<(RequestSubject, LastProxyRequest)> {
        self.unwritten().drain().collect()
    }

    /// Puts back what could not be written, unless there is something newer.
    pub fn put_back(&self, notes: Vec<(RequestSubject, LastProxyRequest)>) {
        let mut unwritten = self.unwritten();
        for (subject, asked) in notes {
            unwritten.entry(subject).or_insert(asked);
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, HashMap<RequestSubject, LastProxyRequest>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
