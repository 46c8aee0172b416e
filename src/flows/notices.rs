//! Notifications about one's account: the owner's choice, and reporting a sign-in that someone else
//! made.

mod due;
mod lockouts;

pub use due::{notify_expiring, send_digest};
pub use lockouts::notify_lockouts;

use super::{Ctx, FlowError, Initiator, PURGED, Write, emails::EmailOptions, notifications::REPORT_LIFETIME};
use crate::{
    domain::{
        account::{AccountId, Role},
        audit::Event,
        notification::NotificationKind,
        password::NEVER,
        reset::LinkKind,
        secret,
        session::EndReason,
        time::{Span, Timestamp},
    },
    hashing::{HashingClient, HashingPurpose},
    mail::render::{ResetReason, notifications::NotificationEmail},
    store::{
        Conn, StoreError, accounts,
        notifications::{self, SignInReportLink},
        sessions,
    },
};

/// A device that was not seen for this long counts as new again.
const DEVICE_RETENTION: Span = Span::from_secs(365 * 86_400);

/// Returns the kinds that the policy sends to the account, each with whether its owner receives it.
pub async fn choices(ctx: &Ctx, id: AccountId, role: Role) -> Result<Vec<(NotificationKind, bool)>, FlowError> {
    let off = ctx
        .store
        .read(move |connection| notifications::list_switched_off(connection, id))
        .await?;
    let sent = ctx.in_force().everyone().notifications.clone();
    let theirs = sent
        .into_iter()
        .filter(|notice| *notice != NotificationKind::Digest || role == Role::Administrator);
    let is_sent = |notice: NotificationKind| notice.always() || !off.iter().any(|kind| kind == notice.as_str());
    Ok(theirs.map(|notice| (notice, is_sent(notice))).collect())
}

/// Switches the notifications of `offered` on that are in `wanted`, and the others off. If this
/// switches off emails that would reveal a stranger's sign-in, a final email says so.
pub async fn choose(
    ctx: &Ctx,
    initiator: &Initiator,
    id: AccountId,
    offered: Vec<NotificationKind>,
    wanted: Vec<NotificationKind>,
) -> Result<(), FlowError> {
    ctx.write(initiator, move |w| {
        let account = accounts::find(w.connection, id)?.ok_or(FlowError::NotFound)?;
        let before = notifications::list_switched_off(w.connection, id)?;
        let mut off = Vec::new();
        for notice in offered.into_iter().filter(|notice| !notice.always()) {
            let unwanted = !wanted.contains(&notice);
            notifications::set_switch(w.connection, id, notice.as_str(), unwanted)?;
            off.extend(unwanted.then_some(notice));
        }
        let codes: Vec<&str> = off.iter().map(|notice| notice.as_str()).collect();
        let entry = w.entry(Event::AccountUpdated).with_account(id, &account.name);
        w.record(&entry.with_detail(serde_json::json!({ "letters_switched_off": codes })))?;
        off.retain(|notice| !before.iter().any(|kind| kind == notice.as_str()));
        if off.contains(&NotificationKind::SignIn) {
            let email = NotificationEmail::switched_off(&account.name, w.now, &off, w.initiator.origin.ip);
            w.enqueue_email(&account, &email, EmailOptions::default())?;
        }
        Ok(())
    })
    .await
}

/// Finds the sign-in that a link reports, and its account's name; `None`: the link is not valid.
pub async fn find_report(ctx: &Ctx, token: &str) -> Result<Option<(SignInReportLink, String)>, FlowError> {
    let digest = secret::digest(token);
    ctx.read(move |r| Ok(valid_report(r.connection, &digest, r.now)?)).await
}

fn valid_report(
    connection: &mut Conn,
    digest: &str,
    now: Timestamp,
) -> Result<Option<(SignInReportLink, String)>, StoreError> {
    let found = notifications::find_report_link(connection, digest)?;
    let Some(link) = found.filter(|link| now.since(link.made_at) <= REPORT_LIFETIME) else {
        return Ok(None);
    };
    Ok(accounts::find(connection, link.account)?.map(|account| (link, account.name)))
}

/// Reports the sign-in of a link as not made by the owner: all sessions of the account end, its
/// password stops working, and an email contains a link to choose a new one. Returns how many
/// sessions ended. `None`: the link is not valid, and nothing happened.
pub async fn report_sign_in(ctx: &Ctx, initiator: &Initiator, token: &str) -> Result<Option<usize>, FlowError> {
    // An invalid token does not cost a hash.
    if find_report(ctx, token).await?.is_none() {
        return Ok(None);
    }
    let client = HashingClient::new(HashingPurpose::MailedLink, initiator.origin.ip);
    let nobodys = secret::token(ctx.random_bytes());
    let unusable_hash = ctx.hasher.hash(&client, nobodys, ctx.salt()).await?;
    let digest = secret::digest(token);
    ctx.write(initiator, move |w| {
        let Some((link, _)) = valid_report(w.connection, &digest, w.now)? else {
            return Ok(None);
        };
        sessions::lock_account_sessions(w.connection, link.account)?;
        let Some((link, _)) = valid_report(w.connection, &digest, w.now)? else {
            return Ok(None);
        };
        w.write_report(&link, unusable_hash).map(Some)
    })
    .await
}

/// Deletes links that have expired, and devices that were not used for a year.
pub async fn forget_old(ctx: &Ctx) -> Result<(), FlowError> {
    let now = ctx.now();
    let purge = move |connection: &mut Conn| {
        notifications::purge_report_links(connection, now.saturating_sub(REPORT_LIFETIME), PURGED)?;
        notifications::purge_devices(connection, now.saturating_sub(DEVICE_RETENTION), PURGED).map(drop)
    };
    Ok(ctx.store.write(purge).await?)
}

impl Write<'_> {
    fn write_report(&mut self, link: &SignInReportLink, unusable_hash: String) -> Result<usize, FlowError> {
        let id = link.account;
        notifications::delete_report_links(self.connection, id)?;
        self.void_links(id, LinkKind::ALL)?;
        self.forget_stranger(id, &link.device, link.ip.parse().ok())?;
        let account = accounts::find(self.connection, id)?.ok_or(FlowError::NotFound)?;
        let ended = self.end_account_sessions(&account, EndReason::Revoked)?;
        // Read again, because ending its sessions changed the account.
        let mut account = accounts::find(self.connection, id)?.ok_or(FlowError::NotFound)?;
        // The person who signed in knows the old password. The history keeps it, so that it cannot
        // be chosen again.
        let keep = i64::from(self.ctx.in_force().everyone().password.history).max(1);
        accounts::push_password(self.connection, id, &account.password_hash, self.now, keep)?;
        account.password_hash = unusable_hash;
        account.password_changed_at = self.now;
        account.must_change_password = true;
        account.password_good_until = Some(NEVER);
        accounts::update(self.connection, &account)?;
        self.forget_account(id);
        // The person who reported the sign-in can read the account's email, so the new password is
        // chosen through it.
        self.send_reset_link(&account, ResetReason::SignInReported)?;
        let entry = self.entry(Event::SignInReported).with_account(id, &account.name);
        self.record(&entry.with_detail(serde_json::json!({
            "device": link.device, "ip": link.ip, "signed_in_at": link.made_at.to_rfc3339(), "ended_sessions": ended,
        })))?;
        Ok(ended)
    }
}
