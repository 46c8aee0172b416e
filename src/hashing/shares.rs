//! Shares of the hashing queue: no single client and no single purpose can keep the others waiting.

use crate::domain::lockout::address_key;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The purpose of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashingPurpose {
    /// A sign-in.
    SignIn,
    /// A signed-in user who confirms or changes their password.
    OwnPassword,
    /// A user who chooses a password with a link from an email.
    MailedLink,
    /// The first administrator, and accounts that administrators create and change.
    Administration,
}

impl HashingPurpose {
    /// Returns the purpose's maximum share of the queue: one in this many places.
    const fn divisor(self) -> usize {
        match self {
            Self::SignIn => 1,
            Self::OwnPassword => 2,
            Self::MailedLink | Self::Administration => 4,
        }
    }
}

/// The maximum share of the queue for one address: one in this many places.
const CLIENT_DIVISOR: usize = 4;

/// The client for which a password is hashed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HashingClient {
    purpose: HashingPurpose,
    /// The IP address in the form of failure counters; `None`: this machine's own work.
    address: Option<String>,
}

impl HashingClient {
    /// Creates a client at an address; `None`: the program itself, or its command line.
    pub fn new(purpose: HashingPurpose, ip: Option<IpAddr>) -> Self {
        Self {
            purpose,
            address: ip.map(address_key),
        }
    }
}

/// The places of the queue in use, by client and purpose.
pub(super) struct QueueShares {
    capacity: usize,
    taken: Mutex<QueueUse>,
}

#[derive(Default)]
struct QueueUse {
    by_purpose: HashMap<HashingPurpose, usize>,
    by_address: HashMap<String, usize>,
}

/// A place in the queue, returned when it is dropped.
pub(super) struct QueuePlace {
    shares: Arc<QueueShares>,
    client: HashingClient,
    taken_at: Instant,
}

impl QueuePlace {
    /// Returns how long ago the place was taken.
    pub(super) fn age(&self) -> Duration {
        self.taken_at.elapsed()
    }
}

impl QueueShares {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            taken: Mutex::default(),
        }
    }

    /// Takes a place; `None`: the share of the client or of its purpose is used up.
    pub(super) fn take(self: &Arc<Self>, client: &HashingClient) -> Option<QueuePlace> {
        let mut taken = self.taken();
        let purpose = taken.by_purpose.get(&client.purpose).copied().unwrap_or(0);
        if purpose >= self.part(client.purpose.divisor()) {
            return None;
        }
        if let Some(address) = &client.address {
            let waiting = taken.by_address.entry(address.clone()).or_default();
            if *waiting >= self.part(CLIENT_DIVISOR) {
                return None;
            }
            *waiting += 1;
        }
        taken.by_purpose.insert(client.purpose, purpose + 1);
        Some(QueuePlace {
            shares: self.clone(),
            client: client.clone(),
            taken_at: Instant::now(),
        })
    }

    /// Returns how many places are taken.
    pub(super) fn taken_places(&self) -> usize {
        self.taken().by_purpose.values().sum()
    }

    /// Returns how many places there are.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    fn part(&self, divisor: usize) -> usize {
        (self.capacity / divisor).max(1)
    }

    fn taken(&self) -> MutexGuard<'_, QueueUse> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        if let Some(waiting) = taken.by_purpose.get_mut(&self.client.purpose) {
            *waiting = waiting.saturating_sub(1);
        }
        let Some(address) = &self.client.address else { return };
        if let Some(waiting) = taken.by_address.get_mut(address) {
            *waiting = waiting.saturating_sub(1);
            if *waiting == 0 {
                taken.by_address.remove(address);
            }
        }
    }
}

#[cfg(test)]
mod tests;
