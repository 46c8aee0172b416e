//! Mailing a link to choose a password with: an invitation, or a reset, inside whatever write gives the reason. What an administrator does
//! of it stands here too; what the link opens does not.

use super::super::{Acting, Ctx, FlowError, mail::Terms};
use crate::{
    domain::{account::AccountId, audit::Event, reset::LinkKind, secret, time::Timestamp},
    mail::render::{Invitation, PasswordReset, ResetReason},
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        changes::{self, ChangeKind},
        outbox,
        password_links::{self, PasswordLink},
    },
};

/// What came of an administrator's invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invited {
    Sent,
    /// There is nowhere to send it.
    NoAddress,
    /// Somebody signed in to it before, or it is disabled or expired.
    NotInvited,
}

/// What came of an administrator's wish to mail a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mailed {
    Sent,
    NoAddress,
    /// The account is disabled or expired: a link would open nothing.
    Unusable,
}

/// Why somebody is mailed a link.
enum Occasion {
    /// To choose a first password.
    Invitation,
    /// To choose another one.
    Reset(ResetReason),
}

impl Occasion {
    const fn kind(&self) -> LinkKind {
        match self {
            Self::Invitation => LinkKind::Invitation,
            Self::Reset(_) => LinkKind::Reset,
        }
    }
}

/// Sends a link to choose a password to somebody who never signed in; an earlier link dies.
pub async fn invite(ctx: &Ctx, acting: &Acting, id: AccountId) -> Result<Invited, FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    ctx.store
        .write(move |c| {
            let account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
            if account.last_sign_in_at.is_some() || account.disabled_at.is_some() || account.expired_at.is_some() {
                return Ok(Invited::NotInvited);
            }
            if !flow.invite_in(c, now, &account)? {
                return Ok(Invited::NoAddress);
            }
            let detail = serde_json::json!({ "invitation": "sent" });
            let entry = flow.entry_of(&acting, Event::AccountUpdated, Some((id, &account.name)), detail);
            flow.record(c, now, &entry)?;
            changes::announce(c, ChangeKind::Account, &id.0.to_string())?;
            Ok::<_, FlowError>(Invited::Sent)
        })
        .await
}

/// Mails the owner a link to choose another password with, as an administrator; until it is used the one of today works.
pub async fn mail_link(ctx: &Ctx, acting: &Acting, id: AccountId) -> Result<Mailed, FlowError> {
    let (flow, acting, now) = (ctx.clone(), acting.clone(), ctx.now());
    ctx.store
        .write(move |c| {
            let account = accounts::find(c, id)?.ok_or(FlowError::NotFound)?;
            if account.disabled_at.is_some() || account.expired_at.is_some() {
                return Ok(Mailed::Unusable);
            }
            if !flow.send_reset_in(c, now, &account, ResetReason::Administrator)? {
                return Ok(Mailed::NoAddress);
            }
            let whose = Some((id, account.name.as_str()));
            let entry = flow.entry_of(&acting, Event::PasswordResetRequested, whose, serde_json::Value::Null);
            flow.record(c, now, &entry)?;
            Ok::<_, FlowError>(Mailed::Sent)
        })
        .await
}

impl Ctx {
    /// The link to a first password, inside the write that makes or keeps the account. False: it has no e-mail address.
    pub(in crate::flows) fn invite_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: &Account,
    ) -> Result<bool, StoreError> {
        self.send_link_in(c, now, account, Occasion::Invitation)
    }

    /// A link to choose another password. False: it has no e-mail address.
    pub(in crate::flows) fn send_reset_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: &Account,
        reason: ResetReason,
    ) -> Result<bool, StoreError> {
        self.send_link_in(c, now, account, Occasion::Reset(reason))
    }

    /// A link to choose a password, to the account's address. False: it has none.
    fn send_link_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: &Account,
        occasion: Occasion,
    ) -> Result<bool, StoreError> {
        let Some(email) = &account.email else { return Ok(false) };
        let kind = occasion.kind();
        let token = secret::token(self.random_bytes());
        let until = now.saturating_add(kind.lifetime());
        let made = PasswordLink {
            digest: secret::digest(token.expose()),
            account: account.id,
            kind,
            email: email.clone(),
            password_changed_at: account.password_changed_at,
            made_at: now,
            expires_at: until,
        };
        password_links::replace(c, &made)?;
        // The configured address, never what a request called us.
        let link = format!("{}/password/reset?token={}", self.config.base_url(), token.expose());
        let (username, terms) = (
            account.name.clone(),
            Terms {
                dedupe: None,
                give_up_at: Some(until),
            },
        );
        match occasion {
            Occasion::Reset(reason) => {
                outbox::discard_of_account(c, account.id, &["password_reset"], now)?;
                let letter = PasswordReset {
                    username,
                    link,
                    until,
                    reason,
                };
                self.post(c, now, account, &letter, terms)
            }
            Occasion::Invitation => {
                outbox::discard_of_account(c, account.id, &["invitation"], now)?;
                self.post(c, now, account, &Invitation { username, link, until }, terms)
            }
        }
    }
}
