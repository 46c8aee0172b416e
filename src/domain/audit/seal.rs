//! Seals over runs of audit entries. Each covers the previous seal, so that entries changed,
//! removed or inserted later are noticed. They do not stop an attacker who can rewrite the whole
//! database; a digest stored elsewhere does.

use crate::{secret::hex, time::Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A sealed run of entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// The number, from 1 without gaps.
    pub number: i64,
    /// When it was sealed.
    pub sealed_at: Timestamp,
    /// The first entry of the run, in the order of IDs.
    pub first: Uuid,
    /// The last entry of the run.
    pub last: Uuid,
    /// The number of entries.
    pub entries: u64,
    /// The digest of the previous seal; empty for the first.
    pub previous: String,
    /// The [`digest`] of all these fields.
    pub digest: String,
}

impl Seal {
    /// Seals `entries` (ID and text, in the order of IDs) after `previous`. `None`: there is
    /// nothing to seal.
    pub fn seal_entries(previous: Option<&Seal>, entries: &[(Uuid, String)], now: Timestamp) -> Option<Self> {
        let (first, last) = (entries.first()?.0, entries.last()?.0);
        let before = previous.map_or("", |seal| seal.digest.as_str());
        Some(Self {
            number: previous.map_or(0, |seal| seal.number) + 1,
            sealed_at: now,
            first,
            last,
            entries: entries.len() as u64,
            previous: before.to_owned(),
            digest: digest(before, texts(entries)),
        })
    }

    /// Checks the seal. `entries` are those after the end of the previous seal up to its own last
    /// one.
    pub fn check(&self, before: Option<&Seal>, entries: &[(Uuid, String)]) -> Option<SealBreak> {
        let follows = before.is_none_or(|before| self.number == before.number + 1 && self.previous == before.digest);
        if !follows {
            return Some(SealBreak::Chain);
        }
        let found = entries.len() as u64;
        let intact = found == self.entries && digest(&self.previous, texts(entries)) == self.digest;
        (!intact).then_some(SealBreak::Entries { found })
    }
}

/// A fault that a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealBreak {
    /// It does not follow the previous seal: a seal was changed or removed.
    Chain,
    /// Entries were changed, removed or inserted.
    Entries {
        /// The number of entries found.
        found: u64,
    },
}

/// Returns when the entry with that ID was made, to the millisecond.
pub fn entry_time(id: Uuid) -> Timestamp {
    let (high, _) = id.as_u64_pair();
    Timestamp::from_micros(i64::try_from(high >> 16).unwrap_or(0).saturating_mul(1000))
}

fn texts(entries: &[(Uuid, String)]) -> impl Iterator<Item = &str> {
    entries.iter().map(|(_, text)| text.as_str())
}

/// Returns the SHA-256, in hexadecimal digits, of the previous digest and of each entry's length
/// and text.
pub(super) fn digest<'a>(previous: &str, texts: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    hash.update(previous);
    for text in texts {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests;
