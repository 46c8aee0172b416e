//! Refused attempts at passwords, counted instead of written one by one: a flood must neither fill
//! the disk nor bury other entries. `flows::attempts` decides which ones are counted;
//! `flows::refusals` writes the counts.

use crate::domain::{
    account::name_key,
    audit::{Actor, AuditEntry, Event, repeated::repetition_detail},
    network,
    session::SessionId,
    time::Timestamp,
};
use ipnetwork::IpNetwork;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Maximum number of counts that are kept, apart from those without name and IP address.
const MAX_COUNTS: usize = 1_000;
/// Maximum number of names that are counted apart from one network within a minute.
const MAX_NAMES: usize = 20;

/// The facts that refusals share if they are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RefusalKey {
    /// `None` for those that there was no room for, in whatever minute.
    minute: Option<i64>,
    event: Event,
    reason: Option<String>,
    name: Option<String>,
    session: Option<SessionId>,
    network: Option<IpNetwork>,
}

/// A number of refusals with the same key.
#[derive(Debug, Clone)]
pub struct RefusalCount {
    key: RefusalKey,
    /// The entry that is written for them.
    entry: AuditEntry,
    /// Number of refusals with an entry of their own.
    singles: u32,
    /// Number of refusals without one.
    counted: u64,
    /// Time of the first and of the last that was counted; without any, of the first of all.
    from: Timestamp,
    until: Timestamp,
}

impl RefusalCount {
    fn new(entry: &AuditEntry, now: Timestamp) -> Self {
        let key = RefusalKey {
            minute: Some(now.minute()),
            event: entry.event,
            reason: entry.reason.clone(),
            // Folded whether or not there is such an account: the work must not differ.
            name: entry.account.as_ref().map(|(_, name)| name_key(name)),
            session: entry.session,
            network: entry.origin.ip.map(network::lock_network),
        };
        let mut entry = entry.clone();
        entry.origin.request_id = None;
        Self {
            key,
            entry,
            singles: 0,
            counted: 0,
            from: now,
            until: now,
        }
    }

    fn without_name(mut self) -> Self {
        (self.key.name, self.key.session) = (None, None);
        (self.entry.account, self.entry.session) = (None, None);
        self.entry.actor = Actor::Anonymous;
        self
    }

    fn without_address(mut self) -> Self {
        (self.key.minute, self.key.network) = (None, None);
        self.entry.origin.ip = None;
        self
    }

    fn add(&mut self, other: Self) {
        if self.entry.origin.user_agent != other.entry.origin.user_agent {
            self.entry.origin.user_agent = None;
        }
        self.singles = self.singles.saturating_add(other.singles);
        if other.counted == 0 {
            return;
        }
        (self.from, self.until) = match self.counted {
            0 => (other.from, other.until),
            _ => (self.from.min(other.from), self.until.max(other.until)),
        };
        self.counted = self.counted.saturating_add(other.counted);
    }

    /// Returns the entry that stands for the counted refusals.
    pub fn to_entry(&self) -> AuditEntry {
        AuditEntry {
            detail: repetition_detail(self.counted, self.from, self.until),
            ..self.entry.clone()
        }
    }
}

type CountMap = HashMap<RefusalKey, RefusalCount>;

/// Counts of refused attempts that are not written yet.
#[derive(Debug, Default)]
pub struct RefusalCounts(Mutex<CountMap>);

impl RefusalCounts {
    /// Records a refusal. Returns true for the first `singles` of a kind in a minute, which get an
    /// entry of their own; the others are counted here.
    pub fn note(&self, entry: &AuditEntry, now: Timestamp, singles: u32) -> bool {
        let one = RefusalCount::new(entry, now);
        let mut counts = self.counts();
        let mut one = generalize_to_fit(&counts, one);
        let single = counts.get(&one.key).map_or(0, |count| count.singles) < singles;
        (one.singles, one.counted) = (u32::from(single), u64::from(!single));
        add(&mut counts, one);
        single
    }

    /// Takes out the counts of the minutes before this one, oldest first.
    pub fn take_past(&self, now: Timestamp) -> Vec<RefusalCount> {
        self.take(|count| count.from.minute() != now.minute())
    }

    /// Takes out all counts, oldest first.
    pub fn take_all(&self) -> Vec<RefusalCount> {
        self.take(|_| true)
    }

    /// Puts back counts that could not be written.
    pub fn put_back(&self, kept: Vec<RefusalCount>) {
        let mut counts = self.counts();
        for count in kept {
            let count = generalize_to_fit(&counts, count);
            add(&mut counts, count);
        }
    }

    fn take(&self, which: impl Fn(&RefusalCount) -> bool) -> Vec<RefusalCount> {
        let mut taken: Vec<RefusalCount> = self
            .counts()
            .extract_if(|_, count| which(count))
            .map(|(_, count)| count)
            .filter(|count| count.counted > 0)
            .collect();
        taken.sort_by_key(|count| count.from);
        taken
    }

    fn counts(&self) -> MutexGuard<'_, CountMap> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the name of a count that there is no room for, and then its IP address.
fn generalize_to_fit(counts: &CountMap, mut count: RefusalCount) -> RefusalCount {
    if !has_room(counts, &count.key) {
        count = count.without_name();
    }
    if !has_room(counts, &count.key) {
        count = count.without_address();
    }
    count
}

fn has_room(counts: &CountMap, key: &RefusalKey) -> bool {
    let names_there = || {
        let there = |known: &&RefusalKey| known.minute == key.minute && known.network == key.network;
        counts.keys().filter(there).filter(|known| known.name.is_some()).count()
    };
    counts.contains_key(key) || counts.len() < MAX_COUNTS && (key.name.is_none() || names_there() < MAX_NAMES)
}

fn add(counts: &mut CountMap, count: RefusalCount) {
    match counts.get_mut(&count.key) {
        Some(known) => known.add(count),
        None => {
            counts.insert(count.key.clone(), count);
        }
    }
}

#[cfg(test)]
mod tests;
