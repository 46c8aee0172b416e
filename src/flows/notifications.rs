//! Notifications about an account, queued in the write of the event, unless the policy or the owner
//! has switched that kind off.

use super::{Write, emails::EmailOptions};
use crate::{
    domain::{
        account::{Account, AccountId},
        agent,
        client::Client,
        network_groups::NetworkGroups,
        notification::NotificationKind,
        secret,
        time::{Span, Timestamp},
    },
    mail::render::notifications::NotificationEmail,
    store::{
        StoreError, accounts,
        notifications::{self, SignInReportLink},
    },
};
use std::net::IpAddr;

/// How long a sign-in can be reported with the link in its email.
pub(super) const REPORT_LIFETIME: Span = Span::from_secs(7 * 86_400);

/// A sign-in and the facts in its email.
pub(super) struct SignInNotification<'a> {
    pub(super) account: &'a Account,
    pub(super) client: &'a Client,
}

impl Write<'_> {
    /// Queues the email, unless its kind is switched off. Returns whether it was queued.
    pub(super) fn notify(
        &mut self,
        to: &Account,
        notice: NotificationKind,
        email: &NotificationEmail,
    ) -> Result<bool, StoreError> {
        if !self.is_notification_wanted(to, notice)? {
            return Ok(false);
        }
        self.enqueue_email(to, email, EmailOptions::default())
    }

    fn is_notification_wanted(&mut self, account: &Account, notice: NotificationKind) -> Result<bool, StoreError> {
        if account.email.is_none() || !self.ctx.in_force().everyone().notifications.contains(&notice) {
            return Ok(false);
        }
        let is_switched_off = |off: Vec<String>| off.iter().any(|kind| kind == notice.as_str());
        Ok(notice.always() || !is_switched_off(notifications::list_switched_off(self.connection, account.id)?))
    }

    /// Stores the device, and notifies the owner if the device or the network is new to the
    /// account. The first device and network of an account are not notified.
    pub(super) fn notify_sign_in(&mut self, sign_in: &SignInNotification<'_>) -> Result<(), StoreError> {
        let account = sign_in.account;
        // Switched off: nothing is looked up or stored.
        if !self.is_notification_wanted(account, NotificationKind::SignIn)? {
            return Ok(());
        }
        let device = agent::describe(sign_in.client.user_agent.as_deref());
        let known = notifications::knows_device(self.connection, account.id, &device)?;
        notifications::remember_device(self.connection, account.id, &device, self.now)?;
        // Its network is not stored yet.
        let groups = self.network_groups();
        let network_known = accounts::knows_network(
            self.connection,
            account.id,
            sign_in.client.ip,
            &groups,
            Timestamp::default(),
        )?;
        // No device is stored: notifications were off until now, or the only device was reported
        // together with its network.
        let first = account.last_sign_in_at.is_none() || (known.is_none() && network_known);
        if first || (known == Some(true) && network_known) {
            return Ok(());
        }
        let token = secret::token(self.ctx.random_bytes());
        let ip = sign_in.client.ip.to_string();
        let report = SignInReportLink {
            digest: secret::digest(token.expose()),
            account: account.id,
            made_at: self.now,
            device: device.clone(),
            ip: ip.clone(),
        };
        notifications::add_report_link(self.connection, &report)?;
        let link = format!("{}/not-me?token={}", self.ctx.config.base_url(), token.expose());
        let until = self.now.saturating_add(REPORT_LIFETIME);
        let email = NotificationEmail::new_sign_in(&account.name, self.now, &device, &ip, link, until);
        self.notify(account, NotificationKind::SignIn, &email).map(drop)
    }

    /// Notifies the owner of a new password. `by_owner`: the owner chose it, and the email names
    /// the device and the IP address; otherwise someone else set it.
    pub(super) fn notify_password(&mut self, account: &Account, by_owner: bool) -> Result<(), StoreError> {
        let origin = &self.initiator.origin;
        let ip = origin.ip.filter(|_| by_owner).map(|ip| ip.to_string());
        let agent = origin.user_agent.as_deref().filter(|_| by_owner);
        let device = agent.map(|agent| agent::describe(Some(agent)));
        let email =
            NotificationEmail::password_changed(&account.name, self.now, by_owner, device.as_deref(), ip.as_deref());
        self.notify(account, NotificationKind::Password, &email).map(drop)
    }

    /// Notifies the old and the new address of a change.
    pub(super) fn notify_email_change(&mut self, before: &Account, after: &Account) -> Result<(), StoreError> {
        if before.email == after.email {
            return Ok(());
        }
        let email =
            NotificationEmail::email_changed(&after.name, self.now, before.email.as_deref(), after.email.as_deref());
        for to in [before, after] {
            self.notify(to, NotificationKind::Email, &email)?;
        }
        Ok(())
    }

    /// Notifies the owner that the account has expired.
    pub(super) fn notify_expired(&mut self, account: &Account) -> Result<(), StoreError> {
        let email = NotificationEmail::expired(&account.name, self.now);
        self.notify(account, NotificationKind::Expiry, &email).map(drop)
    }

    /// Notifies the owner that an expired account can be used again.
    pub(super) fn notify_reactivated(&mut self, account: &Account) -> Result<(), StoreError> {
        let email = NotificationEmail::reactivated(&account.name, self.now);
        self.notify(account, NotificationKind::Expiry, &email).map(drop)
    }

    /// Forgets a device and a network that a stranger used. The owner is notified of their next
    /// sign-in again, and failures from there count under the ceiling for unknown networks.
    pub(super) fn forget_stranger(
        &mut self,
        account: AccountId,
        device: &str,
        ip: Option<IpAddr>,
    ) -> Result<(), StoreError> {
        notifications::forget_device(self.connection, account, device)?;
        match ip {
            Some(ip) => accounts::forget_networks(self.connection, account, ip, &self.network_groups()),
            None => Ok(()),
        }
    }

    fn network_groups(&self) -> NetworkGroups {
        self.ctx.in_force().everyone().validation.groups.clone()
    }
}
