//! Changing one's own e-mail address: it counts once the new address and the one of today have both confirmed it, and either can refuse.
//! Links are single-use, stored hashed, good for a day; looking at one changes nothing.

use super::{Acting, Ctx, FlowError, PURGED, mail::Terms};
use crate::{
    domain::{
        account::{AccountId, check_email},
        audit::Event,
        email_change::{Asking, LIFE, Side, may_ask},
        reset::LinkKind,
        secret::{self, Secret},
        time::Timestamp,
    },
    mail::render::notices::{confirm_email, email_asked_for, email_taken},
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        audit::{self, AuditFilter},
        email_changes::{self, EmailChange},
        sessions,
    },
};

/// Where both links lead.
const PATH: &str = "/email/confirm";
/// Requests of the last day that are looked at: more than a day allows.
const LOOKED_AT: i64 = 25;

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Requested {
    /// Letters are on their way: to the new address, and to the one of today if there is one.
    Sent {
        to_both: bool,
    },
    /// It is the address of today.
    Same,
    TooSoon,
    TooOften,
    Faulty(String),
}

/// What somebody with a link says to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Confirm,
    Cancel,
}

/// What a link is about, while it is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub name: String,
    /// Whose link it is.
    pub side: Side,
    pub old: Option<String>,
    pub new: String,
    /// The other address must confirm as well and has not yet.
    pub awaits_other: bool,
}

impl Asked {
    fn of(change: EmailChange, side: Side, account: &Account) -> Self {
        Self {
            name: account.name.clone(),
            side,
            awaits_other: change.confirmations().awaits(side.other()),
            old: change.old,
            new: change.new,
        }
    }
}

/// A change that its owner asked for and that does not count yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    pub new: String,
    /// Addresses that have not confirmed yet.
    pub awaited: Vec<String>,
    /// Last instant at which the links work.
    pub until: Timestamp,
}

/// Asks for another address. One that somebody else has is answered alike and comes to nothing: nobody learns whose it is.
pub async fn request(ctx: &Ctx, acting: &Acting, id: AccountId, email: &str) -> Result<Requested, FlowError> {
    let email = match check_email(email.trim()) {
        Ok(email) => email,
        Err(why) => return Ok(Requested::Faulty(why)),
    };
    let tokens = Tokens {
        new: secret::token(ctx.random_bytes()),
        old: secret::token(ctx.random_bytes()),
    };
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    ctx.store
        .write(move |c| {
            sessions::lock_account_sessions(c, id)?;
            let account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
            if account.email.as_ref() == Some(&email) {
                return Ok(Requested::Same);
            }
            match may_ask(&asked_before(c, id, now)?, now) {
                Asking::Allowed => {}
                Asking::TooSoon => return Ok(Requested::TooSoon),
                Asking::TooOften => return Ok(Requested::TooOften),
            }
            let change = EmailChange {
                account: id,
                old: account.email.clone(),
                new: email,
                new_digest: secret::digest(tokens.new.expose()),
                old_digest: secret::digest(tokens.old.expose()),
                requested_at: now,
                new_confirmed_at: None,
                old_confirmed_at: None,
            };
            flow.kill_email_change_in(c, now, id)?;
            email_changes::insert(c, &change)?;
            flow.ask_both_in(c, now, &account, &change, &tokens)?;
            let detail = serde_json::json!({ "email": { "old": change.old, "new": change.new } });
            let entry = flow.entry_of(&acting, Event::EmailChangeRequested, Some((id, &account.name)), detail);
            flow.record(c, now, &entry)?;
            let to_both = change.old.is_some();
            Ok::<_, FlowError>(Requested::Sent { to_both })
        })
        .await
}

/// One of each side.
struct Tokens {
    new: Secret,
    old: Secret,
}

fn asked_before(c: &mut Conn, id: AccountId, now: Timestamp) -> Result<Vec<Timestamp>, StoreError> {
    let filter = AuditFilter {
        events: vec![Event::EmailChangeRequested],
        account_id: Some(id),
        since: Some(now.saturating_sub(LIFE)),
        limit: LOOKED_AT,
        ..AuditFilter::default()
    };
    Ok(audit::list(c, &filter)?.items.into_iter().map(|row| row.at).collect())
}

/// Looks at a link without using it up; `None`: it is not good (any more).
pub async fn look(ctx: &Ctx, token: &str) -> Result<Option<Asked>, FlowError> {
    let (digest, now) = (secret::digest(token), ctx.now());
    Ok(ctx
        .store
        .read(move |c| {
            let found = good(c, &digest, now)?;
            Ok::<_, StoreError>(found.map(|(change, side, account)| Asked::of(change, side, &account)))
        })
        .await?)
}

/// What the account waits for; `None`: nothing.
pub async fn pending(ctx: &Ctx, id: AccountId) -> Result<Option<Pending>, FlowError> {
    let now = ctx.now();
    let found = ctx
        .store
        .read(move |c| {
            let Some(change) = email_changes::find(c, id)? else {
                return Ok(None);
            };
            let account = accounts::find(c, id)?;
            let stands = |account: &Account| now.since(change.requested_at) <= LIFE && account.email == change.old;
            Ok::<_, StoreError>(account.is_some_and(|account| stands(&account)).then_some(change))
        })
        .await?;
    Ok(found.map(|change| {
        let so_far = change.confirmations();
        let sides = [(Side::New, Some(change.new.clone())), (Side::Old, change.old)];
        let awaited = sides.into_iter().filter(|(side, _)| so_far.awaits(*side));
        Pending {
            awaited: awaited.filter_map(|(_, address)| address).collect(),
            new: change.new,
            until: change.requested_at.saturating_add(LIFE),
        }
    }))
}

/// Uses a link up. `None`: it is not good (any more), and nothing happened.
pub async fn answer(ctx: &Ctx, acting: &Acting, token: &str, answer: Answer) -> Result<Option<Asked>, FlowError> {
    let (flow, acting, digest, now) = (ctx.clone(), acting.clone(), secret::digest(token), ctx.now());
    let done = ctx
        .store
        .write(move |c| {
            let Some((change, side, account)) = held(c, &digest, now)? else {
                return Ok(None);
            };
            match answer {
                // Between the two confirmations somebody else may have got it.
                Answer::Confirm
                    if !change.confirmations().awaits(side.other())
                        && accounts::of_email(c, &change.new, account.id)?.is_some() =>
                {
                    return Ok(None);
                }
                Answer::Confirm => flow.confirm_email_in(c, now, &acting, &change, side, &account)?,
                Answer::Cancel => flow.cancel_email_in(c, now, &acting, &change, side, &account)?,
            }
            Ok::<_, StoreError>(Some((account.id, Asked::of(change, side, &account))))
        })
        .await?;
    Ok(done.map(|(id, asked)| {
        ctx.live.accounts.forget(id);
        asked
    }))
}

/// Forgets what can be answered no more.
pub async fn forget_old(ctx: &Ctx) -> Result<(), FlowError> {
    let before = ctx.now().saturating_sub(LIFE);
    Ok(ctx
        .store
        .write(move |c| email_changes::purge(c, before, PURGED).map(drop))
        .await?)
}

/// The account as if it had this address: where a letter goes.
fn at(account: &Account, email: Option<String>) -> Account {
    Account {
        email,
        ..account.clone()
    }
}

/// The change behind a link that is good now, whose link it is, and the account: within a day, not used before, not overtaken by another
/// change.
fn good(c: &mut Conn, digest: &str, now: Timestamp) -> Result<Option<(EmailChange, Side, Account)>, StoreError> {
    let Some((change, side)) = email_changes::find_by_digest(c, digest)? else {
        return Ok(None);
    };
    if now.since(change.requested_at) > LIFE || !change.confirmations().awaits(side) {
        return Ok(None);
    }
    let account = accounts::find(c, change.account)?;
    let usable = |account: &Account| account.disabled_at.is_none() && account.expired_at.is_none();
    let Some(account) = account.filter(|account| usable(account) && account.email == change.old) else {
        return Ok(None);
    };
    Ok(Some((change, side, account)))
}

/// The same, with the account's row held: of two that come at once the second finds it done.
fn held(c: &mut Conn, digest: &str, now: Timestamp) -> Result<Option<(EmailChange, Side, Account)>, StoreError> {
    let Some((change, ..)) = good(c, digest, now)? else {
        return Ok(None);
    };
    sessions::lock_account_sessions(c, change.account)?;
    good(c, digest, now)
}

impl Ctx {
    /// A letter to each address. Whose the new one is already gets no link.
    fn ask_both_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: &Account,
        change: &EmailChange,
        tokens: &Tokens,
    ) -> Result<(), StoreError> {
        let until = now.saturating_add(LIFE);
        let link = |token: &Secret| format!("{}{PATH}?token={}", self.config.base_url(), token.expose());
        let terms = || Terms {
            give_up_at: Some(until),
            ..Terms::default()
        };
        match accounts::of_email(c, &change.new, account.id)? {
            Some(owner) => self.post(c, now, &owner, &email_taken(&account.name), terms())?,
            None => {
                let letter = confirm_email(&account.name, change.old.is_some(), link(&tokens.new), until);
                self.post(c, now, &at(account, Some(change.new.clone())), &letter, terms())?
            }
        };
        let letter = email_asked_for(&account.name, &change.new, link(&tokens.old), until);
        self.post(c, now, account, &letter, terms()).map(drop)
    }

    fn confirm_email_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        change: &EmailChange,
        side: Side,
        account: &Account,
    ) -> Result<(), StoreError> {
        email_changes::confirm(c, account.id, side, now)?;
        let detail = serde_json::json!({
            "email": { "old": change.old, "new": change.new }, "confirmed_by": side.as_str(),
        });
        let whose = Some((account.id, account.name.as_str()));
        let entry = self.entry_of(acting, Event::EmailChangeConfirmed, whose, detail);
        self.record(c, now, &entry)?;
        if change.confirmations().awaits(side.other()) {
            return Ok(());
        }
        self.set_email_in(c, now, acting, account, change.new.clone())
    }

    fn cancel_email_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        change: &EmailChange,
        side: Side,
        account: &Account,
    ) -> Result<(), StoreError> {
        self.kill_email_change_in(c, now, account.id)?;
        let detail = serde_json::json!({
            "email": { "old": change.new, "new": change.old }, "cancelled_by": side.as_str(),
        });
        let whose = Some((account.id, account.name.as_str()));
        self.record(
            c,
            now,
            &self.entry_of(acting, Event::EmailChangeCancelled, whose, detail),
        )
    }

    fn set_email_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        before: &Account,
        email: String,
    ) -> Result<(), StoreError> {
        let after = at(before, Some(email));
        // What was mailed to the old address opens nothing any more.
        self.kill_links_in(c, now, after.id, &[LinkKind::Reset])?;
        accounts::update(c, &after)?;
        let detail = serde_json::json!({ "email": { "old": before.email, "new": after.email } });
        let whose = Some((after.id, after.name.as_str()));
        self.record(c, now, &self.entry_of(acting, Event::EmailChanged, whose, detail))?;
        self.tell_email_in(c, now, before, &after)
    }
}
