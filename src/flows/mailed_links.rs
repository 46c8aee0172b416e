//! Links in emails to an account, and revoking them: a new password, a new address or a disabled
//! account revokes links and cancels waiting emails that contain them. The flow of each link
//! defines what it does.

use super::Write;
use crate::{
    domain::{account::AccountId, reset::LinkKind, secret::Secret},
    store::{StoreError, email_changes, outbox, password_links},
};

impl Write<'_> {
    /// Revokes the account's password links of these kinds and its unconfirmed change of address.
    pub(super) fn void_links(&mut self, account: AccountId, kinds: &[LinkKind]) -> Result<(), StoreError> {
        for kind in kinds {
            password_links::delete_of_account(self.connection, account, *kind)?;
            let email = match kind {
                LinkKind::Reset => "password_reset",
                LinkKind::Invitation => "invitation",
            };
            outbox::discard_of_account(self.connection, account, &[email], self.now)?;
        }
        self.void_email_change(account)
    }

    /// Revokes the account's unconfirmed change of address.
    pub(super) fn void_email_change(&mut self, account: AccountId) -> Result<(), StoreError> {
        if email_changes::delete(self.connection, account)? {
            let kinds = ["email_confirm", "email_asked_for"];
            outbox::discard_of_account(self.connection, account, &kinds, self.now)?;
        }
        Ok(())
    }
}

/// The outcome of issuing an enrolment link.
#[derive(Debug, Clone)]
pub enum EnrolmentLinkOutcome {
    /// The link was mailed to the owner.
    Sent,
    /// The caller must pass the link on.
    Link(Secret),
    /// The account is the administrator's own. Someone who has stolen an administrator's password
    /// must not be able to make a link with it.
    OwnAccount,
    /// There is nowhere to send it.
    NoAddress,
    /// The account is disabled or expired.
    Unusable,
    /// The account has a second factor that it can prove, so a link would open nothing.
    HasFactor,
}
