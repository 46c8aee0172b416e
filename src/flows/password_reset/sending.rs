//! Emailing a link to choose a password: an invitation or a reset, queued in the write that causes
//! it, and the actions of administrators for it. `password_reset` handles the link itself.

use crate::{
    domain::{
        account::{Account, AccountId},
        audit::Event,
        reset::LinkKind,
        secret,
    },
    flows::{Ctx, FlowError, Initiator, Write, emails::EmailOptions},
    mail::render::{InvitationEmail, PasswordResetEmail, ResetReason},
    store::{
        StoreError, accounts, outbox,
        password_links::{self, PasswordLink},
    },
};

/// The result of an administrator's invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvitationOutcome {
    Sent,
    /// The account's source, with this title, keeps its password.
    Managed(String),
    /// The account has no email address.
    NoAddress,
    /// The account has been used before, or it is disabled or expired.
    NotInvited,
}

/// The result of an administrator's request to email a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailLinkOutcome {
    Sent,
    /// The account's source, with this title, keeps its password.
    Managed(String),
    NoAddress,
    /// The account is disabled or expired, so a link would not work.
    Unusable,
}

/// The reason for emailing a link.
enum LinkOccasion {
    /// The first password of an invitation.
    Invitation,
    /// A new password.
    Reset(ResetReason),
}

impl LinkOccasion {
    const fn kind(&self) -> LinkKind {
        match self {
            Self::Invitation => LinkKind::Invitation,
            Self::Reset(_) => LinkKind::Reset,
        }
    }
}

/// Emails an invitation to an account that was never used; the previous link stops working.
pub async fn invite(ctx: &Ctx, initiator: &Initiator, id: AccountId) -> Result<InvitationOutcome, FlowError> {
    ctx.write(initiator, move |w| {
        let account = accounts::find(w.connection, id)?.ok_or(FlowError::NotFound)?;
        if let Some(title) = w.ctx.source_title(&account) {
            return Ok(InvitationOutcome::Managed(title));
        }
        if account.last_sign_in_at.is_some() || !account.is_enabled() {
            return Ok(InvitationOutcome::NotInvited);
        }
        if !w.send_invitation(&account)? {
            return Ok(InvitationOutcome::NoAddress);
        }
        let entry = w.entry(Event::AccountUpdated).with_account(id, &account.name);
        w.record(&entry.with_detail(serde_json::json!({ "invitation": "sent" })))?;
        Ok(InvitationOutcome::Sent)
    })
    .await
}

/// Emails the owner a link to choose another password, for an administrator; the current password
/// keeps working until then.
pub async fn mail_link(ctx: &Ctx, initiator: &Initiator, id: AccountId) -> Result<MailLinkOutcome, FlowError> {
    ctx.write(initiator, move |w| {
        let account = accounts::find(w.connection, id)?.ok_or(FlowError::NotFound)?;
        if let Some(title) = w.ctx.source_title(&account) {
            return Ok(MailLinkOutcome::Managed(title));
        }
        if !account.is_enabled() {
            return Ok(MailLinkOutcome::Unusable);
        }
        if !w.send_reset_link(&account, ResetReason::Administrator)? {
            return Ok(MailLinkOutcome::NoAddress);
        }
        w.record(&w.entry(Event::PasswordResetRequested).with_account(id, &account.name))?;
        Ok(MailLinkOutcome::Sent)
    })
    .await
}

impl Write<'_> {
    /// Emails the link to a first password. Returns false if the account has no email address.
    pub(in crate::flows) fn send_invitation(&mut self, account: &Account) -> Result<bool, StoreError> {
        self.send_link(account, LinkOccasion::Invitation)
    }

    /// Emails a link to choose another password. Returns false if the account has no email address.
    pub(in crate::flows) fn send_reset_link(
        &mut self,
        account: &Account,
        reason: ResetReason,
    ) -> Result<bool, StoreError> {
        self.send_link(account, LinkOccasion::Reset(reason))
    }

    fn send_link(&mut self, account: &Account, occasion: LinkOccasion) -> Result<bool, StoreError> {
        let Some(email) = &account.email else { return Ok(false) };
        let kind = occasion.kind();
        let token = secret::token(self.ctx.random_bytes());
        let until = self.now.saturating_add(kind.lifetime());
        let made = PasswordLink {
            digest: secret::digest(token.expose()),
            account: account.id,
            kind,
            email: email.clone(),
            password_changed_at: account.password_changed_at,
            made_at: self.now,
            expires_at: until,
        };
        password_links::replace(self.connection, &made)?;
        // The configured address, never a host name from a request.
        let link = format!("{}/password/reset?token={}", self.ctx.config.base_url(), token.expose());
        let username = account.name.clone();
        let options = EmailOptions {
            give_up_at: Some(until),
            ..EmailOptions::default()
        };
        match occasion {
            LinkOccasion::Reset(reason) => {
                outbox::discard_of_account(self.connection, account.id, &["password_reset"], self.now)?;
                let email = PasswordResetEmail {
                    username,
                    link,
                    until,
                    reason,
                };
                self.enqueue_email(account, &email, options)
            }
            LinkOccasion::Invitation => {
                outbox::discard_of_account(self.connection, account.id, &["invitation"], self.now)?;
                self.enqueue_email(account, &InvitationEmail { username, link, until }, options)
            }
        }
    }
}
