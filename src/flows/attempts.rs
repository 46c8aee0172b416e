//! Guesses at a password: the place that each takes in the failure counters before the hash, and what becomes of it afterwards.
//! When a counter locks is `domain::lockout`; these are its writes, for signing in and for changing a password.

use super::Ctx;
use crate::{
    domain::{
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
        lockouts::{self, Lockout},
    },
};
use std::net::IpAddr;
use uuid::Uuid;

/// A network with a completed sign-in this recently is exempt from the account ceiling.
const KNOWN_NETWORK_DAYS: i64 = 30;
/// Refusals of one counter within a minute that are written one by one; further ones are counted (a flood must not bury the rest).
const WRITTEN_REFUSALS_A_MINUTE: i64 = 20;
const NAMES_KEPT: usize = 20;

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
    /// Each with the policy that holds for this guess in it.
    counters: Vec<(CounterKey, LockoutPolicy)>,
}

pub(super) enum Reservation {
    Granted(Guess),
    Refused {
        refusal: Refusal,
        /// How many were refused this minute; `None`: too many to write each.
        refused_this_minute: Option<i64>,
    },
}

impl Ctx {
    /// The refusal of a guess that a lock refuses and that need not be written any more this minute.
    pub(super) fn flooded(
        &self,
        c: &mut Conn,
        now: Timestamp,
        policy: &LockoutPolicy,
        guessing: &Guessing<'_>,
    ) -> Result<Option<Refusal>, StoreError> {
        let policy = lockout::policy_for(guessing.ip, policy).into_owned();
        for key in lockout::counters_of(guessing.name_key, guessing.ip, guessing.user_agent, &policy) {
            // Who is exempt from the account's ceiling is worked out where the place is taken.
            if key.kind == CounterKind::AccountCeiling {
                continue;
            }
            let Some(mut row) = lockouts::find(c, &key)? else {
                continue;
            };
            row.counter.settle(key.kind, &policy, now);
            let written = row.refused_minute == minute(now) && row.refused >= WRITTEN_REFUSALS_A_MINUTE;
            if let Some(locked) = row.counter.locked_at(key.kind, &policy, now).filter(|_| written) {
                return Ok(Some(Refusal::Locked(locked)));
            }
        }
        Ok(None)
    }

    /// Takes a place in every counter, or in none.
    pub(super) fn reserve_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        policy: &LockoutPolicy,
        guessing: &Guessing<'_>,
    ) -> Result<Reservation, StoreError> {
        let counters = counters(c, guessing, policy, now)?;
        let id = self.new_id(now);
        let mut refusal = earlier_lock(c, guessing, policy, now)?.map(Refusal::Locked);
        let mut rows = Vec::with_capacity(counters.len());
        for (key, policy) in &counters {
            let mut row = self.settled_in(c, now, key, policy, guessing.origin)?;
            let verdict = row.counter.reserve(key.kind, id, policy, now);
            let refuses = verdict != ReserveVerdict::Proceed;
            refusal = match (verdict, refusal) {
                (ReserveVerdict::Locked(locked), Some(Refusal::Locked(other))) => {
                    Some(Refusal::Locked(locked.longer(other)))
                }
                (ReserveVerdict::Locked(locked), _) => Some(Refusal::Locked(locked)),
                (ReserveVerdict::Busy, None) => Some(Refusal::Busy),
                (ReserveVerdict::Busy | ReserveVerdict::Proceed, refusal) => refusal,
            };
            rows.push((row, refuses));
        }
        let mut refused_this_minute = rows.iter().all(|(_, refuses)| !refuses).then_some(0);
        for ((row, refuses), (_, policy)) in rows.iter_mut().zip(&counters) {
            if refusal.is_none() {
                note_guess(row, guessing, now);
                lockouts::save(c, row)?;
                continue;
            }
            row.counter.give_back(id);
            if *refuses {
                refused_this_minute = refused_this_minute.max(note_refusal(row, now));
                lockouts::save(c, row)?;
            } else {
                // Nothing happened here: a row made just now goes again.
                keep(c, row, now, policy)?;
            }
        }
        Ok(match refusal {
            None => Reservation::Granted(Guess { id, counters }),
            Some(refusal) => Reservation::Refused {
                refusal,
                refused_this_minute,
            },
        })
    }

    /// Nothing was checked, or the password was right without opening anything: nothing is counted, nothing cleared.
    pub(super) fn give_back_in(&self, c: &mut Conn, now: Timestamp, guess: &Guess) -> Result<(), StoreError> {
        for (key, policy) in &guess.counters {
            let mut row = self.settled_in(c, now, key, policy, &Origin::default())?;
            row.counter.give_back(guess.id);
            keep(c, &row, now, policy)?;
        }
        Ok(())
    }

    /// A completed sign-in: counters that contain the user start anew, one of an address alone does not.
    pub(super) fn succeed_in(&self, c: &mut Conn, now: Timestamp, guess: &Guess) -> Result<(), StoreError> {
        for (key, policy) in &guess.counters {
            let mut row = self.settled_in(c, now, key, policy, &Origin::default())?;
            row.counter.succeed(guess.id, key.cleared_by_success());
            keep(c, &row, now, policy)?;
        }
        Ok(())
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
        for (key, policy) in &guess.counters {
            let mut row = self.settled_in(c, now, key, policy, origin)?;
            if let Some(began) = row.counter.fail(key.kind, guess.id, policy, now) {
                self.note_lock(c, now, Event::LockoutBegan, &row, origin)?;
                locked = Some(locked.map_or(began, |other: Locked| other.longer(began)));
            }
            lockouts::save(c, &row)?;
        }
        Ok(locked)
    }

    /// The counter as it stands now, its row held until the write ends; a lock that ran out or that begins here is said once.
    fn settled_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        key: &CounterKey,
        policy: &LockoutPolicy,
        origin: &Origin,
    ) -> Result<Lockout, StoreError> {
        let mut row = lockouts::lock(c, key, now)?;
        self.settle_in(c, now, &mut row, policy, origin)?;
        Ok(row)
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
        changes::announce(c, ChangeKind::Lockout, &row.id.to_string())
    }
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
    if let Some(account) = guessing.account {
        let since = now.saturating_sub(Span::from_secs(KNOWN_NETWORK_DAYS * 86_400));
        let network = network::known_network(guessing.ip).to_string();
        if accounts::knows_network(c, account.id, &network, since)? {
            owners.account_ceiling = 0;
        }
    }
    let mut counters: Vec<(CounterKey, LockoutPolicy)> =
        lockout::counters_of(guessing.name_key, guessing.ip, guessing.user_agent, policy)
            .into_iter()
            .map(|key| {
                let policy = if key.kind == CounterKind::AccountCeiling {
                    owners.clone()
                } else {
                    holding.clone()
                };
                (key, policy)
            })
            .collect();
    // One order for all, so that parallel guesses never wait for each other in a circle.
    counters.sort_by_key(|(key, _)| key.digest());
    Ok(counters)
}

/// A lock that began under another shape of the key still holds: it keeps the key that it began with.
fn earlier_lock(
    c: &mut Conn,
    guessing: &Guessing<'_>,
    policy: &LockoutPolicy,
    now: Timestamp,
) -> Result<Option<Locked>, StoreError> {
    let policy = lockout::policy_for(guessing.ip, policy);
    let mut longest: Option<Locked> = None;
    for (by_user_and_ip, by_user_agent) in [(false, false), (false, true), (true, false), (true, true)] {
        let other = LockoutPolicy {
            by_user_and_ip,
            by_user_agent,
            ..policy.clone().into_owned()
        };
        let is_todays = by_user_and_ip == policy.by_user_and_ip && by_user_agent == policy.by_user_agent;
        let keys = lockout::counters_of(guessing.name_key, guessing.ip, guessing.user_agent, &other);
        let Some(key) = keys.into_iter().find(|key| key.kind == CounterKind::Key && !is_todays) else {
            continue;
        };
        let Some(mut row) = lockouts::find(c, &key)? else {
            continue;
        };
        if row.counter.locked_at.is_none() && row.counter.blocked_until.is_none() {
            // Only counting, under a key that nobody counts by any more.
            continue;
        }
        row.counter.settle(key.kind, &policy, now);
        if let Some(locked) = row.counter.locked_at(key.kind, &policy, now) {
            longest = Some(longest.map_or(locked, |known| known.longer(locked)));
        }
    }
    Ok(longest)
}

fn minute(now: Timestamp) -> i64 {
    now.as_micros() / 60_000_000
}

fn note_guess(row: &mut Lockout, guessing: &Guessing<'_>, now: Timestamp) {
    row.last_attempt_at = now;
    row.last_ip = Some(network::canonical(guessing.ip));
    let name: String = guessing.typed.trim().chars().take(128).collect();
    if !row.names_tried.contains(&name) && row.names_tried.len() < NAMES_KEPT {
        row.names_tried.push(name);
    }
}

/// Counts a refusal; how many this minute, while each is to be written by itself.
fn note_refusal(row: &mut Lockout, now: Timestamp) -> Option<i64> {
    if row.refused_minute != minute(now) {
        row.refused_minute = minute(now);
        row.refused = 0;
    }
    row.refused += 1;
    (row.refused <= WRITTEN_REFUSALS_A_MINUTE).then_some(row.refused)
}

/// A counter with nothing left to remember goes.
pub(super) fn keep(c: &mut Conn, row: &Lockout, now: Timestamp, policy: &LockoutPolicy) -> Result<(), StoreError> {
    if row.counter.is_empty_at(row.key.kind, policy, now) {
        lockouts::delete(c, row.id)
    } else {
        lockouts::save(c, row)
    }
}
