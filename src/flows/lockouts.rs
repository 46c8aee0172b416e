//! Reading and releasing lockouts, and blocking by an administrator.

use super::{Ctx, FlowError, Initiator, Read, Write};
use crate::{
    domain::{
        account::{name_key, profile::FieldFault},
        audit::{Actor, Event, RequestOrigin},
        lockout::{
            self, AttackPattern, CounterKey, LockDuration, Lockout, LockoutFilter, LockoutListState, find_patterns,
        },
        policy::effective::LockoutPolicy,
        skew,
        time::Timestamp,
    },
    live::policy::PolicyInForce,
    store::{StoreError, accounts, lockouts},
};
use ipnetwork::IpNetwork;
use std::{borrow::Cow, net::IpAddr};
use uuid::Uuid;

/// Returns a counter under the policy in force.
#[derive(Debug, Clone)]
pub struct LockoutView {
    /// The counter.
    pub lockout: Lockout,
    /// The number of failures that count now.
    pub failures: usize,
    /// Number of failures that lock; `None`: this counter never locks.
    pub limit: Option<u32>,
    /// How long it locks; `None`: it does not.
    pub locked: Option<LockDuration>,
    /// The reason of an administrator's block; empty if none was given.
    pub blocked: Option<String>,
}

/// The subject of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockTarget {
    /// A lock or counter of the list, by its ID.
    Listed(Uuid),
    /// A username as typed, an address, or the username from that address only.
    Key {
        account: Option<String>,
        ip: Option<IpAddr>,
    },
}

/// The result of a block.
#[derive(Debug, PartialEq, Eq)]
pub enum BlockOutcome {
    Done,
    /// There is no such lock or counter.
    Unknown,
    /// Fields with their error messages.
    Faulty(Vec<FieldFault>),
}

/// Maximum length of a block's reason, in characters.
const MAX_REASON_LENGTH: usize = 200;

/// One page of locks and counters.
pub struct LockoutList {
    /// Latest attempt first.
    pub items: Vec<LockoutView>,
    /// The number of matches.
    pub total: i64,
    /// The number of matches that are locked.
    pub locked: i64,
    /// The number of matches that count without a lock.
    pub counting: i64,
    /// Whether there are newer ones than the page shows.
    pub newer: bool,
    /// Whether there are older ones than the page shows.
    pub older: bool,
    /// Whether every lock shown has the same address, which is probably a proxy that is not
    /// trusted.
    pub one_address: bool,
}

/// Lists the locks and counters that a filter matches.
pub async fn list(ctx: &Ctx, filter: LockoutFilter) -> Result<LockoutList, FlowError> {
    let in_force = ctx.current_policy().await?;
    ctx.read(move |r| {
        let in_state = |state| LockoutFilter {
            state,
            ..filter.clone()
        };
        let page = lockouts::list(r.connection, &filter)?;
        let items: Vec<LockoutView> = page
            .items
            .into_iter()
            .map(|lockout| r.lockout_view(&in_force, lockout))
            .collect();
        let held = items.iter().filter(|view| view.locked.is_some());
        let addresses: Vec<_> = held.map(|view| view.lockout.last_ip).collect();
        let one_address = addresses.len() > 1 && addresses.iter().all(|ip| ip.is_some() && *ip == addresses[0]);
        Ok(LockoutList {
            items,
            total: lockouts::count(r.connection, &filter)?,
            locked: lockouts::count(r.connection, &in_state(LockoutListState::Locked))?,
            counting: lockouts::count(r.connection, &in_state(LockoutListState::Counting))?,
            newer: page.newer,
            older: page.older,
            one_address,
        })
    })
    .await
}

/// Maximum number of counters, latest attempt first, among which patterns are found.
const PATTERN_COUNTERS: i64 = 1_000;

/// Finds the patterns among the latest counters that look like an attack, the largest first.
pub async fn list_patterns(ctx: &Ctx) -> Result<Vec<AttackPattern>, FlowError> {
    ctx.read(|r| {
        let latest = LockoutFilter {
            limit: PATTERN_COUNTERS,
            ..LockoutFilter::default()
        };
        Ok(find_patterns(&lockouts::list(r.connection, &latest)?.items))
    })
    .await
}

/// Finds a counter by its ID, under the current policy.
pub async fn find(ctx: &Ctx, id: Uuid) -> Result<Option<LockoutView>, FlowError> {
    let in_force = ctx.current_policy().await?;
    ctx.read(move |r| {
        let found = lockouts::find_by_id(r.connection, id)?;
        Ok(found.map(|lockout| r.lockout_view(&in_force, lockout)))
    })
    .await
}

/// Releases locks, blocks and their counters, and the counts of directories
/// ([`super::bind_limits::UsedUpBinds`]); returns how many of those IDs existed.
pub async fn unlock(ctx: &Ctx, initiator: &Initiator, mut ids: Vec<Uuid>) -> Result<usize, FlowError> {
    // The order in which sign-ins lock the rows.
    ids.sort_unstable();
    ids.dedup();
    ctx.write(initiator, move |w| {
        let (mut released, mut others) = (0, Vec::new());
        for id in ids {
            let Some(row) = lockouts::find_by_id(w.connection, id)? else {
                others.push(id);
                continue;
            };
            let account_key = row.key.account.clone();
            w.release_lockout(row)?;
            if let Some(key) = account_key {
                w.release_binds_of(&key)?;
            }
            released += 1;
        }
        Ok(released + w.release_used_up(&others)?)
    })
    .await
}

/// Refuses every sign-in with that key until then, or until an administrator unlocks it, regardless
/// of the policy and its allow list.
pub async fn block(
    ctx: &Ctx,
    initiator: &Initiator,
    what: BlockTarget,
    until: Option<Timestamp>,
    reason: &str,
) -> Result<BlockOutcome, FlowError> {
    let reason = reason.trim().to_owned();
    let mut faults = block_faults(until, &reason, ctx.now());
    let key = match &what {
        BlockTarget::Listed(_) => None,
        BlockTarget::Key { account, ip } => {
            let key = lockout::key_of(account.as_deref().map(name_key), *ip);
            if key.is_none() {
                faults.insert(0, ("account", "Enter a username, an IP address, or both.".to_owned()));
            }
            key
        }
    };
    ctx.write(initiator, move |w| {
        let key = match what {
            BlockTarget::Listed(id) => match lockouts::find_by_id(w.connection, id)? {
                Some(row) => Some(row.key),
                None => return Ok(BlockOutcome::Unknown),
            },
            BlockTarget::Key { .. } => key,
        };
        let Some(key) = key else {
            return Ok(BlockOutcome::Faulty(faults));
        };
        faults.extend(self_lockout_fault(&w.initiator, &key));
        if !faults.is_empty() {
            return Ok(BlockOutcome::Faulty(faults));
        }
        w.block_key(&key, until, &reason)?;
        Ok(BlockOutcome::Done)
    })
    .await
}

/// Releases the locks and counters of this account (as typed) or this address and returns their
/// number.
pub async fn unlock_matching(
    ctx: &Ctx,
    initiator: &Initiator,
    account: Option<&str>,
    ip: Option<IpAddr>,
) -> Result<usize, FlowError> {
    let account = account.map(name_key);
    let ip = ip.map(lockout::address_key);
    ctx.write(initiator, move |w| {
        Ok(w.release_matching(account.as_deref(), ip.as_deref(), true)?)
    })
    .await
}

/// Returns the faults of the end and the reason of a block.
fn block_faults(until: Option<Timestamp>, reason: &str, now: Timestamp) -> Vec<FieldFault> {
    let mut faults = Vec::new();
    if until.is_some_and(|until| until <= now) {
        faults.push(("until", "Enter a time in the future, or leave it blank.".to_owned()));
    }
    if reason.chars().count() > MAX_REASON_LENGTH || reason.chars().any(char::is_control) {
        let message = format!("At most {MAX_REASON_LENGTH} characters, without control characters.");
        faults.push(("reason", message));
    }
    faults
}

/// Returns a fault if the block would lock out the administrator who requests it.
fn self_lockout_fault(initiator: &Initiator, key: &CounterKey) -> Option<FieldFault> {
    let Actor::Account { name, .. } = &initiator.actor else {
        return None;
    };
    let own_name = key.account.as_ref().is_none_or(|account| *account == name_key(name));
    let own_ip = initiator.origin.ip.map(lockout::address_key);
    let own_place = key.ip.is_none() || key.ip == own_ip;
    let field = if key.account.is_some() { "account" } else { "ip" };
    (own_name && own_place).then(|| (field, "This block would lock you out.".to_owned()))
}

impl Read<'_> {
    /// Returns a counter under the policy in force.
    pub(super) fn lockout_view(&self, in_force: &PolicyInForce, mut lockout: Lockout) -> LockoutView {
        let now = self.now;
        let ip = lockout.key.ip.as_ref().and_then(|ip| ip.parse::<IpNetwork>().ok());
        let everyone = &in_force.everyone().lockout;
        // Addresses on the allow list are counted, but never locked.
        let policy = &*ip.map_or(Cow::Borrowed(everyone), |ip| lockout::policy_for(ip.ip(), everyone));
        lockout.counter.settle(lockout.key.kind, policy, now);
        LockoutView {
            failures: lockout.counter.failures.len(),
            limit: lockout::limit(lockout.key.kind, policy),
            locked: lockout.counter.locked_at(lockout.key.kind, policy, now),
            blocked: lockout
                .counter
                .blocked_until
                .map(|_| lockout.counter.block_reason.clone()),
            lockout,
        }
    }
}

impl Write<'_> {
    fn block_key(&mut self, key: &CounterKey, until: Option<Timestamp>, reason: &str) -> Result<(), StoreError> {
        for mut row in lockouts::lock_all(self.connection, std::slice::from_ref(key), self.now)? {
            row.counter.block(until, reason);
            let entry = self.entry(Event::LockoutBlocked).about_name(row.key.account.clone());
            self.record(&entry.with_detail(serde_json::json!({
                "keys": keys_of(&row.key), "until": until.map(Timestamp::to_rfc3339), "why": reason,
            })))?;
            lockouts::save_all(self.connection, &[row])?;
        }
        Ok(())
    }

    /// Releases locks of this account or address, with or without blocks; returns their number.
    pub(super) fn release_matching(
        &mut self,
        account_key: Option<&str>,
        ip: Option<&str>,
        blocks_too: bool,
    ) -> Result<usize, StoreError> {
        let mut rows = lockouts::list_matching(self.connection, account_key, ip)?;
        rows.retain(|row| blocks_too || row.counter.blocked_until.is_none());
        // The order in which sign-ins lock the rows.
        rows.sort_by_key(|row| row.id);
        let mut released = 0;
        for row in rows {
            // Read again with its row locked, because a sign-in may have cleared it in the
            // meantime.
            if let Some(row) = lockouts::find_by_id(self.connection, row.id)? {
                self.release_lockout(row)?;
                released += 1;
            }
        }
        if let (Some(key), None) = (account_key, ip) {
            released += usize::from(self.release_binds_of(key)?);
        }
        Ok(released)
    }

    /// Forgets the wrong passwords of a name that its directory counts (`bind_limit`); returns
    /// whether there were any.
    fn release_binds_of(&mut self, account_key: &str) -> Result<bool, StoreError> {
        let Some(account) = accounts::find_by_name_key(self.connection, account_key)? else {
            return Ok(false);
        };
        let binds = self.release_binds(&account)?;
        if binds > 0 {
            let entry = self
                .entry(Event::LockoutReleased)
                .with_account(account.id, &account.name);
            self.record(&entry.with_detail(serde_json::json!({ "binds": binds })))?;
        }
        Ok(binds > 0)
    }

    /// Clears lock and failures; attempts in flight keep their reservations.
    fn release_lockout(&mut self, mut row: Lockout) -> Result<(), StoreError> {
        let entry = self.entry(Event::LockoutReleased).about_name(row.key.account.clone());
        self.record(&entry.with_detail(serde_json::json!({
            "keys": keys_of(&row.key),
            "failures": row.counter.failures.len(),
            "locked": row.counter.locked_at.is_some(),
            "blocked": row.counter.blocked_until.is_some(),
        })))?;
        row.counter.release();
        let in_force = self.ctx.in_force();
        self.keep_counters(vec![(row, &in_force.everyone().lockout)])
    }

    /// Settles locks that have ended, at most `limit`, and removes idle counters; returns how many
    /// locks ended.
    fn settle_due_lockouts(&mut self, policy: &LockoutPolicy, limit: i64) -> Result<usize, StoreError> {
        let mut ended = 0;
        let mut due = lockouts::list_due(self.connection, limit)?;
        let future = self.now.saturating_add(skew::MAX_SKEW);
        due.extend(lockouts::list_locked_after(self.connection, future, limit)?);
        due.sort_by_key(|row| row.id);
        due.dedup_by_key(|row| row.id);
        for candidate in due {
            let Some(mut row) = lockouts::find_by_id(self.connection, candidate.id)? else {
                continue;
            };
            let locked_at = row.counter.locked_at;
            let has_ended = self.settle_counter(&mut row, policy, &RequestOrigin::default())?;
            // This includes the lock of a clock that ran ahead, which begins now.
            if has_ended || row.counter.locked_at != locked_at {
                lockouts::save_all(self.connection, &[row])?;
            }
            ended += usize::from(has_ended);
        }
        if let Some(cooloff) = policy.cooloff {
            lockouts::purge_idle(self.connection, self.now.saturating_sub(cooloff), limit)?;
        }
        Ok(ended)
    }
}

fn keys_of(key: &CounterKey) -> serde_json::Value {
    serde_json::json!({ "ip": key.ip, "account": key.account, "user_agent": key.user_agent })
}

/// Records the end of locks and removes idle counters; returns how many locks ended.
pub async fn settle_due(ctx: &Ctx) -> Result<usize, FlowError> {
    const BATCH: i64 = 200;
    let in_force = ctx.current_policy().await?;
    ctx.write_as_system(move |w| Ok(w.settle_due_lockouts(&in_force.everyone().lockout, BATCH)?))
        .await
}
