//! The administration of second factors: resets, and links to enrol a first one.

use crate::{
    domain::{
        account::{Account, AccountId},
        audit::Event,
        policy::effective::FactorPolicy,
        secret::{self, Secret},
        session::EndReason,
        time::{Span, Timestamp},
    },
    flows::{
        Ctx, FlowError, Initiator, Write, emails::EmailOptions, factor_emails::FactorNotification,
        factor_rules::factors_at_sign_in, mailed_links::EnrolmentLinkOutcome,
    },
    live::policy::PolicyInForce,
    mail::render::notifications::NotificationEmail,
    store::{
        StoreError, accounts, authenticator_apps,
        enrolment_links::{self, EnrolmentLink},
        outbox, passkeys, pending_sign_ins, recovery_codes, sessions, trusted_browsers,
    },
};
use serde_json::json;

/// How long an enrolment link works.
const LINK_LIFETIME: Span = Span::from_secs(72 * 3600);

/// Which factors to reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetKind {
    /// All of them.
    All,
    /// The authenticator app.
    AuthenticatorApp,
    /// Every passkey.
    Passkeys,
    /// The recovery codes.
    RecoveryCodes,
}

impl ResetKind {
    /// All kinds.
    pub const ALL: &[ResetKind] = &[
        ResetKind::All,
        ResetKind::AuthenticatorApp,
        ResetKind::Passkeys,
        ResetKind::RecoveryCodes,
    ];

    /// Returns the code for the command line and the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            ResetKind::All => "all",
            ResetKind::AuthenticatorApp => "authenticator_app",
            ResetKind::Passkeys => "passkeys",
            ResetKind::RecoveryCodes => "recovery_codes",
        }
    }

    /// Parses a code; `None` for an unknown one.
    pub fn parse(code: &str) -> Option<Self> {
        ResetKind::ALL.iter().copied().find(|kind| kind.as_str() == code)
    }

    fn includes(self, kind: ResetKind) -> bool {
        self == kind || self == ResetKind::All
    }
}

/// The factors that a reset removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FactorReset {
    /// Whether an authenticator app was removed.
    pub authenticator_app: bool,
    /// Number of passkeys.
    pub passkeys: usize,
    /// Number of recovery codes.
    pub recovery_codes: usize,
    /// Number of sessions that ended.
    pub ended_sessions: usize,
}

impl FactorReset {
    /// Returns whether the account had none of the factors. Then nothing else happened either.
    pub const fn is_empty(&self) -> bool {
        !self.authenticator_app && self.passkeys == 0 && self.recovery_codes == 0
    }
}

/// Removes factors of an account, ends its sessions, voids pending steps, and notifies the owner.
pub async fn reset_factors(
    ctx: &Ctx,
    initiator: &Initiator,
    id: AccountId,
    kind: ResetKind,
) -> Result<FactorReset, FlowError> {
    ctx.write(initiator, move |w| {
        sessions::lock_account_sessions(w.connection, id)?;
        let account = accounts::find(w.connection, id)?.ok_or(FlowError::NotFound)?;
        Ok(w.reset_factors(&account, kind)?)
    })
    .await
}

/// Mails the owner a link to enrol a second factor. An earlier link stops working.
pub async fn send_enrolment_link(
    ctx: &Ctx,
    initiator: &Initiator,
    id: AccountId,
) -> Result<EnrolmentLinkOutcome, FlowError> {
    issue_link(ctx, initiator, id, true).await
}

/// Makes a link to enrol a second factor, to be passed on in another way. An earlier link stops
/// working.
pub async fn make_enrolment_link(
    ctx: &Ctx,
    initiator: &Initiator,
    id: AccountId,
) -> Result<EnrolmentLinkOutcome, FlowError> {
    issue_link(ctx, initiator, id, false).await
}

/// Finds the id and name of the account for which a link allows enrolment. `None`: the link is
/// invalid or has expired. The link is not consumed.
pub async fn find_enrolment_link(ctx: &Ctx, token: &Secret) -> Result<Option<(AccountId, String)>, FlowError> {
    let digest = secret::digest(token.expose());
    let in_force = ctx.current_policy().await?;
    ctx.read(move |r| {
        let Some(link) = enrolment_links::find(r.connection, &digest)? else {
            return Ok(None);
        };
        let account = accounts::find(r.connection, link.account)?;
        let valid = account.filter(|account| {
            let policy = factors_at_sign_in(&in_force, account, None);
            is_link_valid(&link, account, &policy, r.now)
        });
        Ok(valid.map(|account| (account.id, account.name)))
    })
    .await
}

/// Returns whether a link still allows the account to enrol a first factor. A changed address or a
/// factor that can be proved invalidates it.
pub(super) fn is_link_valid(link: &EnrolmentLink, account: &Account, policy: &FactorPolicy, now: Timestamp) -> bool {
    let is_reader = link.email.is_none() || link.email == account.email;
    link.account == account.id
        && now <= link.expires_at
        && is_reader
        && account.is_enabled()
        && !policy.can_prove(account.factors)
}

async fn issue_link(
    ctx: &Ctx,
    initiator: &Initiator,
    id: AccountId,
    is_mailed: bool,
) -> Result<EnrolmentLinkOutcome, FlowError> {
    let in_force = ctx.current_policy().await?;
    ctx.write(initiator, move |w| {
        let account = accounts::find(w.connection, id)?.ok_or(FlowError::NotFound)?;
        Ok(w.issue_link(&in_force, &account, is_mailed)?)
    })
    .await
}

impl Write<'_> {
    fn reset_factors(&mut self, account: &Account, kind: ResetKind) -> Result<FactorReset, StoreError> {
        let mut reset = FactorReset::default();
        if kind.includes(ResetKind::AuthenticatorApp) {
            reset.authenticator_app = authenticator_apps::delete(self.connection, account.id)?;
        }
        if kind.includes(ResetKind::Passkeys) {
            reset.passkeys = passkeys::delete_all(self.connection, account.id)?;
        }
        let has_factor = accounts::find(self.connection, account.id)?.is_some_and(|now| now.factors.has_any());
        if kind.includes(ResetKind::RecoveryCodes) || !has_factor {
            reset.recovery_codes = recovery_codes::delete_all(self.connection, account.id)?;
        }
        trusted_browsers::delete_of_account(self.connection, account.id)?;
        pending_sign_ins::delete_of_account(self.connection, account.id)?;
        self.forget_account(account.id);
        if reset.is_empty() {
            return Ok(reset);
        }
        reset.ended_sessions = self.end_account_sessions(account, EndReason::Revoked)?;
        let entry = self.entry(Event::FactorReset).with_account(account.id, &account.name);
        self.record(&entry.with_reason(kind.as_str()).with_detail(json!({
            "authenticator_app": reset.authenticator_app,
            "passkeys": reset.passkeys,
            "recovery_codes": reset.recovery_codes,
            "ended_sessions": reset.ended_sessions,
        })))?;
        self.notify_factor_change(account, &FactorNotification::Reset)?;
        Ok(reset)
    }

    /// Replaces the account's enrolment link, and mails the new one if that was asked for. An
    /// account that could not use a link gets none, and administrators make none for themselves.
    pub(in crate::flows) fn issue_link(
        &mut self,
        in_force: &PolicyInForce,
        account: &Account,
        is_mailed: bool,
    ) -> Result<EnrolmentLinkOutcome, StoreError> {
        if self.initiator.account_id() == Some(account.id) {
            return Ok(EnrolmentLinkOutcome::OwnAccount);
        }
        if !account.is_enabled() {
            return Ok(EnrolmentLinkOutcome::Unusable);
        }
        if factors_at_sign_in(in_force, account, None).can_prove(account.factors) {
            return Ok(EnrolmentLinkOutcome::HasFactor);
        }
        if is_mailed && account.email.is_none() {
            return Ok(EnrolmentLinkOutcome::NoAddress);
        }
        let token = secret::token(self.ctx.random_bytes());
        let until = self.now.saturating_add(LINK_LIFETIME);
        let link = EnrolmentLink {
            digest: secret::digest(token.expose()),
            account: account.id,
            email: account.email.clone().filter(|_| is_mailed),
            made_at: self.now,
            expires_at: until,
        };
        enrolment_links::replace(self.connection, &link)?;
        // The configured address, never what a request called us.
        let url = format!("{}/factors/enrol?token={}", self.ctx.config.base_url(), token.expose());
        let how = if is_mailed { "sent" } else { "made" };
        let entry = self
            .entry(Event::AccountUpdated)
            .with_account(account.id, &account.name);
        self.record(&entry.with_detail(json!({ "enrolment_link": how })))?;
        outbox::discard_of_account(self.connection, account.id, &["enrolment_link"], self.now)?;
        if !is_mailed {
            return Ok(EnrolmentLinkOutcome::Link(Secret::new(url)));
        }
        let email = NotificationEmail::enrolment_link(&account.name, url, until);
        let options = EmailOptions {
            give_up_at: Some(until),
            ..EmailOptions::default()
        };
        self.enqueue_email(account, &email, options)?;
        Ok(EnrolmentLinkOutcome::Sent)
    }
}
