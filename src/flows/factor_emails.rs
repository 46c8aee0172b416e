//! Emails about second factors. The owner is notified of every change and cannot switch this off.

use super::{Write, emails::EmailOptions};
use crate::{
    domain::{account::Account, agent, time::Timestamp},
    mail::render::{format_utc, notifications::NotificationEmail},
    store::StoreError,
};

/// A change that the owner is notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FactorNotification<'a> {
    AppAdded,
    /// A new app took the place of the account's earlier one.
    AppReplaced,
    AppRemoved,
    PasskeyAdded(&'a str),
    PasskeyRemoved(&'a str),
    PasskeyRenamed {
        from: &'a str,
        to: &'a str,
    },
    /// Its counter went backwards, as it does after the original of a copy was used.
    PasskeyCopied(&'a str),
    RecoveryCodesMade,
    /// `few`: so few codes are left that the owner should generate new ones.
    RecoveryCodeUsed {
        left: u32,
        few: bool,
    },
    /// A browser is not asked for a second factor until this time.
    BrowserTrusted {
        until: Timestamp,
    },
    /// An administrator reset the factors.
    Reset,
}

impl FactorNotification<'_> {
    /// Returns what happened, as the end of a sentence about the account.
    fn message(&self) -> String {
        match self {
            Self::AppAdded => "An authenticator app was added to".to_owned(),
            Self::AppReplaced => {
                "A new authenticator app was set up, and the earlier one no longer works, for".to_owned()
            }
            Self::AppRemoved => "The authenticator app was removed from".to_owned(),
            Self::PasskeyAdded(name) => format!("The passkey “{name}” was added to"),
            Self::PasskeyRemoved(name) => format!("The passkey “{name}” was removed from"),
            Self::PasskeyRenamed { from, to } => {
                format!("The passkey “{from}” was renamed to “{to}” for")
            }
            Self::PasskeyCopied(name) => {
                format!("The passkey “{name}” was refused, because it may have been copied, for")
            }
            Self::RecoveryCodesMade => "New recovery codes were made, and earlier ones are void, for".to_owned(),
            Self::RecoveryCodeUsed { .. } => "A recovery code was used for".to_owned(),
            Self::BrowserTrusted { until } => format!(
                "A browser is trusted, and is not asked for a second factor until {}, for",
                format_utc(*until)
            ),
            Self::Reset => "An administrator removed second factors and ended the sessions of".to_owned(),
        }
    }

    fn advice(&self) -> String {
        match self {
            Self::Reset => "You are asked to set up a second factor again when one is required. If you did not ask \
                            for this, contact an administrator now."
                .to_owned(),
            Self::BrowserTrusted { .. } => {
                "You can stop trusting it on the page Security. If this was not you, change \
                                            your password, which ends the trust too, and contact an administrator now."
                    .to_owned()
            }
            Self::PasskeyCopied(_) => {
                "Two devices seem to use the same passkey, and one of them may not be yours. Remove the \
                                       passkey on the page Security, and contact an administrator now."
                    .to_owned()
            }
            Self::RecoveryCodeUsed { left, few } => {
                let left = match left {
                    0 => "No recovery code is left".to_owned(),
                    1 => "1 recovery code is left".to_owned(),
                    left => format!("{left} recovery codes are left"),
                };
                let more = if *few {
                    ": make new ones on the page Security"
                } else {
                    ""
                };
                format!("{left}{more}. If this was not you, change your password and contact an administrator now.")
            }
            _ => "If this was not you, change your password and contact an administrator now.".to_owned(),
        }
    }
}

impl Write<'_> {
    /// Notifies the owner of a change, with its origin if the owner made it.
    pub(super) fn notify_factor_change(
        &mut self,
        account: &Account,
        news: &FactorNotification<'_>,
    ) -> Result<(), StoreError> {
        let by_owner = !matches!(news, FactorNotification::Reset);
        let origin = &self.initiator.origin;
        let ip = origin.ip.filter(|_| by_owner).map(|ip| ip.to_string());
        let device = origin.user_agent.as_deref().filter(|_| by_owner);
        let device = device.map(|agent| agent::describe(Some(agent)));
        let email = NotificationEmail::factor_changed(
            format!("{} the account {}.", news.message(), account.name),
            news.advice(),
            self.now,
            device,
            ip,
        );
        self.enqueue_email(account, &email, EmailOptions::default()).map(drop)
    }
}
