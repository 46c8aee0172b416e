//! The counters of attempts at a second factor, and which of them a completed sign-in clears.

use super::{AttemptReservation, CounterSnapshot, PasswordAttempt, counters, is_network_known, notes::stored_name};
use crate::{
    domain::{
        lockout::{self, Counter, CounterKey, CounterKind, LockDuration, Lockout, from_known_network},
        policy::effective::LockoutPolicy,
        time::Timestamp,
    },
    flows::{Read, Write},
    store::{StoreError, lockouts},
};
use uuid::Uuid;

impl Read<'_> {
    /// Reads the counters of an attempt at a code: the account's counter for this network, and the
    /// account's ceiling. The allow list exempts passwords but not codes.
    pub(in crate::flows) fn code_counters(
        &mut self,
        policy: &LockoutPolicy,
        attempt: &PasswordAttempt<'_>,
    ) -> Result<CounterSnapshot, StoreError> {
        let ceilings = lockout::counters_of(attempt.name_key, attempt.ip, None, policy)
            .into_iter()
            .filter(|key| key.kind == CounterKind::AccountCeiling);
        let keys: Vec<_> = std::iter::once(lockout::factor_key(attempt.name_key, attempt.ip))
            .chain(ceilings)
            .collect();
        let known = is_network_known(self.connection, policy, attempt, self.now)?;
        let keys = if known { from_known_network(keys) } else { keys };
        let counters = keys.into_iter().map(|key| (key, policy.clone())).collect();
        self.factor_snapshot(counters, attempt)
    }

    /// Reads the counter of an attempt at a passkey. Only the address counts, so that strangers
    /// cannot lock a passkey.
    pub(in crate::flows) fn address_counters(
        &mut self,
        policy: &LockoutPolicy,
        attempt: &PasswordAttempt<'_>,
    ) -> Result<CounterSnapshot, StoreError> {
        let holding = lockout::policy_for(attempt.ip, policy).into_owned();
        let counters = lockout::counters_of("", attempt.ip, None, &holding)
            .into_iter()
            .filter(|key| key.kind == CounterKind::IpCeiling)
            .map(|key| (key, holding.clone()))
            .collect();
        self.factor_snapshot(counters, attempt)
    }

    /// Returns the current counters. An administrator's block on the account, the address or both
    /// refuses every attempt.
    fn factor_snapshot(
        &mut self,
        counters: Vec<(CounterKey, LockoutPolicy)>,
        attempt: &PasswordAttempt<'_>,
    ) -> Result<CounterSnapshot, StoreError> {
        let now = self.now;
        let name = || Some(attempt.name_key.to_owned());
        let blocks = [
            lockout::key_of(name(), Some(attempt.ip)),
            lockout::key_of(name(), None),
            lockout::key_of(None, Some(attempt.ip)),
        ];
        let mut keys: Vec<CounterKey> = counters.iter().map(|(key, _)| key.clone()).collect();
        keys.extend(blocks.into_iter().flatten());
        let mut rows = lockouts::find_all(self.connection, &keys)?;
        let blocking = rows.split_off(counters.len());
        let blocked = |row: &Lockout| match row.counter.blocked_until? {
            Counter::FOR_EVER => Some(LockDuration::UntilUnlocked),
            until => Some(LockDuration::Until(Timestamp::from_micros(until))).filter(|_| now.as_micros() <= until),
        };
        Ok(CounterSnapshot {
            untried: rows.iter().all(Option::is_none),
            earlier: blocking
                .iter()
                .flatten()
                .filter_map(blocked)
                .reduce(LockDuration::longer),
            flooded: None,
            counters,
        })
    }
}

impl Read<'_> {
    /// Returns an attempt at a passkey that needs no reservation, because its counters store
    /// nothing: it writes only if it fails. `None`: it must be reserved first.
    ///
    /// A signature cannot be guessed, so that the counters only slow floods down; attempts that
    /// begin before the first failure is counted are all checked.
    pub(in crate::flows) fn unreserved_attempt(
        &mut self,
        policy: &LockoutPolicy,
        attempt: &PasswordAttempt<'_>,
    ) -> Result<Option<AttemptReservation>, StoreError> {
        let snapshot = self.address_counters(policy, attempt)?;
        let is_free = snapshot.untried && snapshot.earlier.is_none();
        Ok(is_free.then(|| AttemptReservation {
            id: self.ctx.new_id(self.now),
            name: stored_name(attempt.typed),
            counters: snapshot.counters,
            is_stored: false,
        }))
    }
}

impl Write<'_> {
    /// Resets the counters that contain the user, for an attempt that has no reservation in them.
    pub(in crate::flows) fn clear_failures(
        &mut self,
        policy: &LockoutPolicy,
        attempt: &PasswordAttempt<'_>,
    ) -> Result<(), StoreError> {
        let known = is_network_known(self.connection, policy, attempt, self.now)?;
        for (key, policy) in counters(attempt, policy, known) {
            if !key.cleared_by_success() {
                continue;
            }
            if let Some(mut row) = lockouts::find(self.connection, &key)? {
                row.counter.succeed(Uuid::nil(), true);
                self.keep_counters(vec![(row, &policy)])?;
            }
        }
        Ok(())
    }
}
