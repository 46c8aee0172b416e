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
mod tests {
    use super::*;

    fn client(purpose: HashingPurpose, host: u8) -> HashingClient {
        HashingClient::new(purpose, Some([192, 0, 2, host].into()))
    }

    /// Takes places until none is left for this client.
    fn take_all(shares: &Arc<QueueShares>, client: &HashingClient) -> Vec<QueuePlace> {
        std::iter::from_fn(|| shares.take(client)).collect()
    }

    #[test]
    fn one_address_takes_a_quarter_and_leaves_the_rest_to_the_others() {
        let shares = Arc::new(QueueShares::new(16));
        let taken = take_all(&shares, &client(HashingPurpose::SignIn, 1));
        assert_eq!(taken.len(), 4);
        assert!(
            shares.take(&client(HashingPurpose::OwnPassword, 1)).is_none(),
            "for any purpose"
        );
        assert!(shares.take(&client(HashingPurpose::SignIn, 2)).is_some());
        drop(taken);
        assert!(
            shares.take(&client(HashingPurpose::SignIn, 1)).is_some(),
            "places come back"
        );
    }

    #[test]
    fn no_other_purpose_takes_the_queue_places_of_sign_ins() {
        for (purpose, most) in [
            (HashingPurpose::MailedLink, 4),
            (HashingPurpose::Administration, 4),
            (HashingPurpose::OwnPassword, 8),
            (HashingPurpose::SignIn, 16),
        ] {
            let shares = Arc::new(QueueShares::new(16));
            // The number of addresses makes no difference.
            let taken: Vec<QueuePlace> = (1..=60)
                .filter_map(|host| shares.take(&client(purpose, host)))
                .collect();
            assert_eq!(taken.len(), most, "{purpose:?}");
            if purpose != HashingPurpose::SignIn {
                assert!(
                    shares.take(&client(HashingPurpose::SignIn, 99)).is_some(),
                    "{purpose:?}"
                );
            }
        }
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let shares = Arc::new(QueueShares::new(16));
        let at = |ip: &str| HashingClient::new(HashingPurpose::SignIn, ip.parse().ok());
        let _taken = take_all(&shares, &at("2001:db8::1"));
        assert!(shares.take(&at("2001:db8::ffff")).is_none());
        assert!(shares.take(&at("2001:db8:0:1::1")).is_some());
    }
}
