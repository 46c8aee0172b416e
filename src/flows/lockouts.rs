//! Looking at lockouts and releasing them.

use super::{Acting, Ctx, FlowError, attempts};
use crate::{
    domain::{
        account::name_key,
        audit::{Event, Origin},
        lockout::{self, Locked},
    },
    live::policy::InForce,
    store::{
        Conn, StoreError,
        changes::{self, ChangeKind},
        lockouts::{self, Lockout, LockoutFilter, LockoutListState},
    },
};
use std::net::IpAddr;
use uuid::Uuid;

/// A counter under today's policy.
#[derive(Debug, Clone)]
pub struct LockoutView {
    pub lockout: Lockout,
    pub failures: usize,
    /// Failures that lock; `None` = this counter never locks.
    pub limit: Option<u32>,
    pub locked: Option<Locked>,
}

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

/// Releases one lock and its counter. False: there is none of that id.
pub async fn unlock(ctx: &Ctx, acting: &Acting, id: Uuid) -> Result<bool, FlowError> {
    let (flow, acting) = (ctx.clone(), acting.clone());
    Ok(ctx
        .store
        .write(move |c| {
            let Some(row) = lockouts::get(c, id)? else {
                return Ok(false);
            };
            flow.release_in(c, &acting, row)?;
            Ok::<_, StoreError>(true)
        })
        .await?)
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
        .write(move |c| flow.release_matching_in(c, &acting, account.as_deref(), ip.as_deref()))
        .await?)
}

impl Ctx {
    pub(super) fn lockout_view(&self, in_force: &InForce, mut lockout: Lockout) -> LockoutView {
        let policy = &in_force.everyone().lockout;
        let now = self.now();
        lockout.counter.settle(lockout.key.kind, policy, now);
        LockoutView {
            failures: lockout.counter.failures.len(),
            limit: lockout::limit(lockout.key.kind, policy),
            locked: lockout.counter.locked_at(lockout.key.kind, policy, now),
            lockout,
        }
    }

    pub(super) fn release_matching_in(
        &self,
        c: &mut Conn,
        acting: &Acting,
        account_key: Option<&str>,
        ip: Option<&str>,
    ) -> Result<usize, StoreError> {
        let mut rows = lockouts::matching(c, account_key, ip)?;
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
                "keys": { "ip": row.key.ip, "account": row.key.account, "user_agent": row.key.user_agent },
                "failures": row.counter.failures.len(),
                "locked": row.counter.locked_at.is_some(),
            }),
        );
        entry.account = row.key.account.clone().map(|account| (None, account));
        self.record(c, self.now(), &entry)?;
        changes::announce(c, ChangeKind::Lockout, &row.id.to_string())?;
        row.counter.release();
        attempts::keep(c, vec![(row, &self.in_force().everyone().lockout)], self.now())
    }
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
