//! What was mailed to an account and lets its reader do something dies with a new password, a new address or a disabled account: links
//! and the letters that still wait with one. What each link does is its own flow's.

use super::Ctx;
use crate::{
    domain::{account::AccountId, reset::LinkKind, time::Timestamp},
    store::{Conn, StoreError, email_changes, outbox, password_links},
};

impl Ctx {
    /// Links to choose a password of these kinds, and a change of address that is not confirmed.
    pub(super) fn kill_links_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: AccountId,
        kinds: &[LinkKind],
    ) -> Result<(), StoreError> {
        for kind in kinds {
            password_links::kill(c, account, *kind)?;
            let letter = match kind {
                LinkKind::Reset => "password_reset",
                LinkKind::Invitation => "invitation",
            };
            outbox::discard_of_account(c, account, &[letter], now)?;
        }
        self.kill_email_change_in(c, now, account)
    }

    pub(super) fn kill_email_change_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        account: AccountId,
    ) -> Result<(), StoreError> {
        if email_changes::delete(c, account)? {
            outbox::discard_of_account(c, account, &["email_confirm", "email_asked_for"], now)?;
        }
        Ok(())
    }
}
