//! Seals over runs of audit entries, each over the one before it: what was changed, taken out or put in afterwards shows.
//! They do not hold up somebody who can rewrite the whole database; that is what a digest noted elsewhere is for.

use crate::domain::{secret::hex, time::Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A run of entries, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// Counts from 1 without gaps.
    pub number: i64,
    /// When.
    pub sealed_at: Timestamp,
    /// The first entry of the run, in the order of ids.
    pub first: Uuid,
    /// The last one.
    pub last: Uuid,
    /// How many it has.
    pub entries: u64,
    /// The digest of the seal before; empty for the first.
    pub previous: String,
    /// [`digest`] of all that.
    pub digest: String,
}

impl Seal {
    /// Seals `entries` (id and text, in the order of ids) after `previous`. None: there is nothing to seal.
    pub fn over(previous: Option<&Seal>, entries: &[(Uuid, String)], now: Timestamp) -> Option<Self> {
        let (first, last) = (entries.first()?.0, entries.last()?.0);
        let before = previous.map_or("", |seal| seal.digest.as_str());
        Some(Self {
            number: previous.map_or(0, |seal| seal.number) + 1,
            sealed_at: now,
            first,
            last,
            entries: entries.len() as u64,
            previous: before.to_owned(),
            digest: digest(before, entries),
        })
    }

    /// What is wrong with it: `entries` are those from the end of the seal before to its own last one.
    pub fn check(&self, before: Option<&Seal>, entries: &[(Uuid, String)]) -> Option<Broken> {
        let follows = before.is_none_or(|before| self.number == before.number + 1 && self.previous == before.digest);
        if !follows {
            return Some(Broken::Chain);
        }
        let found = entries.len() as u64;
        let intact = found == self.entries && digest(&self.previous, entries) == self.digest;
        (!intact).then_some(Broken::Entries { found })
    }
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// It does not follow the seal before: one was changed or taken out.
    Chain,
    /// Entries were changed, taken out or put in.
    Entries {
        /// How many there are.
        found: u64,
    },
}

/// When the entry of that id was made, to the millisecond.
pub fn made_at(id: Uuid) -> Timestamp {
    let (high, _) = id.as_u64_pair();
    Timestamp::from_micros(i64::try_from(high >> 16).unwrap_or(0).saturating_mul(1000))
}

/// SHA-256, in hexadecimal digits, of the digest before and of each entry's length and text.
fn digest(previous: &str, entries: &[(Uuid, String)]) -> String {
    let mut hash = Sha256::new();
    hash.update(previous);
    for (_, text) in entries {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(texts: &[&str]) -> Vec<(Uuid, String)> {
        let numbered = texts.iter().zip(1_u128..);
        numbered
            .map(|(text, n)| (Uuid::from_u128(n), (*text).to_owned()))
            .collect()
    }

    const NOW: Timestamp = Timestamp::from_micros(0);

    #[test]
    fn a_seal_holds_what_it_was_made_over_and_nothing_else() {
        let seal = Seal::over(None, &entries(&["a", "b", "c"]), NOW).unwrap();
        assert_eq!((seal.number, seal.entries, seal.previous.as_str()), (1, 3, ""));
        assert_eq!(seal.check(None, &entries(&["a", "b", "c"])), None);
        for other in [
            &["a", "b"][..],
            &["a", "b", "x"],
            &["a", "c", "b"],
            &["a", "b", "c", "d"],
            &["ab", "", "c"],
        ] {
            let found = other.len() as u64;
            assert_eq!(
                seal.check(None, &entries(other)),
                Some(Broken::Entries { found }),
                "{other:?}"
            );
        }
        assert_eq!(Seal::over(None, &[], NOW), None);
    }

    #[test]
    fn a_seal_follows_exactly_the_one_before() {
        let first = Seal::over(None, &entries(&["a"]), NOW).unwrap();
        let second = Seal::over(Some(&first), &entries(&["b"]), NOW).unwrap();
        let third = Seal::over(Some(&second), &entries(&["b"]), NOW).unwrap();
        assert_eq!(second.check(Some(&first), &entries(&["b"])), None);
        assert_ne!(second.digest, third.digest);
        assert_eq!(third.check(Some(&first), &entries(&["b"])), Some(Broken::Chain));
        let forged = Seal {
            digest: third.digest.clone(),
            ..first
        };
        assert_eq!(second.check(Some(&forged), &entries(&["b"])), Some(Broken::Chain));
    }
}
