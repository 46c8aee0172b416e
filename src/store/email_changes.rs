//! Pending changes of email addresses, one per account. A newer request replaces it; a change that
//! took effect or was refused is deleted.
use super::{
    Conn, StoreError, accounts as account_rows, instant::StoredInstant, per_backend::purge_oldest,
    schema::email_changes, text,
};
use crate::domain::{
    account::AccountId,
    email_change::{Confirmations, MailboxSide},
    time::Timestamp,
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl,
    Selectable, SelectableHelper,
};

/// A change of an email address that waits for confirmations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailChange {
    /// The account.
    pub account: AccountId,
    /// The current address.
    pub old: Option<String>,
    /// The new address.
    pub new: String,
    /// The digest of the token for the new address.
    pub new_digest: String,
    /// The digest of the token for the old address.
    pub old_digest: String,
    /// When the change was requested.
    pub requested_at: Timestamp,
    /// When the new address confirmed.
    pub new_confirmed_at: Option<Timestamp>,
    /// When the current address confirmed.
    pub old_confirmed_at: Option<Timestamp>,
}

impl EmailChange {
    /// Returns which addresses have confirmed.
    pub fn confirmations(&self) -> Confirmations {
        Confirmations {
            new: self.new_confirmed_at.is_some(),
            old: self.old_confirmed_at.is_some(),
            has_old: self.old.is_some(),
        }
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = email_changes, treat_none_as_default_value = false)]
struct EmailChangeRow {
    account_id: String,
    old_email: Option<String>,
    new_email: String,
    new_digest: String,
    old_digest: String,
    requested_at: StoredInstant,
    new_confirmed_at: Option<StoredInstant>,
    old_confirmed_at: Option<StoredInstant>,
}

impl EmailChangeRow {
    fn read(self) -> Result<EmailChange, StoreError> {
        Ok(EmailChange {
            account: account_rows::parse_id(&self.account_id)?,
            old: self.old_email,
            new: self.new_email,
            new_digest: self.new_digest,
            old_digest: self.old_digest,
            requested_at: self.requested_at.into(),
            new_confirmed_at: self.new_confirmed_at.map(Timestamp::from),
            old_confirmed_at: self.old_confirmed_at.map(Timestamp::from),
        })
    }
}

/// Inserts a change; the account has none ([`delete`]).
pub fn insert(c: &mut Conn, change: &EmailChange) -> Result<(), StoreError> {
    diesel::insert_into(email_changes::table)
        .values(EmailChangeRow {
            account_id: change.account.0.to_string(),
            old_email: change.old.as_deref().map(|old| text::clean(old).into_owned()),
            new_email: text::clean(&change.new).into_owned(),
            new_digest: change.new_digest.clone(),
            old_digest: change.old_digest.clone(),
            requested_at: change.requested_at.into(),
            new_confirmed_at: change.new_confirmed_at.map(StoredInstant::from),
            old_confirmed_at: change.old_confirmed_at.map(StoredInstant::from),
        })
        .execute(c.db())?;
    Ok(())
}

/// Finds the pending change of an account.
pub fn find(c: &mut Conn, account: AccountId) -> Result<Option<EmailChange>, StoreError> {
    let row = email_changes::table
        .find(account.0.to_string())
        .select(EmailChangeRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(EmailChangeRow::read).transpose()
}

/// Finds the change of a link, and the side of the link.
pub fn find_by_digest(c: &mut Conn, digest: &str) -> Result<Option<(EmailChange, MailboxSide)>, StoreError> {
    let row = email_changes::table
        .filter(
            email_changes::new_digest
                .eq(digest)
                .or(email_changes::old_digest.eq(digest)),
        )
        .select(EmailChangeRow::as_select())
        .first(c.db())
        .optional()?;
    let change = row.map(EmailChangeRow::read).transpose()?;
    Ok(change.map(|change| {
        let side = if change.new_digest == digest {
            MailboxSide::New
        } else {
            MailboxSide::Old
        };
        (change, side)
    }))
}

/// Confirms one side. The account's row is locked, and the change was read since.
pub fn confirm(c: &mut Conn, account: AccountId, side: MailboxSide, at: Timestamp) -> Result<(), StoreError> {
    let row = diesel::update(email_changes::table.find(account.0.to_string()));
    let at = StoredInstant::from(at);
    match side {
        MailboxSide::New => row.set(email_changes::new_confirmed_at.eq(at)).execute(c.db())?,
        MailboxSide::Old => row.set(email_changes::old_confirmed_at.eq(at)).execute(c.db())?,
    };
    Ok(())
}

/// Deletes a change. Returns false if there was none.
pub fn delete(c: &mut Conn, account: AccountId) -> Result<bool, StoreError> {
    Ok(diesel::delete(email_changes::table.find(account.0.to_string())).execute(c.db())? == 1)
}

/// Deletes all pending changes.
pub fn drop_all(c: &mut Conn) -> Result<(), StoreError> {
    diesel::delete(email_changes::table).execute(c.db())?;
    Ok(())
}

/// Deletes changes requested before `before`, the oldest first, about `limit` at most.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    Ok(purge_oldest!(c, email_changes.requested_at before before, limit))
}
