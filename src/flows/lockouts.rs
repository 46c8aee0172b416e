//! Looking at lockouts, releasing them, and blocking by hand.

use super::{Acting, Ctx, FlowError, attempts};
use crate::{
    domain::{
        account::{name_key, profile::FieldFault},
        audit::{Actor, Event, Origin},
        lockout::{self, CounterKey, Locked},
        time::Timestamp,
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        changes::{self, ChangeKind},
        lockouts::{self, Lockout, LockoutFilter, LockoutListState},
    },
};
use ipnetwork::IpNetwork;
use std::{borrow::Cow, net::IpAddr};
use uuid::Uuid;

/// A counter under today's policy.
#[derive(Debug, Clone)]
pub struct LockoutView {
    pub lockout: Lockout,
    pub failures: usize,
    /// Failures that lock; `None` = this counter never locks.
    pub limit: Option<u32>,
    pub locked: Option<Locked>,
    /// An administrator's block, in their words; blank when they gave none.
    pub blocked: Option<String>,
}

/// What an administrator blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocking {
    /// A lock or counter of the list, with its key.
    Listed(Uuid),
    /// A name as typed, an address, or the name from that address alone.
    Key {
        account: Option<String>,
        ip: Option<IpAddr>,
    },
}

/// What became of a block.
#[derive(Debug, PartialEq, Eq)]
pub enum Blocked {
    Done,
    /// There is no such lock or counter.
    Unknown,
    /// Field and what is wrong with it.
    Faulty(Vec<FieldFault>),
}

/// Longest reason of a block, in characters.
const MOST_REASON: usize = 200;

pub struct LockoutList {
    pub items: Vec<LockoutView>,
    pub total: i64,
    pub locked: i64,
    pub counting: i64,
    pub newer: bool,
    pub older: bool,
    /// Every lock shown has one address: probably a proxy that is not trusted.
    pub one_address: bool,
}

pub async fn list(ctx: &Ctx, filter: LockoutFilter) -> Result<LockoutList, FlowError> {
    let in_force = ctx.current_policy().await?;
    let (page, total, locked, counting) = ctx
        .store
        .read(move |c| {
            let of = |state| LockoutFilter {
                state,
                ..filter.clone()
            };
            Ok::<_, StoreError>((
                lockouts::list(c, &filter)?,
                lockouts::count(c, &filter)?,
                lockouts::count(c, &of(LockoutListState::Locked))?,
                lockouts::count(c, &of(LockoutListState::Counting))?,
            ))
        })
        .await?;
    let items: Vec<LockoutView> = page
        .items
        .into_iter()
        .map(|lockout| ctx.lockout_view(&in_force, lockout))
        .collect();
    let held = items.iter().filter(|view| view.locked.is_some());
    let addresses: Vec<_> = held.map(|view| view.lockout.last_ip).collect();
    let one_address = addresses.len() > 1 && addresses.iter().all(|ip| ip.is_some() && *ip == addresses[0]);
    Ok(LockoutList {
        items,
        total,
        locked,
        counting,
        newer: page.newer,
        older: page.older,
        one_address,
    })
}

/// The counter of that id under today's policy.
pub async fn find(ctx: &Ctx, id: Uuid) -> Result<Option<LockoutView>, FlowError> {
    let in_force = ctx.current_policy().await?;
    let found = ctx.store.read(move |c| lockouts::get(c, id)).await?;
    Ok(found.map(|lockout| ctx.lockout_view(&in_force, lockout)))
}

/// Releases locks and their counters, blocks too; how many there were of those ids.
pub async fn unlock(ctx: &Ctx, acting: &Acting, mut ids: Vec<Uuid>) -> Result<usize, FlowError> {
    let (flow, acting) = (ctx.clone(), acting.clone());
    // The order in which sign-ins take them.
    ids.sort_unstable();
    ids.dedup();
    Ok(ctx
        .store
        .write(move |c| {
            let mut released = 0;
            for id in ids {
                if let Some(row) = lockouts::get(c, id)? {
                    flow.release_in(c, &acting, row)?;
                    released += 1;
                }
            }
            Ok::<_, StoreError>(released)
        })
        .await?)
}

/// Refuses every sign-in with that key until then, or until somebody unlocks it: whatever the policy's switches and its allow list say.
pub async fn block(
    ctx: &Ctx,
    acting: &Acting,
    what: Blocking,
    until: Option<Timestamp>,
    reason: &str,
) -> Result<Blocked, FlowError> {
    let (flow, acting, reason) = (ctx.clone(), acting.clone(), reason.trim().to_owned());
    let mut faults = block_faults(until, &reason, ctx.now());
    let key = match &what {
        Blocking::Listed(_) => None,
        Blocking::Key { account, ip } => {
            let key = lockout::key_of(account.as_deref().map(name_key), *ip);
            if key.is_none() {
                faults.insert(0, ("account", "Write a user name, an address, or both.".to_owned()));
            }
            key
        }
    };
    ctx.store
        .write(move |c| {
            let key = match what {
                Blocking::Listed(id) => match lockouts::get(c, id)? {
                    Some(row) => Some(row.key),
                    None => return Ok(Blocked::Unknown),
                },
                Blocking::Key { .. } => key,
            };
            let Some(key) = key else {
                return Ok(Blocked::Faulty(faults));
            };
            faults.extend(flow.own_fault(&acting, &key));
            if !faults.is_empty() {
                return Ok(Blocked::Faulty(faults));
            }
            flow.block_in(c, &acting, &key, until, &reason)?;
            Ok::<_, FlowError>(Blocked::Done)
        })
        .await
}

/// Releases what names this account (as typed) or this address; how many.
pub async fn unlock_matching(
    ctx: &Ctx,
    acting: &Acting,
    account: Option<&str>,
    ip: Option<IpAddr>,
) -> Result<usize, FlowError> {
    let (flow, acting) = (ctx.clone(), acting.clone());
    let account = account.map(name_key);
    let ip = ip.map(lockout::address_key);
    Ok(ctx
        .store
        .write(move |c| flow.release_matching_in(c, &acting, account.as_deref(), ip.as_deref(), true))
        .await?)
}

/// What is wrong with the end and the reason of a block.
fn block_faults(until: Option<Timestamp>, reason: &str, now: Timestamp) -> Vec<FieldFault> {
    let mut faults = Vec::new();
    if until.is_some_and(|until| until <= now) {
        faults.push(("until", "It ends in the future, or not by itself.".to_owned()));
    }
    if reason.chars().count() > MOST_REASON || reason.chars().any(char::is_control) {
        let message = format!("At most {MOST_REASON} characters, without control characters.");
        faults.push(("reason", message));
    }
    faults
}

impl Ctx {
    pub(super) fn lockout_view(&self, in_force: &InForce, mut lockout: Lockout) -> LockoutView {
        let now = self.now();
        let ip = lockout.key.ip.as_ref().and_then(|ip| ip.parse::<IpNetwork>().ok());
        let everyone = &in_force.everyone().lockout;
        // What the allow list names is counted, and never locked.
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

    /// Whoever asks is not locked out by what they ask for.
    fn own_fault(&self, acting: &Acting, key: &CounterKey) -> Option<FieldFault> {
        let Actor::Account { name, .. } = &acting.actor else {
            return None;
        };
        let own_name = key.account.as_ref().is_none_or(|account| *account == name_key(name));
        let own_ip = acting.origin.ip.map(lockout::address_key);
        let own_place = key.ip.is_none() || key.ip == own_ip;
        let field = if key.account.is_some() { "account" } else { "ip" };
        (own_name && own_place).then(|| (field, "That would lock you out yourself.".to_owned()))
    }

    fn block_in(
        &self,
        c: &mut Conn,
        acting: &Acting,
        key: &CounterKey,
        until: Option<Timestamp>,
        reason: &str,
    ) -> Result<(), StoreError> {
        let now = self.now();
        for mut row in lockouts::lock_all(c, std::slice::from_ref(key), now)? {
            row.counter.block(until, reason);
            let mut entry = self.entry_of(
                acting,
                Event::LockoutBlocked,
                None,
                serde_json::json!({
                    "keys": keys_of(&row.key), "until": until.map(Timestamp::to_rfc3339), "why": reason,
                }),
            );
            entry.account = row.key.account.clone().map(|account| (None, account));
            self.record(c, now, &entry)?;
            changes::announce(c, ChangeKind::Lockout, &row.id.to_string())?;
            lockouts::save_all(c, &[row])?;
        }
        Ok(())
    }

    /// What names this account or address; blocks too, or all but them.
    pub(super) fn release_matching_in(
        &self,
        c: &mut Conn,
        acting: &Acting,
        account_key: Option<&str>,
        ip: Option<&str>,
        blocks_too: bool,
    ) -> Result<usize, StoreError> {
        let mut rows = lockouts::matching(c, account_key, ip)?;
        rows.retain(|row| blocks_too || row.counter.blocked_until.is_none());
        // The order in which sign-ins take them.
        rows.sort_by_key(|row| row.id);
        let mut released = 0;
        for row in rows {
            // As it is now, its row held: a sign-in may have cleared it meanwhile.
            if let Some(row) = lockouts::get(c, row.id)? {
                self.release_in(c, acting, row)?;
                released += 1;
            }
        }
        Ok(released)
    }

    /// Lock and failures go; guesses under way keep their place.
    fn release_in(&self, c: &mut Conn, acting: &Acting, mut row: Lockout) -> Result<(), StoreError> {
        let mut entry = self.entry_of(
            acting,
            Event::LockoutReleased,
            None,
            serde_json::json!({
                "keys": keys_of(&row.key),
                "failures": row.counter.failures.len(),
                "locked": row.counter.locked_at.is_some(),
                "blocked": row.counter.blocked_until.is_some(),
            }),
        );
        entry.account = row.key.account.clone().map(|account| (None, account));
        self.record(c, self.now(), &entry)?;
        changes::announce(c, ChangeKind::Lockout, &row.id.to_string())?;
        row.counter.release();
        attempts::keep(c, vec![(row, &self.in_force().everyone().lockout)], self.now())
    }
}

fn keys_of(key: &CounterKey) -> serde_json::Value {
    serde_json::json!({ "ip": key.ip, "account": key.account, "user_agent": key.user_agent })
}

/// Locks that ran out are said to have ended, and idle counters are removed. How many locks ended.
pub async fn settle_due(ctx: &Ctx) -> Result<usize, FlowError> {
    const BATCH: i64 = 200;
    let in_force = ctx.current_policy().await?;
    let (flow, now) = (ctx.clone(), ctx.now());
    Ok(ctx
        .store
        .write(move |c| {
            let policy = &in_force.everyone().lockout;
            let mut ended = 0;
            let mut due = lockouts::due(c, BATCH)?;
            due.sort_by_key(|row| row.id);
            for candidate in due {
                let Some(mut row) = lockouts::get(c, candidate.id)? else {
                    continue;
                };
                if flow.settle_in(c, now, &mut row, policy, &Origin::default())? {
                    lockouts::save_all(c, &[row])?;
                    ended += 1;
                }
            }
            if let Some(cooloff) = policy.cooloff {
                lockouts::purge_idle(c, now.saturating_sub(cooloff), BATCH)?;
            }
            Ok::<_, StoreError>(ended)
        })
        .await?)
}
