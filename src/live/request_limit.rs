//! A limit on requests that cost work and are not limited otherwise.

use crate::domain::{network, time::Timestamp};
use ipnetwork::IpNetwork;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// Most networks with a counter of their own per minute; all others share one.
const MAX_NETWORKS: usize = 4_096;

/// Requests of each network within the current minute.
#[derive(Debug, Default)]
pub struct RequestLimit(Mutex<MinuteCounts>);

#[derive(Debug, Default)]
struct MinuteCounts {
    minute: i64,
    counts: HashMap<Option<IpNetwork>, u32>,
}

impl RequestLimit {
    /// Counts a request, and returns whether its network has made at most `most` in this minute.
    pub fn allows(&self, client: IpAddr, now: Timestamp, most: u32) -> bool {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if current.minute != now.minute() {
            *current = MinuteCounts {
                minute: now.minute(),
                counts: HashMap::new(),
            };
        }
        let network = Some(network::lock_network(client));
        let is_room = current.counts.len() < MAX_NETWORKS || current.counts.contains_key(&network);
        let count = current.counts.entry(network.filter(|_| is_room)).or_default();
        *count = count.saturating_add(1);
        *count <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_so_many_a_minute() {
        let limit = RequestLimit::default();
        let at = |secs: i64| Timestamp::from_micros(secs * 1_000_000);
        let (one, other): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let allowed = (0..10).filter(|_| limit.allows(one, at(0), 3)).count();
        assert_eq!(allowed, 3);
        assert!(limit.allows(other, at(59), 3));
        assert!(!limit.allows(one, at(59), 3));
        assert!(limit.allows(one, at(60), 3), "a new minute");
    }

    #[test]
    fn networks_beyond_the_bound_share_a_count() {
        let limit = RequestLimit::default();
        let now = Timestamp::from_micros(0);
        for number in 0..MAX_NETWORKS as u32 + 10 {
            limit.allows(IpAddr::from(number.to_be_bytes()), now, 5);
        }
        assert!(!limit.allows([255, 0, 0, 1].into(), now, 5));
    }
}
