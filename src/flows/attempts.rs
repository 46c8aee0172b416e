//! Guesses at a password: the place that each takes in the failure counters before the hash, and what becomes of it afterwards.
//! When a counter locks is `domain::lockout`; these are its writes, for signing in and for changing a password.

use super::Ctx;
use crate::{
    domain::{
        account::AccountId,
        audit::{Actor, Entry, Event, Origin, Outcome},
        lockout::{self, CounterKey, CounterKind, Locked, ReserveVerdict},
        login::Refusal,
        network,
        policy::effective::LockoutPolicy,
        time::{Span, Timestamp},
    },
    store::{
        Conn, StoreError, accounts,
        accounts::Account,
        changes::{self, ChangeKind},
        lockouts::{self, Lockout, NAMES_KEPT},
    },
};
use std::net::IpAddr;
use uuid::Uuid;

/// A network with a completed sign-in this recently is exempt from the account ceiling.
const KNOWN_NETWORK_DAYS: i64 = 30;
/// Refusals of one counter within a minute that are written one by one; further ones are counted (a flood must not bury the rest).
const SINGLE_REFUSALS_A_MINUTE: u32 = 20;
/// Of a name that was tried, as it is kept.
const NAME_CHARS: usize = 128;

/// Whose password is guessed, by whom.
pub(super) struct Guessing<'a> {
    pub typed: &'a str,
    pub name_key: &'a str,
    pub account: Option<&'a Account>,
    pub ip: IpAddr,
    pub user_agent: Option<&'a str>,
    pub origin: &'a Origin,
}

/// A guess under way: its reservation in every counter it belongs to.
#[derive(Clone)]
pub(super) struct Guess {
    id: Uuid,
    /// As typed, as far as it is kept.
    name: String,
    /// Each with the policy that holds for this guess in it.
    counters: Vec<(CounterKey, LockoutPolicy)>,
}

impl Guess {
    fn keys(&self) -> Vec<CounterKey> {
        self.counters.iter().map(|(key, _)| key.clone()).collect()
    }
}

/// What a look at the counters found, before the guess takes its place in them.
pub(super) struct Look {
    counters: Vec<(CounterKey, LockoutPolicy)>,
    /// None of them remembers anything.
    untried: bool,
    /// A lock that began under another shape of the key still holds: it keeps the key that it began with.
    earlier: Option<Locked>,
    /// The refusal of a guess that a lock refuses and that is only counted this minute.
    pub flooded: Option<Refusal>,
}

pub(super) enum Reservation {
    Granted(Guess),
    Refused {
        refusal: Refusal,
        /// The counters have not seen too many this minute to write it by itself.
        single: bool,
    },
}

impl Ctx {
    /// Looks at the counters of a guess, holding nothing.
    pub(super) fn look(
        &self,
        c: &mut Conn,
        now: Timestamp,
        policy: &LockoutPolicy,
        guessing: &Guessing<'_>,
    ) -> Result<Look, StoreError> {
        let counters = counters(c, guessing, policy, now)?;
        let policy = lockout::policy_for(guessing.ip, policy);
        let mut keys: Vec<CounterKey> = counters.iter().map(|(key, _)| key.clone()).collect();
        keys.extend(earlier_keys(guessing, &policy));
        let mut rows = lockouts::find_all(c, &keys)?;
        let earlier_rows = rows.split_off(counters.len());
        let untried = rows.iter().all(Option::is_none);
        let flooded = rows.into_iter().zip(&counters).find_map(|(row, (_, policy))| {
            let row = row.filter(|row| {
                row.refused_minute == now.minute() && row.refused >= i64::from(SINGLE_REFUSALS_A_MINUTE)
            })?;
            row.counter.locked_at(row.key.kind, policy, now).map(Refusal::Locked)
        });
        // Without a lock it only counts, under a key that nobody counts by any more.
        let earlier = earlier_rows
            .into_iter()
            .flatten()
            .filter(|row| row.counter.locked_at.is_some() || row.counter.blocked_until.is_some())
            .filter_map(|row| row.counter.locked_at(row.key.kind, &policy, now))
            .reduce(Locked::longer);
        Ok(Look {
            counters,
            untried,
            earlier,
            flooded,
        })
    }

    /// Takes a place in every counter, or in none.
    pub(super) fn reserve_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        look: Look,
        guessing: &Guessing<'_>,
    ) -> Result<Reservation, StoreError> {
        let Look {
            counters,
            untried,
            earlier,
            ..
        } = look;
        let guess = Guess {
            id: self.new_id(now),
            name: guessing.typed.trim().chars().take(NAME_CHARS).collect(),
            counters,
        };
        let id = guess.id;
        if untried && earlier.is_none() && begin(c, now, &guess, guessing)? {
            return Ok(Reservation::Granted(guess));
        }
        let mut refusal = earlier.map(Refusal::Locked);
        let mut rows = Vec::with_capacity(guess.counters.len());
        let held = lockouts::lock_all(c, &guess.keys(), now)?;
        for (mut row, policy) in self.settled_in(c, now, held, &guess, guessing.origin)? {
            let verdict = row.counter.reserve(row.key.kind, id, policy, now);
            let refuses = verdict != ReserveVerdict::Proceed;
            refusal = match (verdict, refusal) {
                (ReserveVerdict::Locked(locked), Some(Refusal::Locked(other))) => {
                    Some(Refusal::Locked(locked.longer(other)))
                }
                (ReserveVerdict::Locked(locked), _) => Some(Refusal::Locked(locked)),
                (ReserveVerdict::Busy, None) => Some(Refusal::Busy),
                (ReserveVerdict::Busy | ReserveVerdict::Proceed, refusal) => refusal,
            };
            rows.push((row, policy, refuses));
        }
        let mut single = rows.iter().all(|(.., refuses)| !refuses);
        let (mut written, mut untouched) = (Vec::new(), Vec::new());
        for (mut row, policy, refuses) in rows {
            if refusal.is_none() {
                note_guess(&mut row, guessing, now);
                written.push(row);
                continue;
            }
            row.counter.give_back(id);
            if refuses {
                single |= note_refusal(&mut row, now);
                written.push(row);
            } else {
                // Nothing happened here: a row made just now goes again.
                untouched.push((row, policy));
            }
        }
        lockouts::save_all(c, &written)?;
        keep(c, untouched, now)?;
        Ok(match refusal {
            None => Reservation::Granted(guess),
            Some(refusal) => Reservation::Refused { refusal, single },
        })
    }

    /// Puts a refusal on record: by itself as long as that is bearable, else among those that are counted.
    pub(super) fn record_refusal_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        entry: &Entry,
        single: bool,
    ) -> Result<(), StoreError> {
        let singles = if single { SINGLE_REFUSALS_A_MINUTE } else { 0 };
        if self.live.refusals.note(entry, now, singles) {
            self.record(c, now, entry)?;
        }
        Ok(())
    }

    /// Counts a refusal, without a write.
    pub(super) fn count_refusal(&self, now: Timestamp, entry: &Entry) {
        self.live.refusals.note(entry, now, 0);
    }

    /// Nothing was checked, or the password was right without opening anything: nothing is counted, nothing cleared.
    pub(super) fn give_back_in(&self, c: &mut Conn, now: Timestamp, guess: &Guess) -> Result<(), StoreError> {
        let mut rows = self.counters_held_in(c, now, guess, &Origin::default())?;
        for (row, _) in &mut rows {
            row.counter.give_back(guess.id);
        }
        keep(c, rows, now)
    }

    /// A completed sign-in: counters that contain the user start anew, one of an address alone does not.
    pub(super) fn succeed_in(&self, c: &mut Conn, now: Timestamp, guess: &Guess) -> Result<(), StoreError> {
        let mut rows = self.counters_held_in(c, now, guess, &Origin::default())?;
        for (row, _) in &mut rows {
            row.counter.succeed(guess.id, row.key.cleared_by_success());
        }
        keep(c, rows, now)
    }

    /// A wrong password: every counter counts it. The lock that this very failure began, the longest if several.
    pub(super) fn fail_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        guess: &Guess,
        origin: &Origin,
    ) -> Result<Option<Locked>, StoreError> {
        let mut locked = None;
        let mut rows = Vec::with_capacity(guess.counters.len());
        for (mut row, policy) in self.counters_held_in(c, now, guess, origin)? {
            note_name(&mut row, &guess.name);
            if let Some(began) = row.counter.fail(row.key.kind, guess.id, policy, now) {
                self.note_lock(c, now, Event::LockoutBegan, &row, origin)?;
                locked = Some(locked.map_or(began, |other: Locked| other.longer(began)));
            }
            rows.push(row);
        }
        lockouts::save_all(c, &rows)?;
        Ok(locked)
    }

    /// The counters that a guess has its place in, held until the write ends.
    fn counters_held_in<'p>(
        &self,
        c: &mut Conn,
        now: Timestamp,
        guess: &'p Guess,
        origin: &Origin,
    ) -> Result<Vec<(Lockout, &'p LockoutPolicy)>, StoreError> {
        let held = lockouts::hold_all(c, &guess.keys(), now)?;
        self.settled_in(c, now, held, guess, origin)
    }

    /// The held counters of a guess as they stand now, each with its policy; a lock that ran out or that begins here is said once.
    fn settled_in<'p>(
        &self,
        c: &mut Conn,
        now: Timestamp,
        held: Vec<Lockout>,
        guess: &'p Guess,
        origin: &Origin,
    ) -> Result<Vec<(Lockout, &'p LockoutPolicy)>, StoreError> {
        let mut rows = Vec::with_capacity(held.len());
        for (mut row, (_, policy)) in held.into_iter().zip(&guess.counters) {
            self.settle_in(c, now, &mut row, policy, origin)?;
            rows.push((row, policy));
        }
        Ok(rows)
    }

    /// Brings a counter up to date. True: a lock of it ran out.
    pub(super) fn settle_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        row: &mut Lockout,
        policy: &LockoutPolicy,
        origin: &Origin,
    ) -> Result<bool, StoreError> {
        let before = row.counter.locked_at;
        let ended = row.counter.settle(row.key.kind, policy, now);
        if ended {
            self.note_lock(c, now, Event::LockoutEnded, row, &Origin::default())?;
        }
        if row.counter.locked_at.is_some() && (ended || before.is_none()) {
            self.note_lock(c, now, Event::LockoutBegan, row, origin)?;
        } else if ended {
            // The next lock is about what is tried from now on.
            row.names_tried.clear();
        }
        Ok(ended)
    }

    fn note_lock(
        &self,
        c: &mut Conn,
        now: Timestamp,
        event: Event,
        row: &Lockout,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        let entry = Entry {
            event,
            actor: Actor::System,
            account: row.key.account.clone().map(|account| (None, account)),
            session: None,
            origin: origin.clone(),
            application: None,
            outcome: Outcome::Success,
            reason: Some(row.key.kind.as_str().to_owned()),
            detail: serde_json::json!({
                "keys": { "ip": row.key.ip, "account": row.key.account, "user_agent": row.key.user_agent },
                "failures": row.counter.failures.len(),
                "names_tried": row.names_tried,
            }),
        };
        self.record(c, now, &entry)?;
        if event == Event::LockoutBegan {
            self.queue_lockout_in(c, now, row, origin)?;
        }
        changes::announce(c, ChangeKind::Lockout, &row.id.to_string())
    }
}

/// The place of a guess in counters that remember nothing, which is the usual case: nothing needs to be held and looked at first.
/// False: somebody came in between, or the first guess is one too many; nothing is written.
fn begin(c: &mut Conn, now: Timestamp, guess: &Guess, guessing: &Guessing<'_>) -> Result<bool, StoreError> {
    let mut rows = Vec::with_capacity(guess.counters.len());
    for (key, policy) in &guess.counters {
        let mut row = lockouts::fresh(key, now)?;
        if row.counter.reserve(key.kind, guess.id, policy, now) != ReserveVerdict::Proceed {
            return Ok(false);
        }
        note_guess(&mut row, guessing, now);
        rows.push(row);
    }
    lockouts::insert_all(c, &rows)
}

/// The counters of a guess and what holds in each. The account ceiling counts guesses from everywhere, and does not refuse those
/// from networks from which the owner signed in lately.
fn counters(
    c: &mut Conn,
    guessing: &Guessing<'_>,
    policy: &LockoutPolicy,
    now: Timestamp,
) -> Result<Vec<(CounterKey, LockoutPolicy)>, StoreError> {
    let holding = lockout::policy_for(guessing.ip, policy).into_owned();
    let mut owners = holding.clone();
    let since = now.saturating_sub(Span::from_secs(KNOWN_NETWORK_DAYS * 86_400));
    let network = network::known_network(guessing.ip).to_string();
    // Nobody's networks are asked for as well: the time shall not tell whether there is such an account.
    let id = guessing.account.map_or(AccountId(Uuid::nil()), |account| account.id);
    if accounts::knows_network(c, id, &network, since)? {
        owners.account_ceiling = 0;
    }
    let keys = lockout::counters_of(guessing.name_key, guessing.ip, guessing.user_agent, policy);
    Ok(keys
        .into_iter()
        .map(|key| match key.kind {
            CounterKind::AccountCeiling => (key, owners.clone()),
            CounterKind::Key | CounterKind::IpCeiling => (key, holding.clone()),
        })
        .collect())
}

/// The keys that other shapes of the lock would give the guess, and those of ceilings that are off: an administrator's block holds there too.
fn earlier_keys(guessing: &Guessing<'_>, policy: &LockoutPolicy) -> Vec<CounterKey> {
    let todays = (policy.by_user_and_ip, policy.by_user_agent);
    let shapes = [(false, false), (false, true), (true, false), (true, true)];
    let others = shapes.into_iter().filter(|shape| *shape != todays);
    others
        .flat_map(|(by_user_and_ip, by_user_agent)| {
            let other = LockoutPolicy {
                by_user_and_ip,
                by_user_agent,
                ..policy.clone()
            };
            lockout::counters_of(guessing.name_key, guessing.ip, guessing.user_agent, &other)
        })
        .filter(|key| key.kind == CounterKind::Key)
        .chain(ceilings(guessing, policy))
        .collect()
}

/// The ceilings that policy switches off.
fn ceilings(guessing: &Guessing<'_>, policy: &LockoutPolicy) -> Vec<CounterKey> {
    let on = LockoutPolicy {
        ip_ceiling: 1,
        account_ceiling: 1,
        ..policy.clone()
    };
    let off = |kind: CounterKind| lockout::limit(kind, policy).is_none();
    lockout::counters_of(guessing.name_key, guessing.ip, guessing.user_agent, &on)
        .into_iter()
        .filter(|key| key.kind != CounterKind::Key && off(key.kind))
        .collect()
}

fn note_guess(row: &mut Lockout, guessing: &Guessing<'_>, now: Timestamp) {
    row.last_attempt_at = now;
    row.last_ip = Some(network::canonical(guessing.ip));
}

/// A name that was tried in vain: the latest ones stay, each once.
fn note_name(row: &mut Lockout, name: &str) {
    row.names_tried.retain(|known| known != name);
    let surplus = (row.names_tried.len() + 1).saturating_sub(NAMES_KEPT);
    row.names_tried.drain(..surplus);
    row.names_tried.push(name.to_owned());
}

/// Counts a refusal. True: not too many this minute to write each by itself.
fn note_refusal(row: &mut Lockout, now: Timestamp) -> bool {
    if row.refused_minute != now.minute() {
        row.refused_minute = now.minute();
        row.refused = 0;
    }
    row.refused += 1;
    row.refused <= i64::from(SINGLE_REFUSALS_A_MINUTE)
}

/// A counter with nothing left to remember goes.
pub(super) fn keep(c: &mut Conn, rows: Vec<(Lockout, &LockoutPolicy)>, now: Timestamp) -> Result<(), StoreError> {
    let (empty, kept): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .partition(|(row, policy)| row.counter.is_empty_at(row.key.kind, policy, now));
    let empty: Vec<Uuid> = empty.into_iter().map(|(row, _)| row.id).collect();
    let kept: Vec<Lockout> = kept.into_iter().map(|(row, _)| row).collect();
    lockouts::delete_all(c, &empty)?;
    lockouts::save_all(c, &kept)
}
