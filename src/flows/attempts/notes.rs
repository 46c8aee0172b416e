//! The notes in a counter's row about the attempts that it counted.

use crate::domain::{
    lockout::{Lockout, MAX_NAMES},
    network,
    time::Timestamp,
};
use std::net::IpAddr;

/// Number of refusals of one counter within a minute that are written individually; further ones
/// are only counted (a flood must not hide the others).
pub(super) const SINGLE_REFUSALS_A_MINUTE: u32 = 20;
/// Maximum number of characters that are stored of a name that was tried.
const NAME_CHARS: usize = 128;

/// Shortens a name as typed for storage.
pub(super) fn stored_name(typed: &str) -> String {
    typed.trim().chars().take(NAME_CHARS).collect()
}

/// Stores when the latest attempt was made, and from where.
pub(super) fn note_attempt(row: &mut Lockout, ip: IpAddr, now: Timestamp) {
    row.last_attempt_at = now;
    row.last_ip = Some(network::canonical(ip));
}

/// Stores a name that was tried without success; the latest ones stay, without duplicates.
pub(super) fn note_name(row: &mut Lockout, name: &str) {
    row.names_tried.retain(|known| known != name);
    let surplus = (row.names_tried.len() + 1).saturating_sub(MAX_NAMES);
    row.names_tried.drain(..surplus);
    row.names_tried.push(name.to_owned());
}

/// Counts a refusal and returns whether it is written individually.
pub(super) fn note_refusal(row: &mut Lockout, now: Timestamp) -> bool {
    if row.refused_minute != now.minute() {
        row.refused_minute = now.minute();
        row.refused = 0;
    }
    row.refused += 1;
    row.refused <= i64::from(SINGLE_REFUSALS_A_MINUTE)
}
