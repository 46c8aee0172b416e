//! Changing one's own e-mail address: the new one confirms it, the old one can take it back. Links are single-use, stored hashed, good
//! for a day; looking at one changes nothing.

use super::{Acting, Ctx, FlowError, mail::Terms};
use crate::{
    domain::{
        account::{AccountId, check_email},
        audit::Event,
        secret,
        time::{Span, Timestamp},
    },
    mail::render::notices::{confirm_email, email_asked_for},
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        changes::{self, ChangeKind},
        email_changes::{self, EmailChange},
        sessions,
    },
};

/// How long the links are good.
const LIFE: Span = Span::from_secs(86_400);
/// Between two requests of one account: nobody's mailbox is flooded from here.
const PAUSE: Span = Span::from_secs(60);

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Requested {
    /// Letters are on their way, to the new address and to the old one.
    Sent,
    /// It is the address of today.
    Same,
    TooSoon,
    Faulty(String),
}

/// Which of the two links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Sent to the new address.
    Confirm,
    /// Sent to the old address.
    Cancel,
}

impl Link {
    const fn path(self) -> &'static str {
        match self {
            Self::Confirm => "/email/confirm",
            Self::Cancel => "/email/cancel",
        }
    }
}

/// What a link is about, while it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub name: String,
    pub old: Option<String>,
    pub new: String,
    pub confirmed: bool,
}

pub async fn request(ctx: &Ctx, acting: &Acting, id: AccountId, email: &str) -> Result<Requested, FlowError> {
    let email = match check_email(email.trim()) {
        Ok(email) => email,
        Err(why) => return Ok(Requested::Faulty(why)),
    };
    let (confirm, cancel) = (secret::token(ctx.random_bytes()), secret::token(ctx.random_bytes()));
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    ctx.store
        .write(move |c| {
            sessions::lock_account_sessions(c, id)?;
            let account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
            if account.email.as_ref() == Some(&email) {
                return Ok(Requested::Same);
            }
            let earlier = email_changes::find(c, id)?;
            if earlier.is_some_and(|earlier| now.since(earlier.requested_at) < PAUSE) {
                return Ok(Requested::TooSoon);
            }
            let change = EmailChange {
                account: id,
                old: account.email.clone(),
                new: email.clone(),
                confirm_digest: secret::digest(confirm.expose()),
                cancel_digest: secret::digest(cancel.expose()),
                requested_at: now,
                confirmed_at: None,
            };
            email_changes::replace(c, &change)?;
            let until = now.saturating_add(LIFE);
            let link = |link: Link, token: &str| format!("{}{}?token={token}", flow.config.base_url(), link.path());
            let terms = || Terms {
                give_up_at: Some(until),
                ..Terms::default()
            };
            let letter = confirm_email(&account.name, link(Link::Confirm, confirm.expose()), until);
            flow.post(c, now, &at(&account, Some(email.clone())), &letter, terms())?;
            let letter = email_asked_for(&account.name, &email, link(Link::Cancel, cancel.expose()), until);
            flow.post(c, now, &account, &letter, terms())?;
            let detail = serde_json::json!({ "email": { "old": account.email, "new": email } });
            let entry = flow.entry_of(&acting, Event::EmailChangeRequested, Some((id, &account.name)), detail);
            flow.record(c, now, &entry)?;
            Ok::<_, FlowError>(Requested::Sent)
        })
        .await
}

/// Looks at a link without using it up; `None`: it is not good (any more).
pub async fn look(ctx: &Ctx, link: Link, token: &str) -> Result<Option<Asked>, FlowError> {
    let (digest, now) = (secret::digest(token), ctx.now());
    Ok(ctx
        .store
        .read(move |c| {
            let found = good(c, link, &digest, now)?;
            Ok::<_, StoreError>(found.map(|(change, account)| Asked {
                name: account.name,
                old: change.old,
                new: change.new,
                confirmed: change.confirmed_at.is_some(),
            }))
        })
        .await?)
}

/// Makes the new address the account's. `None`: the link is not good (any more), and nothing happened.
pub async fn confirm(ctx: &Ctx, acting: &Acting, token: &str) -> Result<Option<Asked>, FlowError> {
    let (flow, acting, digest, now) = (ctx.clone(), acting.clone(), secret::digest(token), ctx.now());
    let done = ctx
        .store
        .write(move |c| {
            let Some((change, account)) = held(c, Link::Confirm, &digest, now)? else {
                return Ok(None);
            };
            if !email_changes::confirm(c, &digest, now)? {
                return Ok(None);
            }
            let new = Some(change.new.clone());
            flow.set_email_in(c, now, &acting, &account, new)?;
            Ok::<_, StoreError>(Some((change, account)))
        })
        .await?;
    Ok(done.map(|(change, account)| {
        ctx.live.accounts.forget(account.id);
        Asked {
            name: account.name,
            old: change.old,
            new: change.new,
            confirmed: true,
        }
    }))
}

/// Takes a change back, one that was confirmed as well. `None`: the link is not good (any more), and nothing happened.
pub async fn cancel(ctx: &Ctx, acting: &Acting, token: &str) -> Result<Option<Asked>, FlowError> {
    let (flow, acting, digest, now) = (ctx.clone(), acting.clone(), secret::digest(token), ctx.now());
    let done = ctx
        .store
        .write(move |c| {
            let Some((change, account)) = held(c, Link::Cancel, &digest, now)? else {
                return Ok(None);
            };
            email_changes::delete(c, account.id)?;
            if change.confirmed_at.is_some() {
                flow.set_email_in(c, now, &acting, &account, change.old.clone())?;
            }
            let detail = serde_json::json!({ "email": { "old": change.new, "new": change.old } });
            let whose = Some((account.id, account.name.as_str()));
            flow.record(
                c,
                now,
                &flow.entry_of(&acting, Event::EmailChangeCancelled, whose, detail),
            )?;
            Ok::<_, StoreError>(Some((change, account)))
        })
        .await?;
    Ok(done.map(|(change, account)| {
        ctx.live.accounts.forget(account.id);
        Asked {
            name: account.name,
            old: change.old,
            new: change.new,
            confirmed: change.confirmed_at.is_some(),
        }
    }))
}

/// Forgets what can be neither confirmed nor taken back any more.
pub async fn forget_old(ctx: &Ctx) -> Result<(), FlowError> {
    let before = ctx.now().saturating_sub(LIFE);
    Ok(ctx
        .store
        .write(move |c| email_changes::purge(c, before).map(drop))
        .await?)
}

/// The account as if it had this address: where a letter goes.
fn at(account: &Account, email: Option<String>) -> Account {
    Account {
        email,
        ..account.clone()
    }
}

/// The change behind a link that is good now, and its account: within a day, and not overtaken by another change.
fn good(c: &mut Conn, link: Link, digest: &str, now: Timestamp) -> Result<Option<(EmailChange, Account)>, StoreError> {
    let found = match link {
        Link::Confirm => email_changes::find_by_confirm(c, digest)?.filter(|change| change.confirmed_at.is_none()),
        Link::Cancel => email_changes::find_by_cancel(c, digest)?,
    };
    let Some(change) = found.filter(|change| now.since(change.requested_at) <= LIFE) else {
        return Ok(None);
    };
    let today = match change.confirmed_at {
        Some(_) => Some(&change.new),
        None => change.old.as_ref(),
    };
    let account = accounts::find(c, change.account)?;
    let usable = |account: &Account| account.disabled_at.is_none() && account.expired_at.is_none();
    let account = account.filter(|account| usable(account) && account.email.as_ref() == today);
    Ok(account.map(|account| (change, account)))
}

/// The same, with the account's row held: of two that come at once the second finds it done.
fn held(c: &mut Conn, link: Link, digest: &str, now: Timestamp) -> Result<Option<(EmailChange, Account)>, StoreError> {
    let Some((change, _)) = good(c, link, digest, now)? else {
        return Ok(None);
    };
    sessions::lock_account_sessions(c, change.account)?;
    good(c, link, digest, now)
}

impl Ctx {
    fn set_email_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        before: &Account,
        email: Option<String>,
    ) -> Result<(), StoreError> {
        let after = at(before, email);
        accounts::update(c, &after)?;
        changes::announce(c, ChangeKind::Account, &after.id.0.to_string())?;
        let detail = serde_json::json!({ "email": { "old": before.email, "new": after.email } });
        let whose = Some((after.id, after.name.as_str()));
        self.record(c, now, &self.entry_of(acting, Event::EmailChanged, whose, detail))?;
        self.tell_email_in(c, now, before, &after)
    }
}
