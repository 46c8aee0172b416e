//! A limit on requests that cost work and are not limited otherwise.

use crate::domain::{network, time::Timestamp};
use ipnetwork::IpNetwork;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// Maximum number of networks with a counter of their own per minute; all others share one.
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
mod tests;
