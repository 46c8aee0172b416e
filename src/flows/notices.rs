//! Letters about what happened on an account: queued inside the write of what happened, unless policy or the owner wants none of that
//! kind; what the owner chooses of them; and saying that a sign-in was somebody else's.

mod due;
mod lockouts;

pub use due::{send_digest, tell_expiring};
pub use lockouts::tell_lockouts;

use super::{Acting, Ctx, FlowError, PURGED, mail::Terms};
use crate::{
    domain::{
        account::{AccountId, Role},
        agent,
        audit::{Event, Origin},
        network,
        notice::Notice,
        password::NEVER,
        reset::LinkKind,
        secret,
        session::{EndReason, SessionId},
        time::{Span, Timestamp},
    },
    mail::render::{
        ResetReason,
        notices::{self as letters, NoticeLetter, email_changed, new_sign_in, password_changed, switched_off},
    },
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        notices::{self, Disavowal},
        sessions,
    },
};
use std::net::IpAddr;

/// How long *this was not me* can be said.
const DISOWN_LIFE: Span = Span::from_secs(7 * 86_400);
/// A device that was not seen for so long is a new one again.
const DEVICE_KEPT: Span = Span::from_secs(365 * 86_400);

/// A sign-in, as its letter tells of it.
pub(super) struct SignedIn<'a> {
    pub account: &'a Account,
    pub ip: IpAddr,
    pub user_agent: Option<&'a str>,
    /// As `known_networks` has it; not remembered yet.
    pub network: &'a str,
}

impl Ctx {
    /// Queues the letter, unless nobody wants it.
    fn tell_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        to: &Account,
        notice: Notice,
        letter: &NoticeLetter,
    ) -> Result<bool, StoreError> {
        if !self.wants_in(c, to, notice)? {
            return Ok(false);
        }
        self.post(c, now, to, letter, Terms::default())
    }

    fn wants_in(&self, c: &mut Conn, account: &Account, notice: Notice) -> Result<bool, StoreError> {
        if account.email.is_none() || !self.in_force().everyone().notices.contains(&notice) {
            return Ok(false);
        }
        Ok(notice.always()
            || !notices::switched_off(c, account.id)?
                .iter()
                .any(|kind| kind == notice.as_str()))
    }

    /// Remembers the device; when it or the network is new to the account, its owner is told. The first ones of all are nobody's news.
    pub(super) fn tell_sign_in_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        sign_in: &SignedIn<'_>,
    ) -> Result<(), StoreError> {
        let account = sign_in.account;
        // Nobody would read it: nothing is looked up or remembered.
        if !self.wants_in(c, account, Notice::SignIn)? {
            return Ok(());
        }
        let device = agent::describe(sign_in.user_agent);
        let known = notices::knows_device(c, account.id, &device)?;
        notices::remember_device(c, account.id, &device, now)?;
        let network_known = accounts::knows_network(c, account.id, sign_in.network, Timestamp::default())?;
        // Without any device: letters were off so far, or its only one was disowned, together with the network.
        let first = account.last_sign_in_at.is_none() || (known.is_none() && network_known);
        if first || (known == Some(true) && network_known) {
            return Ok(());
        }
        let token = secret::token(self.random_bytes());
        let ip = sign_in.ip.to_string();
        notices::add_disavowal(
            c,
            &Disavowal {
                digest: secret::digest(token.expose()),
                account: account.id,
                made_at: now,
                device: device.clone(),
                ip: ip.clone(),
            },
        )?;
        let link = format!("{}/not-me?token={}", self.config.base_url(), token.expose());
        let letter = new_sign_in(&account.name, now, &device, &ip, link, now.saturating_add(DISOWN_LIFE));
        self.tell_in(c, now, account, Notice::SignIn, &letter).map(drop)
    }

    pub(super) fn tell_password_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: &Account,
        by_owner: bool,
        origin: &Origin,
    ) -> Result<(), StoreError> {
        let ip = origin.ip.filter(|_| by_owner).map(|ip| ip.to_string());
        let device = origin
            .user_agent
            .as_deref()
            .filter(|_| by_owner)
            .map(|agent| agent::describe(Some(agent)));
        let letter = password_changed(&account.name, now, by_owner, device.as_deref(), ip.as_deref());
        self.tell_in(c, now, account, Notice::Password, &letter).map(drop)
    }

    /// Both addresses, when it changed.
    pub(super) fn tell_email_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        before: &Account,
        after: &Account,
    ) -> Result<(), StoreError> {
        if before.email == after.email {
            return Ok(());
        }
        let letter = email_changed(&after.name, now, before.email.as_deref(), after.email.as_deref());
        for to in [before, after] {
            self.tell_in(c, now, to, Notice::Email, &letter)?;
        }
        Ok(())
    }

    pub(super) fn tell_expired_in(&self, c: &mut Conn, now: Timestamp, account: &Account) -> Result<(), StoreError> {
        self.tell_in(c, now, account, Notice::Expiry, &letters::expired(&account.name, now))
            .map(drop)
    }

    pub(super) fn tell_reactivated_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: &Account,
    ) -> Result<(), StoreError> {
        self.tell_in(
            c,
            now,
            account,
            Notice::Expiry,
            &letters::reactivated(&account.name, now),
        )
        .map(drop)
    }
}

/// The kinds that policy sends to the account, each with whether its owner gets it.
pub async fn chosen(ctx: &Ctx, id: AccountId, role: Role) -> Result<Vec<(Notice, bool)>, FlowError> {
    let off = ctx.store.read(move |c| notices::switched_off(c, id)).await?;
    let sent = ctx.in_force().everyone().notices.clone();
    let theirs = sent
        .into_iter()
        .filter(|notice| *notice != Notice::Digest || role == Role::Administrator);
    Ok(theirs
        .map(|notice| {
            (
                notice,
                notice.always() || !off.iter().any(|kind| kind == notice.as_str()),
            )
        })
        .collect())
}

/// Of `offered` those in `wanted` are sent from now on, the others are not. Whoever switches off what would tell of a stranger's sign-in is
/// told so once more.
pub async fn choose(
    ctx: &Ctx,
    acting: &Acting,
    id: AccountId,
    offered: Vec<Notice>,
    wanted: Vec<Notice>,
) -> Result<(), FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    ctx.store
        .write(move |c| {
            let account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
            let before = notices::switched_off(c, id)?;
            let mut off = Vec::new();
            for notice in offered.into_iter().filter(|notice| !notice.always()) {
                let unwanted = !wanted.contains(&notice);
                notices::switch(c, id, notice.as_str(), unwanted)?;
                off.extend(unwanted.then_some(notice));
            }
            let codes: Vec<&str> = off.iter().map(|notice| notice.as_str()).collect();
            let detail = serde_json::json!({ "letters_switched_off": codes });
            let entry = flow.entry_of(&acting, Event::AccountUpdated, Some((id, &account.name)), detail);
            flow.record(c, now, &entry)?;
            off.retain(|notice| !before.iter().any(|kind| kind == notice.as_str()));
            if off.contains(&Notice::SignIn) {
                let letter = switched_off(&account.name, now, &off, acting.origin.ip);
                flow.post(c, now, &account, &letter, Terms::default())?;
            }
            Ok::<_, FlowError>(())
        })
        .await
}

/// The sign-in that a link is about, and its account's name; `None`: the link is not good (any more).
pub async fn look(ctx: &Ctx, token: &str) -> Result<Option<(Disavowal, String)>, FlowError> {
    let (digest, now) = (secret::digest(token), ctx.now());
    Ok(ctx.store.read(move |c| good(c, &digest, now)).await?)
}

fn good(c: &mut Conn, digest: &str, now: Timestamp) -> Result<Option<(Disavowal, String)>, StoreError> {
    let found = notices::find_disavowal(c, digest)?;
    let Some(link) = found.filter(|link| now.since(link.made_at) <= DISOWN_LIFE) else {
        return Ok(None);
    };
    Ok(accounts::find(c, link.account)?.map(|account| (link, account.name)))
}

/// It was somebody else: all sessions of the account end, its password opens nothing any more, and a letter has the link to a new one.
/// How many ended; `None`: the link is not good (any more), and nothing happened.
pub async fn disown(ctx: &Ctx, acting: &Acting, token: &str) -> Result<Option<usize>, FlowError> {
    // A stranger's token costs no hash.
    if look(ctx, token).await?.is_none() {
        return Ok(None);
    }
    let nobodys = ctx.hasher.hash(secret::token(ctx.random_bytes()), ctx.salt()).await?;
    let (flow, acting, digest, now) = (ctx.clone(), acting.clone(), secret::digest(token), ctx.now());
    let done = ctx
        .store
        .write(move |c| {
            let Some((link, _)) = good(c, &digest, now)? else {
                return Ok(None);
            };
            let id = link.account;
            sessions::lock_account_sessions(c, id)?;
            let Some((link, _)) = good(c, &digest, now)? else {
                return Ok(None);
            };
            let ended = flow.disown_in(c, now, &acting, &link, nobodys)?;
            Ok::<_, FlowError>(Some((id, ended)))
        })
        .await?;
    Ok(done.map(|(id, ended)| {
        ctx.forget_ended(&ended, EndReason::Revoked);
        ctx.live.accounts.forget(id);
        ended.len()
    }))
}

/// Links that are good no more go, and devices that nobody came with for a year.
pub async fn forget_old(ctx: &Ctx) -> Result<(), FlowError> {
    let (links, devices) = (
        ctx.now().saturating_sub(DISOWN_LIFE),
        ctx.now().saturating_sub(DEVICE_KEPT),
    );
    Ok(ctx
        .store
        .write(move |c| {
            notices::purge_disavowals(c, links, PURGED)?;
            notices::purge_devices(c, devices, PURGED).map(drop)
        })
        .await?)
}

impl Ctx {
    /// A device and a network that somebody else used: their next sign-in is told again, and no ceiling spares them.
    pub(super) fn forget_stranger_in(
        &self,
        c: &mut Conn,
        account: AccountId,
        device: &str,
        ip: Option<IpAddr>,
    ) -> Result<(), StoreError> {
        notices::forget_device(c, account, device)?;
        match ip {
            Some(ip) => accounts::forget_network(c, account, &network::known_network(ip).to_string()),
            None => Ok(()),
        }
    }

    fn disown_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        link: &Disavowal,
        nobodys: String,
    ) -> Result<Vec<SessionId>, FlowError> {
        let id = link.account;
        notices::delete_disavowals(c, id)?;
        self.kill_links_in(c, now, id, LinkKind::ALL)?;
        self.forget_stranger_in(c, id, &link.device, link.ip.parse().ok())?;
        let account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
        let ended = self.end_all_in(c, now, &account, EndReason::Revoked, acting)?;
        // Read again: ending its sessions moved the account's clock.
        let mut account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
        // Whoever signed in knows it: it must not choose the next one before the owner does.
        let keep = i64::from(self.in_force().everyone().password.history).max(1);
        accounts::push_password(c, id, &account.password_hash, now, keep)?;
        account.password_hash = nobodys;
        account.password_changed_at = now;
        account.must_change_password = true;
        account.password_good_until = Some(NEVER);
        accounts::update(c, &account)?;
        let detail = serde_json::json!({
            "device": link.device, "ip": link.ip, "signed_in_at": link.made_at.to_rfc3339(), "ended_sessions": ended.len(),
        });
        // Who disowned it reads the account's mail: the way back in leads through there.
        self.send_reset_in(c, now, &account, ResetReason::Disowned)?;
        let entry = self.entry_of(acting, Event::SignInDisowned, Some((id, &account.name)), detail);
        self.record(c, now, &entry)?;
        Ok(ended)
    }
}
