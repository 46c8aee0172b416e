//! Attempts at a password: their reservations in the failure counters before the hash, and their
//! results afterwards. `domain::lockout` decides when a counter locks; this file writes the
//! counters, for sign-ins and for confirmations of a password.

mod factors;
mod notes;

use super::{Ctx, FlowError, Read, Write};
use crate::{
    domain::{
        account::{Account, AccountId},
        audit::{Actor, AuditEntry, Event, RequestOrigin},
        lockout::{self, CounterKey, CounterKind, LockDuration, Lockout, ReserveVerdict, from_known_network},
        login::SignInRefusal,
        policy::effective::LockoutPolicy,
        time::{Span, Timestamp},
    },
    store::{Conn, StoreError, accounts, lockouts},
};
use notes::{SINGLE_REFUSALS_A_MINUTE, note_attempt, note_name, note_refusal, stored_name};
use std::net::IpAddr;
use uuid::Uuid;

/// A network with a completed sign-in within this time has a separate ceiling, so that strangers
/// cannot lock the owner out.
const KNOWN_NETWORK_DAYS: i64 = 30;

/// One attempt at a password: its account and its origin.
pub(super) struct PasswordAttempt<'a> {
    /// The name as typed.
    pub(super) typed: &'a str,
    pub(super) name_key: &'a str,
    /// The account with that name, if there is one.
    pub(super) account: Option<&'a Account>,
    pub(super) ip: IpAddr,
    pub(super) user_agent: Option<&'a str>,
}

/// The reservations of an attempt in flight, one in every counter that it belongs to.
#[derive(Clone)]
pub(super) struct AttemptReservation {
    id: Uuid,
    /// The name as typed, shortened for storage.
    name: String,
    /// The counters, each with the policy that applies to this attempt.
    counters: Vec<(CounterKey, LockoutPolicy)>,
    /// Whether the counters contain it. Otherwise only a failure is written.
    is_stored: bool,
}

impl AttemptReservation {
    fn keys(&self) -> Vec<CounterKey> {
        self.counters.iter().map(|(key, _)| key.clone()).collect()
    }
}

/// The counters of an attempt as they were read, before its reservation.
pub(super) struct CounterSnapshot {
    counters: Vec<(CounterKey, LockoutPolicy)>,
    /// Whether none of them stores anything.
    untried: bool,
    /// A lock that began under another form of the key still applies; it keeps the key with which
    /// it began.
    earlier: Option<LockDuration>,
    /// The refusal of an attempt that a lock refuses and that is only counted this minute.
    pub(super) flooded: Option<SignInRefusal>,
}

/// The result of a reservation.
pub(super) enum ReservationOutcome {
    Granted(AttemptReservation),
    Refused {
        refusal: SignInRefusal,
        /// Whether the counters have few enough refusals this minute to write this one
        /// individually.
        single: bool,
    },
}

impl Read<'_> {
    /// Reads the counters of an attempt without locking rows.
    pub(super) fn attempt_counters(
        &mut self,
        policy: &LockoutPolicy,
        attempt: &PasswordAttempt<'_>,
    ) -> Result<CounterSnapshot, StoreError> {
        let now = self.now;
        let known = is_network_known(self.connection, policy, attempt, now)?;
        let counters = counters(attempt, policy, known);
        let policy = lockout::policy_for(attempt.ip, policy);
        let mut keys: Vec<CounterKey> = counters.iter().map(|(key, _)| key.clone()).collect();
        keys.extend(earlier_keys(attempt, &policy, known));
        let mut rows = lockouts::find_all(self.connection, &keys)?;
        let earlier_rows = rows.split_off(counters.len());
        let untried = rows.iter().all(Option::is_none);
        let flooded = rows.into_iter().zip(&counters).find_map(|(row, (_, policy))| {
            let row = row.filter(|row| {
                row.refused_minute == now.minute() && row.refused >= i64::from(SINGLE_REFUSALS_A_MINUTE)
            })?;
            row.counter
                .locked_at(row.key.kind, policy, now)
                .map(SignInRefusal::Locked)
        });
        // Without a lock it only counts, under a key that is no longer in use.
        let owners = LockoutPolicy {
            account_ceiling: 0,
            ..policy.clone().into_owned()
        };
        let earlier = earlier_rows
            .into_iter()
            .flatten()
            .filter(|row| row.counter.locked_at.is_some() || row.counter.blocked_until.is_some())
            .filter_map(|row| {
                // Of the strangers' ceiling only an administrator's block applies to the owner.
                let is_strangers = known && row.key.kind == CounterKind::AccountCeiling;
                let policy = if is_strangers { &owners } else { &*policy };
                row.counter.locked_at(row.key.kind, policy, now)
            })
            .reduce(LockDuration::longer);
        Ok(CounterSnapshot {
            counters,
            untried,
            earlier,
            flooded,
        })
    }
}

impl Write<'_> {
    /// Reserves the attempt in every counter, or in none.
    pub(super) fn reserve_attempt(
        &mut self,
        snapshot: CounterSnapshot,
        attempt: &PasswordAttempt<'_>,
    ) -> Result<ReservationOutcome, StoreError> {
        let reservation = AttemptReservation {
            id: self.ctx.new_id(self.now),
            name: stored_name(attempt.typed),
            counters: snapshot.counters,
            is_stored: true,
        };
        if snapshot.untried
            && snapshot.earlier.is_none()
            && reserve_fresh(self.connection, self.now, &reservation, attempt)?
        {
            return Ok(ReservationOutcome::Granted(reservation));
        }
        let mut refusal = snapshot.earlier.map(SignInRefusal::Locked);
        let held = lockouts::lock_all(self.connection, &reservation.keys(), self.now)?;
        let origin = self.initiator.origin.clone();
        let mut rows = Vec::with_capacity(held.len());
        for (mut row, policy) in self.settle_held(held, &reservation, &origin)? {
            let verdict = row.counter.reserve(row.key.kind, reservation.id, policy, self.now);
            let refuses = verdict != ReserveVerdict::Proceed;
            refusal = combine_refusals(verdict, refusal);
            rows.push(ReservedRow { row, policy, refuses });
        }
        let single = self.save_reserved(rows, &reservation, attempt, refusal.is_some())?;
        Ok(match refusal {
            None => ReservationOutcome::Granted(reservation),
            Some(refusal) => ReservationOutcome::Refused { refusal, single },
        })
    }

    /// Writes the counters after reserving: with the reservation, or without it if one of them
    /// refused. Returns whether the refusal is written individually.
    fn save_reserved(
        &mut self,
        rows: Vec<ReservedRow<'_>>,
        reservation: &AttemptReservation,
        attempt: &PasswordAttempt<'_>,
        is_refused: bool,
    ) -> Result<bool, StoreError> {
        let mut single = rows.iter().all(|reserved| !reserved.refuses);
        let (mut written, mut untouched) = (Vec::new(), Vec::new());
        for ReservedRow {
            mut row,
            policy,
            refuses,
        } in rows
        {
            if !is_refused {
                note_attempt(&mut row, attempt.ip, self.now);
                written.push(row);
                continue;
            }
            row.counter.give_back(reservation.id);
            if refuses {
                single |= note_refusal(&mut row, self.now);
                written.push(row);
            } else {
                // Nothing happened here, so a row that was just created is removed again.
                untouched.push((row, policy));
            }
        }
        lockouts::save_all(self.connection, &written)?;
        self.keep_counters(untouched)?;
        Ok(single)
    }

    /// Records a refusal: individually while there are few, otherwise as part of a count.
    pub(super) fn record_refusal(&mut self, entry: &AuditEntry, single: bool) -> Result<(), StoreError> {
        let singles = if single { SINGLE_REFUSALS_A_MINUTE } else { 0 };
        if self.ctx.live.refusals.note(entry, self.now, singles) {
            self.record(entry)?;
        }
        Ok(())
    }

    /// Removes an attempt's reservations: nothing was checked, or the password was correct without
    /// effect. Nothing is counted or cleared.
    pub(super) fn release_attempt(&mut self, reservation: &AttemptReservation) -> Result<(), StoreError> {
        if !reservation.is_stored {
            return Ok(());
        }
        let mut rows = self.hold_counters(reservation, &RequestOrigin::default())?;
        for (row, _) in &mut rows {
            row.counter.give_back(reservation.id);
        }
        self.keep_counters(rows)
    }

    /// Clears the counters after a completed sign-in: those that contain the user start at zero,
    /// those of an address alone do not.
    pub(super) fn complete_attempt(&mut self, reservation: &AttemptReservation) -> Result<(), StoreError> {
        if !reservation.is_stored {
            return Ok(());
        }
        let mut rows = self.hold_counters(reservation, &RequestOrigin::default())?;
        for (row, _) in &mut rows {
            row.counter.succeed(reservation.id, row.key.cleared_by_success());
        }
        self.keep_counters(rows)?;
        self.clear_strangers_ceiling(reservation)
    }

    /// Clears the strangers' ceiling after a sign-in from one of the owner's networks, which has a
    /// separate ceiling.
    fn clear_strangers_ceiling(&mut self, reservation: &AttemptReservation) -> Result<(), StoreError> {
        let own = reservation
            .counters
            .iter()
            .find(|(key, _)| key.kind == CounterKind::KnownCeiling);
        let Some((key, policy)) = own else { return Ok(()) };
        let strangers = CounterKey {
            kind: CounterKind::AccountCeiling,
            ..key.clone()
        };
        let Some(mut row) = lockouts::find(self.connection, &strangers)? else {
            return Ok(());
        };
        row.counter.succeed(reservation.id, true);
        self.keep_counters(vec![(row, policy)])
    }

    /// Counts a wrong password in every counter. Returns the lock that this failure began, the
    /// longest if there are several.
    pub(super) fn fail_attempt(
        &mut self,
        reservation: &AttemptReservation,
    ) -> Result<Option<LockDuration>, StoreError> {
        let origin = self.initiator.origin.clone();
        let mut locked = None;
        let mut rows = Vec::with_capacity(reservation.counters.len());
        for (mut row, policy) in self.hold_counters(reservation, &origin)? {
            if !reservation.is_stored {
                row.last_attempt_at = self.now;
                row.last_ip = origin.ip;
            }
            note_name(&mut row, &reservation.name);
            if let Some(began) = row.counter.fail(row.key.kind, reservation.id, policy, self.now) {
                self.record_lock(Event::LockoutBegan, &row, &origin)?;
                locked = Some(locked.map_or(began, |other: LockDuration| other.longer(began)));
            }
            rows.push(row);
        }
        lockouts::save_all(self.connection, &rows)?;
        Ok(locked)
    }

    /// Locks the rows of the counters that have the attempt's reservation until the write ends.
    fn hold_counters<'p>(
        &mut self,
        reservation: &'p AttemptReservation,
        origin: &RequestOrigin,
    ) -> Result<Vec<(Lockout, &'p LockoutPolicy)>, StoreError> {
        let held = lockouts::hold_rows(self.connection, &reservation.keys(), self.now)?;
        self.settle_held(held, reservation, origin)
    }

    /// Returns the locked counters of an attempt, up to date and each with its policy. A lock that
    /// ends or begins here is recorded once.
    fn settle_held<'p>(
        &mut self,
        held: Vec<Lockout>,
        reservation: &'p AttemptReservation,
        origin: &RequestOrigin,
    ) -> Result<Vec<(Lockout, &'p LockoutPolicy)>, StoreError> {
        let mut rows = Vec::with_capacity(held.len());
        for (mut row, (_, policy)) in held.into_iter().zip(&reservation.counters) {
            self.settle_counter(&mut row, policy, origin)?;
            rows.push((row, policy));
        }
        Ok(rows)
    }

    /// Brings a counter up to date and returns whether a lock of it ended.
    pub(super) fn settle_counter(
        &mut self,
        row: &mut Lockout,
        policy: &LockoutPolicy,
        origin: &RequestOrigin,
    ) -> Result<bool, StoreError> {
        let before = row.counter.locked_at;
        let ended = row.counter.settle(row.key.kind, policy, self.now);
        if ended {
            self.record_lock(Event::LockoutEnded, row, &RequestOrigin::default())?;
        }
        if row.counter.locked_at.is_some() && (ended || before.is_none()) {
            self.record_lock(Event::LockoutBegan, row, origin)?;
        } else if ended {
            // The next lock is about names that are tried from now on.
            row.names_tried.clear();
        }
        Ok(ended)
    }

    fn record_lock(&mut self, event: Event, row: &Lockout, origin: &RequestOrigin) -> Result<(), StoreError> {
        let entry = AuditEntry::new(event, Actor::System)
            .about_name(row.key.account.clone())
            .from_origin(origin.clone())
            .with_reason(row.key.kind.as_str())
            .with_detail(serde_json::json!({
                "keys": { "ip": row.key.ip, "account": row.key.account, "user_agent": row.key.user_agent },
                "failures": row.counter.failures.len(),
                "names_tried": row.names_tried,
            }));
        self.record(&entry)?;
        if event == Event::LockoutBegan {
            self.queue_lockout_notice(row, origin)?;
        }
        Ok(())
    }

    /// Writes counters back, and deletes those that are empty.
    pub(super) fn keep_counters(&mut self, rows: Vec<(Lockout, &LockoutPolicy)>) -> Result<(), StoreError> {
        let now = self.now;
        let (empty, kept): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|(row, policy)| row.counter.is_empty_at(row.key.kind, policy, now));
        let empty: Vec<Uuid> = empty.into_iter().map(|(row, _)| row.id).collect();
        let kept: Vec<Lockout> = kept.into_iter().map(|(row, _)| row).collect();
        lockouts::delete_all(self.connection, &empty)?;
        lockouts::save_all(self.connection, &kept)
    }
}

impl Ctx {
    /// Counts a refusal in memory, without a write.
    pub(super) fn count_refusal(&self, now: Timestamp, entry: &AuditEntry) {
        self.live.refusals.note(entry, now, 0);
    }

    /// Removes an attempt's reservations in a separate write.
    pub(super) async fn release_attempt(&self, reservation: AttemptReservation) -> Result<(), FlowError> {
        let release = move |w: &mut Write<'_>| Ok(w.release_attempt(&reservation)?);
        self.write_as_system(release).await
    }
}

/// A locked counter in which an attempt asked for a reservation.
struct ReservedRow<'p> {
    row: Lockout,
    policy: &'p LockoutPolicy,
    /// Whether it refused.
    refuses: bool,
}

/// Combines the refusals of several counters: a lock takes precedence over too many attempts, and
/// the longer lock over the shorter.
fn combine_refusals(verdict: ReserveVerdict, other: Option<SignInRefusal>) -> Option<SignInRefusal> {
    match (verdict, other) {
        (ReserveVerdict::Locked(locked), Some(SignInRefusal::Locked(other))) => {
            Some(SignInRefusal::Locked(locked.longer(other)))
        }
        (ReserveVerdict::Locked(locked), _) => Some(SignInRefusal::Locked(locked)),
        (ReserveVerdict::Busy, None) => Some(SignInRefusal::Busy),
        (ReserveVerdict::Busy | ReserveVerdict::Proceed, refusal) => refusal,
    }
}

/// Reserves in counters that store nothing, which is the usual case: no row needs to be locked and
/// read first. Returns false and writes nothing if another attempt came first, or if the first
/// attempt already exceeds a limit.
fn reserve_fresh(
    connection: &mut Conn,
    now: Timestamp,
    reservation: &AttemptReservation,
    attempt: &PasswordAttempt<'_>,
) -> Result<bool, StoreError> {
    let mut rows = Vec::with_capacity(reservation.counters.len());
    for (key, policy) in &reservation.counters {
        let mut row = lockouts::new_counter(key, now)?;
        if row.counter.reserve(key.kind, reservation.id, policy, now) != ReserveVerdict::Proceed {
            return Ok(false);
        }
        note_attempt(&mut row, attempt.ip, now);
        rows.push(row);
    }
    lockouts::insert_all(connection, &rows)
}

/// Returns whether the owner recently signed in from the attempt's network.
fn is_network_known(
    connection: &mut Conn,
    policy: &LockoutPolicy,
    attempt: &PasswordAttempt<'_>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let since = now.saturating_sub(Span::from_secs(KNOWN_NETWORK_DAYS * 86_400));
    // The networks of an unknown account are queried too, so that the time does not reveal whether
    // the account exists.
    let id = attempt.account.map_or(AccountId(Uuid::nil()), |account| account.id);
    accounts::knows_network(connection, id, attempt.ip, &policy.network_groups, since)
}

/// Returns the counters of an attempt and the policy that applies to each.
fn counters(
    attempt: &PasswordAttempt<'_>,
    policy: &LockoutPolicy,
    network_known: bool,
) -> Vec<(CounterKey, LockoutPolicy)> {
    let holding = lockout::policy_for(attempt.ip, policy).into_owned();
    let keys = lockout::counters_of(attempt.name_key, attempt.ip, attempt.user_agent, policy);
    let keys = if network_known { from_known_network(keys) } else { keys };
    keys.into_iter().map(|key| (key, holding.clone())).collect()
}

/// Returns the keys of other forms of the lock, of ceilings that are off, and of the strangers'
/// ceiling of an owner, because an administrator's block applies there too.
fn earlier_keys(attempt: &PasswordAttempt<'_>, policy: &LockoutPolicy, network_known: bool) -> Vec<CounterKey> {
    let current = (policy.by_user_and_ip, policy.by_user_agent);
    let shapes = [(false, false), (false, true), (true, false), (true, true)];
    let others = shapes.into_iter().filter(|shape| *shape != current);
    others
        .flat_map(|(by_user_and_ip, by_user_agent)| {
            let other = LockoutPolicy {
                by_user_and_ip,
                by_user_agent,
                ..policy.clone()
            };
            lockout::counters_of(attempt.name_key, attempt.ip, attempt.user_agent, &other)
        })
        .filter(|key| key.kind == CounterKind::Key)
        .chain(ceilings(attempt, policy, network_known))
        .collect()
}

/// Returns the ceilings that the policy switches off, and the strangers' ceiling of an owner.
fn ceilings(attempt: &PasswordAttempt<'_>, policy: &LockoutPolicy, network_known: bool) -> Vec<CounterKey> {
    let with_ceilings = LockoutPolicy {
        ip_ceiling: 1,
        account_ceiling: 1,
        ..policy.clone()
    };
    let is_meant = |kind: CounterKind| {
        lockout::limit(kind, policy).is_none() || (network_known && kind == CounterKind::AccountCeiling)
    };
    lockout::counters_of(attempt.name_key, attempt.ip, attempt.user_agent, &with_ceilings)
        .into_iter()
        .filter(|key| key.kind != CounterKind::Key && is_meant(key.kind))
        .collect()
}
