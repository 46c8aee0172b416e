//! Telling people that wrong passwords were tried for their account until something was locked. Only queued inside the write of the lock,
//! with the same statements for every name; a job looks whose name it is.

use super::super::{Ctx, FlowError};
use crate::{
    domain::{
        account::name_key,
        audit::Origin,
        lockout::CounterKind,
        mail::LetterKind,
        notice::Notice,
        time::{Span, Timestamp},
    },
    mail::render::notices::locked_out,
    store::{
        Conn, StoreError, accounts,
        lockout_notices::{self, LockoutNotice},
        lockouts::Lockout,
        notices,
    },
};

/// Letters about lockouts of one account are this far apart at least.
const PAUSE: Span = Span::from_secs(3600);
/// Taken in one run of the job.
const BATCH: i64 = 50;

/// The names of which a lock is told. That of a whole address is nobody's own: it is for administrators.
fn names(lock: &Lockout) -> Vec<String> {
    match (lock.key.kind, &lock.key.account) {
        (CounterKind::IpCeiling, _) => Vec::new(),
        (CounterKind::Key | CounterKind::AccountCeiling, Some(key)) => vec![key.clone()],
        (CounterKind::Key | CounterKind::AccountCeiling, None) => {
            let mut keys: Vec<String> = lock.names_tried.iter().map(|name| name_key(name)).collect();
            keys.sort();
            keys.dedup();
            keys
        }
    }
}

impl Ctx {
    /// A lock began: whoever it concerns is told of it soon.
    pub(in crate::flows) fn queue_lockout_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        lock: &Lockout,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        if !self.in_force().everyone().notices.contains(&Notice::Lockout) {
            return Ok(());
        }
        for account_key in names(lock) {
            let notice = LockoutNotice {
                id: self.new_id(now),
                account_key,
                failures: i32::try_from(lock.counter.failures.len()).unwrap_or(i32::MAX),
                ip: origin.ip,
                by_address: lock.key.account.is_none(),
                began_at: now,
            };
            lockout_notices::queue(c, &notice)?;
        }
        Ok(())
    }

    /// Takes one and writes the letter, unless the owner had one within the hour.
    fn tell_lockout_in(&self, c: &mut Conn, now: Timestamp, notice: &LockoutNotice) -> Result<(), StoreError> {
        if !lockout_notices::take(c, notice.id)? {
            return Ok(());
        }
        // Its row is held: of two notices that come at once the second finds the first one's letter.
        let Some(account) = accounts::find_by_name_key(c, &notice.account_key)? else {
            return Ok(());
        };
        let since = now.saturating_sub(PAUSE);
        if notices::written_since(c, account.id, LetterKind::LockedOut.as_str(), since)? {
            return Ok(());
        }
        let ip = notice.ip.map(|ip| ip.to_string());
        let letter = locked_out(
            &account.name,
            notice.began_at,
            notice.failures,
            ip.as_deref(),
            notice.by_address,
        );
        self.tell_in(c, now, &account, Notice::Lockout, &letter).map(drop)
    }
}

/// Tells of the lockouts that wait; the job calls it. How many were taken.
pub async fn tell_lockouts(ctx: &Ctx) -> Result<usize, FlowError> {
    let waiting = ctx.store.read(|c| lockout_notices::waiting(c, BATCH)).await?;
    let taken = waiting.len();
    for notice in waiting {
        let (flow, now) = (ctx.clone(), ctx.now());
        ctx.store.write(move |c| flow.tell_lockout_in(c, now, &notice)).await?;
    }
    Ok(taken)
}
