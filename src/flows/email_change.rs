//! Changing one's own email address. The change takes effect once the new and the current address
//! have confirmed it, and either can refuse. Links work once, are stored as digests, and are valid
//! for a day; opening one changes nothing.

use super::{Ctx, FlowError, Initiator, PURGED, Write, emails::EmailOptions};
use crate::{
    domain::{
        account::{Account, AccountId, check_email},
        audit::{AuditFilter, Event},
        email_change::{EmailChangeLimit, LIFE, MailboxSide, may_ask},
        reset::LinkKind,
        secret::{self, Secret},
        time::Timestamp,
    },
    mail::render::notifications::NotificationEmail,
    store::{
        Conn, StoreError, accounts, audit,
        email_changes::{self, EmailChange},
        sessions,
    },
};

/// The path of both links.
const PATH: &str = "/email/confirm";
/// Maximum number of requests of the last day that are read; more than a day allows.
const LOOKED_AT: i64 = 25;

/// The result of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum EmailChangeOutcome {
    /// Emails were queued: to the new address, and to the current one if there is one.
    Sent {
        /// Whether there is a current address.
        to_both: bool,
    },
    /// It is the current address.
    Same,
    /// The previous request was less than a minute ago.
    TooSoon,
    /// Too many requests within a day.
    TooOften,
    /// The address is invalid, with the reason.
    Faulty(String),
}

/// The answer of a user who opened a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailLinkAnswer {
    /// Confirms the address.
    Confirm,
    /// Refuses the change.
    Cancel,
}

/// The change behind a valid link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailChangeLink {
    /// The account's name.
    pub name: String,
    /// The side of the link.
    pub side: MailboxSide,
    /// The current address.
    pub old: Option<String>,
    /// The requested address.
    pub new: String,
    /// Whether the other address must still confirm.
    pub awaits_other: bool,
}

impl EmailChangeLink {
    fn new(change: EmailChange, side: MailboxSide, account: &Account) -> Self {
        Self {
            name: account.name.clone(),
            side,
            awaits_other: change.confirmations().awaits(side.opposite()),
            old: change.old,
            new: change.new,
        }
    }
}

/// A change that its owner requested and that has not taken effect yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingEmailChange {
    /// The requested address.
    pub new: String,
    /// Addresses that have not confirmed yet.
    pub awaited: Vec<String>,
    /// The last instant at which the links work.
    pub until: Timestamp,
}

/// Requests another address. If another account has it, the response is the same but nothing
/// changes, so that its owner is not revealed.
pub async fn request(
    ctx: &Ctx,
    initiator: &Initiator,
    id: AccountId,
    email: &str,
) -> Result<EmailChangeOutcome, FlowError> {
    let email = match check_email(email.trim()) {
        Ok(email) => email,
        Err(why) => return Ok(EmailChangeOutcome::Faulty(why)),
    };
    let tokens = LinkTokens {
        new: secret::token(ctx.random_bytes()),
        old: secret::token(ctx.random_bytes()),
    };
    ctx.write(initiator, move |w| {
        sessions::lock_account_sessions(w.connection, id)?;
        let account = accounts::find(w.connection, id)?.ok_or(FlowError::NotFound)?;
        if let Some(title) = w.ctx.source_title(&account) {
            return Ok(EmailChangeOutcome::Faulty(format!(
                "this account is managed by {title}; change the address there"
            )));
        }
        if account.email.as_ref() == Some(&email) {
            return Ok(EmailChangeOutcome::Same);
        }
        match may_ask(&earlier_requests(w.connection, id, w.now)?, w.now) {
            EmailChangeLimit::Allowed => {}
            EmailChangeLimit::TooSoon => return Ok(EmailChangeOutcome::TooSoon),
            EmailChangeLimit::TooOften => return Ok(EmailChangeOutcome::TooOften),
        }
        let change = EmailChange {
            account: id,
            old: account.email.clone(),
            new: email,
            new_digest: secret::digest(tokens.new.expose()),
            old_digest: secret::digest(tokens.old.expose()),
            requested_at: w.now,
            new_confirmed_at: None,
            old_confirmed_at: None,
        };
        w.void_email_change(id)?;
        email_changes::insert(w.connection, &change)?;
        w.ask_both_addresses(&account, &change, &tokens)?;
        let entry = w.entry(Event::EmailChangeRequested).with_account(id, &account.name);
        w.record(&entry.with_detail(serde_json::json!({ "email": { "old": change.old, "new": change.new } })))?;
        let to_both = change.old.is_some();
        Ok(EmailChangeOutcome::Sent { to_both })
    })
    .await
}

/// The tokens of a change's links, one for each side.
struct LinkTokens {
    new: Secret,
    old: Secret,
}

/// Returns the instants of the account's requests within the last day.
fn earlier_requests(connection: &mut Conn, id: AccountId, now: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
    let filter = AuditFilter {
        events: vec![Event::EmailChangeRequested],
        account_id: Some(id),
        since: Some(now.saturating_sub(LIFE)),
        limit: LOOKED_AT,
        ..AuditFilter::default()
    };
    let requests = audit::list(connection, &filter)?.items;
    Ok(requests.into_iter().map(|row| row.at).collect())
}

/// Finds the change behind a link without consuming it; `None`: the link is not valid.
pub async fn find_link(ctx: &Ctx, token: &str) -> Result<Option<EmailChangeLink>, FlowError> {
    let digest = secret::digest(token);
    ctx.read(move |r| {
        let found = valid_link(r.connection, &digest, r.now)?;
        Ok(found.map(|(change, side, account)| EmailChangeLink::new(change, side, &account)))
    })
    .await
}

/// Finds the account's pending change; `None`: there is none.
pub async fn pending(ctx: &Ctx, id: AccountId) -> Result<Option<PendingEmailChange>, FlowError> {
    let found = ctx.read(move |r| {
        let Some(change) = email_changes::find(r.connection, id)? else {
            return Ok(None);
        };
        let is_valid = |account: &Account| r.now.since(change.requested_at) <= LIFE && account.email == change.old;
        let account = accounts::find(r.connection, id)?;
        Ok(account.is_some_and(|account| is_valid(&account)).then_some(change))
    });
    Ok(found.await?.map(|change| {
        let so_far = change.confirmations();
        let sides = [
            (MailboxSide::New, Some(change.new.clone())),
            (MailboxSide::Old, change.old),
        ];
        let awaited = sides.into_iter().filter(|(side, _)| so_far.awaits(*side));
        PendingEmailChange {
            awaited: awaited.filter_map(|(_, address)| address).collect(),
            new: change.new,
            until: change.requested_at.saturating_add(LIFE),
        }
    }))
}

/// Consumes a link. `None`: it is not valid, and nothing happened.
pub async fn answer(
    ctx: &Ctx,
    initiator: &Initiator,
    token: &str,
    answer: EmailLinkAnswer,
) -> Result<Option<EmailChangeLink>, FlowError> {
    let digest = secret::digest(token);
    ctx.write(initiator, move |w| {
        let Some((change, side, account)) = w.hold_valid_link(&digest)? else {
            return Ok(None);
        };
        match answer {
            // Another account may have taken the address between the two confirmations.
            EmailLinkAnswer::Confirm
                if !change.confirmations().awaits(side.opposite())
                    && accounts::find_by_email(w.connection, &change.new, account.id)?.is_some() =>
            {
                return Ok(None);
            }
            EmailLinkAnswer::Confirm => w.confirm_email_change(&change, side, &account)?,
            EmailLinkAnswer::Cancel => w.cancel_email_change(&change, side, &account)?,
        }
        w.forget_account(account.id);
        Ok(Some(EmailChangeLink::new(change, side, &account)))
    })
    .await
}

/// Deletes changes that can no longer be answered.
pub async fn forget_old(ctx: &Ctx) -> Result<(), FlowError> {
    let before = ctx.now().saturating_sub(LIFE);
    let purge = move |connection: &mut Conn| email_changes::purge(connection, before, PURGED).map(drop);
    Ok(ctx.store.write(purge).await?)
}

/// Returns the account with this address, as the recipient of an email.
fn with_email(account: &Account, email: Option<String>) -> Account {
    Account {
        email,
        ..account.clone()
    }
}

/// The change behind a link, the side of the link, and the account.
type LinkedChange = (EmailChange, MailboxSide, Account);

/// Finds the change behind a valid link: within a day, not used before, not replaced by another
/// change.
fn valid_link(connection: &mut Conn, digest: &str, now: Timestamp) -> Result<Option<LinkedChange>, StoreError> {
    let Some((change, side)) = email_changes::find_by_digest(connection, digest)? else {
        return Ok(None);
    };
    if now.since(change.requested_at) > LIFE || !change.confirmations().awaits(side) {
        return Ok(None);
    }
    let account = accounts::find(connection, change.account)?;
    let Some(account) = account.filter(|account| account.is_enabled() && account.email == change.old) else {
        return Ok(None);
    };
    Ok(Some((change, side, account)))
}

impl Write<'_> {
    /// Finds the change behind a valid link and locks the account's row: of two simultaneous
    /// answers the second finds the change done.
    fn hold_valid_link(&mut self, digest: &str) -> Result<Option<LinkedChange>, StoreError> {
        let Some((change, ..)) = valid_link(self.connection, digest, self.now)? else {
            return Ok(None);
        };
        sessions::lock_account_sessions(self.connection, change.account)?;
        valid_link(self.connection, digest, self.now)
    }

    /// Sends an email to each address. If another account has the new address, its email has no
    /// link.
    fn ask_both_addresses(
        &mut self,
        account: &Account,
        change: &EmailChange,
        tokens: &LinkTokens,
    ) -> Result<(), StoreError> {
        let until = self.now.saturating_add(LIFE);
        let base_url = self.ctx.config.base_url();
        let link = |token: &Secret| format!("{base_url}{PATH}?token={}", token.expose());
        let options = || EmailOptions {
            give_up_at: Some(until),
            ..EmailOptions::default()
        };
        match accounts::find_by_email(self.connection, &change.new, account.id)? {
            Some(owner) => self.enqueue_email(&owner, &NotificationEmail::email_taken(&account.name), options())?,
            None => {
                let email =
                    NotificationEmail::confirm_email(&account.name, change.old.is_some(), link(&tokens.new), until);
                self.enqueue_email(&with_email(account, Some(change.new.clone())), &email, options())?
            }
        };
        let email = NotificationEmail::email_asked_for(&account.name, &change.new, link(&tokens.old), until);
        self.enqueue_email(account, &email, options()).map(drop)
    }

    fn confirm_email_change(
        &mut self,
        change: &EmailChange,
        side: MailboxSide,
        account: &Account,
    ) -> Result<(), StoreError> {
        email_changes::confirm(self.connection, account.id, side, self.now)?;
        let entry = self
            .entry(Event::EmailChangeConfirmed)
            .with_account(account.id, &account.name);
        self.record(&entry.with_detail(serde_json::json!({
            "email": { "old": change.old, "new": change.new }, "confirmed_by": side.as_str(),
        })))?;
        if change.confirmations().awaits(side.opposite()) {
            return Ok(());
        }
        self.set_email(account, change.new.clone())
    }

    fn cancel_email_change(
        &mut self,
        change: &EmailChange,
        side: MailboxSide,
        account: &Account,
    ) -> Result<(), StoreError> {
        self.void_email_change(account.id)?;
        let entry = self
            .entry(Event::EmailChangeCancelled)
            .with_account(account.id, &account.name);
        self.record(&entry.with_detail(serde_json::json!({
            "email": { "old": change.new, "new": change.old }, "cancelled_by": side.as_str(),
        })))
    }

    fn set_email(&mut self, before: &Account, email: String) -> Result<(), StoreError> {
        let after = with_email(before, Some(email));
        // Links that were mailed to the old address stop working.
        self.void_links(after.id, &[LinkKind::Reset])?;
        accounts::update(self.connection, &after)?;
        let entry = self.entry(Event::EmailChanged).with_account(after.id, &after.name);
        self.record(&entry.with_detail(serde_json::json!({ "email": { "old": before.email, "new": after.email } })))?;
        self.notify_email_change(before, &after)
    }
}
