//! Emails that become due with time: accounts that expire soon, and the digest for administrators.
//! Called by jobs.

use crate::{
    domain::{
        account::{AccountFilter, AccountId, AccountListState, Role},
        audit::{AuditFilter, AuditRecord, Event},
        digest::{DigestEvent, LOOKED_AT, describe_locked, digest},
        notification::NotificationKind,
        time::{Span, Timestamp},
    },
    flows::{Ctx, FlowError, Write, expiry::expiry_bounds},
    live::policy::PolicyInForce,
    mail::render::notifications::NotificationEmail,
    store::{Conn, StoreError, accounts, audit, meta, notifications},
};
use std::sync::Arc;

/// Minimum time between two digests.
const DIGEST_PAUSE: Span = Span::from_secs(3600);
/// The row with the end of the last digest.
const DIGEST_UNTIL: &str = "notices.digest_until";
/// The events that a digest reports. Each kind is read separately, so that a flood of one never
/// hides another.
const REPORTED_EVENTS: [Event; 6] = [
    Event::SignInRefused,
    Event::LockoutBegan,
    Event::SessionRotatedIdReused,
    Event::PolicyChanged,
    Event::PolicyRestored,
    Event::PolicyReverted,
];

/// Notifies accounts that expire within `auth.expiry_notice`, once for each expiry date, and
/// returns their number.
pub async fn notify_expiring(ctx: &Ctx) -> Result<usize, FlowError> {
    const BATCH: i64 = 200;
    let in_force = ctx.current_policy().await?;
    let policy = in_force.everyone();
    let Some(notice) = policy
        .accounts
        .expiry_notice
        .filter(|_| policy.notifications.contains(&NotificationKind::Expiry))
    else {
        return Ok(0);
    };
    let bounds = expiry_bounds(&policy.accounts, ctx.now().saturating_add(notice));
    let (mut after, mut notified) = (None, 0);
    loop {
        let candidates = ctx
            .store
            .read(move |connection| accounts::list_expiry_candidates(connection, &bounds, after, BATCH))
            .await?;
        let Some(last) = candidates.last().map(|account| account.id) else {
            return Ok(notified);
        };
        for account in candidates.into_iter().filter(|account| account.email.is_some()) {
            notified += usize::from(notify_if_due(ctx, &in_force, account.id, notice).await?);
        }
        after = Some(last);
    }
}

/// Notifies one account if it expires within `notice` and was not notified of that date before.
async fn notify_if_due(
    ctx: &Ctx,
    in_force: &Arc<PolicyInForce>,
    id: AccountId,
    notice: Span,
) -> Result<bool, FlowError> {
    let in_force = in_force.clone();
    let kind = NotificationKind::Expiry.as_str();
    let due = ctx.read(move |r| {
        let found = accounts::find(r.connection, id)?.into_iter().collect();
        let view = r.account_views(&in_force, found)?.pop();
        let expires = view.and_then(|view| view.expires);
        let soon = expires.filter(|(at, _)| at.since(r.now) <= notice);
        let notified = notifications::find_latest(r.connection, id, kind)?;
        Ok(soon.filter(|(at, _)| notified != Some(*at)))
    });
    let Some((at, rule)) = due.await? else { return Ok(false) };
    ctx.write_as_system(move |w| {
        let account = accounts::find(w.connection, id)?.ok_or(FlowError::NotFound)?;
        // Another instance may have been first.
        if notifications::find_latest(w.connection, id, kind)? == Some(at) {
            return Ok(false);
        }
        notifications::set_latest(w.connection, id, kind, at)?;
        let email = NotificationEmail::expires_soon(&account.name, at, rule);
        Ok(w.notify(&account, NotificationKind::Expiry, &email)?)
    })
    .await
}

/// Sends administrators a digest of the events since the last one, if an hour has passed and there
/// is something to report; returns the number of emails. The first call starts the hour.
pub async fn send_digest(ctx: &Ctx) -> Result<usize, FlowError> {
    let until = ctx.store.read(|connection| meta::get(connection, DIGEST_UNTIL)).await?;
    let since = until.as_deref().and_then(Timestamp::parse_rfc3339);
    if since.is_some_and(|since| ctx.now().since(since) < DIGEST_PAUSE) {
        return Ok(0);
    }
    ctx.write_as_system(move |w| {
        // Locked first: of two instances the second finds that the hour has restarted.
        accounts::lock_administrators(w.connection)?;
        let current = meta::get(w.connection, DIGEST_UNTIL)?;
        if current != until {
            return Ok(0);
        }
        meta::set(w.connection, DIGEST_UNTIL, &w.now.to_rfc3339())?;
        let is_wanted = w
            .ctx
            .in_force()
            .everyone()
            .notifications
            .contains(&NotificationKind::Digest);
        match since.filter(|_| is_wanted) {
            Some(since) => w.write_digest(since),
            None => Ok(0),
        }
    })
    .await
}

impl Write<'_> {
    /// Queues the digest of events since then for every administrator.
    fn write_digest(&mut self, since: Timestamp) -> Result<usize, FlowError> {
        // This microsecond belongs to the next digest, because it may not be over.
        let until = self.now.saturating_sub(Span::from_micros(1));
        let lines = digest(&list_digest_events(self.connection, since, until)?);
        if lines.is_empty() {
            return Ok(0);
        }
        let administrators = AccountFilter {
            role: Some(Role::Administrator),
            state: Some(AccountListState::Active),
            limit: 1_000,
            ..AccountFilter::default()
        };
        let email = NotificationEmail::digest(since, self.now, &lines, &self.ctx.config.base_url());
        let mut sent = 0;
        for account in accounts::list(self.connection, &administrators)?.items {
            sent += usize::from(self.notify(&account, NotificationKind::Digest, &email)?);
        }
        Ok(sent)
    }
}

/// Returns the events between two instants, both inclusive, the newest of each kind.
fn list_digest_events(
    connection: &mut Conn,
    since: Timestamp,
    until: Timestamp,
) -> Result<Vec<DigestEvent>, StoreError> {
    let mut found = Vec::new();
    for event in REPORTED_EVENTS {
        let filter = AuditFilter {
            events: vec![event],
            since: Some(since),
            until: Some(until),
            limit: LOOKED_AT as i64,
            ..AuditFilter::default()
        };
        found.extend(audit::list(connection, &filter)?.items.into_iter().map(to_digest_event));
    }
    Ok(found)
}

fn to_digest_event(row: AuditRecord) -> DigestEvent {
    let locked = (row.event == Event::LockoutBegan).then(|| {
        let key = |field: &str| row.detail["keys"][field].as_str();
        describe_locked(key("account"), key("ip"))
    });
    DigestEvent {
        event: row.event,
        account: row.account,
        actor: row.actor,
        ip: row.ip,
        locked,
    }
}
