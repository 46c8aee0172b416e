//! Notifying owners that wrong passwords were tried for their account until a lock began. The write
//! of the lock only queues a notice, with the same statements for every name; a job finds the
//! account.

use crate::{
    domain::{
        account::name_key,
        audit::RequestOrigin,
        lockout::{CounterKind, Lockout},
        mail::EmailKind,
        notification::NotificationKind,
        time::Span,
    },
    flows::{Ctx, FlowError, Write},
    mail::render::notifications::NotificationEmail,
    store::{
        StoreError, accounts,
        lockout_notices::{self, LockoutNotice},
        notifications,
    },
};

/// Minimum time between two emails about lockouts of one account.
const PAUSE: Span = Span::from_secs(3600);
/// Maximum number of notices processed in one run of the job.
const BATCH: i64 = 50;

/// Returns the names whose owners are notified of a lock. The lock of a whole address belongs to no
/// account; administrators see it.
fn names(lock: &Lockout) -> Vec<String> {
    match (lock.key.kind, &lock.key.account) {
        (CounterKind::IpCeiling, _) => Vec::new(),
        (
            CounterKind::Key | CounterKind::AccountCeiling | CounterKind::KnownCeiling | CounterKind::Factor,
            Some(key),
        ) => vec![key.clone()],
        (CounterKind::Key | CounterKind::AccountCeiling | CounterKind::KnownCeiling | CounterKind::Factor, None) => {
            let mut keys: Vec<String> = lock.names_tried.iter().map(|name| name_key(name)).collect();
            keys.sort();
            keys.dedup();
            keys
        }
    }
}

impl Write<'_> {
    /// Queues a notice of a lock that began.
    pub(in crate::flows) fn queue_lockout_notice(
        &mut self,
        lock: &Lockout,
        origin: &RequestOrigin,
    ) -> Result<(), StoreError> {
        if !self
            .ctx
            .in_force()
            .everyone()
            .notifications
            .contains(&NotificationKind::Lockout)
        {
            return Ok(());
        }
        for account_key in names(lock) {
            let notice = LockoutNotice {
                id: self.ctx.new_id(self.now),
                account_key,
                failures: i32::try_from(lock.counter.failures.len()).unwrap_or(i32::MAX),
                ip: origin.ip,
                by_address: lock.key.account.is_none(),
                began_at: self.now,
            };
            lockout_notices::queue(self.connection, &notice)?;
        }
        Ok(())
    }

    /// Processes a notice and queues the email, unless the owner had one within the hour.
    fn notify_lockout(&mut self, notice: &LockoutNotice) -> Result<(), StoreError> {
        if !lockout_notices::take(self.connection, notice.id)? {
            return Ok(());
        }
        // The account's row is locked: of two simultaneous notices the second finds the email of
        // the first.
        let Some(account) = accounts::find_by_name_key(self.connection, &notice.account_key)? else {
            return Ok(());
        };
        let since = self.now.saturating_sub(PAUSE);
        if notifications::has_email_since(self.connection, account.id, EmailKind::LockedOut.as_str(), since)? {
            return Ok(());
        }
        let ip = notice.ip.map(|ip| ip.to_string());
        let (began_at, failures) = (notice.began_at, notice.failures);
        let email = NotificationEmail::locked_out(&account.name, began_at, failures, ip.as_deref(), notice.by_address);
        self.notify(&account, NotificationKind::Lockout, &email).map(drop)
    }
}

/// Sends the queued notices and returns how many were processed. Called by a job.
pub async fn notify_lockouts(ctx: &Ctx) -> Result<usize, FlowError> {
    let waiting = ctx
        .store
        .read(|connection| lockout_notices::list_waiting(connection, BATCH))
        .await?;
    let taken = waiting.len();
    for notice in waiting {
        let notify = move |w: &mut Write<'_>| Ok(w.notify_lockout(&notice)?);
        ctx.write_as_system(notify).await?;
    }
    Ok(taken)
}
