//! Refused guesses at passwords that are not written one by one, counted until they are written: a flood must neither fill the disk nor
//! bury what else is on record. Which ones those are is `flows::attempts`; the writing is `flows::refusals`.

use crate::domain::{
    account::name_key,
    audit::{Actor, Entry, Event, repeated::repeated},
    network,
    session::SessionId,
    time::Timestamp,
};
use ipnetwork::IpNetwork;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Sums that are kept at most, but for those of refusals without name and address.
const MOST: usize = 1_000;
/// Of these with a name, from one network within a minute; further names there are counted together.
const NAMES: usize = 20;

/// What refusals have in common that are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Alike {
    /// `None`: those that there was no room for, whenever they were.
    minute: Option<i64>,
    event: Event,
    reason: Option<String>,
    name: Option<String>,
    session: Option<SessionId>,
    network: Option<IpNetwork>,
}

/// Refusals that are alike.
#[derive(Debug, Clone)]
pub struct Sum {
    alike: Alike,
    /// What they have in common, as it is written.
    entry: Entry,
    /// Of them, how many were written one by one …
    singles: u32,
    /// … and how many were not.
    counted: u64,
    /// The first and the last of those not written; with none of them, the first of all.
    from: Timestamp,
    until: Timestamp,
}

impl Sum {
    fn new(entry: &Entry, now: Timestamp) -> Self {
        let alike = Alike {
            minute: Some(now.minute()),
            event: entry.event,
            reason: entry.reason.clone(),
            // Folded whether or not there is such an account: the work shall not tell.
            name: entry.account.as_ref().map(|(_, name)| name_key(name)),
            session: entry.session,
            network: entry.origin.ip.map(network::lock_network),
        };
        let mut entry = entry.clone();
        entry.origin.request_id = None;
        Self {
            alike,
            entry,
            singles: 0,
            counted: 0,
            from: now,
            until: now,
        }
    }

    fn without_name(mut self) -> Self {
        (self.alike.name, self.alike.session) = (None, None);
        (self.entry.account, self.entry.session) = (None, None);
        self.entry.actor = Actor::Anonymous;
        self
    }

    fn without_address(mut self) -> Self {
        (self.alike.minute, self.alike.network) = (None, None);
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

    /// The entry that stands for those not written.
    pub fn entry(&self) -> Entry {
        Entry {
            detail: repeated(self.counted, self.from, self.until),
            ..self.entry.clone()
        }
    }
}

type Sums = HashMap<Alike, Sum>;

#[derive(Debug, Default)]
pub struct Refusals(Mutex<Sums>);

impl Refusals {
    /// Notes a refusal. True: it is one of the first `singles` of its kind this minute, and its own entry is to be written; else it is
    /// counted here.
    pub fn note(&self, entry: &Entry, now: Timestamp, singles: u32) -> bool {
        let one = Sum::new(entry, now);
        let mut sums = self.sums();
        let mut one = placed(&sums, one);
        let single = sums.get(&one.alike).map_or(0, |sum| sum.singles) < singles;
        (one.singles, one.counted) = (u32::from(single), u64::from(!single));
        add(&mut sums, one);
        single
    }

    /// What is to be written now, oldest first: sums of the minutes before this one. They are taken out.
    pub fn take_over(&self, now: Timestamp) -> Vec<Sum> {
        self.take(|sum| sum.from.minute() != now.minute())
    }

    /// Everything that is to be written; it is taken out.
    pub fn take_all(&self) -> Vec<Sum> {
        self.take(|_| true)
    }

    /// The write failed: kept for the next one.
    pub fn put_back(&self, kept: Vec<Sum>) {
        let mut sums = self.sums();
        for sum in kept {
            let sum = placed(&sums, sum);
            add(&mut sums, sum);
        }
    }

    fn take(&self, which: impl Fn(&Sum) -> bool) -> Vec<Sum> {
        let mut taken: Vec<Sum> = self
            .sums()
            .extract_if(|_, sum| which(sum))
            .map(|(_, sum)| sum)
            .filter(|sum| sum.counted > 0)
            .collect();
        taken.sort_by_key(|sum| sum.from);
        taken
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As narrow as there is room for.
fn placed(sums: &Sums, mut sum: Sum) -> Sum {
    if !has_room(sums, &sum.alike) {
        sum = sum.without_name();
    }
    if !has_room(sums, &sum.alike) {
        sum = sum.without_address();
    }
    sum
}

fn has_room(sums: &Sums, alike: &Alike) -> bool {
    let names_there = || {
        let there = |known: &&Alike| known.minute == alike.minute && known.network == alike.network;
        sums.keys().filter(there).filter(|known| known.name.is_some()).count()
    };
    sums.contains_key(alike) || sums.len() < MOST && (alike.name.is_none() || names_there() < NAMES)
}

fn add(sums: &mut Sums, sum: Sum) {
    match sums.get_mut(&sum.alike) {
        Some(known) => known.add(sum),
        None => {
            sums.insert(sum.alike.clone(), sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::{Origin, Outcome};
    use std::net::IpAddr;

    const MINUTE: i64 = 60;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_micros(secs * 1_000_000)
    }

    fn refused(name: &str, ip: IpAddr, reason: &str) -> Entry {
        Entry {
            event: Event::SignInRefused,
            actor: Actor::Anonymous,
            account: Some((None, name.to_owned())),
            session: None,
            origin: Origin {
                ip: Some(ip),
                user_agent: Some("curl".to_owned()),
                request_id: Some("1".to_owned()),
            },
            application: None,
            outcome: Outcome::Failure,
            reason: Some(reason.to_owned()),
            detail: serde_json::Value::Null,
        }
    }

    fn address(number: usize) -> IpAddr {
        [198, 51, (number / 256) as u8, (number % 256) as u8].into()
    }

    /// Name, address and number of each sum.
    fn told(sums: &[Sum]) -> Vec<(Option<String>, Option<IpAddr>, u64)> {
        sums.iter()
            .map(|sum| {
                let entry = sum.entry();
                (entry.account.map(|(_, name)| name), entry.origin.ip, sum.counted)
            })
            .collect()
    }

    fn total(sums: &[Sum]) -> u64 {
        sums.iter().map(|sum| sum.counted).sum()
    }

    #[test]
    fn alike_ones_of_a_minute_are_one_sum_and_the_first_are_singles() {
        let refusals = Refusals::default();
        let eve = refused("eve", address(1), "locked");
        let singles = (0..41).filter(|second| refusals.note(&eve, at(*second), 20)).count();
        assert_eq!(singles, 20);
        // Another reason, another spelling of the name, another address, another minute.
        assert!(!refusals.note(&refused("eve", address(1), "busy"), at(50), 0));
        assert!(!refusals.note(&refused("EVE", address(1), "locked"), at(50), 0));
        assert!(!refusals.note(&refused("eve", address(2), "locked"), at(51), 0));
        assert_eq!(refusals.take_over(at(MINUTE - 1)).len(), 0, "not over yet");
        assert!(refusals.note(&eve, at(MINUTE), 20), "a new minute has its own singles");
        assert!(!refusals.note(&eve, at(MINUTE + 1), 1));
        let over = refusals.take_over(at(MINUTE + 1));
        let expected = [(1, 22), (1, 1), (2, 1)].map(|(ip, many)| (Some("eve".to_owned()), Some(address(ip)), many));
        assert_eq!(told(&over), expected);
        let entry = over[0].entry();
        let span = [entry.detail["from"].as_str(), entry.detail["until"].as_str()];
        assert_eq!(span, [Some("1970-01-01T00:00:20Z"), Some("1970-01-01T00:00:50Z")]);
        assert_eq!(entry.origin.request_id, None);
        assert_eq!(entry.origin.user_agent.as_deref(), Some("curl"));
        assert_eq!(total(&refusals.take_all()), 1);
        assert_eq!(refusals.take_all().len(), 0);
    }

    #[test]
    fn what_only_had_singles_is_not_written_again() {
        let refusals = Refusals::default();
        assert!(refusals.note(&refused("eve", address(1), "locked"), at(0), 20));
        assert_eq!(refusals.take_all().len(), 0);
    }

    #[test]
    fn several_browsers_are_none() {
        let refusals = Refusals::default();
        let mut eve = refused("eve", address(1), "locked");
        refusals.note(&eve, at(0), 0);
        eve.origin.user_agent = Some("wget".to_owned());
        refusals.note(&eve, at(0), 0);
        assert_eq!(refusals.take_all()[0].entry().origin.user_agent, None);
    }

    #[test]
    fn one_network_has_so_many_names_and_the_rest_is_counted_without() {
        let refusals = Refusals::default();
        for name in 0..500 {
            let network: IpAddr = format!("2001:db8::{name:x}").parse().unwrap();
            refusals.note(&refused(&format!("name{name}"), network, "locked"), at(1), 0);
        }
        refusals.note(&refused("eve", address(1), "locked"), at(2), 0);
        let sums = refusals.take_all();
        assert_eq!(sums.len(), NAMES + 2);
        let nameless: Vec<_> = told(&sums).into_iter().filter(|(name, ..)| name.is_none()).collect();
        assert!(matches!(nameless[..], [(None, Some(_), 480)]), "{nameless:?}");
        assert_eq!(told(&sums).last().unwrap().0.as_deref(), Some("eve"));
    }

    #[test]
    fn beyond_the_bound_nothing_is_lost_but_name_and_address() {
        let refusals = Refusals::default();
        for number in 0..3 * MOST {
            refusals.note(&refused("eve", address(number), "locked"), at(1), 0);
        }
        refusals.note(&refused("eve", address(0), "locked"), at(MINUTE), 0);
        refusals.note(&refused("eve", address(0), "busy"), at(MINUTE), 0);
        let kept = refusals.sums().len();
        assert_eq!(kept, MOST + 2, "the rest is one sum a reason");
        let sums = refusals.take_over(at(MINUTE));
        assert!(
            told(&sums).contains(&(None, None, 2 * MOST as u64 + 1)),
            "whenever it was"
        );
        assert_eq!(total(&sums) + total(&refusals.take_all()), 3 * MOST as u64 + 2);
    }

    #[test]
    fn what_could_not_be_written_is_kept_and_grows() {
        let refusals = Refusals::default();
        let eve = refused("eve", address(1), "locked");
        refusals.note(&eve, at(1), 0);
        let kept = refusals.take_all();
        refusals.note(&eve, at(5), 0);
        refusals.put_back(kept);
        let [sum] = &refusals.take_over(at(MINUTE))[..] else {
            panic!()
        };
        assert_eq!((sum.counted, sum.from, sum.until), (2, at(1), at(5)));
        for _ in 0..3 {
            for number in 0..MOST {
                refusals.note(&refused("eve", address(number), "locked"), at(1), 0);
            }
            let taken = refusals.take_all();
            refusals.put_back(taken.clone());
            refusals.put_back(taken);
            assert!(refusals.sums().len() <= MOST + 1);
        }
        assert_eq!(total(&refusals.take_all()), 14 * MOST as u64);
    }
}
