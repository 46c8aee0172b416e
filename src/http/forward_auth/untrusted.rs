//! Who asked without being a trusted proxy: told once for each address, so that nobody fills the log by asking.

use std::{
    collections::HashSet,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

/// Addresses remembered at most; after so many there is nothing new to learn.
const MOST: usize = 256;

/// The line that says which address to add.
pub fn say_once(peer: Option<IpAddr>) {
    static TOLD: Mutex<Option<HashSet<IpAddr>>> = Mutex::new(None);
    let Some(peer) = peer else { return };
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    let told = told.get_or_insert_with(HashSet::new);
    if told.len() < MOST && told.insert(peer) {
        tracing::warn!(
            "{peer} asks like a proxy and is not trusted; if it is yours, add {peer} to NIGHTLATCH_TRUSTED_PROXIES"
        );
    }
}
